/** Objective, halving and the search around them, on outcomes that are made up. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { encode } from '../../../server/congestion/learned/coding.ts';
import type { Parameters } from '../../../server/congestion/parameters.ts';
import { PARAMETER_RANGES } from '../../../server/congestion/parameters.ts';
import { RandomStream } from '../../latency/link/random-streams.ts';
import type { EpisodeJob, Outcome } from '../../learn/episode.ts';
import { climbersOf, rankingOf, RUNGS, widened } from '../../learn/halving.ts';
import { objectiveOf, tailMean } from '../../learn/objective.ts';
import type { Play, SearchOptions, SearchState } from '../../learn/search.ts';
import { beginSearch, playFinal, playGeneration } from '../../learn/search.ts';
import { OUTCOME } from '../../support/learn-outcome.ts';

const near = (actual: number, expected: number): void =>
  assert.ok(Math.abs(actual - expected) < 1e-12, `${actual} for ${expected}`);

const some = (count: number, changes: (index: number) => Partial<Outcome> = () => ({})): Outcome[] =>
  Array.from({ length: count }, (_, index) => ({ ...OUTCOME, ...changes(index) }));

test('what does as the defaults do is worth nothing', () => {
  assert.equal(objectiveOf(some(6), some(6)).value, 0);
});

test('a gain of utility counts as it is, with the same luck on both sides', () => {
  const luck = (index: number): number => 0.1 * index;
  const defaults = some(5, (index) => ({ utility: luck(index) }));
  near(
    objectiveOf(
      some(5, (index) => ({ utility: luck(index) + 0.03 })),
      defaults,
    ).value,
    0.03,
  );
});

test('stall beyond the defaults costs twelve times itself beside its utility, stall that is spared earns as much', () => {
  near(
    objectiveOf(
      some(4, () => ({ stallRatio: 0.013 })),
      some(4),
    ).stallPenalty,
    12 * 0.003,
  );
  near(
    objectiveOf(
      some(4, () => ({ stallRatio: 0.002 })),
      some(4),
    ).value,
    12 * 0.008,
  );
});

test('a worse tail costs half of what it is worse by; a better one earns nothing', () => {
  const worse = objectiveOf(
    some(20, (index) => ({ stallRatio: index < 2 ? 0.21 : 0.01 })),
    some(20),
  );
  near(worse.tailPenalty, 0.5 * 0.2);
  assert.equal(
    objectiveOf(
      some(20, () => ({ stallRatio: 0 })),
      some(20),
    ).tailPenalty,
    0,
  );
});

test('quality may fall by two hundredths and no more, probes may take a twentieth and no more', () => {
  assert.equal(
    objectiveOf(
      some(4, () => ({ qualityRatio: 0.781 })),
      some(4),
    ).value,
    0,
  );
  near(
    objectiveOf(
      some(4, () => ({ qualityRatio: 0.77 })),
      some(4),
    ).qualityPenalty,
    0.05,
  );
  near(
    objectiveOf(
      some(4, () => ({ probeRatio: 0.08 })),
      some(4),
    ).probePenalty,
    0.06,
  );
});

test('outcomes of other episodes than the defaults had are refused', () => {
  assert.throws(() => objectiveOf(some(3), some(4)), TypeError);
  assert.throws(() => objectiveOf([], []), TypeError);
});

test('the tail is the mean of the worst tenth, of a part of a value too, and the worst of a few', () => {
  near(tailMean([0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), 1);
  near(tailMean(Array.from({ length: 15 }, (_, index) => index)), (14 + 0.5 * 13) / 1.5);
  near(tailMean([3, 1, 2]), 3);
});

test('candidates rank by the rung they reached, then by the value there', () => {
  const climb = [[9], [5, 1], [6, 2, -3], [8, 4], [7]];
  assert.deepEqual(rankingOf(climb), [2, 3, 1, 0, 4]);
  assert.deepEqual(rankingOf([[Number.NaN], [1], [Number.NaN]]), [1, 0, 2]);
});

test('the best of a rung go on to the next, as many as it takes', () => {
  const rungs = [
    { candidateCount: 5, episodeCount: 1, durationMs: 1 },
    { candidateCount: 2, episodeCount: 1, durationMs: 1 },
    { candidateCount: 1, episodeCount: 1, durationMs: 1 },
  ];
  const empty = [[], [], [], [], []];
  assert.deepEqual(climbersOf(empty, 0, rungs), [0, 1, 2, 3, 4]);
  assert.deepEqual(climbersOf([[1], [3], [2], [5], [4]], 1, rungs), [3, 4]);
  assert.deepEqual(climbersOf([[1], [3], [2], [5, 1], [4, 2]], 2, rungs), [4]);
});

test('wider rungs have the same candidates on more episodes', () => {
  assert.deepEqual(
    widened(RUNGS, 2.5).map(({ candidateCount, episodeCount }) => [candidateCount, episodeCount]),
    [
      [16, 30],
      [4, 40],
      [1, 80],
    ],
  );
});

const NAMES: readonly (keyof Parameters)[] = ['paceRatio', 'safetyRatio', 'burstMaxMs', 'playoutMaxMs'];
const TARGET = [0.2, 0.35, 0.8, 0.6];
const OPTIONS: SearchOptions = {
  seed: 11,
  smoothnessRatio: 0.5,
  names: NAMES,
  rungs: [
    { candidateCount: 12, episodeCount: 4, durationMs: 30_000 },
    { candidateCount: 3, episodeCount: 6, durationMs: 60_000 },
    { candidateCount: 1, episodeCount: 8, durationMs: 120_000 },
  ],
  sigmaStart: 0.25,
  sigmaMin: 0.01,
  generationMaxCount: 25,
  patienceCount: 12,
  restartMaxCount: 2,
  syntheticRatio: 0.5,
};
const SOURCE = {
  real: Array.from({ length: 10 }, (_, traceIndex) => ({ traceIndex, seed: 1 })),
  synthetic: Array.from({ length: 10 }, (_, index) => ({ traceIndex: 10 + index, seed: 2 })),
};

/** Utility falls with the distance from `TARGET`, by more on some links, and each link has its luck. */
const playMadeUp = ({ episode, parameters }: EpisodeJob): Outcome => {
  const weight = 0.5 + new RandomStream(episode.seed, `weight/${episode.traceIndex}`).ratio(0);
  const luck = new RandomStream(episode.seed, `luck/${episode.traceIndex}`).normal(0);
  const distance = NAMES.reduce((sum, name, index) => {
    const value = parameters[name] ?? PARAMETER_RANGES[name].default;
    return sum + (encode(name, value) - TARGET[index]!) ** 2;
  }, 0);
  return { ...OUTCOME, utility: 0.6 - weight * distance + luck };
};

