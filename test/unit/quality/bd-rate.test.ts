/** Bjøntegaard's rate difference on curves whose answer is known. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bdRate, rateAt, ssimDb, type RatePoint } from '../../quality/bd-rate.ts';

const CURVE: readonly RatePoint[] = [
  { rate: 300, score: 70 },
  { rate: 600, score: 82 },
  { rate: 1_200, score: 90 },
  { rate: 2_400, score: 95 },
];
const scaled = (factor: number): RatePoint[] => CURVE.map(({ rate, score }) => ({ rate: rate * factor, score }));
const near = (value: number | undefined, wanted: number, slack = 1e-9): void =>
  assert.ok(value !== undefined && Math.abs(value - wanted) < slack, `${value} instead of ${wanted}`);

test('a curve beside itself differs by nothing, and one with 30 % fewer bits by -30 %, in any order of points', () => {
  near(bdRate(CURVE, CURVE)?.ratio, 0);
  near(bdRate(CURVE, scaled(0.7))?.ratio, -0.3);
  near(bdRate(CURVE, scaled(1.5).toReversed())?.ratio, 0.5);
});

test('there and back again is one', () => {
  const other = [
    { rate: 250, score: 68 },
    { rate: 500, score: 84 },
    { rate: 1_000, score: 91 },
    { rate: 2_000, score: 94 },
  ];
  const there = bdRate(CURVE, other);
  const back = bdRate(other, CURVE);
  near((1 + (there?.ratio ?? 0)) * (1 + (back?.ratio ?? 0)), 1);
  assert.equal(there?.scoreMin, 70);
  assert.equal(there?.scoreMax, 94);
});

test('a straight line in log rate is integrated exactly, over the common scores only', () => {
  const line = (slope: number, scores: readonly number[]): RatePoint[] =>
    scores.map((score) => ({ rate: Math.exp(slope * score), score }));
  // From 2 to 8 the logs differ by 0.1 · score, on average by 0.5.
  near(bdRate(line(0.5, [0, 2, 5, 8]), line(0.6, [2, 4, 7, 12]))?.ratio, Math.exp(0.5) - 1);
});

test('between points the curve neither overshoots nor turns back', () => {
  const steep: readonly RatePoint[] = [
    { rate: 100, score: 50 },
    { rate: 110, score: 90 },
    { rate: 1_000, score: 91 },
    { rate: 9_000, score: 99 },
  ];
  const rates = Array.from({ length: 491 }, (_, index) => rateAt(steep, 50 + index / 10) ?? Number.NaN);
  assert.ok(rates.every((rate, index) => index === 0 || rate >= rates[index - 1]!));
  near(rateAt(steep, 90), 110);
  assert.equal(rateAt(steep, 99.1), undefined);
});

test('nothing in common, too few points, or a point that is dearer and worse: no number, or one without it', () => {
  assert.equal(
    bdRate(
      CURVE,
      CURVE.map(({ rate, score }) => ({ rate, score: score - 40 })),
    ),
    undefined,
  );
  assert.equal(bdRate(CURVE, CURVE.slice(0, 2)), undefined);
  near(bdRate(CURVE, [...scaled(0.8), { rate: 5_000, score: 75 }])?.ratio, -0.2);
});

test('SSIM in decibels', () => {
  near(ssimDb(0.9), 10);
  near(ssimDb(0.99), 20);
  assert.ok(Number.isFinite(ssimDb(1)));
});
