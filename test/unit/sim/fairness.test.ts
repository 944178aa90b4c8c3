/** Several on one link: what they get is what it carries, and two of our own share it. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { FAIR_RATES_BPS, JAIN_MIN, fairLink, jainOfViewers, shareByTwo } from '../../sim/fairness.ts';
import { ours } from '../../sim/policies.ts';
import { jainOf, runShared } from '../../sim/shared-run.ts';

test("Jain's index: 1 for equal shares, 1/n for one that takes all", () => {
  assert.equal(jainOf([2, 2, 2]), 1);
  assert.equal(jainOf([5, 0]), 0.5);
});

for (const rateBps of FAIR_RATES_BPS) {
  test(`two viewers on ${rateBps / 1e6} Mbit/s share it, whoever came first`, () => {
    for (const gapMs of [0, 30_000]) {
      const jain = jainOfViewers(shareByTwo(ours(), { seed: 1, rateBps, gapMs, isOneBroadcast: false }));
      assert.ok(jain >= JAIN_MIN, `Jain ${jain}, the second ${gapMs / 1000} s later`);
    }
  });
}

test('a download by CUBIC fills what a viewer leaves, which is two fifths at least, and does not shut it out', () => {
  const rateBps = 6_000_000;
  const fromMs = 20_000;
  const toMs = 50_000;
  const { viewers, cubicBytes } = runShared({
    seed: 1,
    ...fairLink(rateBps),
    viewers: [ours()],
    cubicStartMs: 5_000,
    countFromMs: fromMs,
    durationMs: toMs,
  });
  const { deliveredBytes, score } = viewers[0]!;
  const carriedBytes = (rateBps * (toMs - fromMs)) / 8_000;
  const usedRatio = (deliveredBytes + cubicBytes) / carriedBytes;
  assert.ok(usedRatio > 0.97 && usedRatio <= 1.001, `${usedRatio} of the link`);
  assert.ok(deliveredBytes / (deliveredBytes + cubicBytes) <= 0.6);
  assert.ok(score.stallRatio < 0.05, `stalled ${score.stallRatio}`);
});

test('a viewer who comes later starts later, and sees the broadcast that runs', () => {
  const { viewers } = runShared({
    seed: 3,
    ...fairLink(20_000_000),
    viewers: [0, 10_000].map((startMs) => ({ ...ours(), startMs, broadcastSeed: 3 })),
    countFromMs: 0,
    durationMs: 20_000,
  });
  assert.ok(viewers[0]!.score.seconds > 19 && viewers[1]!.score.seconds < 10);
  assert.ok(viewers.every(({ score }) => score.joinMs < 1_000 && score.isStallFree));
});

test('a ping beside nobody waits for nothing', () => {
  const { pingAddedMs } = runShared({
    seed: 1,
    ...fairLink(3_000_000),
    viewers: [],
    countFromMs: 1_000,
    durationMs: 10_000,
  });
  assert.ok(pingAddedMs.length >= 89);
  assert.ok(pingAddedMs.at(-1)! < 20, `${pingAddedMs.at(-1)} ms: jitter alone`);
});
