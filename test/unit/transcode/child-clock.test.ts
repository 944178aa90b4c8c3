/** Times into the child and back; and the waits between its restarts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../server/base/prng.ts';
import type { AccessUnit } from '../../../server/media/access-unit.ts';
import type { Track } from '../../../server/media/track.ts';
import { BACKOFF_DEFAULTS, Backoff } from '../../../server/base/backoff.ts';
import { ChildClock } from '../../../transcode/child-clock.ts';
import { TEST_AUDIO_TRACK, TEST_VIDEO_TRACK } from '../../support/units.ts';

const unit = (track: Track, ptsTicks: number, arrivedAtMs: number): AccessUnit => ({
  track,
  dtsTicks: ptsTicks,
  ptsTicks,
  isKeyframe: true,
  payload: new Uint8Array(1),
  arrivedAtMs,
  arrivedAtWallMs: 0,
  isDiscontinuity: false,
});

test('a picture comes back with the exact ticks it went in with, although the container rounds to milliseconds', () => {
  const clock = new ChildClock(123_456.7);
  const picture = unit(TEST_VIDEO_TRACK, 123_456_789, 77);
  const { ptsMs } = clock.wholeMsOf(picture);
  clock.remember(picture);
  const origin = clock.takePicture(ptsMs);
  assert.equal(origin?.ptsTicks, 123_456_789);
  assert.equal(origin?.arrivedAtMs, 77);
  assert.equal(clock.pendingCount, 0);
});

test('the child is shifted by whole seconds, so whole seconds stay whole', () => {
  const clock = new ChildClock(5_400);
  assert.equal(clock.toChildMs(6_000), 11_000);
  assert.equal(clock.toMediaTicks(clock.toChildTicks(123, 48_000), 48_000), 123);
});

test('pictures shown before the one that came out are forgotten', () => {
  const clock = new ChildClock(0);
  for (const ticks of [0, 9_000, 3_000, 6_000]) {
    clock.remember(unit(TEST_VIDEO_TRACK, ticks, ticks));
  }
  clock.takePicture(clock.toChildMs(6_000 / 90));
  assert.equal(clock.pendingCount, 1);
});

test('an Opus packet takes the arrival of the unit that completed it', () => {
  const clock = new ChildClock(0);
  clock.remember(unit(TEST_AUDIO_TRACK, 0, 100));
  clock.remember(unit(TEST_AUDIO_TRACK, 1024, 121));
  assert.equal(clock.takeSound(clock.toChildMs(20))?.arrivedAtMs, 100);
  assert.equal(clock.takeSound(clock.toChildMs(40))?.arrivedAtMs, 121);
});

test('waits double to 8 s within 20 %; after 5 s of health there is none, and they start anew', () => {
  const backoff = new Backoff(BACKOFF_DEFAULTS, new Prng(1));
  const waits = Array.from({ length: 7 }, () => backoff.nextDelayMs(100));
  [500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000].forEach((wanted, index) => {
    assert.ok(Math.abs(waits[index]! - wanted) <= wanted * 0.2);
  });
  assert.equal(backoff.nextDelayMs(5_000), 0);
  assert.ok(Math.abs(backoff.nextDelayMs(100) - 500) <= 100);
});
