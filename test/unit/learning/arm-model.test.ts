/** The model of arms against the posterior worked out by hand, and its draws against it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../server/base/prng.ts';
import { ArmModel } from '../../../server/learning/arm-model.ts';
import { addLesson, emptySums, weightOf } from '../../../server/learning/arm-sums.ts';
import { MIDDLING, lesson } from '../../support/learning.ts';

const PRIOR = {
  departureMeans: [0, 0.04],
  departureDeviation: 0.03,
  slopeDeviation: 0.02,
  centre: MIDDLING,
  baseMean: 0.5,
  baseDeviation: 0.5,
  noiseDeviation: 0.3,
};

/** Two arms on a middling network, whose other features are 0: what is left is a Gaussian of two unknowns, the base and the departure. */
const twoArms = (): { model: ArmModel; byHand: { base: number; mean: number; deviation: number } } => {
  const prng = new Prng(3);
  const sums = [emptySums(), emptySums()];
  const weights = [0, 0];
  const products = [0, 0];
  for (let index = 0; index < 200; index += 1) {
    const arm = index % 4 === 0 ? 1 : 0;
    const utility = 0.4 + 0.1 * arm + 0.3 * (prng.nextRatio() - 0.5);
    const seconds = 20 + 100 * prng.nextRatio();
    addLesson(sums[arm]!, lesson({ utility, seconds }));
    weights[arm] = weights[arm]! + weightOf(seconds);
    products[arm] = products[arm]! + weightOf(seconds) * utility;
  }
  const model = new ArmModel(sums, 'utility', PRIOR);
  const noise = model.noiseDeviation ** 2;
  // [[a, b], [b, c]] · [base, departure] = [right, under].
  const a = 1 / PRIOR.baseDeviation ** 2 + (weights[0]! + weights[1]!) / noise;
  const b = weights[1]! / noise;
  const c = 1 / PRIOR.departureDeviation ** 2 + b;
  const right = PRIOR.baseMean / PRIOR.baseDeviation ** 2 + (products[0]! + products[1]!) / noise;
  const under = PRIOR.departureMeans[1]! / PRIOR.departureDeviation ** 2 + products[1]! / noise;
  const determinant = a * c - b * b;
  return {
    model,
    byHand: {
      base: (c * right - b * under) / determinant,
      mean: (a * under - b * right) / determinant,
      deviation: Math.sqrt(a / determinant),
    },
  };
};

const near = (value: number, wanted: number, tolerance: number): void =>
  assert.ok(Math.abs(value - wanted) <= tolerance, `${value} is not ${wanted}`);

test('base and departure are those of the posterior in closed form', () => {
  const { model, byHand } = twoArms();
  const { mean, deviation } = model.departure(1, MIDDLING);
  near(model.base(MIDDLING), byHand.base, 1e-9);
  near(mean, byHand.mean, 1e-9);
  near(deviation, byHand.deviation, 1e-9);
  assert.deepEqual(model.departure(0, MIDDLING), { mean: 0, deviation: 0 });
});

test('draws have the mean and the spread of what is believed', () => {
  const { model, byHand } = twoArms();
  const prng = new Prng(4);
  const normal = (): number =>
    Math.sqrt(-2 * Math.log(1 - prng.nextRatio())) * Math.cos(2 * Math.PI * prng.nextRatio());
  const drawn = Array.from({ length: 20_000 }, () => model.draw(MIDDLING, normal)[1]!);
  const mean = drawn.reduce((sum, value) => sum + value, 0) / drawn.length;
  const deviation = Math.sqrt(drawn.reduce((sum, value) => sum + (value - mean) ** 2, 0) / drawn.length);
  near(mean, byHand.mean, 0.05 * byHand.deviation);
  near(deviation, byHand.deviation, 0.05 * byHand.deviation);
});

test('before anything was seen the prior is believed', () => {
  const model = new ArmModel([emptySums(), emptySums()], 'utility', PRIOR);
  near(model.departure(1, MIDDLING).mean, 0.04, 1e-9);
  near(model.departure(1, MIDDLING).deviation, 0.03, 1e-9);
  near(model.departure(1, [1, 2, 0, 0, 0, 0, 0, 0, 0]).deviation, Math.hypot(0.03, 0.04), 1e-9);
  const centre = [1, 2, -1, 0, 0, 1, 0, 0, 0];
  const elsewhere = new ArmModel([emptySums(), emptySums()], 'utility', { ...PRIOR, centre });
  near(elsewhere.departure(1, centre).mean, 0.04, 1e-9);
  near(elsewhere.departure(1, centre).deviation, 0.03, 1e-9);
  near(elsewhere.departure(1, MIDDLING).deviation, Math.hypot(0.03, 0.02 * Math.sqrt(6)), 1e-9);
});

test('what the network explains of a session is not taken for an arm’s doing', () => {
  const sums = [emptySums(), emptySums()];
  const prng = new Prng(5);
  // The second arm happened to get the better links, by a feature that departures do not hang on.
  for (let index = 0; index < 400; index += 1) {
    const arm = index % 2;
    const loss = prng.nextRatio() - arm;
    const features = MIDDLING.map((one, place) => (place === 3 ? loss : one));
    addLesson(sums[arm]!, lesson({ features, utility: 0.5 - 0.3 * loss + 0.02 * (prng.nextRatio() - 0.5) }));
  }
  near(new ArmModel(sums, 'utility', { ...PRIOR, departureMeans: [0, 0] }).departure(1, MIDDLING).mean, 0, 0.02);
});
