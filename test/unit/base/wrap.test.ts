// Wrap-around arithmetic at its edges.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Unwrapper, seqDistance, wrapDistance } from '../../../server/base/wrap.ts';

test('seqDistance is signed and crosses the wrap', () => {
  assert.equal(seqDistance(65_535, 0), 1);
  assert.equal(seqDistance(0, 65_535), -1);
  assert.equal(seqDistance(10, 32_777), 32_767);
  assert.equal(seqDistance(10, 32_778), -32_768);
});

test('wrapDistance works for 32 bits, where shifts would overflow', () => {
  assert.equal(wrapDistance(2 ** 32 - 1, 4, 32), 5);
  assert.equal(wrapDistance(4, 2 ** 32 - 1, 32), -5);
  assert.equal(wrapDistance(2 ** 33, 3, 32), 3);
});

test('Unwrapper follows a counter over its wrap and back for a late value', () => {
  const unwrapper = new Unwrapper(32);
  assert.equal(unwrapper.unwrap(2 ** 32 - 10), 2 ** 32 - 10);
  assert.equal(unwrapper.unwrap(5), 2 ** 32 + 5);
  assert.equal(unwrapper.unwrap(2 ** 32 - 1), 2 ** 32 - 1);
  unwrapper.reset();
  assert.equal(unwrapper.unwrap(7), 7);
});
