/** The LL-HLS controller in simulated time, against a model of a player fed by parts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LatencyController, type LatencyDecision } from '../../../../player/playout/latency-controller.ts';

const PART_MS = 333;
const OPTIONS = { targetLatencyMs: 1200, partDurationMs: PART_MS, fastRatio: 0.08, slowRatio: 0.05 };
const STEP_MS = 50;

type Step = LatencyDecision & { nowMs: number; latencyMs: number; bufferMs: number; stalled: boolean };

/** Part j is appended at (j + 1) P + lateness(j). The playhead moves by the rate unless its buffer is empty. */
const simulate = (options: {
  controller: LatencyController;
  startLatencyMs: number;
  durationMs: number;
  lateness: (part: number) => number;
}): Step[] => {
  const { controller, startLatencyMs, durationMs, lateness } = options;
  const steps: Step[] = [];
  const startMs = 20_000;
  let playheadMs = startMs - startLatencyMs;
  let rate = 1;
  let partCount = 0;
  let stalledMs = 0;
  for (let nowMs = startMs; nowMs < startMs + durationMs; nowMs += STEP_MS) {
    while ((partCount + 1) * PART_MS + lateness(partCount) <= nowMs) {
      partCount += 1;
    }
    const wishedMs = playheadMs + STEP_MS * rate;
    const stalled = wishedMs > partCount * PART_MS;
    playheadMs = Math.min(wishedMs, partCount * PART_MS);
    if (stalled) {
      stalledMs += STEP_MS;
    } else if (stalledMs > 0) {
      controller.noteStall(stalledMs, nowMs);
      stalledMs = 0;
    }
    const bufferMs = partCount * PART_MS - playheadMs;
    const decision = controller.update({ nowMs, latencyMs: nowMs - playheadMs, forwardBufferMs: bufferMs });
    playheadMs += decision.seekAheadMs;
    rate = decision.playbackRate;
    steps.push({ ...decision, nowMs, latencyMs: nowMs - playheadMs, bufferMs, stalled });
  }
  return steps;
};

const punctual = (): number => 60;

test('comes down to its target without a seek within half a minute and stays there', () => {
  const steps = simulate({
    controller: new LatencyController(OPTIONS),
    startLatencyMs: 1690,
    durationMs: 60_000,
    lateness: punctual,
  });
  const late = steps.filter(({ nowMs }) => nowMs > 50_000);
  assert.ok(
    late.every(({ latencyMs }) => Math.abs(latencyMs - 1200) < 150),
    `ends at ${late.at(-1)?.latencyMs}`,
  );
  assert.ok(steps.every(({ stalled, playbackRate }) => !stalled && playbackRate <= 1.08));
});

test('falls back to its target when it is too close to the edge', () => {
  const steps = simulate({
    controller: new LatencyController(OPTIONS),
    startLatencyMs: 900,
    durationMs: 30_000,
    lateness: punctual,
  });
  assert.ok(Math.abs((steps.at(-1)?.latencyMs ?? 0) - 1200) < 150);
  assert.ok(steps.every(({ playbackRate }) => playbackRate >= 0.95));
});

test('never speeds up with less than a part and 300 ms in its buffer, and slows down before it runs dry', () => {
  const controller = new LatencyController({ ...OPTIONS, targetLatencyMs: 700 });
  const rateAt = (forwardBufferMs: number): number =>
    controller.update({ nowMs: 0, latencyMs: 3000, forwardBufferMs }).playbackRate;
  assert.equal(rateAt(PART_MS + 299), 1);
  assert.equal(rateAt(0.5 * PART_MS + 149), 0.95);
  assert.ok(rateAt(PART_MS + 301) > 1);
});

test('makes no stall of its own while parts come 500 ms late now and then', () => {
  const steps = simulate({
    controller: new LatencyController(OPTIONS),
    startLatencyMs: 1500,
    durationMs: 120_000,
    lateness: (part) => (part % 30 === 0 ? 500 : 60),
  });
  assert.equal(steps.filter(({ stalled }) => stalled).length, 0);
});

test('is still inside the dead zone', () => {
  const controller = new LatencyController(OPTIONS);
  for (const latencyMs of [1121, 1200, 1279]) {
    assert.equal(controller.update({ nowMs: 0, latencyMs, forwardBufferMs: 900 }).playbackRate, 1);
  }
});

test('a stall raises the target at once by what was missing and a little, at most 1 s; then it falls 30 ms a second', () => {
  const controller = new LatencyController(OPTIONS);
  controller.update({ nowMs: 0, latencyMs: 1200, forwardBufferMs: 900 });
  controller.noteStall(300, 0);
  assert.equal(controller.targetLatencyMs, 1700);
  controller.update({ nowMs: 10_000, latencyMs: 1200, forwardBufferMs: 900 });
  assert.equal(controller.targetLatencyMs, 1400);
  controller.noteStall(60_000, 10_000);
  assert.equal(controller.targetLatencyMs, 2400);
  controller.update({ nowMs: 100_000, latencyMs: 1200, forwardBufferMs: 900 });
  assert.equal(controller.targetLatencyMs, 1200);
});

