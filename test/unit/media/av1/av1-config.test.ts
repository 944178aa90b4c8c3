/** AV1CodecConfigurationRecord as SVT-AV1 and ffmpeg make it, and temporal units. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildAv1Config, parseAv1Config } from '../../../../server/media/av1/av1-config.ts';
import { isAv1Keyframe, joinTemporalUnit, splitObus } from '../../../../server/media/av1/obu.ts';
import { AV1_CONFIG } from '../../../support/flv-samples.ts';

const hasCode = (code: string) => (error: unknown) => (error as { code?: string }).code === code;

test('a record gives codec string and size', () => {
  const { codecString, widthPx, heightPx } = parseAv1Config(AV1_CONFIG);
  assert.deepEqual({ codecString, widthPx, heightPx }, { codecString: 'av01.0.00M.08', widthPx: 320, heightPx: 180 });
});

test('a record built of its own sequence header is the same, whatever stands around that header', () => {
  const delimiter = Uint8Array.of(0x12, 0);
  assert.deepEqual(buildAv1Config(Buffer.concat([delimiter, AV1_CONFIG.subarray(4)])), new Uint8Array(AV1_CONFIG));
  assert.throws(() => buildAv1Config(delimiter), hasCode('AV1_CONFIG_INVALID'));
  assert.throws(() => buildAv1Config(AV1_CONFIG.subarray(4, 8)), hasCode('AV1_OBU_INVALID'));
});

const sequenceHeaderOfBits = (bits: string): Uint8Array => {
  const bytes = bits.padEnd(8 * Math.ceil(bits.length / 8), '0').match(/.{8}/g)!;
  return Uint8Array.of(0x0a, bytes.length, ...bytes.map((byte) => Number.parseInt(byte, 2)));
};

test('depth, tier, colours and a reduced header are read from where they are', () => {
  // 10 bits, high tier of level 5.0, two operating points, timing info with a decoder model, BT.2020: bit by bit after 5.5.1.
  const bits = [
    ...['000', '0', '0', '1', '0'.repeat(64), '0', '1', '00111', '0'.repeat(32), '00000', '00000', '1', '00001'],
    ...['000000000000', '01100', '1', '1', '0'.repeat(17), '1', '0011', '000000000000', '00000', '0', '0'],
    ...['0111', '0111', '11111111', '01111111', '0', '000', '0000', '1', '00', '0', '1', '0', '0', '111', '000'],
    ...['1', '0', '1', '00001001', '00010000', '00001001', '0', '01', '0', '0'],
  ].join('');
  const record = buildAv1Config(sequenceHeaderOfBits(bits));
  const { codecString, widthPx, heightPx } = parseAv1Config(record);
  assert.deepEqual([codecString, widthPx, heightPx], ['av01.0.12H.10', 256, 128]);
  assert.equal(record[2], 0b1100_1101, 'tier, depth, both subsamplings, chroma position 1');
  const still = [
    '000',
    '1',
    '1',
    '01000',
    '0101',
    '0100',
    '111111',
    '11111',
    '000',
    '000',
    '0',
    '0',
    '0',
    '0',
    '00',
    '00',
  ];
  const reduced = parseAv1Config(buildAv1Config(sequenceHeaderOfBits(still.join(''))));
  assert.deepEqual([reduced.codecString, reduced.widthPx, reduced.heightPx], ['av01.0.08M.08', 64, 32]);
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
