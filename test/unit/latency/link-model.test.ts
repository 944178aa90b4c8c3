/** The link's model against arithmetic, in virtual time. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Prng } from '../../../server/base/prng.ts';
import { Capacity } from '../../latency/link/capacity.ts';
import { LinkModel, type Fate, type LinkModelOptions } from '../../latency/link/link-model.ts';

const PERFECT: LinkModelOptions = {
  capacity: undefined,
  queueMaxBytes: Infinity,
  delayMs: 0,
  jitterMs: 0,
  lossRatio: 0,
  lossBurstCount: undefined,
  reorderRatio: 0,
  reorderMaxCount: 3,
};

const constant = (rateBps: number): LinkModelOptions['capacity'] => ({
  steps: [{ durationMs: 1_000, rateBps }],
  isLooped: false,
});

const modelOf = (options: Partial<LinkModelOptions>, seed = 1): LinkModel =>
  new LinkModel({ ...PERFECT, ...options }, { seed, name: 'down' });

type Arrival = { handle: number; atMs: number };
type Sending = { atMs: number; sizeBytes: number };

/** Sends by the plan and takes everything at its own instant. */
const run = (model: LinkModel, plan: readonly Sending[]): { fates: Fate[]; arrivals: Arrival[] } => {
  const arrivals: Arrival[] = [];
  const takeUntil = (untilMs: number): void => {
    while (model.nextAtMs <= untilMs) {
      const atMs = model.nextAtMs;
      const handle = model.take(atMs);
      if (handle >= 0) {
        arrivals.push({ handle, atMs });
      }
    }
  };
  const fates = plan.map(({ atMs, sizeBytes }, handle) => {
    takeUntil(atMs);
    return model.send(handle, sizeBytes, atMs);
  });
  takeUntil(1e9);
  return { fates, arrivals };
};

const every = (count: number, gapMs: number, sizeBytes = 1_000): Sending[] =>
  Array.from({ length: count }, (_, index) => ({ atMs: index * gapMs, sizeBytes }));

test('a packet arrives after its bits have passed and the delay is over', () => {
  const { arrivals } = run(modelOf({ capacity: constant(1_000_000), delayMs: 20, queueMaxBytes: 10_000 }), [
    { atMs: 0, sizeBytes: 1_000 },
    { atMs: 0, sizeBytes: 500 },
    { atMs: 100, sizeBytes: 250 },
  ]);
  assert.deepEqual(
    arrivals.map(({ atMs }) => Math.round(atMs * 1_000) / 1_000),
    [28, 32, 122],
  );
});

test('above its capacity a link delivers exactly its capacity', () => {
  const model = modelOf({ capacity: constant(3_000_000), queueMaxBytes: 30_000 });
  const { arrivals } = run(model, every(10_000, 1, 1_200));
  const inTimeCount = arrivals.filter(({ atMs }) => atMs <= 10_000).length;
  const rateBps = (inTimeCount * 1_200 * 8) / 10;
  assert.ok(Math.abs(rateBps - 3_000_000) < 3_000, `${rateBps} bit/s`);
  assert.ok(model.counts().droppedByQueueCount > 5_000);
});

test('the queue never holds more than its bytes, and no packet waits longer than they take', () => {
  const model = modelOf({ capacity: constant(1_000_000), queueMaxBytes: 25_000 });
  const random = new Prng(3);
  let largestBytes = 0;
  for (let index = 0; index < 20_000; index += 1) {
    const atMs = index * 2;
    model.send(index, 100 + random.nextIndex(1_400), atMs);
    largestBytes = Math.max(largestBytes, model.queueBytes(atMs));
    while (model.take(atMs) >= 0) {
      // Only the queue is looked at here.
    }
  }
  assert.ok(largestBytes <= 25_000 && largestBytes > 23_000, `${largestBytes} bytes`);
  assert.ok(model.counts().queueDelayMs.max <= 200, `${model.counts().queueDelayMs.max} ms`);
});

