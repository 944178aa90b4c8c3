/** Covariance matrix adaptation on functions whose least place is known, in virtual time and from a seed. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { reflect } from '../../../server/congestion/learned/coding.ts';
import { RandomStream } from '../../latency/link/random-streams.ts';
import type { CmaState } from '../../learn/cma-es.ts';
import { ask, beginCma, spreadOf, tell } from '../../learn/cma-es.ts';
import { eigenOf } from '../../learn/symmetric-eigen.ts';

type Cost = (x: readonly number[]) => number;

const step = (state: CmaState, cost: Cost): CmaState => {
  const ranked = ask(state)
    .map((candidate) => ({ candidate, value: cost(candidate.map(reflect)) }))
    .sort((a, b) => a.value - b.value);
  return tell(
    state,
    ranked.map(({ candidate }) => candidate),
  );
};

const run = (state: CmaState, cost: Cost, generationCount: number): CmaState => {
  let at = state;
  for (let generation = 0; generation < generationCount; generation += 1) {
    at = step(at, cost);
  }
  return at;
};

const begin = (mean: readonly number[], seed = 1): CmaState =>
  beginCma({ seed, name: 'test', mean, sigma: 0.25, candidateCount: 16 });

const costAt = (state: CmaState, cost: Cost): number => cost(state.mean.map(reflect));

const squaredDistance = (x: readonly number[], target: readonly number[]): number =>
  x.reduce((sum, value, index) => sum + (value - target[index]!) ** 2, 0);

/** Orthonormal, from a seed: eigenvectors of a random symmetric matrix. */
const rotationOf = (size: number): readonly (readonly number[])[] => {
  const draws = new RandomStream(5, 'rotation');
  const symmetric = Array.from({ length: size }, (_, row) =>
    Array.from({ length: size }, (_value, column) =>
      draws.normal(Math.min(row, column) * size + Math.max(row, column)),
    ),
  );
  return eigenOf(symmetric).vectors;
};

test('eigenvectors rebuild their matrix and stand upright on each other', () => {
  const matrix = [
    [4, 1, -2, 0.5],
    [1, 3, 0, 0.25],
    [-2, 0, 5, -1],
    [0.5, 0.25, -1, 2],
  ];
  const { values, vectors } = eigenOf(matrix);
  for (let row = 0; row < 4; row += 1) {
    for (let column = 0; column < 4; column += 1) {
      const rebuilt = values.reduce((sum, value, k) => sum + value * vectors[row]![k]! * vectors[column]![k]!, 0);
      const product = values.reduce((sum, _, k) => sum + vectors[k]![row]! * vectors[k]![column]!, 0);
      assert.ok(Math.abs(rebuilt - matrix[row]![column]!) < 1e-12);
      assert.ok(Math.abs(product - (row === column ? 1 : 0)) < 1e-12);
    }
  }
});

test('finds the middle of a sphere in fourteen dimensions', () => {
  const target = Array.from({ length: 14 }, (_, index) => 0.2 + 0.04 * index);
  const cost: Cost = (x) => squaredDistance(x, target);
  const end = run(begin(target.map(() => 0.5)), cost, 200);
  assert.ok(costAt(end, cost) < 1e-8, `${costAt(end, cost)}`);
  assert.ok(spreadOf(end) < 0.001);
});

test('finds the middle of an ellipsoid a thousand times as long as wide that lies askew', () => {
  const size = 8;
  const axes = rotationOf(size);
  const cost: Cost = (x) =>
    axes[0]!.reduce((sum, _, axis) => {
      const along = x.reduce((total, value, row) => total + (value - 0.45) * axes[row]![axis]!, 0);
      return sum + 1000 ** ((2 * axis) / (size - 1)) * along * along;
    }, 0);
  const end = run(begin(Array.from({ length: size }, () => 0.6)), cost, 400);
  assert.ok(costAt(end, cost) < 1e-8, `${costAt(end, cost)}`);
});

test('follows the bent valley of Rosenbrock to its end', () => {
  // The unit cube is [−2, 2] in each direction; the end lies at 1.
  const cost: Cost = (x) => {
    const at = x.map((value) => 4 * value - 2);
    return at
      .slice(1)
      .reduce((sum, value, index) => sum + 100 * (value - at[index]! ** 2) ** 2 + (1 - at[index]!) ** 2, 0);
  };
  const end = run(begin([0.25, 0.4, 0.6, 0.3, 0.5]), cost, 500);
  assert.ok(costAt(end, cost) < 1e-6, `${costAt(end, cost)}`);
});

test('finds a least place that lies on bounds and in a corner', () => {
  const target = [0, 1, 0.5, 0, 1, 0.3];
  const cost: Cost = (x) => squaredDistance(x, target);
  const end = run(begin(target.map(() => 0.5)), cost, 250);
  assert.ok(costAt(end, cost) < 1e-6, end.mean.map(reflect).join(' '));
});

test('learns nothing from luck: among equals the mean walks, and the step does not grow beyond its bound', () => {
  const noise = new RandomStream(9, 'noise');
  let counter = 0;
  const cost: Cost = () => {
    counter += 1;
    return noise.ratio(counter);
  };
  const end = run(begin([0.5, 0.5, 0.5, 0.5]), cost, 300);
  assert.ok(end.sigma <= 0.5);
  assert.ok(end.mean.every(Number.isFinite));
});

test('a search written down after any generation goes on to the bit; another seed or name goes elsewhere', () => {
  const cost: Cost = (x) => squaredDistance(x, [0.1, 0.9, 0.4]);
  const straight = run(begin([0.5, 0.5, 0.5]), cost, 30);
  let broken = begin([0.5, 0.5, 0.5]);
  for (let generation = 0; generation < 30; generation += 1) {
    broken = step(JSON.parse(JSON.stringify(broken)) as CmaState, cost);
  }
  assert.equal(JSON.stringify(broken), JSON.stringify(straight));
  const [here] = ask(begin([0.5, 0.5, 0.5], 1));
  assert.notDeepEqual(ask(begin([0.5, 0.5, 0.5], 2))[0], here);
  assert.notDeepEqual(ask({ ...begin([0.5, 0.5, 0.5], 1), name: 'other' })[0], here);
});
