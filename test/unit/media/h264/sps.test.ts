/** H.264 parameter sets made by x264, and broken ones. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { avcCodecString, buildAvcConfig, parseAvcConfig } from '../../../../server/media/h264/avc-config.ts';
import { findX264Settings } from '../../../../server/media/h264/encoder-settings.ts';
import { joinNalUnits, nalTypeOf, splitNalUnits } from '../../../../server/media/h264/nal-units.ts';
import { parseSps } from '../../../../server/media/h264/sps.ts';
import { AVC_CONFIG, AVC_CONFIG_B_FRAMES } from '../../../support/flv-samples.ts';

const spsOf = (config: Uint8Array): Uint8Array => parseAvcConfig(config).sps[0]!;
const hasCode = (code: string) => (error: unknown) => (error as { code?: string }).code === code;

test('an SPS tells size after cropping, frame rate, and that nothing is reordered', () => {
  assert.deepEqual(parseSps(spsOf(AVC_CONFIG)), {
    profileIdc: 100,
    levelIdc: 13,
    widthPx: 320,
    heightPx: 180,
    reorderMaxCount: 0,
    frameRateFps: 30,
  });
});

test('an SPS of a stream with B-frames tells how far pictures are reordered', () => {
  assert.equal(parseSps(spsOf(AVC_CONFIG_B_FRAMES)).reorderMaxCount, 2);
});

test('a truncated SPS is refused wherever it ends', () => {
  const sps = spsOf(AVC_CONFIG);
  for (let length = 0; length < sps.byteLength - 4; length += 1) {
    assert.throws(() => parseSps(sps.subarray(0, length)), hasCode('H264_SPS_INVALID'), `${length} bytes`);
  }
});

test('a NAL unit that is no SPS is refused', () => {
  assert.throws(() => parseSps(Uint8Array.of(0x68, 1, 2, 3)), hasCode('H264_SPS_INVALID'));
});

test('a decoder configuration is read, and rebuilt with the same parameter sets', () => {
  const config = parseAvcConfig(Uint8Array.from(AVC_CONFIG));
  assert.equal(avcCodecString(config), 'avc1.64000d');
  assert.equal(config.lengthBytes, 4);
  const again = parseAvcConfig(buildAvcConfig(config.sps, config.pps));
  assert.deepEqual([again.sps, again.pps, again.lengthBytes], [config.sps, config.pps, 4]);
});

test('a decoder configuration without parameter sets, or of another version, is refused', () => {
  assert.throws(() => parseAvcConfig(Uint8Array.of(1, 100, 0, 13, 0xff, 0xe0, 0)), hasCode('AVC_CONFIG_INVALID'));
  assert.throws(() => parseAvcConfig(Uint8Array.of(2, 100, 0, 13, 0xff, 0xe0, 0)), hasCode('AVC_CONFIG_INVALID'));
  assert.throws(() => parseAvcConfig(AVC_CONFIG.subarray(0, 20)), hasCode('AVC_CONFIG_INVALID'));
});

test('NAL units are split by any length size and joined by 4 bytes', () => {
  const units = [Uint8Array.of(0x65, 1), Uint8Array.of(0x41)];
  const joined = joinNalUnits(units);
  assert.deepEqual(
    splitNalUnits(joined).map((unit) => [...unit]),
    [[0x65, 1], [0x41]],
  );
  assert.deepEqual(splitNalUnits(Uint8Array.of(0, 2, 0x65, 1, 0, 1, 0x41), 2).map(nalTypeOf), [5, 1]);
});

test('a NAL length past the end is refused, a 4 GB one too', () => {
  assert.throws(() => splitNalUnits(Uint8Array.of(0, 0, 0, 9, 1)), hasCode('NAL_LENGTH_INVALID'));
  assert.throws(() => splitNalUnits(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1)), hasCode('NAL_LENGTH_INVALID'));
});

test('x264’s settings are found in its SEI, and nowhere else', () => {
  const text = 'x264 - core 164 - options: cabac=1 bframes=3 rc_lookahead=40 sliced_threads=0\0';
  const sei = Buffer.concat([Uint8Array.of(6, 5, 90), Buffer.alloc(16), Buffer.from(text)]);
  assert.equal(findX264Settings([sei])?.get('rc_lookahead'), '40');
  assert.equal(findX264Settings([sei])?.get('sliced_threads'), '0');
  assert.equal(findX264Settings([Uint8Array.of(0x65, 1, 2)]), undefined);
});
