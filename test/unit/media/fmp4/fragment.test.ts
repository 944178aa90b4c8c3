// CMAF files, judged by ffmpeg where it is installed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { concatBytes } from '../../../../server/media/fmp4/box.ts';
import { writeFragment } from '../../../../server/media/fmp4/fragment.ts';
import { writeInitSegment } from '../../../../server/media/fmp4/init-segment.ts';
import { VideoSegmenter } from '../../../../server/media/segmenter.ts';
import { ProtocolError } from '../../../../server/base/errors.ts';
import type { VideoUnit } from '../../../../server/media/access-unit.ts';
import { ffmpegMissing, makeElementaryStreams } from '../../../support/ffmpeg-media.ts';
import { syntheticVideo, testAudioTrack, testVideoTrack } from '../../../support/synthetic-media.ts';
import { tempFolder } from '../../../support/temp-folder.ts';

const boxTypes = (bytes: Uint8Array): string[] => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const types: string[] = [];
  for (let at = 0; at < bytes.byteLength; at += view.getUint32(at)) {
    types.push(Buffer.from(bytes.subarray(at + 4, at + 8)).toString());
  }
  return types;
};

test('an init segment is ftyp and moov, a fragment moof and mdat', () => {
  assert.deepEqual(boxTypes(writeInitSegment(testVideoTrack())), ['ftyp', 'moov']);
  const sample = {
    payload: Uint8Array.of(1, 2, 3),
    durationTicks: 3_000,
    compositionOffsetTicks: -7,
    isKeyframe: true,
  };
  const part = { startTicks: 2 ** 33 + 5, durationTicks: 3_000, isIndependent: true, samples: [sample] };
  const bytes = writeFragment(part, 9);
  assert.deepEqual(boxTypes(bytes), ['moof', 'mdat']);
  assert.deepEqual([...bytes.subarray(-3)], [1, 2, 3]);
  const view = new DataView(bytes.buffer);
  const tfdtAt = Buffer.from(bytes).indexOf('tfdt');
  assert.deepEqual([view.getUint32(tfdtAt + 8), view.getUint32(tfdtAt + 12)], [2, 5]);
  const trunAt = Buffer.from(bytes).indexOf('trun');
  assert.equal(view.getInt32(trunAt + 8 + 4 + 4 + 12), -7);
});

test('an OpusHead that is too short is refused by name', () => {
  const track = testAudioTrack({ codec: 'opus', codecString: 'opus', decoderConfig: new Uint8Array(5) });
  assert.throws(
    () => writeInitSegment(track),
    (error) => error instanceof ProtocolError && error.code === 'OPUS_HEAD_INVALID',
  );
});

const probe = (file: string, args: readonly string[]): string => {
  const result = spawnSync('ffprobe', ['-v', 'error', ...args, file], { encoding: 'utf8' });
  assert.equal(result.stderr, '');
  return result.stdout;
};

const inTempFolder = (use: (folder: string) => void): void => {
  const folder = tempFolder('fmp4');
  try {
    use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
};

test(
  'ffmpeg decodes every frame of packaged H.264 with B-frames, at the times they had',
  { skip: ffmpegMissing() },
  () => {
    inTempFolder((folder) => {
      const { video } = makeElementaryStreams({ durationS: 4, bFrames: 2, gopFrames: 30 });
      const segmenter = new VideoSegmenter({ partTargetMs: 333, frameRateFps: 30, timescaleHz: 90_000, firstMsn: 0 });
      const units: VideoUnit[] = video;
      const parts = [...units.flatMap((unit) => segmenter.push(unit)), ...segmenter.end()].filter(
        (event) => event.type === 'part',
      );
      const file = join(folder, 'video.mp4');
      const init = writeInitSegment(units[0]!.track);
      writeFileSync(file, concatBytes([init, ...parts.map((part, index) => writeFragment(part, index + 1))]));
      const decode = spawnSync('ffmpeg', ['-v', 'error', '-i', file, '-f', 'null', '-'], { encoding: 'utf8' });
      assert.equal(decode.stderr, '');
      const ptsTicks = probe(file, ['-show_entries', 'frame=pts', '-of', 'csv=p=0'])
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => Number.parseInt(line, 10));
      assert.deepEqual(
        ptsTicks,
        units.map((unit) => unit.ptsTicks).toSorted((a, b) => a - b),
      );
    });
  },
);

test('ffprobe reads codec, rate and channels of packaged AAC and Opus', { skip: ffmpegMissing() }, () => {
  inTempFolder((folder) => {
    const aac = join(folder, 'aac.mp4');
    writeFileSync(aac, writeInitSegment(testAudioTrack()));
    assert.match(
      probe(aac, ['-show_entries', 'stream=codec_name,sample_rate,channels', '-of', 'csv=p=0']),
      /aac,48000,2/,
    );
    const opusHead = Uint8Array.from([...Buffer.from('OpusHead'), 1, 2, 0x38, 1, 0x80, 0xbb, 0, 0, 0, 0, 0]);
    const track = testAudioTrack({ codec: 'opus', codecString: 'opus', samplesPerUnit: 960, decoderConfig: opusHead });
    const opus = join(folder, 'opus.mp4');
    writeFileSync(opus, writeInitSegment(track));
    assert.match(
      probe(opus, ['-show_entries', 'stream=codec_name,sample_rate,channels', '-of', 'csv=p=0']),
      /opus,48000,2/,
    );
  });
});

test('fragments of any stream carry each payload once', () => {
  const segmenter = new VideoSegmenter({ partTargetMs: 200, frameRateFps: 60, timescaleHz: 90_000, firstMsn: 0 });
  const units = syntheticVideo({ frameRateFps: 60, durationS: 3, gopFrames: 60, isWholeMs: true });
  const parts = [...units.flatMap((unit) => segmenter.push(unit)), ...segmenter.end()].filter(
    (event) => event.type === 'part',
  );
  const mdats = parts.map((part) => {
    const bytes = writeFragment(part, 1);
    const moofBytes = new DataView(bytes.buffer).getUint32(0);
    return bytes.subarray(moofBytes + 8);
  });
  assert.deepEqual(Buffer.concat(mdats), Buffer.concat(units.map((unit) => unit.payload)));
});
