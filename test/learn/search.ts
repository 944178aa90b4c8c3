/**
 * The search as a state machine: a generation asks for episodes and is given their outcomes, and what it leaves is plain JSON. Who plays them,
 * where, and when it stops is not its business; stopped after any generation it goes on to the bit.
 */
import { decodeAll, encodeAll, reflect } from '../../server/congestion/learned/coding.ts';
import type { Parameters } from '../../server/congestion/parameters.ts';
import { RandomStream } from '../latency/link/random-streams.ts';
import type { CmaState } from './cma-es.ts';
import { ask, beginCma, spreadOf, tell } from './cma-es.ts';
import type { EpisodeSource } from './episode-source.ts';
import { drawEpisodes } from './episode-source.ts';
import type { Episode, EpisodeJob, Outcome } from './episode.ts';
import type { Rung } from './halving.ts';
import { climbersOf, rankingOf } from './halving.ts';
import { objectiveOf } from './objective.ts';

export type SearchOptions = {
  readonly seed: number;
  readonly smoothnessRatio: number;
  /** What is searched; everything else stays at its default. */
  readonly names: readonly (keyof Parameters)[];
  readonly rungs: readonly Rung[];
  readonly sigmaStart: number;
  /** A search narrower than this has ended. */
  readonly sigmaMin: number;
  readonly generationMaxCount: number;
  /** Generations without a better one on the highest rung. */
  readonly patienceCount: number;
  readonly restartMaxCount: number;
  readonly syntheticRatio: number;
};

export type Elite = { readonly coordinates: readonly number[]; readonly value: number };

export type SearchState = {
  readonly restartIndex: number;
  readonly cma: CmaState;
  /** Of this start. */
  readonly best: Elite | undefined;
  readonly bestGeneration: number;
  /** The best of each start that has ended, and the mean it ended with. */
  readonly finalists: readonly (readonly number[])[];
  readonly isFinished: boolean;
};

/** A batch of jobs out, their outcomes in. */
export type Play<Result> = Generator<EpisodeJob[], Result, readonly Outcome[]>;

export const beginSearch = (options: SearchOptions): SearchState => ({
  restartIndex: 0,
  cma: beginAt(encodeAll(options.names, {}), 0, options),
  best: undefined,
  bestGeneration: 0,
  finalists: [],
  isFinished: false,
});

export function* playGeneration(state: SearchState, options: SearchOptions, source: EpisodeSource): Play<SearchState> {
  const candidates = ask(state.cma).map((coordinates) => ({ coordinates, folded: coordinates.map(reflect) }));
  const climb: number[][] = candidates.map(() => []);
  for (const [rungIndex, rung] of options.rungs.entries()) {
    const episodes = drawEpisodes(source, { ...drawOf(state, options, rungIndex), ...countsOf(rung) });
    const climbers = climbersOf(climb, rungIndex, options.rungs);
    const values = yield* playVectors(
      climbers.map((candidate) => candidates[candidate]!.folded),
      episodes,
      options,
    );
    climbers.forEach((candidate, index) => climb[candidate]!.push(values[index]!));
  }
  const ranking = rankingOf(climb);
  const first = ranking[0]!;
  const top: Elite = { coordinates: candidates[first]!.folded, value: climb[first]!.at(-1)! };
  const isBetter = state.best === undefined || top.value > state.best.value;
  const cma = tell(
    state.cma,
    ranking.map((candidate) => candidates[candidate]!.coordinates),
  );
  const next = {
    ...state,
    cma,
    best: isBetter ? top : state.best,
    bestGeneration: isBetter ? cma.generation : state.bestGeneration,
  };
  return hasEnded(next, options) ? restart(next, options) : next;
}

/**
 * What the search leaves, told apart by more links than a generation has: the best and the mean of each start. Undefined where none beats
 * the defaults.
 */
export function* playFinal(
  state: SearchState,
  options: SearchOptions,
  final: { source: EpisodeSource; episodeCount: number; durationMs: number },
): Play<Elite | undefined> {
  const finalists = state.isFinished ? state.finalists : [...state.finalists, ...finalistsOf(state)];
  const episodes = drawEpisodes(final.source, {
    count: final.episodeCount,
    durationMs: final.durationMs,
    syntheticRatio: options.syntheticRatio,
    stream: new RandomStream(options.seed, 'episodes/final'),
  });
  const values = yield* playVectors(finalists, episodes, options);
  const best = rankingOf(values.map((value) => [value]))[0];
  return best === undefined || !(values[best]! > 0)
    ? undefined
    : { coordinates: finalists[best]!, value: values[best]! };
}

/** Objective of each vector over the defaults, all on the same episodes. */
function* playVectors(
  vectors: readonly (readonly number[])[],
  episodes: readonly Episode[],
  { names, smoothnessRatio }: SearchOptions,
): Play<number[]> {
  const candidates = [{}, ...vectors.map((coordinates) => decodeAll(names, coordinates))];
  const jobs = candidates.flatMap((parameters) =>
    episodes.map((episode) => ({ episode, parameters, smoothnessRatio })),
  );
  const outcomes = yield jobs;
  const [defaults = [], ...played] = candidates.map((_, index) =>
    outcomes.slice(index * episodes.length, (index + 1) * episodes.length),
  );
  return played.map((some) => objectiveOf(some, defaults).value);
}

const countsOf = ({ episodeCount, durationMs }: Rung): { count: number; durationMs: number } => ({
  count: episodeCount,
  durationMs,
});

/** The highest rung is the same for a whole search, so that its values can be compared; those below are drawn for each generation. */
const drawOf = (
  { restartIndex, cma }: SearchState,
  { seed, rungs, syntheticRatio }: SearchOptions,
  rungIndex: number,
): { syntheticRatio: number; stream: RandomStream } => {
  const isHighest = rungIndex === rungs.length - 1;
  const name = isHighest ? 'highest' : `${restartIndex}/${cma.generation}/${rungIndex}`;
  return { syntheticRatio, stream: new RandomStream(seed, `episodes/${name}`) };
};

const hasEnded = (state: SearchState, options: SearchOptions): boolean =>
  state.cma.generation >= options.generationMaxCount ||
  state.cma.generation - state.bestGeneration >= options.patienceCount ||
  spreadOf(state.cma) < options.sigmaMin;

const finalistsOf = ({ best, cma }: SearchState): (readonly number[])[] => [
  ...(best === undefined ? [] : [best.coordinates]),
  cma.mean.map(reflect),
];

/** From the defaults first, then from the best so far, then from anywhere. */
const restart = (state: SearchState, options: SearchOptions): SearchState => {
  const restartIndex = state.restartIndex + 1;
  const finalists = [...state.finalists, ...finalistsOf(state)];
  if (restartIndex >= options.restartMaxCount) {
    return { ...state, finalists, isFinished: true };
  }
  const anywhere = new RandomStream(options.seed, `start/${restartIndex}`);
  const start =
    restartIndex === 1
      ? (state.best?.coordinates ?? state.cma.mean.map(reflect))
      : options.names.map((_, index) => anywhere.ratio(index));
  return {
    restartIndex,
    cma: beginAt(start, restartIndex, options),
    best: undefined,
    bestGeneration: 0,
    finalists,
    isFinished: false,
  };
};

const beginAt = (mean: readonly number[], restartIndex: number, { seed, sigmaStart, rungs }: SearchOptions): CmaState =>
  beginCma({
    seed,
    name: `start-${restartIndex}`,
    mean,
    sigma: sigmaStart,
    candidateCount: rungs[0]?.candidateCount ?? 0,
  });
