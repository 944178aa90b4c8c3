/**
 * 95 % intervals of a mean over few repeats. Plain percentile bootstrap is too narrow when n is small; here its percentiles are moved
 * outwards as far as Student's t demands (Hesterberg's expanded percentile interval). Seeded: the same runs give the same interval.
 */
import { Prng } from '../../../server/base/prng.ts';

export type Interval = { readonly low: number; readonly high: number };

/** `interval` is null below three values: two say nothing about their own spread. */
export type Estimate = { readonly mean: number; readonly count: number; readonly interval: Interval | null };

const RESAMPLE_COUNT = 10_000;
const VALUES_MIN_COUNT = 3;
const SEED = 0x51_0c_e5;
/** Two-sided 95 % quantile of Student's t by degrees of freedom, 1 … 30; beyond, a series in 1/df. */
const T_95 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/** Null without values. Values must be finite. */
export const estimateMean = (values: readonly number[]): Estimate | null => {
  if (values.length === 0) {
    return null;
  }
  const means = values.length < VALUES_MIN_COUNT ? NONE : resampleMeans(values).sort();
  const tailRatio = tailRatioFor(values.length);
  const interval =
    means.length === 0 ? null : { low: quantileOf(means, tailRatio), high: quantileOf(means, 1 - tailRatio) };
  return { mean: meanOf(values), count: values.length, interval };
};

/** Do both have intervals, and do these not touch? Only then may one be called better than the other. */
export const areApart = (a: Estimate, b: Estimate): boolean =>
  a.interval !== null && b.interval !== null && (a.interval.high < b.interval.low || b.interval.high < a.interval.low);

export type Point = { readonly x: number; readonly y: number };

/** Where the mean of points lies with 95 %: an ellipse by its centre, half axes and the turn of the first axis. */
export type Ellipse = {
  readonly centre: Point;
  readonly halfAxes: readonly [number, number];
  readonly turnRad: number;
};

/**
 * From the covariance of resampled means, as wide and as high as the 95 % interval (Student's t) of either value alone; null below
 * three points.
 */
export const ellipseOfMean = (points: readonly Point[]): Ellipse | null => {
  const n = points.length;
  if (n < VALUES_MIN_COUNT) {
    return null;
  }
  const columns = { x: points.map((point) => point.x), y: points.map((point) => point.y) };
  const centre = { x: meanOf(columns.x), y: meanOf(columns.y) };
  // The same draws for both, so each pair is the mean of whole points.
  const offCentre = (values: readonly number[], middle: number): Float64Array =>
    resampleMeans(values).map((mean) => mean - middle);
  const dx = offCentre(columns.x, centre.x);
  const dy = offCentre(columns.y, centre.y);
  // A resampled mean's variance is (n − 1)/n of the unbiased one.
  const inflate = n / (n - 1);
  const covariance = (a: Float64Array, b: Float64Array): number =>
    inflate * meanOf(a.map((value, index) => value * b[index]!));
  const xx = covariance(dx, dx);
  const yy = covariance(dy, dy);
  const xy = covariance(dx, dy);
  const middle = (xx + yy) / 2;
  const spread = Math.hypot((xx - yy) / 2, xy);
  const scale = tQuantile(n - 1);
  return {
    centre,
    halfAxes: [scale * Math.sqrt(middle + spread), scale * Math.sqrt(Math.max(0, middle - spread))],
    turnRad: 0.5 * Math.atan2(2 * xy, xx - yy),
  };
};

const NONE = new Float64Array();

/** Means of samples drawn with replacement; the draws depend on the count of values alone. */
const resampleMeans = (values: readonly number[]): Float64Array => {
  const prng = new Prng(SEED);
  return new Float64Array(RESAMPLE_COUNT).map(() => {
    let sum = 0;
    for (let count = 0; count < values.length; count += 1) {
      sum += values[prng.nextIndex(values.length)]!;
    }
    return sum / values.length;
  });
};

const meanOf = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let index = 0; index < values.length; index += 1) {
    sum += values[index]!;
  }
  return sum / values.length;
};

const quantileOf = (sorted: Float64Array, ratio: number): number => {
  const place = ratio * (sorted.length - 1);
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? below;
  return below + (above - below) * (place - Math.floor(place));
};

/** How much of the resampled means to cut off on each side so that n values are covered as t would. */
const tailRatioFor = (n: number): number => {
  const df = n - 1;
  return normalTail(tQuantile(df) * Math.sqrt(n / df));
};

const tQuantile = (df: number): number => T_95[df - 1] ?? 1.96 + 2.4 / df;

/** P(Z > z): Abramowitz and Stegun 26.2.17, error below 7.5e-8. */
const normalTail = (z: number): number => {
  const t = 1 / (1 + 0.2316419 * z);
  const series = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * series;
};
