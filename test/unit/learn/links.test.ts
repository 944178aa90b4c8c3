/** The links a search plays on: synthetic traces, domain randomisation, classes, draws; and one session of the simulator over them. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { RandomStream } from '../../latency/link/random-streams.ts';
import type { Draw } from '../../learn/episode-source.ts';
import { drawEpisodes, sourceOf } from '../../learn/episode-source.ts';
import { playEpisode } from '../../learn/episode.ts';
import { mergedClassOf } from '../../learn/link-class.ts';
import { randomise } from '../../learn/randomise.ts';
import { isSynthetic, syntheticTraces } from '../../learn/synthetic.ts';
import type { Trace, TraceLink } from '../../sim/corpus.ts';
import { linkOf } from '../../sim/corpus.ts';

const CLASSES = ['wifi', '3g', '4g', '5g', 'fixed', 'satellite', 'mixed'];

const durationOf = ({ steps }: Trace): number => steps.reduce((sum, { durationMs }) => sum + durationMs, 0);
const shareBelow = ({ steps, meanBps }: Trace, ratio: number): number =>
  steps.filter(({ rateBps }) => rateBps < ratio * meanBps).length / steps.length;

test('synthetic traces are the same for a seed, others for another, and no part shares one with another', () => {
  const traces = syntheticTraces('search', 3, 1);
  assert.deepEqual(syntheticTraces('search', 3, 1), traces);
  assert.notDeepEqual(syntheticTraces('search', 3, 2), traces);
  assert.deepEqual(new Set(traces.map(({ networkClass }) => networkClass)), new Set(CLASSES));
  assert.equal(new Set(traces.map(({ group }) => group)).size, traces.length);
  const stepsOf = (some: readonly Trace[]): Set<string> => new Set(some.map(({ steps }) => JSON.stringify(steps)));
  assert.ok(stepsOf(traces).isDisjointFrom(stepsOf(syntheticTraces('validation', 3, 1))));
});

test('a synthetic trace has its mean, its length, and as many traces asked for as more', () => {
  for (const trace of syntheticTraces('search', 4, 5)) {
    const bits = trace.steps.reduce((sum, { durationMs, rateBps }) => sum + durationMs * rateBps, 0);
    assert.ok(Math.abs(bits / durationOf(trace) / trace.meanBps - 1) < 1e-3, trace.id);
    assert.equal(durationOf(trace), 240_000);
    assert.ok(isSynthetic(trace));
  }
  assert.deepEqual(
    syntheticTraces('search', 5, 5).filter(({ id }) => id.endsWith('-0')),
    syntheticTraces('search', 1, 5),
  );
});

test('kinds of network differ as they do outside: fixed lines hardly vary, mobile ones fade and fail', () => {
  const traces = syntheticTraces('search', 20, 3);
  const mean = (networkClass: string, valueOf: (trace: Trace) => number): number => {
    const values = traces.filter((trace) => trace.networkClass === networkClass).map(valueOf);
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  const deep = (networkClass: string): number => mean(networkClass, (trace) => shareBelow(trace, 0.25));
  assert.equal(deep('fixed'), 0);
  assert.ok(deep('wifi') < 0.02, `${deep('wifi')}`);
  assert.ok(deep('mixed') > deep('4g') && deep('4g') > deep('wifi'));
  assert.ok(mean('4g', (trace) => shareBelow(trace, 0.02)) > 0);
});

const [WIFI] = syntheticTraces('search', 1, 1);

test('domain randomisation is the same for a seed and stays within what it says', () => {
  assert.ok(WIFI !== undefined);
  assert.deepEqual(randomise(WIFI, 4), randomise(WIFI, 4));
  const worlds = Array.from({ length: 200 }, (_, seed) => randomise(WIFI, seed));
  for (const { down, ladder, decodeMs, feedbackEveryMs } of worlds) {
    assert.ok(down.lossRatio >= 0 && down.lossRatio <= 0.05);
    assert.ok(ladder.rungs.every(({ keyframeFactor }) => keyframeFactor >= 3 && keyframeFactor <= 8));
    assert.ok(decodeMs.at(-1)! >= 2 && decodeMs.at(-1)! <= 20);
    assert.ok(feedbackEveryMs >= 50 && feedbackEveryMs <= 150);
  }
  const counts = {
    lossless: worlds.filter(({ down }) => down.lossRatio === 0).length,
    independent: worlds.filter(({ down }) => down.lossRatio > 0 && down.lossBurstCount === undefined).length,
  };
  assert.ok(counts.lossless > 10 && counts.lossless < 60, `${counts.lossless}`);
  assert.ok(counts.independent > 25 && counts.independent < 80, `${counts.independent}`);
});

test('a randomised session begins anywhere in its trace and loses nothing of it', () => {
  assert.ok(WIFI !== undefined);
  const starts = new Set<number>();
  const sum = (link: TraceLink): number => link.down.capacity!.steps.reduce((total, { rateBps }) => total + rateBps, 0);
  for (let seed = 0; seed < 20; seed += 1) {
    const world = randomise(WIFI, seed);
    starts.add(Math.round(world.down.capacity!.steps[0]!.rateBps));
    assert.ok(Math.abs(sum(world) / sum(linkOf(WIFI, seed)) - 1) < 0.01);
  }
  assert.ok(starts.size > 15);
});

const linkWith = (
  rates: readonly number[],
  { rttMs = 40, lossRatio = 0.001, stepMs = 1_000 }: { rttMs?: number; lossRatio?: number; stepMs?: number } = {},
): TraceLink => {
  const one = { delayMs: rttMs / 2, jitterMs: 1, lossBurstCount: 2, reorderRatio: 0, reorderMaxCount: 3 };
  return {
    down: {
      ...one,
      lossRatio,
      queueMaxBytes: 100_000,
      capacity: { steps: rates.map((rateBps) => ({ durationMs: stepMs, rateBps })), isLooped: true },
    },
    up: { ...one, lossRatio: 0, queueMaxBytes: Infinity, capacity: undefined },
    feedbackEveryMs: 100,
  };
};

test('a link belongs to the first class of the tree that fits it', () => {
  const steady = Array.from({ length: 60 }, () => 8e6);
  assert.equal(mergedClassOf(linkWith(steady)), 'stable|jittery');
  assert.equal(mergedClassOf(linkWith(steady, { lossRatio: 0.02 })), 'lossy|long|volatile');
  assert.equal(mergedClassOf(linkWith(steady, { rttMs: 200 })), 'lossy|long|volatile');
  const swinging = steady.map((_, index) => (index % 4 < 2 ? 5e6 : 1.5e6));
  assert.equal(mergedClassOf(linkWith(swinging)), 'lossy|long|volatile');
  const slow = steady.map((_, index) => (index % 4 === 0 ? 0.5e6 : 2e6));
  assert.equal(mergedClassOf(linkWith(slow)), 'constrained|outage');
  const broken = steady.map((rate, index) => (index === 30 ? 0 : rate));
  assert.equal(mergedClassOf(linkWith(broken)), 'constrained|outage');
});

test('what the ladder cannot use does not make a link volatile', () => {
  const fast = Array.from({ length: 60 }, (_, index) => (index % 2 === 0 ? 100e6 : 10e6));
  assert.equal(mergedClassOf(linkWith(fast)), 'stable|jittery');
});

test('a source holds links of its part and its class alone, real and synthetic apart', () => {
  const made = syntheticTraces('search', 4, 1);
  const real = made.map((trace) => ({ ...trace, id: `real/${trace.id}` }));
  const traces = [...real, ...made, ...syntheticTraces('validation', 4, 1)];
  const options = { networkClass: 'stable|jittery', split: 'search', seeds: [1, 2], isRandomised: true } as const;
  const source = sourceOf(traces, options);
  assert.ok(source.real.length > 0 && source.synthetic.length > 0);
  for (const [kind, draws] of Object.entries(source)) {
    for (const { traceIndex, seed } of draws) {
      const trace = traces[traceIndex]!;
      assert.equal(trace.split, 'search');
      assert.equal(isSynthetic(trace), kind === 'synthetic');
      assert.equal(mergedClassOf(randomise(trace, seed)), 'stable|jittery');
    }
  }
  const everything = sourceOf(traces, { ...options, networkClass: 'all' });
  const tooSlow = traces.filter(({ isInfeasible }) => isInfeasible).length;
  assert.ok(tooSlow > 0);
  assert.ok([...everything.real, ...everything.synthetic].every(({ traceIndex }) => !traces[traceIndex]!.isInfeasible));
});

test('each trace is drawn once before any comes twice', () => {
  const draws: Draw[] = [0, 1, 2, 3, 4].flatMap((traceIndex) => [1, 2, 3].map((seed) => ({ traceIndex, seed })));
  const source = { real: draws, synthetic: [] };
  for (let round = 0; round < 20; round += 1) {
    const stream = new RandomStream(1, `round/${round}`);
    const drawn = drawEpisodes(source, { count: 10, durationMs: 1_000, syntheticRatio: 0.3, stream });
    const counts = Map.groupBy(drawn, ({ traceIndex }) => traceIndex);
    assert.deepEqual(
      [...counts.values()].map((list) => list.length),
      [2, 2, 2, 2, 2],
    );
  }
  const stream = new RandomStream(1, 'many');
  assert.equal(drawEpisodes(source, { count: 40, durationMs: 1_000, syntheticRatio: 0, stream }).length, 40);
  assert.deepEqual(
    drawEpisodes({ real: [], synthetic: [] }, { count: 4, durationMs: 1, syntheticRatio: 0.5, stream }),
    [],
  );
});

test('an episode of the simulator is the same each time, and hears its parameters, its λ and its world', () => {
  const traces = syntheticTraces('search', 1, 1);
  const episode = { traceIndex: 1, seed: 3, durationMs: 12_000, isRandomised: true };
  const job = { episode, parameters: {}, smoothnessRatio: 0.5 };
  const outcome = playEpisode(job, traces);
  assert.deepEqual(playEpisode(job, traces), outcome);
  assert.ok(Object.values(outcome).every(Number.isFinite));
  assert.ok(outcome.estimateBps > 100_000 && outcome.playoutDelayMs >= 20);
  assert.notDeepEqual(playEpisode({ ...job, parameters: { playoutMinMs: 150, safetyRatio: 0.6 } }, traces), outcome);
  assert.notEqual(playEpisode({ ...job, smoothnessRatio: 0 }, traces).utility, outcome.utility);
  const plain = playEpisode({ ...job, episode: { ...episode, isRandomised: false } }, traces);
  assert.notDeepEqual(plain, outcome);
  assert.throws(() => playEpisode({ ...job, episode: { ...episode, traceIndex: 99 } }, traces), /no trace 99/);
});
