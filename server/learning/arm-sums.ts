/**
 * What was seen of one arm in one class of network: the sufficient statistics of two linear models over the features, one of utility, one of the
 * logarithm of stall. They add: over sessions, over nodes. Plain data.
 */
import type { Features } from '../congestion/learned/link-features.ts';
import { FEATURE_COUNT } from '../congestion/learned/link-features.ts';

/** Of a symmetric matrix over the features the upper half, row by row. */
export const PAIR_COUNT = (FEATURE_COUNT * (FEATURE_COUNT + 1)) / 2;

export type ArmSums = {
  /** Sessions judged, faded by age as all of these. */
  sessionCount: number;
  abortCount: number;
  seconds: number;
  weight: number;
  /** Weighted products of features with each other (`PAIR_COUNT`) … */
  readonly pairs: number[];
  /** … and with each target (`FEATURE_COUNT`); sums of the targets' squares. */
  readonly utility: { readonly products: number[]; squares: number };
  readonly logStall: { readonly products: number[]; squares: number };
};

export type Target = 'utility' | 'logStall';

/** One session's part under one arm. */
export type Lesson = {
  readonly features: Features;
  readonly utility: number;
  readonly logStall: number;
  readonly seconds: number;
};

const UTILITY_MIN = -3;
const UTILITY_MAX = 1;
const EPOCH_S = 10;
/** Correlation of epochs of one session (CONGESTION 4.4): a long session is worth two short ones, never more. */
const EPOCH_CORRELATION = 0.5;
/** Below this stall ratio all is the same. */
const STALL_FLOOR_RATIO = 0.002;

export const emptySums = (): ArmSums => ({
  sessionCount: 0,
  abortCount: 0,
  seconds: 0,
  weight: 0,
  pairs: Array.from({ length: PAIR_COUNT }, () => 0),
  utility: { products: Array.from({ length: FEATURE_COUNT }, () => 0), squares: 0 },
  logStall: { products: Array.from({ length: FEATURE_COUNT }, () => 0), squares: 0 },
});

export const clipUtility = (utility: number): number => Math.min(UTILITY_MAX, Math.max(UTILITY_MIN, utility));

export const logStallOf = (stallRatio: number): number => Math.log(STALL_FLOOR_RATIO + stallRatio);

/** How much a stretch of so many seconds says: in epochs, as if they were independent. */
export const weightOf = (seconds: number): number => {
  const epochCount = Math.max(1, seconds / EPOCH_S);
  return epochCount / (1 + EPOCH_CORRELATION * (epochCount - 1));
};

export const addLesson = (sums: ArmSums, { features, utility, logStall, seconds }: Lesson): void => {
  const weight = weightOf(seconds);
  const clipped = clipUtility(utility);
  sums.sessionCount += 1;
  sums.seconds += seconds;
  sums.weight += weight;
  let at = 0;
  for (let row = 0; row < FEATURE_COUNT; row += 1) {
    const weighted = weight * (features[row] ?? 0);
    for (let column = row; column < FEATURE_COUNT; column += 1) {
      sums.pairs[at] = (sums.pairs[at] ?? 0) + weighted * (features[column] ?? 0);
      at += 1;
    }
    sums.utility.products[row] = (sums.utility.products[row] ?? 0) + weighted * clipped;
    sums.logStall.products[row] = (sums.logStall.products[row] ?? 0) + weighted * logStall;
  }
  sums.utility.squares += weight * clipped * clipped;
  sums.logStall.squares += weight * logStall * logStall;
};

/** `to` += `ratio` × `from`. */
export const addSums = (to: ArmSums, from: ArmSums, ratio = 1): void => {
  to.sessionCount += ratio * from.sessionCount;
  to.abortCount += ratio * from.abortCount;
  to.seconds += ratio * from.seconds;
  to.weight += ratio * from.weight;
  addAll(to.pairs, from.pairs, ratio);
  for (const target of ['utility', 'logStall'] as const) {
    addAll(to[target].products, from[target].products, ratio);
    to[target].squares += ratio * from[target].squares;
  }
};

const addAll = (to: number[], from: readonly number[], ratio: number): void => {
  for (let index = 0; index < to.length; index += 1) {
    to[index] = (to[index] ?? 0) + ratio * (from[index] ?? 0);
  }
};