const drive = <Result>(play: Play<Result>, onJobs: (jobs: EpisodeJob[]) => void = () => undefined): Result => {
  let step = play.next();
  while (step.done !== true) {
    onJobs(step.value);
    step = play.next(step.value.map(playMadeUp));
  }
  return step.value;
};

const searchOf = (
  options: SearchOptions,
  between: (state: SearchState) => SearchState = (state) => state,
): SearchState => {
  let state = beginSearch(options);
  for (let round = 0; !state.isFinished && round < 500; round += 1) {
    state = between(drive(playGeneration(state, options, SOURCE)));
  }
  return state;
};

test('the search comes near the best place, ends by itself, and its final picks what is best there', () => {
  const state = searchOf(OPTIONS);
  assert.ok(state.isFinished);
  assert.equal(state.finalists.length, 2 * OPTIONS.restartMaxCount);
  const winner = drive(playFinal(state, OPTIONS, { source: SOURCE, episodeCount: 20, durationMs: 60_000 }));
  assert.ok(winner !== undefined);
  winner.coordinates.forEach((coordinate, index) => {
    assert.ok(Math.abs(coordinate - TARGET[index]!) < 0.05, `${NAMES[index]}: ${coordinate}`);
  });
});

test('where nothing beats the defaults there is no winner', () => {
  const flat = playFinal(searchOf(OPTIONS), OPTIONS, { source: SOURCE, episodeCount: 4, durationMs: 60_000 });
  const jobs = flat.next().value as EpisodeJob[];
  const worse = jobs.map(({ parameters }) => ({ ...OUTCOME, utility: Object.keys(parameters).length === 0 ? 1 : 0.9 }));
  assert.deepEqual(flat.next(worse), { done: true, value: undefined });
});

test('a search that was stopped after each generation ends as one that was not', () => {
  const reread = (state: SearchState): SearchState => JSON.parse(JSON.stringify(state)) as SearchState;
  assert.deepEqual(reread(searchOf(OPTIONS, reread)), reread(searchOf(OPTIONS)));
});

test('all candidates of a rung and the defaults meet the same links with the same luck, and the highest rung never changes', () => {
  const highest: string[] = [];
  const lowest: string[] = [];
  let state = beginSearch(OPTIONS);
  for (let generation = 0; generation < 3; generation += 1) {
    state = drive(playGeneration(state, OPTIONS, SOURCE), (jobs) => {
      const byVector = Map.groupBy(jobs, ({ parameters }) => JSON.stringify(parameters));
      const lists = [...byVector.values()].map((list) => JSON.stringify(list.map(({ episode }) => episode)));
      assert.ok(byVector.has('{}'));
      assert.equal(new Set(lists).size, 1);
      const { durationMs } = jobs[0]!.episode;
      if (durationMs === 120_000) {
        highest.push(lists[0]!);
      } else if (durationMs === 30_000) {
        lowest.push(lists[0]!);
      }
    });
  }
  assert.equal(new Set(highest).size, 1);
  assert.equal(new Set(lowest).size, 3);
});

test('half of the episodes are synthetic when half is wanted, all where there are no others', () => {
  const seen: EpisodeJob[] = [];
  drive(playGeneration(beginSearch(OPTIONS), OPTIONS, SOURCE), (jobs) => seen.push(...jobs));
  const synthetic = seen.filter(({ episode }) => episode.traceIndex >= 10).length;
  assert.equal(synthetic, seen.length / 2);
  const alone: EpisodeJob[] = [];
  drive(playGeneration(beginSearch(OPTIONS), OPTIONS, { ...SOURCE, real: [] }), (jobs) => alone.push(...jobs));
  assert.ok(alone.every(({ episode }) => episode.traceIndex >= 10));
});

test('a start without a better vector for its patience ends, and the next begins elsewhere', () => {
  const options = { ...OPTIONS, patienceCount: 3, restartMaxCount: 3 };
  const starts: string[] = [];
  let state = beginSearch(options);
  let generationCount = 0;
  while (!state.isFinished) {
    if (state.cma.generation === 0) {
      starts.push(state.cma.mean.map((value) => value.toFixed(4)).join(' '));
    }
    generationCount += 1;
    const play = playGeneration(state, options, SOURCE);
    let step = play.next();
    while (step.done !== true) {
      step = play.next(step.value.map(() => OUTCOME));
    }
    state = step.value;
  }
  // One that is best since nothing was before, and three that are no better.
  assert.equal(generationCount, 3 * 4);
  assert.equal(new Set(starts).size, 3);
});
