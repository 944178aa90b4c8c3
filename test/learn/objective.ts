/** What a vector is worth over the defaults on the same links with the same luck (CONGESTION 4.3): utility, less guards. */
import type { Outcome } from './episode.ts';

/**
 * Beside what utility already takes, for stalls beyond the defaults' and for those spared. CONGESTION 4.3 has no such weight; without it the search
 * sold 0.08 % more stall for 30 ms of latency and some quality, which utility grants at λ = 0.5 and the product's bar (stall −55 % before all
 * else, with median latency and quality to spare) does not; as a guard alone it left stall where it was.
 */
const STALL_WEIGHT = 12;
const TAIL_RATIO = 0.1;
const TAIL_WEIGHT = 0.5;
const QUALITY_LOSS_FREE = 0.02;
const QUALITY_WEIGHT = 5;
const PROBE_FREE_RATIO = 0.05;
const PROBE_WEIGHT = 2;

/** Its parts, each as it enters the sum; `stallPenalty` is below 0 where stalls are spared. */
export type Objective = {
  readonly value: number;
  readonly utilityGain: number;
  readonly stallPenalty: number;
  readonly tailPenalty: number;
  readonly qualityPenalty: number;
  readonly probePenalty: number;
};

/** Both lists episode by episode; at least one. */
export const objectiveOf = (outcomes: readonly Outcome[], defaults: readonly Outcome[]): Objective => {
  if (outcomes.length === 0 || outcomes.length !== defaults.length) {
    throw new TypeError(`objective: ${outcomes.length} outcomes for ${defaults.length} of the defaults`);
  }
  const mean = (some: readonly Outcome[], value: (outcome: Outcome) => number): number =>
    some.reduce((sum, outcome) => sum + value(outcome), 0) / some.length;
  const gain = (value: (outcome: Outcome) => number): number => mean(outcomes, value) - mean(defaults, value);
  const tail = (some: readonly Outcome[]): number => tailMean(some.map(({ stallRatio }) => stallRatio));
  const utilityGain = gain(({ utility }) => utility);
  const stallPenalty = STALL_WEIGHT * gain(({ stallRatio }) => stallRatio);
  const tailPenalty = TAIL_WEIGHT * Math.max(0, tail(outcomes) - tail(defaults));
  const qualityPenalty = QUALITY_WEIGHT * Math.max(0, -gain(({ qualityRatio }) => qualityRatio) - QUALITY_LOSS_FREE);
  const probePenalty = PROBE_WEIGHT * Math.max(0, mean(outcomes, ({ probeRatio }) => probeRatio) - PROBE_FREE_RATIO);
  return {
    value: utilityGain - stallPenalty - tailPenalty - qualityPenalty - probePenalty,
    utilityGain,
    stallPenalty,
    tailPenalty,
    qualityPenalty,
    probePenalty,
  };
};

/** CVaR: mean of the worst tenth, a part of a value where a tenth is no whole number; of fewer than ten the worst. */
export const tailMean = (values: readonly number[], ratio = TAIL_RATIO): number => {
  const sorted = values.toSorted((a, b) => b - a);
  const count = Math.max(1, ratio * sorted.length);
  const whole = Math.floor(count);
  const sum = sorted.slice(0, whole).reduce((total, value) => total + value, 0);
  return (sum + (count - whole) * (sorted[whole] ?? 0)) / count;
};
