/** Intervals of means against distributions whose mean is known. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Prng } from '../../../server/base/prng.ts';
import { areApart, ellipseOfMean, estimateMean } from '../../latency/report/bootstrap.ts';

/** Mean 0, variance 1. */
const normal = (prng: Prng): number =>
  Math.sqrt(-2 * Math.log(1 - prng.nextRatio())) * Math.cos(2 * Math.PI * prng.nextRatio());

const coverageOf = (sampleCount: number, draw: (prng: Prng) => number, trialCount: number): number => {
  const prng = new Prng(sampleCount);
  const hits = Array.from({ length: trialCount }, () => {
    const values = Array.from({ length: sampleCount }, () => draw(prng));
    const { low, high } = estimateMean(values)!.interval!;
    return low <= 0 && high >= 0;
  });
  return hits.filter(Boolean).length / trialCount;
};

test('the interval of ten normal values holds the true mean in about 95 of 100 samples', () => {
  const coverage = coverageOf(10, normal, 150);
  assert.ok(coverage > 0.89, `covered ${coverage}`);
});

test('three values: the interval is nearly their whole range', () => {
  const { mean, interval } = estimateMean([1, 2, 6])!;
  assert.equal(mean, 3);
  assert.ok(interval!.low >= 1 && interval!.low < 1.01 && interval!.high > 5.99 && interval!.high <= 6);
});

test('one or two values have a mean and no interval; none have nothing', () => {
  assert.equal(estimateMean([]), null);
  assert.deepEqual(estimateMean([4]), { mean: 4, count: 1, interval: null });
  assert.deepEqual(estimateMean([4, 6]), { mean: 5, count: 2, interval: null });
});

test('the width shrinks like one over the root of the count', () => {
  const prng = new Prng(1);
  const values = Array.from({ length: 400 }, () => normal(prng));
  const width = (count: number): number => {
    const { low, high } = estimateMean(values.slice(0, count))!.interval!;
    return high - low;
  };
  // 2 · 1.96 / √400
  assert.ok(Math.abs(width(400) - 0.196) < 0.03, String(width(400)));
  assert.ok(width(25) / width(400) > 2.8 && width(25) / width(400) < 6.2);
});

test('only intervals that do not touch are apart, and without an interval nothing is', () => {
  const at = (low: number, high: number) => ({ mean: (low + high) / 2, count: 5, interval: { low, high } });
  assert.equal(areApart(at(1, 2), at(2.1, 3)), true);
  assert.equal(areApart(at(1, 2), at(1.9, 3)), false);
  assert.equal(areApart(at(1, 2), { mean: 9, count: 2, interval: null }), false);
});

test('the ellipse follows the direction in which points vary, as wide as an interval of the mean', () => {
  const prng = new Prng(5);
  const points = Array.from({ length: 400 }, () => {
    const along = 3 * normal(prng);
    const across = normal(prng);
    return { x: 10 + (along - across) * Math.SQRT1_2, y: 20 + (along + across) * Math.SQRT1_2 };
  });
  const { centre, halfAxes, turnRad } = ellipseOfMean(points)!;
  assert.ok(Math.abs(centre.x - 10) < 0.5 && Math.abs(centre.y - 20) < 0.5);
  assert.ok(Math.abs(turnRad - Math.PI / 4) < 0.1, String(turnRad));
  // 1.96 · 3 / √400 and 1.96 / √400
  assert.ok(Math.abs(halfAxes[0] - 0.294) < 0.05 && Math.abs(halfAxes[1] - 0.098) < 0.02, String(halfAxes));
  assert.equal(ellipseOfMean(points.slice(0, 2)), null);
});