test('stalls without end raise the target to 6 s and no further', () => {
  const controller = new LatencyController(OPTIONS);
  for (let count = 0; count < 20; count += 1) {
    controller.noteStall(2000, count);
  }
  assert.equal(controller.targetLatencyMs, 6000);
});

test('after a network that falls silent for 5 s it stalls once and is near the edge again within 2 s', () => {
  const steps = simulate({
    controller: new LatencyController(OPTIONS),
    startLatencyMs: 1200,
    durationMs: 60_000,
    // Parts made between 30 s and 35 s all arrive at 35 s.
    lateness: (part) => Math.max(60, part >= 90 && part < 105 ? 35_000 - (part + 1) * PART_MS : 60),
  });
  const stallStarts = steps.filter(({ stalled }, index) => stalled && steps[index - 1]?.stalled !== true);
  assert.equal(stallStarts.length, 1);
  const back = steps.find(({ nowMs, latencyMs }) => nowMs > 35_000 && latencyMs < 2600);
  assert.ok(back !== undefined && back.nowMs < 37_000, `near the edge again at ${back?.nowMs}`);
});

test('an encoder that is 10 s late leaves the buffer its share and makes no stalls', () => {
  const steps = simulate({
    controller: new LatencyController(OPTIONS),
    startLatencyMs: 11_300,
    durationMs: 60_000,
    lateness: (part) => 10_060 + (part % 10 === 0 ? 300 : 0),
  });
  assert.equal(steps.filter(({ stalled }) => stalled).length, 0);
  assert.ok(steps.every(({ bufferMs }) => bufferMs > 350));
});

test('a program date time from the future does not slow playback for ever', () => {
  const controller = new LatencyController(OPTIONS);
  assert.equal(controller.update({ nowMs: 0, latencyMs: -5000, forwardBufferMs: 1600 }).playbackRate, 1);
});

test('just after a stall 1 s behind is enough to seek', () => {
  const controller = new LatencyController(OPTIONS);
  controller.noteStall(100, 0);
  const behind = { latencyMs: 3000, forwardBufferMs: 2600 };
  assert.ok(controller.update({ nowMs: 1000, ...behind }).seekAheadMs > 1000);
  assert.equal(controller.update({ nowMs: 10_000, ...behind }).seekAheadMs, 0);
});

test('in its first seconds half a second too far back is enough to seek; later it is played up', () => {
  const behind = { latencyMs: 2200, forwardBufferMs: 1900 };
  const young = new LatencyController(OPTIONS);
  assert.equal(young.update({ nowMs: 0, latencyMs: 1650, forwardBufferMs: 1400 }).seekAheadMs, 0);
  assert.ok(young.update({ nowMs: 500, ...behind }).seekAheadMs >= 900);
  assert.equal(young.update({ nowMs: 1000, ...behind }).seekAheadMs, 0, 'once');
  const old = new LatencyController(OPTIONS);
  old.update({ nowMs: 0, latencyMs: 1200, forwardBufferMs: 900 });
  assert.equal(old.update({ nowMs: 5000, ...behind }).seekAheadMs, 0);
  assert.equal(old.update({ nowMs: 5000, ...behind }).playbackRate, 1.08);
});

test('comes to its target in two seconds from a keyframe that lies well before it, without a stall', () => {
  const steps = simulate({
    controller: new LatencyController(OPTIONS),
    startLatencyMs: 2600,
    durationMs: 10_000,
    lateness: punctual,
  });
  assert.ok(steps.filter(({ nowMs }) => nowMs > 22_000).every(({ latencyMs }) => Math.abs(latencyMs - 1200) < 150));
  assert.ok(steps.every(({ stalled }) => !stalled));
});

test('the wait of its own seek does not raise the target; a longer one does', () => {
  const controller = new LatencyController(OPTIONS);
  assert.ok(controller.update({ nowMs: 0, latencyMs: 2200, forwardBufferMs: 1900 }).seekAheadMs > 0);
  controller.noteStall(200, 250);
  assert.equal(controller.targetLatencyMs, 1200);
  controller.noteStall(1_100, 1_150);
  assert.equal(controller.targetLatencyMs, 2200);
});

test('seeks ahead only when more than 4 s behind, only within the buffer, and not twice in a row', () => {
  const controller = new LatencyController(OPTIONS);
  const seekAt = (sinceMs: number, latencyMs: number, forwardBufferMs: number): number =>
    controller.update({ nowMs: 10_000 + sinceMs, latencyMs, forwardBufferMs }).seekAheadMs;
  assert.equal(seekAt(-10_000, 1200, 900), 0);
  assert.equal(seekAt(0, 5100, 9000), 0);
  assert.equal(seekAt(0, 9000, 600), 0, 'nothing to seek into');
  assert.equal(seekAt(0, 9000, 5000), 5000 + PART_MS - 1200, 'leaves the buffer its share');
  assert.equal(seekAt(1000, 9000, 5000), 0, 'the last seek still settles');
  assert.equal(seekAt(4000, 9000, 9000), 7800);
});
