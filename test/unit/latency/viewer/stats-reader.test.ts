/** Chrome's cumulative numbers, turned into the report's series, silences and counts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findSilences, toChromeCounts, toStats, type RawStats } from '../../../latency/viewer/stats-reader.ts';

const sample = (atWallMs: number, video: Record<string, number>, peerIndex = 0): RawStats => ({
  ...{ atWallMs, peerIndex, video },
  ...{ audio: {}, pair: {}, element: {} },
});

test('means are over the second before, in milliseconds, and start anew with another peer connection', () => {
  const stats = toStats(
    [
      sample(1_000, { jitterBufferDelay: 1, jitterBufferEmittedCount: 10 }),
      sample(2_000, { jitterBufferDelay: 2.5, jitterBufferEmittedCount: 40 }),
      sample(3_000, { jitterBufferDelay: 0.2, jitterBufferEmittedCount: 10 }, 1),
    ],
    500,
  );
  assert.deepEqual(
    stats.map(({ atMs, jitterBufferDelayMs }) => [atMs, jitterBufferDelayMs]),
    [
      [500, 100],
      [1_500, 50],
      [2_500, 20],
    ],
  );
});

test('what is not told is not there', () => {
  assert.deepEqual(toStats([sample(1_000, { nackCount: 3 })], 0), [{ atMs: 1_000, nackCount: 3 }]);
});

test('a silence lasts from the last packet to the first look that knew of another', () => {
  const looks = [
    sample(1_000, { lastPacketReceivedTimestamp: 990 }),
    sample(2_000, { lastPacketReceivedTimestamp: 1_200 }),
    sample(3_000, { lastPacketReceivedTimestamp: 1_200 }),
    sample(4_000, { lastPacketReceivedTimestamp: 3_900 }),
  ];
  assert.deepEqual(findSilences(looks), [
    { fromWallMs: 990, toWallMs: 2_000 },
    { fromWallMs: 1_200, toWallMs: 4_000 },
    { fromWallMs: 3_900, toWallMs: 4_000 },
  ]);
  assert.equal(findSilences([sample(1_000, {}, -1)]), undefined);
});

test("Chrome's counts are of the observation, summed over peer connections; null without one", () => {
  const counters = (freezeCount: number, totalFreezesDuration: number): Record<string, number> => ({
    ...{ freezeCount, totalFreezesDuration },
    ...{ pauseCount: 0, totalPausesDuration: 0 },
  });
  const samples = [
    sample(1_000, counters(1, 0.3)),
    sample(2_000, counters(4, 1.3)),
    sample(3_000, counters(2, 0.5), 1),
  ];
  assert.deepEqual(toChromeCounts(samples, 1_500), { freezeCount: 5, freezesMs: 1_500, pauseCount: 0, pausesMs: 0 });
  assert.equal(toChromeCounts([sample(1_000, {}, -1)], 0), null);
});
