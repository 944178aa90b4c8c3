// The mapping of media time to the wall clock: prompt, steady, and true for hours.
import assert from 'node:assert/strict';
import test from 'node:test';
import { CaptureClock } from '../../../server/media/capture-clock.ts';

test('a publisher whose clock runs 50 ppm slow is followed for eight hours', () => {
  const clock = new CaptureClock();
  let mediaMs = 0;
  for (; mediaMs < 8 * 3_600_000; mediaMs += 100) {
    clock.observe(mediaMs, 1e12 + mediaMs * 1.00005);
  }
  const trueWallMs = 1e12 + mediaMs * 1.00005;
  assert.ok(Math.abs(clock.wallMsAt(mediaMs) - trueWallMs) < 10, `off by ${clock.wallMsAt(mediaMs) - trueWallMs} ms`);
});

test('the same for a clock that runs fast', () => {
  const clock = new CaptureClock();
  let mediaMs = 0;
  for (; mediaMs < 8 * 3_600_000; mediaMs += 100) {
    clock.observe(mediaMs, 1e12 + mediaMs * 0.99995);
  }
  const trueWallMs = 1e12 + mediaMs * 0.99995;
  assert.ok(Math.abs(clock.wallMsAt(mediaMs) - trueWallMs) < 10, `off by ${clock.wallMsAt(mediaMs) - trueWallMs} ms`);
});

test('units that come late do not move it', () => {
  const clock = new CaptureClock();
  clock.observe(0, 1e12);
  for (let mediaMs = 40; mediaMs < 8_000; mediaMs += 40) {
    clock.observe(mediaMs, 1e12 + mediaMs + (mediaMs % 200 === 0 ? 0 : 700));
  }
  assert.ok(Math.abs(clock.wallMsAt(8_000) - (1e12 + 8_000)) < 1);
});

test('a source that runs at nine tenths of real time is never more than some seconds off', () => {
  const clock = new CaptureClock();
  let mediaMs = 0;
  for (; mediaMs < 600_000; mediaMs += 40) {
    clock.observe(mediaMs, 1e12 + mediaMs / 0.9);
  }
  const offMs = 1e12 + mediaMs / 0.9 - clock.wallMsAt(mediaMs);
  assert.ok(offMs >= 0 && offMs < 12_000, `off by ${offMs} ms, where ${mediaMs / 9} ms have been lost`);
});
