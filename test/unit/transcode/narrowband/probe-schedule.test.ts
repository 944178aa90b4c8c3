/** Probes keep to their share of a core, whatever they cost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../../server/base/prng.ts';
import { ProbeSchedule } from '../../../../transcode/narrowband/probe-schedule.ts';

const OPTIONS = { cpuMaxRatio: 0.05, everyMs: 30_000, retryMs: 15_000 };

test('the first at once, the next when it is time, sooner for a scene that nobody has seen', () => {
  const schedule = new ProbeSchedule(OPTIONS);
  assert.ok(schedule.isDue(0, true));
  schedule.onStarted();
  assert.ok(!schedule.isDue(1, true), 'one at a time');
  schedule.onSucceeded({ startedAtMs: 0, cpuMs: 500 });
  assert.ok(!schedule.isDue(9_999, true), 'half a second of CPU is paid off in ten');
  assert.ok(schedule.isDue(10_000, true));
  assert.ok(!schedule.isDue(29_999, false));
  assert.ok(schedule.isDue(30_000, false));
  assert.equal(schedule.probedAtMs, 0);
});

test('at most its share of a core, for any costs, though every scene is news', () => {
  const prng = new Prng(3);
  const schedule = new ProbeSchedule(OPTIONS);
  let spentMs = 0;
  let lastMs = 0;
  let nowMs = 0;
  for (; nowMs < 3_600_000; nowMs += 250) {
    if (schedule.isDue(nowMs, true)) {
      schedule.onStarted();
      lastMs = 100 + prng.nextRatio() * 5_000;
      spentMs += lastMs;
      schedule.onSucceeded({ startedAtMs: nowMs, cpuMs: lastMs });
    }
  }
  assert.ok(spentMs > 0.03 * nowMs);
  assert.ok(spentMs - lastMs <= 0.05 * nowMs, `${spentMs} ms of ${nowMs}`);
});

test('failures are retried more and more seldom, and are taken to have cost all of their time', () => {
  const schedule = new ProbeSchedule(OPTIONS);
  const waits = [0, 1, 2, 3, 4, 5, 6].map((round) => {
    const startedAtMs = round * 1e7;
    schedule.onStarted();
    schedule.onFailed({ startedAtMs, nowMs: startedAtMs + 100 });
    let waitMs = 0;
    while (!schedule.isDue(startedAtMs + 100 + waitMs, true)) {
      waitMs += 1_000;
    }
    return waitMs;
  });
  assert.deepEqual(waits, [15_000, 30_000, 60_000, 120_000, 240_000, 240_000, 240_000]);
  schedule.onStarted();
  schedule.onFailed({ startedAtMs: 1e8, nowMs: 1e8 + 60_000 });
  assert.ok(!schedule.isDue(1e8 + 1_199_000, true));
  assert.ok(schedule.isDue(1e8 + 1_200_000, true));
});
