/** Chrome's freeze rule, gap by gap: thresholds as computed in the controller's design, the window, pauses, the open gap. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findFreezes, frozenMsWithin } from '../../../latency/viewer/freezes.ts';

/** Instants from gaps, the first at 1,000. */
const instantsOf = (gapsMs: readonly number[]): number[] =>
  gapsMs.reduce((instants, gapMs) => [...instants, instants.at(-1)! + gapMs], [1_000]);
const steady = (count: number, gapMs: number): number[] => Array.from({ length: count }, () => gapMs);
const freezesOf = (gapsMs: readonly number[], openMs = 0): { durationMs: number; kind: string }[] => {
  const instants = instantsOf(gapsMs);
  return findFreezes(instants, instants.at(-1)! + openMs).map(({ durationMs, kind }) => ({ durationMs, kind }));
};

test('the true threshold is 188 ms at 30 fps, 195 at 25, 171 at 60, 221 at 15, since the gap is in its own average', () => {
  for (const [gapMs, thresholdMs] of [
    [33.33, 188],
    [40, 195],
    [16.67, 171],
    [66.67, 221],
  ] as const) {
    assert.deepEqual(freezesOf([...steady(40, gapMs), thresholdMs - 1]), [], `${thresholdMs - 1} ms`);
    assert.deepEqual(freezesOf([...steady(40, gapMs), thresholdMs]), [{ durationMs: thresholdMs, kind: 'freeze' }]);
  }
});

test('with fewer than five gaps nothing is a freeze', () => {
  assert.deepEqual(freezesOf([33, 33, 33, 900]), []);
  assert.deepEqual(freezesOf([33, 33, 33, 33, 900]), [{ durationMs: 900, kind: 'freeze' }]);
});

test('a slow stream is not a freeze: three times the average is asked where that is more', () => {
  assert.deepEqual(freezesOf([...steady(40, 500), 1_300]), []);
  assert.deepEqual(freezesOf([...steady(40, 500), 1_700]), [{ durationMs: 1_700, kind: 'freeze' }]);
});

test('the average forgets after thirty gaps', () => {
  assert.deepEqual(freezesOf([...steady(30, 500), ...steady(29, 33), 200]), [{ durationMs: 200, kind: 'freeze' }]);
  assert.deepEqual(freezesOf([...steady(30, 500), ...steady(10, 33), 600]), []);
});

test('a freeze raises the average for the next', () => {
  const once = [...steady(30, 33), 2_000];
  assert.equal(freezesOf([...once, 220]).length, 1);
  assert.equal(freezesOf([...once, ...steady(30, 33), 220]).length, 2);
});

test('the gap that is open at the end counts, and is told apart', () => {
  assert.deepEqual(freezesOf(steady(40, 33), 180), []);
  assert.deepEqual(freezesOf(steady(40, 33), 400), [{ durationMs: 400, kind: 'open' }]);
});

test('with too few gaps to judge, an open gap of over a second counts', () => {
  assert.deepEqual(freezesOf([33], 900), []);
  assert.deepEqual(freezesOf([33], 1_100), [{ durationMs: 1_100, kind: 'open' }]);
  assert.deepEqual(freezesOf([], 8_000), [{ durationMs: 8_000, kind: 'open' }]);
});

test('a gap over five seconds without a packet is a pause, and stays out of the average', () => {
  const gaps = [...steady(40, 33), 6_000, 200];
  const instants = instantsOf(gaps);
  const silence = { fromWallMs: instants[40]!, toWallMs: instants[41]! };
  const kinds = (silences?: readonly { fromWallMs: number; toWallMs: number }[]): string[] =>
    findFreezes(instants, instants.at(-1)!, silences).map(({ kind }) => kind);
  assert.deepEqual(kinds([silence]), ['pause', 'freeze']);
  assert.deepEqual(kinds([]), ['freeze'], 'packets came: a freeze, and it raises the average');
  assert.deepEqual(kinds(), ['pause', 'freeze'], 'nothing is known of packets');
});

test('frozen time is cut to the observation', () => {
  const freezes = [
    { startedAtWallMs: 100, durationMs: 300, kind: 'freeze' as const },
    { startedAtWallMs: 900, durationMs: 300, kind: 'open' as const },
  ];
  assert.equal(frozenMsWithin(freezes, { fromWallMs: 250, toWallMs: 1_000 }), 150 + 100);
});
