/**
 * Covariance matrix adaptation (Hansen, "The CMA Evolution Strategy: A Tutorial", 2016; positive weights alone). Pure: a state of plain JSON
 * goes in, another comes out, and the draws are counter-based, so that a search that was stopped goes on to the bit.
 *
 * Candidates are drawn without bounds and mirrored into the unit cube by whoever evaluates them; the state learns from them as drawn.
 */
import { RandomStream } from '../latency/link/random-streams.ts';
import { eigenOf } from './symmetric-eigen.ts';

export type CmaState = {
  readonly seed: number;
  /** Sets the draws of one search apart from another's of the same seed. */
  readonly name: string;
  readonly generation: number;
  readonly candidateCount: number;
  readonly mean: readonly number[];
  readonly sigma: number;
  readonly covariance: readonly (readonly number[])[];
  readonly stepPath: readonly number[];
  readonly shapePath: readonly number[];
};

/** A step wider than this in a unit cube draws at random. */
const SIGMA_MAX = 0.5;
const EIGENVALUE_MIN = 1e-14;

export const beginCma = (options: {
  seed: number;
  name: string;
  mean: readonly number[];
  sigma: number;
  candidateCount: number;
}): CmaState => {
  const { mean } = options;
  return {
    ...options,
    generation: 0,
    covariance: mean.map((_, row) => mean.map((_value, column) => (row === column ? 1 : 0))),
    stepPath: mean.map(() => 0),
    shapePath: mean.map(() => 0),
  };
};

/** The candidates of this generation; the same each time it is asked. */
export const ask = (state: CmaState): number[][] => {
  const draws = new RandomStream(state.seed, `cma/${state.name}`);
  const { roots, vectors } = rootsOf(state);
  const size = state.mean.length;
  return Array.from({ length: state.candidateCount }, (_, candidate) => {
    const first = (state.generation * state.candidateCount + candidate) * size;
    const scaled = roots.map((root, index) => root * draws.normal(first + index));
    return state.mean.map((center, row) => center + state.sigma * dot(vectors[row]!, scaled));
  });
};

/** `ranked`: the candidates of `ask`, best first. */
export const tell = (state: CmaState, ranked: readonly (readonly number[])[]): CmaState => {
  const size = state.mean.length;
  const constants = constantsOf(size, state.candidateCount);
  const { weights, effectiveCount, stepRate, stepDamping, shapeRate, rankOneRate, rankMuRate } = constants;
  const steps = weights.map((_, index) => ranked[index]!.map((value, row) => (value - state.mean[row]!) / state.sigma));
  const meanStep = state.mean.map((_, row) =>
    dot(
      weights,
      steps.map((step) => step[row]!),
    ),
  );
  const { roots, vectors } = rootsOf(state);

  const whitened = whiten(meanStep, roots, vectors);
  const stepGain = Math.sqrt(stepRate * (2 - stepRate) * effectiveCount);
  const stepPath = state.stepPath.map((value, row) => (1 - stepRate) * value + stepGain * whitened[row]!);
  const stepLength = Math.sqrt(dot(stepPath, stepPath));
  const expectedLength = Math.sqrt(size) * (1 - 1 / (4 * size) + 1 / (21 * size * size));
  const settled = Math.sqrt(1 - (1 - stepRate) ** (2 * (state.generation + 1)));
  const isSlow = stepLength / settled < (1.4 + 2 / (size + 1)) * expectedLength;

  const shapeGain = isSlow ? Math.sqrt(shapeRate * (2 - shapeRate) * effectiveCount) : 0;
  const shapePath = state.shapePath.map((value, row) => (1 - shapeRate) * value + shapeGain * meanStep[row]!);
  const kept = 1 - rankOneRate - rankMuRate + (isSlow ? 0 : rankOneRate * shapeRate * (2 - shapeRate));
  // Products in brackets, so that rounding leaves the matrix symmetric.
  const covariance = state.covariance.map((line, row) =>
    line.map((value, column) => {
      const rankMu = weights.reduce((sum, weight, at) => sum + weight * (steps[at]![row]! * steps[at]![column]!), 0);
      return kept * value + rankOneRate * (shapePath[row]! * shapePath[column]!) + rankMuRate * rankMu;
    }),
  );
  const growth = Math.exp((stepRate / stepDamping) * (stepLength / expectedLength - 1));
  return {
    ...state,
    generation: state.generation + 1,
    mean: state.mean.map((value, row) => value + state.sigma * meanStep[row]!),
    sigma: Math.min(SIGMA_MAX, state.sigma * growth),
    covariance,
    stepPath,
    shapePath,
  };
};

/** Width of the widest direction, in coordinates. */
export const spreadOf = (state: CmaState): number => state.sigma * Math.max(...rootsOf(state).roots);

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, index) => sum + value * b[index]!, 0);

const rootsOf = ({ covariance }: CmaState): { roots: number[]; vectors: readonly (readonly number[])[] } => {
  const { values, vectors } = eigenOf(covariance);
  return { roots: values.map((value) => Math.sqrt(Math.max(EIGENVALUE_MIN, value))), vectors };
};

/** C^(−1/2) · step. */
const whiten = (
  step: readonly number[],
  roots: readonly number[],
  vectors: readonly (readonly number[])[],
): number[] => {
  const inAxes = roots.map(
    (root, axis) =>
      dot(
        vectors.map((row) => row[axis]!),
        step,
      ) / root,
  );
  return vectors.map((row) => dot(row, inAxes));
};

/** Hansen's defaults (tutorial, table 1) with log weights over the better half. */
const constantsOf = (size: number, candidateCount: number) => {
  const parentCount = Math.floor(candidateCount / 2);
  const raw = Array.from({ length: parentCount }, (_, index) => Math.log(parentCount + 0.5) - Math.log(index + 1));
  const total = raw.reduce((sum, weight) => sum + weight, 0);
  const weights = raw.map((weight) => weight / total);
  const effectiveCount = 1 / dot(weights, weights);
  const rankOneRate = 2 / ((size + 1.3) ** 2 + effectiveCount);
  return {
    weights,
    effectiveCount,
    stepRate: (effectiveCount + 2) / (size + effectiveCount + 5),
    stepDamping:
      1 +
      2 * Math.max(0, Math.sqrt((effectiveCount - 1) / (size + 1)) - 1) +
      (effectiveCount + 2) / (size + effectiveCount + 5),
    shapeRate: (4 + effectiveCount / size) / (size + 4 + (2 * effectiveCount) / size),
    rankOneRate,
    rankMuRate: Math.min(
      1 - rankOneRate,
      (2 * (effectiveCount - 2 + 1 / effectiveCount)) / ((size + 2) ** 2 + effectiveCount),
    ),
  };
};
