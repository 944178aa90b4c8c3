/**
 * What is believed of the arms of one class: a Gaussian linear model of a target, whose base is common to all arms (what the network is explains far more
 * than which arm was in force) and from which each arm but the first, the own defaults, departs by a few coefficients of its own. The prior says
 * that a vetted arm is about as good as the defaults. Exact: one factorisation of at most 37 × 37.
 */
import type { Features } from '../congestion/learned/link-features.ts';
import { FEATURE_COUNT } from '../congestion/learned/link-features.ts';
import type { ArmSums, Target } from './arm-sums.ts';
import { factorise, solveLower, solveUpper } from './cholesky.ts';

/** What an arm's departure may hang on: itself, the round trip, what the link is thought to carry, how far its queue swings. */
export const DEPARTURE_FEATURES: readonly number[] = [0, 1, 2, 5];
const DEPARTURE_COUNT = DEPARTURE_FEATURES.length;

export type ModelPrior = {
  /** Of each arm's departure from the defaults, before anything was seen. */
  readonly departureMeans: readonly number[];
  /** How far it may be off: on the class's mean network, and for a unit of each feature away from that. */
  readonly departureDeviation: number;
  readonly slopeDeviation: number;
  /** The class's mean network. */
  readonly centre: Features;
  /** Of the base: a middling network's mean, and how little is known of it. */
  readonly baseMean: number;
  readonly baseDeviation: number;
  /** Of a session around its network's mean, before there are any, and as how many sessions that counts. */
  readonly noiseDeviation: number;
};

/** Difference to the defaults. */
export type Departure = { readonly mean: number; readonly deviation: number };

const NOISE_PRIOR_WEIGHT = 30;

export class ArmModel {
  readonly #armCount: number;
  readonly #n: number;
  readonly #factor: Float64Array;
  readonly #mean: Float64Array;
  readonly #scratch: Float64Array;
  #noiseVariance: number;

  /** `sums`: one an arm, the defaults first. */
  constructor(sums: readonly ArmSums[], target: Target, prior: ModelPrior) {
    this.#armCount = sums.length;
    this.#n = FEATURE_COUNT + DEPARTURE_COUNT * (sums.length - 1);
    this.#factor = new Float64Array(this.#n * this.#n);
    this.#mean = new Float64Array(this.#n);
    this.#scratch = new Float64Array(this.#n);
    this.#noiseVariance = prior.noiseDeviation ** 2;
    // The noise is estimated around the mean, the mean weighted by the noise: once round is enough.
    this.#solve(sums, target, prior);
    this.#noiseVariance = this.#residualVariance(sums, target, prior);
    this.#solve(sums, target, prior);
  }

