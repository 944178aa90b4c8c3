/** Sound leaves evenly, in order, and never waits long. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../../server/base/prng.ts';
import { AudioPacer } from '../../../../server/relay/webrtc/audio-pacer.ts';

type Frame = { readonly ptsMs: number };

/** Runs a clock of whole milliseconds over frames that come at `arrivedAtMs`; says when each left. */
const departures = (
  arrivals: readonly { frame: Frame; arrivedAtMs: number }[],
): { frame: Frame; leftAtMs: number }[] => {
  const pacer = new AudioPacer<Frame>();
  const waiting = [...arrivals];
  const left: { frame: Frame; leftAtMs: number }[] = [];
  const endMs = Math.max(...arrivals.map(({ arrivedAtMs }) => arrivedAtMs)) + 500;
  for (let nowMs = 0; nowMs <= endMs; nowMs += 1) {
    while (waiting[0] !== undefined && waiting[0].arrivedAtMs <= nowMs) {
      pacer.offer(waiting.shift()!.frame, nowMs);
    }
    left.push(...pacer.take(nowMs).map((frame) => ({ frame, leftAtMs: nowMs })));
  }
  assert.equal(pacer.nextDueMs, undefined);
  return left;
};

/** Frames of 20 ms that come three at a time, when the third is complete. */
const bursts = (count: number): { frame: Frame; arrivedAtMs: number }[] =>
  Array.from({ length: count }, (_, k) => ({ frame: { ptsMs: k * 20 }, arrivedAtMs: Math.floor(k / 3) * 60 + 80 }));

test('bursts of three leave one by one, each 20 ms after the one before', () => {
  const left = departures(bursts(300));
  assert.equal(left.length, 300);
  const gaps = left.slice(31).map(({ leftAtMs }, k) => leftAtMs - left[30 + k]!.leftAtMs);
  assert.ok(
    gaps.every((gap) => Math.abs(gap - 20) <= 1),
    `gaps ${[...new Set(gaps)].join(' ')}`,
  );
});

test('the wait is as long as the bursts are wide, not longer', () => {
  const left = departures(bursts(300)).slice(30);
  const latenessMs = left.map(({ frame, leftAtMs }) => leftAtMs - frame.ptsMs);
  assert.ok(Math.max(...latenessMs) <= 80, `${Math.max(...latenessMs)} ms after the frame began`);
});

test('sound that comes evenly does not wait', () => {
  const even = Array.from({ length: 100 }, (_, k) => ({ frame: { ptsMs: k * 20 }, arrivedAtMs: k * 20 + 33 }));
  assert.ok(departures(even).every(({ frame, leftAtMs }) => leftAtMs - frame.ptsMs === 33));
});

test('a straggler leaves at once, and those behind it keep the order', () => {
  const arrivals = bursts(300).map((arrival, k) =>
    k === 200 || k === 201 ? { ...arrival, arrivedAtMs: arrival.arrivedAtMs + 150 } : arrival,
  );
  let latestMs = 0;
  const inOrder = arrivals.map(({ frame, arrivedAtMs }) => {
    latestMs = Math.max(latestMs, arrivedAtMs);
    return { frame, arrivedAtMs: latestMs };
  });
  const left = departures(inOrder);
  assert.deepEqual(
    left.map(({ frame }) => frame.ptsMs),
    inOrder.map(({ frame }) => frame.ptsMs),
  );
  assert.equal(left[200]!.leftAtMs, inOrder[200]!.arrivedAtMs);
});

test('when media time leaps ahead, nothing waits longer than 80 ms', () => {
  const leap = bursts(300).map((arrival, k) =>
    k < 150 ? arrival : { ...arrival, frame: { ptsMs: arrival.frame.ptsMs + 100_000 } },
  );
  const arrivedAtMs = new Map(leap.map((arrival) => [arrival.frame.ptsMs, arrival.arrivedAtMs]));
  for (const { frame, leftAtMs } of departures(leap)) {
    assert.ok(leftAtMs - arrivedAtMs.get(frame.ptsMs)! <= 81);
  }
});

test('what is usual is the 95th percentile of the last 200 frames, however they lie', () => {
  const prng = new Prng(9);
  const pacer = new AudioPacer<Frame>();
  const latenessMs: number[] = [];
  for (let k = 0; k < 1_000; k += 1) {
    const late = Math.round(40 * prng.nextRatio()) + (k % 400 > 300 ? 30 : 0);
    latenessMs.push(late);
    const ptsMs = 1_000 * k;
    pacer.offer({ ptsMs }, ptsMs + late);
    const last = latenessMs.slice(-200).toSorted((a, b) => a - b);
    const usualMs = last[Math.floor(0.95 * (last.length - 1))]!;
    assert.equal(pacer.nextDueMs, ptsMs + Math.max(late, usualMs));
    assert.equal(pacer.take(ptsMs + 100).length, 1);
  }
});