test('what goes in is delivered, dropped by a named cause, or still under way', () => {
  const model = modelOf({ capacity: constant(2_000_000), queueMaxBytes: 20_000, delayMs: 30, lossRatio: 0.05 });
  every(5_000, 3).forEach(({ atMs, sizeBytes }, handle) => {
    model.send(handle, sizeBytes, atMs);
  });
  let takenCount = 0;
  while (model.take(7_000) >= 0) {
    takenCount += 1;
  }
  let leftCount = 0;
  while (model.take(1e9) >= 0) {
    leftCount += 1;
  }
  const { inCount, deliveredCount, droppedByLossCount, droppedByQueueCount } = model.counts();
  assert.ok(takenCount > 0 && leftCount > 0);
  assert.equal(deliveredCount, takenCount + leftCount);
  assert.equal(inCount, deliveredCount + droppedByLossCount + droppedByQueueCount);
});

test('same seed and same arrivals: the same drops and times; another seed: others', () => {
  const options = {
    capacity: constant(4_000_000),
    queueMaxBytes: 40_000,
    delayMs: 25,
    jitterMs: 5,
    lossRatio: 0.03,
    lossBurstCount: 3,
    reorderRatio: 0.02,
  };
  const plan = every(5_000, 1.9);
  const first = run(modelOf(options, 11), plan);
  assert.deepEqual(run(modelOf(options, 11), plan), first);
  assert.notDeepEqual(run(modelOf(options, 12), plan).fates, first.fates);
});

test('one model switched on leaves the draws of the others as they were', () => {
  const plan = every(5_000, 5);
  const lossAlone = run(modelOf({ lossRatio: 0.05 }), plan).fates;
  const lossAmongOthers = run(modelOf({ lossRatio: 0.05, jitterMs: 10, reorderRatio: 0.1 }), plan).fates;
  assert.deepEqual(lossAmongOthers, lossAlone);
});

test('independent loss lies inside its 99 % interval', () => {
  for (const lossRatio of [0.001, 0.01, 0.2]) {
    const count = 100_000;
    const lostCount = run(modelOf({ lossRatio }), every(count, 1)).fates.filter((fate) => fate === 'lost').length;
    const spread = 2.576 * Math.sqrt(lossRatio * (1 - lossRatio) * count);
    assert.ok(Math.abs(lostCount - lossRatio * count) < spread, `${lostCount} of ${count} at ${lossRatio}`);
  }
});

test('loss in bursts has the share and the mean length asked for', () => {
  const { fates } = run(modelOf({ lossRatio: 0.02, lossBurstCount: 4 }), every(400_000, 1));
  const lostCount = fates.filter((fate) => fate === 'lost').length;
  const burstCount = fates.filter((fate, index) => fate === 'lost' && fates[index - 1] !== 'lost').length;
  assert.ok(Math.abs(lostCount / fates.length - 0.02) < 0.002, `${lostCount / fates.length}`);
  assert.ok(Math.abs(lostCount / burstCount - 4) < 0.25, `${lostCount / burstCount}`);
});

test('jitter delays without reordering, and has the mean asked for where packets are far apart', () => {
  const dense = run(modelOf({ jitterMs: 20, delayMs: 10 }), every(5_000, 1)).arrivals;
  assert.deepEqual(
    dense.map(({ handle }) => handle),
    dense.map((_, index) => index),
  );
  const { arrivals } = run(modelOf({ jitterMs: 8 }), every(20_000, 500));
  const meanMs = arrivals.reduce((sum, { handle, atMs }) => sum + atMs - handle * 500, 0) / arrivals.length;
  assert.ok(Math.abs(meanMs - 8) < 0.3, `${meanMs} ms`);
});

