/** NUT written by us and read by us; and the reader against whatever way the bytes are cut. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '../../../../server/base/errors.ts';
import { Prng } from '../../../../server/base/prng.ts';
import { fullPtsTicks, nutChecksum } from '../../../../server/media/nut/nut-format.ts';
import { NutReader } from '../../../../server/media/nut/nut-reader.ts';
import { NutWriter, varint } from '../../../../server/media/nut/nut-writer.ts';
import type { AudioTrack, VideoTrack } from '../../../../server/media/track.ts';

const HEVC: VideoTrack = {
  kind: 'video',
  codec: 'hevc',
  timescaleHz: 90_000,
  decoderConfig: Uint8Array.of(1, 2, 3, 4, 5),
  codecString: 'hvc1.1.6.L93.B0',
  widthPx: 640,
  heightPx: 360,
};
const OPUS: AudioTrack = {
  kind: 'audio',
  codec: 'opus',
  timescaleHz: 48_000,
  decoderConfig: Uint8Array.of(9, 8, 7),
  codecString: 'opus',
  channelCount: 2,
  samplesPerUnit: 960,
};

const written = (): { bytes: Buffer; frames: { ptsTicks: number; isKeyframe: boolean; payload: Uint8Array }[] } => {
  const prng = new Prng(7);
  const writer = new NutWriter({ track: HEVC, reorderMaxCount: 2 });
  const frames = Array.from({ length: 40 }, (_, index) => ({
    ptsTicks: 900_000 + ((index * 7) % 40) * 3_000,
    isKeyframe: index % 10 === 0,
    payload: prng.nextBytes(index === 11 ? 150_000 : 1 + prng.nextIndex(9_000)),
  }));
  return { bytes: Buffer.concat([writer.header(), ...frames.map((frame) => writer.frame(frame))]), frames };
};

test('what the writer wrote the reader reads: times, keyframes, payloads, set-up', () => {
  const { bytes, frames } = written();
  const read = new NutReader().push(bytes);
  assert.deepEqual(
    read.map(({ ptsTicks, isKeyframe, payload }) => ({ ptsTicks, isKeyframe, payload })),
    frames,
  );
  const stream = read[0]!.stream;
  assert.deepEqual([stream.fourCc, stream.kind, stream.widthPx, stream.heightPx], ['HEVC', 'video', 640, 360]);
  assert.deepEqual(stream.timeBase, { num: 1, den: 90_000 });
  assert.deepEqual(stream.codecSpecific, HEVC.decoderConfig);
});

test('each frame comes out with the push that completes it, however the bytes are cut', () => {
  const { bytes, frames } = written();
  const prng = new Prng(3);
  const reader = new NutReader();
  const read = [];
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + 1 + prng.nextIndex(5_000));
    read.push(...reader.push(bytes.subarray(at, end)));
    at = end;
  }
  assert.deepEqual(
    read.map((frame) => frame.payload),
    frames.map((frame) => frame.payload),
  );
  assert.equal(reader.bufferedBytes, 0);
});

test('an audio stream carries its rate and channels', () => {
  const writer = new NutWriter({ track: OPUS, reorderMaxCount: 0 });
  const reader = new NutReader();
  reader.push(writer.header());
  const [stream] = reader.streams;
  assert.deepEqual([stream!.fourCc, stream!.sampleRateHz, stream!.channelCount], ['Opus', 48_000, 2]);
});

const codeOf = (act: () => void): string | undefined => {
  try {
    act();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof ProtocolError);
    return error.code;
  }
};

test('damage is refused by name: wrong file id, wrong checksum, frame above the cap', () => {
  const { bytes } = written();
  assert.equal(
    codeOf(() => new NutReader().push(Buffer.from('x'.repeat(64)))),
    'NUT_INVALID',
  );
  const damaged = Buffer.from(bytes);
  damaged[40]! ^= 1;
  assert.equal(
    codeOf(() => new NutReader().push(damaged)),
    'NUT_CHECKSUM',
  );
  assert.equal(
    codeOf(() => new NutReader({ frameMaxBytes: 100_000 }).push(bytes)),
    'NUT_FRAME_TOO_LARGE',
  );
});

test('numbers and checksums follow the specification', () => {
  assert.deepEqual(varint(0), [0]);
  assert.deepEqual(varint(127), [127]);
  assert.deepEqual(varint(128), [0x81, 0]);
  assert.deepEqual(varint(2 ** 35), [0x81, 0x80, 0x80, 0x80, 0x80, 0]);
  assert.equal(nutChecksum(Buffer.from('123456789')), 0x89a1897f);
});

test('low bits of a time are completed to the one nearest the last', () => {
  assert.equal(fullPtsTicks(5, 1020, 10), 1029);
  assert.equal(fullPtsTicks(1000, 1029, 10), 1000);
});
