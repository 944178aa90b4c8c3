// Bits a second, of what comes as it is shown and of what is loaded ahead.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoadedRate, ReceivedRate } from '../../../../player/transport/bit-rate.ts';

test('received: over the last four seconds, once one has been seen', () => {
  const rate = new ReceivedRate();
  assert.equal(rate.note(0, 0), null);
  assert.equal(rate.note(50_000, 500), null);
  assert.equal(rate.note(125_000, 1000), 1_000_000);
  for (let atMs = 2000; atMs <= 9000; atMs += 1000) {
    rate.note(125_000 + (atMs - 1000) * 250, atMs);
  }
  assert.equal(rate.note(125_000 + 9000 * 250, 10_000), 2_000_000);
});

test('loaded: bits over the time they play, however fast they came', () => {
  const rate = new LoadedRate();
  assert.equal(rate.bps, null);
  for (let index = 0; index < 20; index += 1) {
    rate.note({ bytes: index < 10 ? 1 : 50_000, durationMs: 400 });
  }
  assert.equal(rate.bps, 1_000_000);
});
