/** What a report says of the time since the last one. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { ReportWindow } from '../../../../player/transport/report-window.ts';

test('buffer delay and rate are of the time between two reports, and unknown where another session counts from zero', () => {
  const window = new ReportWindow();
  const totals = (bufferDelayMs: number, bufferEmittedCount: number, receivedBytes: number) => ({
    bufferDelayMs,
    bufferEmittedCount,
    receivedBytes,
  });
  assert.deepEqual(window.take(totals(1_000, 10, 5_000), 0), { bufferDelayMs: null, receivedBps: null });
  assert.deepEqual(window.take(totals(4_000, 40, 255_000), 2_000), { bufferDelayMs: 100, receivedBps: 1_000_000 });
  assert.deepEqual(window.take(totals(4_000, 40, 255_000), 4_000), { bufferDelayMs: null, receivedBps: 0 });
  assert.deepEqual(window.take(totals(0, 0, 100), 6_000), { bufferDelayMs: null, receivedBps: null });
  assert.deepEqual(window.take(undefined, 8_000), { bufferDelayMs: null, receivedBps: null });
});