  /** Of a session around its network's mean. */
  get noiseDeviation(): number {
    return Math.sqrt(this.#noiseVariance);
  }

  /** Under the defaults. */
  base(features: Features): number {
    let sum = 0;
    for (let index = 0; index < FEATURE_COUNT; index += 1) {
      sum += (features[index] ?? 0) * (this.#mean[index] ?? 0);
    }
    return sum;
  }

  departure(armIndex: number, features: Features): Departure {
    if (armIndex === 0) {
      return { mean: 0, deviation: 0 };
    }
    const direction = this.#scratch.fill(0);
    let mean = 0;
    DEPARTURE_FEATURES.forEach((feature, place) => {
      const at = placeOf(armIndex, place);
      direction[at] = features[feature] ?? 0;
      mean += (features[feature] ?? 0) * (this.#mean[at] ?? 0);
    });
    solveLower(this.#factor, this.#n, direction);
    return { mean, deviation: Math.sqrt(direction.reduce((sum, value) => sum + value * value, 0)) };
  }

  /** One draw of all arms' differences to the defaults, from what is believed; `normal`: standard normal numbers. */
  draw(features: Features, normal: () => number): number[] {
    const drawn = this.#scratch;
    for (let index = 0; index < this.#n; index += 1) {
      drawn[index] = normal();
    }
    solveUpper(this.#factor, this.#n, drawn);
    return Array.from({ length: this.#armCount }, (_, armIndex) =>
      armIndex === 0
        ? 0
        : DEPARTURE_FEATURES.reduce((sum, feature, place) => {
            const at = placeOf(armIndex, place);
            return sum + (features[feature] ?? 0) * ((this.#mean[at] ?? 0) + (drawn[at] ?? 0));
          }, 0),
    );
  }

  /** Precision = prior + data / noise; mean = precision⁻¹ · (prior · prior mean + products / noise). */
  #solve(sums: readonly ArmSums[], target: Target, prior: ModelPrior): void {
    const n = this.#n;
    const matrix = this.#factor.fill(0);
    const right = this.#mean.fill(0);
    for (let at = 0; at < FEATURE_COUNT; at += 1) {
      matrix[at * n + at] = prior.baseDeviation ** -2;
      right[at] = at === 0 ? prior.baseMean * prior.baseDeviation ** -2 : 0;
    }
    for (let armIndex = 1; armIndex < this.#armCount; armIndex += 1) {
      this.#believe(armIndex, prior);
    }
    sums.forEach((sum, armIndex) => this.#add(sum, { target, armIndex, ratio: 1 / this.#noiseVariance }));
    if (!factorise(matrix, n)) {
      throw new RangeError('arm model: the sums of an arm are no sums of squares');
    }
    solveLower(matrix, n, right);
    solveUpper(matrix, n, right);
  }

  /** A departure is itself on the mean network, and slopes away from it: so coefficients of the plain features depend on each other. */
  #believe(armIndex: number, prior: ModelPrior): void {
    const precision = prior.departureDeviation ** -2;
    DEPARTURE_FEATURES.forEach((feature, place) => {
      const row = placeOf(armIndex, place);
      const centre = prior.centre[feature] ?? 0;
      this.#mean[row] = precision * centre * (prior.departureMeans[armIndex] ?? 0);
      DEPARTURE_FEATURES.slice(0, place + 1).forEach((other, otherPlace) => {
        const column = placeOf(armIndex, otherPlace);
        const isSlope = place > 0 && place === otherPlace;
        this.#factor[row * this.#n + column] =
          precision * centre * (prior.centre[other] ?? 0) + (isSlope ? prior.slopeDeviation ** -2 : 0);
      });
    });
  }

  /** An arm's sums stand once for the base and once for its departure. */
  #add(sums: ArmSums, { target, armIndex, ratio }: { target: Target; armIndex: number; ratio: number }): void {
    const { products } = sums[target];
    const { singles, pairs } = layoutOf(armIndex);
    for (const { feature, at } of singles) {
      this.#mean[at] = (this.#mean[at] ?? 0) + ratio * (products[feature] ?? 0);
    }
    for (const { pair, row, column } of pairs) {
      const at = row * this.#n + column;
      this.#factor[at] = (this.#factor[at] ?? 0) + ratio * (sums.pairs[pair] ?? 0);
    }
  }

  /** Around the mean, with the prior's noise as so many sessions. */
  #residualVariance(sums: readonly ArmSums[], target: Target, prior: ModelPrior): number {
    let residual = NOISE_PRIOR_WEIGHT * prior.noiseDeviation ** 2;
    let weight = NOISE_PRIOR_WEIGHT;
    sums.forEach((sum, armIndex) => {
      const coefficients = this.#coefficients(armIndex);
      residual += Math.max(
        0,
        sum[target].squares - 2 * dot(coefficients, sum[target].products) + form(sum.pairs, coefficients),
      );
      weight += sum.weight;
    });
    return residual / weight;
  }

  /** Of one arm, over all features. */
  #coefficients(armIndex: number): number[] {
    const coefficients = Array.from(this.#mean.subarray(0, FEATURE_COUNT));
    if (armIndex > 0) {
      DEPARTURE_FEATURES.forEach((feature, place) => {
        coefficients[feature] = (coefficients[feature] ?? 0) + (this.#mean[placeOf(armIndex, place)] ?? 0);
      });
    }
    return coefficients;
  }
}

const placeOf = (armIndex: number, place: number): number => FEATURE_COUNT + DEPARTURE_COUNT * (armIndex - 1) + place;

type Layout = {
  readonly singles: readonly { readonly feature: number; readonly at: number }[];
  /** Into the lower triangle. */
  readonly pairs: readonly { readonly pair: number; readonly row: number; readonly column: number }[];
};

/** Where an arm's sums enter: each feature in the base, and perhaps in the arm's departure. */
const makeLayout = (armIndex: number): Layout => {
  const places = Array.from({ length: FEATURE_COUNT }, (_, feature) => {
    const place = DEPARTURE_FEATURES.indexOf(feature);
    return armIndex === 0 || place < 0 ? [feature] : [feature, placeOf(armIndex, place)];
  });
  let pair = -1;
  const pairs = places.flatMap((first, row) =>
    places.slice(row).flatMap((second, offset) => {
      pair += 1;
      const met = first.flatMap((a) => second.filter((b) => offset > 0 || a >= b).map((b) => [a, b] as const));
      return met.map(([a, b]) => ({ pair, row: Math.max(a, b), column: Math.min(a, b) }));
    }),
  );
  return { singles: places.flatMap((some, feature) => some.map((at) => ({ feature, at }))), pairs };
};

const layouts: Layout[] = [];

const layoutOf = (armIndex: number): Layout => (layouts[armIndex] ??= makeLayout(armIndex));

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);

/** cᵀ·P·c of the upper half of P. */
const form = (pairs: readonly number[], coefficients: readonly number[]): number => {
  let sum = 0;
  let pair = 0;
  coefficients.forEach((value, row) => {
    for (let column = row; column < coefficients.length; column += 1) {
      sum += (row === column ? 1 : 2) * value * (coefficients[column] ?? 0) * (pairs[pair] ?? 0);
      pair += 1;
    }
  });
  return sum;
};
