/** The code in the picture: bits, checksum, unwrapping; and that a clip does not touch it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FramePainter } from '../../../latency/source/frame-painter.ts';
import { STAMP_MODULUS_MS, stampBits, stampChecksum, unwrapStampMs } from '../../../latency/source/stamp.ts';

const toNumber = (bits: readonly boolean[]): number => bits.reduce((value, bit) => value * 2 + (bit ? 1 : 0), 0);

test('32 blocks carry 24 bits of milliseconds and their checksum, most significant first', () => {
  const wallMs = 1_795_390_261_971;
  const bits = stampBits(wallMs);
  assert.equal(toNumber(bits.slice(0, 24)), wallMs % STAMP_MODULUS_MS);
  assert.equal(toNumber(bits.slice(24)), stampChecksum(wallMs % STAMP_MODULUS_MS));
});

test('each single block read wrongly is noticed', () => {
  const bits = stampBits(1_795_390_261_971);
  for (let k = 0; k < 32; k += 1) {
    const wrong = bits.map((bit, place) => (place === k ? !bit : bit));
    assert.notEqual(stampChecksum(toNumber(wrong.slice(0, 24))), toNumber(wrong.slice(24)), `block ${k}`);
  }
});

test('a stamp is unwrapped to the instant nearest to a given one, across the wrap', () => {
  const wrapMs = Math.ceil(1_795_390_000_000 / STAMP_MODULUS_MS) * STAMP_MODULUS_MS;
  for (const wallMs of [wrapMs - 5, wrapMs, wrapMs + 5]) {
    assert.equal(unwrapStampMs(wallMs % STAMP_MODULUS_MS, wallMs + 300), wallMs);
    assert.equal(unwrapStampMs(wallMs % STAMP_MODULUS_MS, wallMs - 300), wallMs);
  }
});

test('a clip is seen between stamp and flash, and leaves no colour in them', () => {
  const painter = new FramePainter({ widthPx: 64, heightPx: 36, frameRateFps: 30 });
  const content = Buffer.alloc((64 * 36 * 3) / 2, 77);
  const frame = painter.paint(0, 0, content);
  const luma = (row: number): number => frame[row * 64 + 32]!;
  assert.notEqual(luma(7), 77);
  assert.equal(luma(8), 77);
  assert.equal(luma(27), 77);
  assert.equal(luma(28), 235, 'the flash');
  const chromaU = (line: number): number => frame[64 * 36 + line * 32 + 16]!;
  const chromaV = (line: number): number => frame[64 * 36 + 32 * 18 + line * 32 + 16]!;
  assert.deepEqual([3, 4, 13, 14].map(chromaU), [128, 77, 77, 128]);
  assert.deepEqual([3, 4, 13, 14].map(chromaV), [128, 77, 77, 128]);
});
