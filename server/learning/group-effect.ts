/**
 * How much two groups of sessions differ when their networks are set level: least squares of a target over the features and the group. Sessions were
 * dealt to the groups by chance, so it is unbiased, and what the network explains of a session is no longer noise. Pure.
 */
import { FEATURE_COUNT } from '../congestion/learned/link-features.ts';
import type { ArmSums, Target } from './arm-sums.ts';
import { addSums, emptySums } from './arm-sums.ts';
import { factorise, solveLower, solveUpper } from './cholesky.ts';

const N = FEATURE_COUNT + 1;
const GROUP = FEATURE_COUNT;
/** Of the weight, on each feature: some are the same in all sessions. */
const RIDGE_RATIO = 1e-4;

/** What membership of the first group adds. */
export const groupEffect = (first: ArmSums, second: ArmSums, target: Target): { value: number; deviation: number } => {
  const all = emptySums();
  addSums(all, first);
  addSums(all, second);
  const matrix = matrixOf(all, first);
  const products = Float64Array.from([...all[target].products, first[target].products[0] ?? 0]);
  if (first.weight <= 0 || second.weight <= 0 || all.weight <= N || !factorise(matrix, N)) {
    return { value: 0, deviation: Number.POSITIVE_INFINITY };
  }
  const solution = products.slice();
  solveLower(matrix, N, solution);
  const explained = solution.reduce((sum, value) => sum + value * value, 0);
  solveUpper(matrix, N, solution);
  const direction = new Float64Array(N);
  direction[GROUP] = 1;
  solveLower(matrix, N, direction);
  const variance = Math.max(0, all[target].squares - explained) / (all.weight - N);
  const spread = direction.reduce((sum, value) => sum + value * value, 0);
  return { value: solution[GROUP] ?? 0, deviation: Math.sqrt(variance * spread) };
};

/** Lower triangle of the normal equations: the features of all, and, last, belonging to the first group. */
const matrixOf = (all: ArmSums, first: ArmSums): Float64Array => {
  const matrix = new Float64Array(N * N);
  let pair = 0;
  for (let row = 0; row < FEATURE_COUNT; row += 1) {
    for (let column = row; column < FEATURE_COUNT; column += 1) {
      matrix[column * N + row] = (all.pairs[pair] ?? 0) + (row === column ? RIDGE_RATIO * all.weight : 0);
      pair += 1;
    }
    // The first feature is 1, so the first row of products are the features' sums.
    matrix[GROUP * N + row] = first.pairs[row] ?? 0;
  }
  matrix[GROUP * N + GROUP] = first.weight;
  return matrix;
};
