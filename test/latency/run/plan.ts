/**
 * In which order what is measured. Within each repeat and scenario every target runs once, in an order shuffled by the seed, so that
 * a machine that drifts (heat, neighbours) treats all targets alike; the link of one repeat has one seed for all targets (paired).
 */
import { Prng } from '../../../server/base/prng.ts';

export type PlannedRun = {
  readonly scenarioName: string;
  readonly targetName: string;
  readonly repeatIndex: number;
  /** The same for all targets of this scenario and repeat. */
  readonly linkSeed: number;
};

export type PlanOptions = {
  readonly seed: number;
  readonly repeats: number;
  readonly scenarioNames: readonly string[];
  readonly targetNames: readonly string[];
};

/** All runs, in order. The same options give the same plan. */
export const planRuns = (options: PlanOptions): PlannedRun[] => {
  const prng = new Prng(options.seed);
  const plan: PlannedRun[] = [];
  for (let repeatIndex = 0; repeatIndex < options.repeats; repeatIndex += 1) {
    for (const scenarioName of options.scenarioNames) {
      const linkSeed = prng.nextUint32();
      for (const targetName of shuffled(options.targetNames, prng)) {
        plan.push({ scenarioName, targetName, repeatIndex, linkSeed });
      }
    }
  }
  return plan;
};

/** Fisher and Yates. */
const shuffled = (names: readonly string[], prng: Prng): string[] => {
  const order = [...names];
  for (let k = order.length - 1; k > 0; k -= 1) {
    const other = prng.nextIndex(k + 1);
    const kept = order[k] ?? '';
    order[k] = order[other] ?? '';
    order[other] = kept;
  }
  return order;
};
