/** Any bytes as an FLV tag: a value or a `ProtocolError`, never anything else. Purely random ones, and real ones with bytes changed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '../../server/base/errors.ts';
import { Prng } from '../../server/base/prng.ts';
import { FlvDemuxer } from '../../server/media/flv/flv-demuxer.ts';
import type { FlvTagType } from '../../server/media/flv/flv-tag.ts';
import { writeAmf0 } from '../../server/media/flv/amf0.ts';
import {
  AV1_CONFIG,
  AVC_IDR,
  HEVC_CONFIG,
  OPUS_HEAD,
  OPUS_PACKET,
  aacConfigTag,
  aacTag,
  avcConfigTag,
  avcTag,
  exAudioTag,
  exVideoFrameTag,
  exVideoTag,
  nal,
} from '../support/flv-samples.ts';

const ROUND_COUNT = process.env['SLUICE_SIZE'] === 'soak' ? 400_000 : 20_000;
const SEED = Number(process.env['SLUICE_SEED'] ?? 20_261_122);

const SAMPLES: readonly (readonly [FlvTagType, Uint8Array])[] = [
  [9, avcConfigTag()],
  [9, avcTag(AVC_IDR, -33)],
  [9, avcTag(Buffer.concat([nal(0x67), nal(0x68), AVC_IDR]))],
  [9, exVideoTag('hvc1', 0, HEVC_CONFIG)],
  [9, exVideoFrameTag('hvc1', 40, nal(0x26))],
  [9, exVideoTag('av01', 0, AV1_CONFIG)],
  [9, exVideoTag('av01', 1, AV1_CONFIG.subarray(4))],
  [9, Buffer.concat([Buffer.from([0x96, 0x10]), Buffer.from('avc1'), Buffer.from([0, 0, 0, 4, 1, 2, 3, 4])])],
  [9, Buffer.concat([Buffer.from([0x97, 2, 0, 0, 1, 0x01]), Buffer.from('avc1'), Buffer.alloc(3), AVC_IDR])],
  [8, aacConfigTag()],
  [8, aacTag()],
  [8, exAudioTag('Opus', 0, OPUS_HEAD)],
  [8, exAudioTag('Opus', 1, OPUS_PACKET)],
  [18, writeAmf0(['@setDataFrame', 'onMetaData', new Map([['encoder', 'obs']])])],
];

const mutate = (prng: Prng, sample: Uint8Array): Uint8Array => {
  const bytes = Uint8Array.from(sample);
  for (let count = prng.nextIndex(4); count >= 0; count -= 1) {
    bytes[prng.nextIndex(bytes.byteLength)] = prng.nextUint32() & 0xff;
  }
  return prng.nextIndex(4) === 0 ? bytes.subarray(0, prng.nextIndex(bytes.byteLength)) : bytes;
};

test(`any FLV tag gives a value or a ProtocolError (${ROUND_COUNT} rounds, seed ${SEED})`, () => {
  const prng = new Prng(SEED);
  let demuxer = new FlvDemuxer();
  let valueCount = 0;
  let errorCount = 0;
  for (let round = 0; round < ROUND_COUNT; round += 1) {
    const [type, sample] = SAMPLES[prng.nextIndex(SAMPLES.length)]!;
    const kind = prng.nextIndex(4);
    const random = prng.nextBytes(prng.nextIndex(200));
    const changed = kind === 0 ? random : mutate(prng, sample);
    const body = kind === 1 ? sample : changed;
    try {
      const result = demuxer.push({
        type,
        timestampTs32: prng.nextUint32(),
        body,
        arrivedAtMs: round,
        arrivedAtWallMs: round,
      });
      valueCount += 1;
      if (result.type === 'unit') {
        assert.ok(Number.isSafeInteger(result.unit.dtsTicks) && Number.isSafeInteger(result.unit.ptsTicks));
        assert.ok(result.unit.payload.byteLength <= body.byteLength + 64);
      }
    } catch (error) {
      assert.ok(error instanceof ProtocolError, `round ${round}, seed ${SEED}: ${String(error)}`);
      errorCount += 1;
      demuxer = new FlvDemuxer();
    }
  }
  assert.ok(
    valueCount > ROUND_COUNT / 10 && errorCount > ROUND_COUNT / 10,
    `${valueCount} values, ${errorCount} errors`,
  );
});
