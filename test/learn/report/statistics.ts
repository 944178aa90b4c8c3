/**
 * Intervals from resampling whole recordings (CONGESTION 7.4), since traces of one share their luck; paired, because every statistic is resampled with
 * the same draws. Seeded.
 */
import { Prng } from '../../../server/base/prng.ts';

export type Estimate = {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** Ascending; what the interval was read from. */
  readonly draws: Float64Array;
};

const SEED = 0x7e57;
const TAIL_RATIO = 0.025;

/** `statistics` of the groups at these places, of which one may come more than once. All are drawn alike. */
export const resample = (
  { groupCount, resampleCount }: { readonly groupCount: number; readonly resampleCount: number },
  statistics: (groups: readonly number[]) => readonly number[],
): Estimate[] => {
  const prng = new Prng(SEED);
  const values = statistics(Array.from({ length: groupCount }, (_, index) => index));
  const draws = values.map(() => new Float64Array(resampleCount));
  for (let round = 0; round < resampleCount; round += 1) {
    const drawn = statistics(Array.from({ length: groupCount }, () => prng.nextIndex(groupCount)));
    draws.forEach((column, index) => {
      column[round] = drawn[index]!;
    });
  }
  return draws.map((column, index) => {
    column.sort();
    return {
      value: values[index]!,
      low: column[Math.floor(TAIL_RATIO * resampleCount)]!,
      high: column[Math.floor((1 - TAIL_RATIO) * resampleCount)]!,
      draws: column,
    };
  });
};

/** How likely draws as far off would be if this were the truth, either way; never 0, since draws are few. */
export const likelihoodOf = ({ draws }: Estimate, truth: number): number => {
  const below = draws.reduce((count, value) => count + (value <= truth ? 1 : 0), 0);
  const above = draws.reduce((count, value) => count + (value >= truth ? 1 : 0), 0);
  return Math.min(1, (2 * (Math.min(below, above) + 1)) / (draws.length + 1));
};

/** Holm: of several tests at once, each as it counts. In the order given; what is NaN was not tested. */
export const holm = (likelihoods: readonly number[]): number[] => {
  const order = likelihoods
    .flatMap((value, index) => (Number.isNaN(value) ? [] : [{ value, index }]))
    .sort((a, b) => a.value - b.value);
  const adjusted = likelihoods.map(() => Number.NaN);
  let least = 0;
  order.forEach(({ value, index }, place) => {
    least = Math.max(least, Math.min(1, value * (order.length - place)));
    adjusted[index] = least;
  });
  return adjusted;
};

/** Hodges and Lehmann's shift: the median of the means of all pairs, a value with itself included. */
export const shiftOf = (differences: readonly number[]): number => {
  const means: number[] = [];
  differences.forEach((a, index) => {
    for (let other = index; other < differences.length; other += 1) {
      means.push((a + differences[other]!) / 2);
    }
  });
  return quantileOf(means, 0.5);
};

/** Between the neighbours where it falls between two values; NaN of none. */
export const quantileOf = (values: ArrayLike<number>, ratio: number): number => {
  const sorted = Float64Array.from(values).sort();
  const place = ratio * (sorted.length - 1);
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? below;
  return below + (above - below) * (place - Math.floor(place));
};

/** NaN of none. */
export const meanOf = (values: readonly number[]): number =>
  values.length === 0 ? Number.NaN : values.reduce((sum, value) => sum + value, 0) / values.length;
