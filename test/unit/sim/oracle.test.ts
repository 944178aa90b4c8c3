/** The oracle: bounds that follow from the link alone, and that no policy is better. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LADDER_DEFAULT } from '../../sim/ladder-source.ts';
import { playOracle } from '../../sim/oracle.ts';
import { B2, ours } from '../../sim/policies.ts';
import { utilityOf } from '../../sim/score.ts';
import { runViewer } from '../../sim/viewer-run.ts';

const BASE = { seed: 1, durationMs: 60_000, smoothnessRatio: 0.5, ladder: LADDER_DEFAULT };

const FREE_LINK = {
  capacity: undefined,
  delayMs: 20,
  queueMaxBytes: 200_000,
  jitterMs: 1,
  lossRatio: 0,
  lossBurstCount: 1,
  reorderRatio: 0,
  reorderMaxCount: 0,
};

const linkWith = (steps: readonly (readonly [seconds: number, megabits: number])[]) => ({
  ...FREE_LINK,
  capacity: {
    isLooped: true,
    steps: steps.map(([seconds, megabits]) => ({ durationMs: 1_000 * seconds, rateBps: 1e6 * megabits })),
  },
});

test('the oracle on a link without bounds: the best picture, no stall, nothing but the way and the showing', () => {
  const { utility, stallRatio } = playOracle({ ...BASE, down: FREE_LINK });
  assert.equal(stallRatio, 0);
  assert.ok(Math.abs(utility - (1 - 0.25 * 0.036)) < 1e-9, `utility ${utility}`);
});

test('the oracle keeps to what the link carries', () => {
  const { utility, stallRatio } = playOracle({ ...BASE, down: linkWith([[60, 1.5]]) });
  assert.equal(stallRatio, 0);
  assert.ok(utility > 0.55 && utility < 0.65, `the second rendition and its keyframes' wait, not ${utility}`);
});

test('the oracle stalls for what no second of buffer can bridge, and hardly longer', () => {
  const { stallRatio } = playOracle({ ...BASE, down: linkWith([[27, 6], [3, 0]]) }); // prettier-ignore
  const stallS = stallRatio * 60;
  assert.ok(stallS >= 2 * 2 && stallS < 2 * 4, `two outages of 3 s cost ${stallS} s`);
});

for (const [title, steps] of [
  [
    'a step down and up',
    [
      [10, 5],
      [20, 1],
    ],
  ],
  [
    'an outage each quarter of a minute',
    [
      [14, 3],
      [1, 0.05],
    ],
  ],
] as const) {
  // prettier-ignore
  test(`nobody beats the oracle on ${title}`, () => {
    const down = linkWith(steps);
    const oracle = playOracle({ ...BASE, down });
    for (const { name, sender, makeController } of [ours(), B2]) {
      const { score } = runViewer({ ...BASE, down, up: FREE_LINK, feedbackEveryMs: 50, sender, makeController });
      const utility = utilityOf(score, BASE.smoothnessRatio);
      assert.ok(utility < oracle.utility, `${name} ${utility}, oracle ${oracle.utility}`);
    }
  });
}