test('a reordered packet comes after one to n later ones, and everything arrives', () => {
  const model = modelOf({ reorderRatio: 0.05, reorderMaxCount: 3 });
  const { arrivals } = run(model, every(10_000, 2));
  assert.equal(arrivals.length, 10_000);
  const lateBy = arrivals.map(({ handle }, index) => index - handle);
  const latest = Math.max(...lateBy);
  assert.ok(latest >= 3 && latest <= 5, `late by ${latest} places`);
  const { reorderedCount } = model.counts();
  assert.ok(reorderedCount > 420 && reorderedCount < 580, `${reorderedCount} reordered`);
});

test('a packet held back goes on by itself when no other comes', () => {
  const { arrivals } = run(modelOf({ reorderRatio: 1 }), [{ atMs: 0, sizeBytes: 100 }]);
  assert.deepEqual(arrivals, [{ handle: 0, atMs: 50 }]);
});

test('an outage keeps packets until capacity returns; one without end drops once the queue is full', () => {
  const steps = [
    { durationMs: 100, rateBps: 1_000_000 },
    { durationMs: 400, rateBps: 0 },
    { durationMs: 100, rateBps: 1_000_000 },
  ];
  const looped = modelOf({ capacity: { steps, isLooped: true }, queueMaxBytes: 5_000 });
  const { arrivals } = run(looped, [{ atMs: 96, sizeBytes: 1_000 }]);
  assert.ok(Math.abs(arrivals[0]!.atMs - 504) < 1e-6, `${arrivals[0]!.atMs}`);
  const ended = modelOf({ capacity: { steps: steps.slice(0, 2), isLooped: false }, queueMaxBytes: 5_000 });
  const { fates } = run(
    ended,
    Array.from({ length: 10 }, () => ({ atMs: 300, sizeBytes: 1_000 })),
  );
  assert.equal(fates.filter((fate) => fate === 'queue-full').length, 5);
  assert.equal(ended.nextAtMs, Infinity);
});

test('a restart begins link time, draws and counts anew, and lets what an outage held arrive', () => {
  const steps = [
    { durationMs: 1_000, rateBps: 1_000_000 },
    { durationMs: 1_000, rateBps: 0 },
  ];
  const model = modelOf({ capacity: { steps, isLooped: false }, queueMaxBytes: 5_000, lossRatio: 0.3, delayMs: 10 });
  const plan = every(40, 9);
  const first = run(model, plan);
  model.send(99, 1_000, 1_500);
  model.restart(2_000);
  const again = plan.map(({ atMs, sizeBytes }, handle) => model.send(handle, sizeBytes, 2_000 + atMs));
  assert.deepEqual(again, first.fates);
  assert.ok(model.nextAtMs <= 2_018, `${model.nextAtMs}`);
  assert.ok(model.counts().inCount <= 41);
});

test('finish times agree with the integral of the capacity, over many rounds of a trace', () => {
  const random = new Prng(5);
  const steps = Array.from({ length: 200 }, () => ({
    durationMs: 1 + random.nextIndex(500),
    rateBps: random.nextIndex(3) === 0 ? 0 : random.nextIndex(20_000_000),
  }));
  const capacity = new Capacity({ steps, isLooped: true });
  let atMs = 0;
  for (let index = 0; index < 20_000; index += 1) {
    const bits = 320 + random.nextIndex(12_000);
    const finishMs = capacity.finishMs(atMs, bits);
    const passedBits = capacity.bitsBetween(atMs, finishMs);
    assert.ok(Math.abs(passedBits - bits) < 0.05, `${passedBits} of ${bits} bits at ${atMs}`);
    atMs = finishMs + (random.nextIndex(50) === 0 ? random.nextIndex(200_000) : 0);
  }
});

test('a capacity that can never carry anything is refused', () => {
  const steps = [{ durationMs: 10, rateBps: 0 }];
  assert.throws(() => new Capacity({ steps, isLooped: true }), TypeError);
  assert.throws(() => new Capacity({ steps: [], isLooped: false }), TypeError);
});
