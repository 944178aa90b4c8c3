/** AV1CodecConfigurationRecord as SVT-AV1 and ffmpeg make it, and temporal units. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAv1Config } from '../../../../server/media/av1/av1-config.ts';
import { isAv1Keyframe, joinTemporalUnit, splitObus } from '../../../../server/media/av1/obu.ts';
import { AV1_CONFIG } from '../../../support/flv-samples.ts';

const hasCode = (code: string) => (error: unknown) => (error as { code?: string }).code === code;

test('a record gives codec string and size', () => {
  assert.deepEqual(parseAv1Config(AV1_CONFIG), { codecString: 'av01.0.00M.08', widthPx: 320, heightPx: 180 });
});

test('a record without sequence header, or of another version, is refused', () => {
  assert.throws(() => parseAv1Config(AV1_CONFIG.subarray(0, 4)), hasCode('AV1_CONFIG_INVALID'));
  assert.throws(() => parseAv1Config(Uint8Array.of(1, 0, 0, 0)), hasCode('AV1_CONFIG_INVALID'));
});

test('a temporal unit loses its delimiter, and its last OBU gets the size it lacked', () => {
  const obus = splitObus(Uint8Array.of(0x12, 0, 0x0a, 2, 7, 8, 0x30, 0x10, 9));
  assert.deepEqual([...joinTemporalUnit(obus)], [0x0a, 2, 7, 8, 0x32, 2, 0x10, 9]);
  assert.equal(isAv1Keyframe(obus), true);
});

test('inter frames and repeated frames are not keyframes', () => {
  assert.equal(isAv1Keyframe(splitObus(Uint8Array.of(0x32, 1, 0x20))), false);
  assert.equal(isAv1Keyframe(splitObus(Uint8Array.of(0x32, 1, 0x80))), false);
});

test('an OBU that ends beyond its temporal unit is refused', () => {
  assert.throws(() => splitObus(Uint8Array.of(0x0a, 9, 1)), hasCode('AV1_OBU_INVALID'));
  assert.throws(() => splitObus(Uint8Array.of(0x0a, 0x80, 0x80)), hasCode('AV1_OBU_INVALID'));
  assert.throws(() => splitObus(Uint8Array.of(0x80)), hasCode('AV1_OBU_INVALID'));
});
