/** One run of the search from traces to a verdict: generations until they or the time are over, the final, the tables on links as they are. */
import { Worker } from 'node:worker_threads';
import type { PolicyClass } from '../../server/congestion/learned/policy.ts';
import { decodeAll } from '../../server/congestion/learned/coding.ts';
import type { Parameters } from '../../server/congestion/parameters.ts';
import type { SplitName, Trace } from '../sim/corpus.ts';
import { spreadOf } from './cma-es.ts';
import type { Comparison, TableName, Tables } from './comparison.ts';
import { compareOutcomes } from './comparison.ts';
import { DefaultsMemo } from './defaults-memo.ts';
import type { Draw } from './episode-source.ts';
import { sourceOf } from './episode-source.ts';
import type { EpisodeJob, Outcome } from './episode.ts';
import { Pool } from './pool.ts';
import type { Standing } from './progress.ts';
import type { Elite, Play, SearchOptions, SearchState } from './search.ts';
import { beginSearch, playFinal, playGeneration } from './search.ts';

export type RunOptions = {
  readonly networkClass: PolicyClass;
  readonly search: SearchOptions;
  /** Searching stops early enough for the rest to fit in; Infinity: generations alone end it. */
  readonly runMaxMs: number;
  /** What the finalists are told apart by. */
  readonly final: { readonly episodeCount: number; readonly durationMs: number };
  readonly tableSessionMs: number;
  readonly workerCount: number;
  /** 19 lets all other work go first. */
  readonly workerNiceness: number;
};

export type RunEvents = {
  readonly tell: (line: string) => void;
  readonly onProgress: (standing: Standing) => void;
  /** After each generation, before the next one begins. */
  readonly onState: (state: SearchState) => Promise<void>;
};

export type RunResult = {
  readonly state: SearchState;
  readonly winner: Elite | undefined;
  readonly parameters: Partial<Parameters>;
  /** The winner's sessions on the search part's links, real ones where there are any. */
  readonly outcomes: readonly Outcome[];
  readonly tables: Tables;
};

/** Of links that are searched; those of the tables have others. */
export const SEARCH_SEEDS: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8];
export const TABLE_SEEDS: readonly number[] = [101, 102, 103];
const MEMO_MAX_COUNT = 1_000;

const WORKER = new URL('./worker.ts', import.meta.url);

export class LearnRun {
  readonly #traces: readonly Trace[];
  readonly #options: RunOptions;
  readonly #events: RunEvents;
  readonly #pool: Pool<EpisodeJob, Outcome>;
  readonly #memo = new DefaultsMemo(async (jobs) => this.#playTimed(jobs), MEMO_MAX_COUNT);
  #playedMs = 0;
  #startedAtMs = 0;

  constructor(traces: readonly Trace[], options: RunOptions, events: RunEvents) {
    this.#traces = traces;
    this.#options = options;
    this.#events = events;
    this.#pool = new Pool<EpisodeJob, Outcome>({
      workerCount: options.workerCount,
      createWorker: () =>
        new Worker(WORKER, {
          workerData: { traces, niceness: options.workerNiceness },
          execArgv: ['--disable-warning=ExperimentalWarning'],
        }),
      tell: events.tell,
    });
  }

  /** Goes on from `saved`. Rejects with `LEARN_POOL_CLOSED` after `stop`. */
  async run(saved: SearchState | undefined): Promise<RunResult> {
    const found = await this.find(saved);
    return found.winner === undefined
      ? { ...found, outcomes: [], tables: {} }
      : { ...found, ...(await this.judge(found.parameters)) };
  }

  /** Without the tables: `tableSessionMs` of 0 leaves the time for them to the search. */
  async find(saved: SearchState | undefined): Promise<Pick<RunResult, 'state' | 'winner' | 'parameters'>> {
    this.#startedAtMs = performance.now();
    const state = await this.#search(saved ?? beginSearch(this.#options.search));
    const { search } = this.#options;
    const source = this.#source('search');
    const winner = await this.#drive(playFinal(state, search, { source, ...this.#options.final }));
    const parameters = winner === undefined ? {} : decodeAll(search.names, winner.coordinates);
    return { state, winner, parameters };
  }

  /** Against the defaults on links as they are, whole sessions with the same luck; each part real and synthetic apart. */
  async judge(parameters: Partial<Parameters>): Promise<Pick<RunResult, 'outcomes' | 'tables'>> {
    const tables: Partial<Record<TableName, Comparison>> = {};
    let searched: readonly Outcome[] | undefined;
    for (const split of ['search', 'validation'] as const) {
      for (const kind of ['real', 'synthetic'] as const) {
        const table = await this.#table(split, kind, parameters);
        if (table !== undefined) {
          tables[`${split} ${kind}`] = table.comparison;
          searched ??= table.outcomes;
        }
      }
    }
    return { outcomes: searched ?? [], tables };
  }

  /** For a sensitivity table, outside of any search. */
  async play(jobs: readonly EpisodeJob[]): Promise<Outcome[]> {
    return this.#pool.run(jobs);
  }

  async stop(): Promise<void> {
    await this.#pool.close();
  }

  #source(split: SplitName): ReturnType<typeof sourceOf> {
    const { networkClass } = this.#options;
    return sourceOf(this.#traces, { networkClass, split, seeds: SEARCH_SEEDS, isRandomised: true });
  }

  async #search(from: SearchState): Promise<SearchState> {
    const { search } = this.#options;
    const source = this.#source('search');
    if (source.real.length + source.synthetic.length === 0) {
      throw new TypeError(`learn: no links of the class ${this.#options.networkClass}`);
    }
    let state = from;
    let generationMs = 0;
    while (!state.isFinished && this.#elapsedMs + generationMs < this.#options.runMaxMs - this.#reserveMs) {
      const startedAtMs = this.#elapsedMs;
      state = await this.#drive(playGeneration(state, search, source));
      generationMs = this.#elapsedMs - startedAtMs;
      await this.#events.onState(state);
      this.#events.onProgress(this.#standing(state, generationMs));
    }
    return state;
  }

  async #drive<Result>(play: Play<Result>): Promise<Result> {
    let step = play.next();
    while (step.done !== true) {
      step = play.next(await this.#memo.play(step.value));
    }
    return step.value;
  }

  async #playTimed(jobs: readonly EpisodeJob[]): Promise<Outcome[]> {
    const outcomes = await this.#pool.run(jobs);
    this.#playedMs += jobs.reduce((sum, { episode }) => sum + episode.durationMs, 0);
    return outcomes;
  }

  async #table(
    split: SplitName,
    kind: 'real' | 'synthetic',
    parameters: Partial<Parameters>,
  ): Promise<{ comparison: Comparison; outcomes: readonly Outcome[] } | undefined> {
    const draws = this.#tableDraws(split)[kind];
    if (draws.length === 0) {
      return undefined;
    }
    const { smoothnessRatio } = this.#options.search;
    const jobsOf = (some: Partial<Parameters>): EpisodeJob[] =>
      draws.map((draw) => ({
        episode: { ...draw, durationMs: this.#options.tableSessionMs, isRandomised: false },
        parameters: some,
        smoothnessRatio,
      }));
    this.#events.tell(`${split}, ${kind}: ${2 * draws.length} sessions …`);
    const learned = await this.#pool.run(jobsOf(parameters));
    const defaults = await this.#pool.run(jobsOf({}));
    const comparison = compareOutcomes(draws, this.#traces, { learned, defaults });
    return comparison === undefined ? undefined : { comparison, outcomes: learned };
  }

  #tableDraws(split: SplitName): { real: readonly Draw[]; synthetic: readonly Draw[] } {
    const { networkClass } = this.#options;
    return sourceOf(this.#traces, { networkClass, split, seeds: TABLE_SEEDS, isRandomised: false });
  }

  get #elapsedMs(): number {
    return performance.now() - this.#startedAtMs;
  }

  /** What final and tables will take at the speed seen so far. */
  get #reserveMs(): number {
    if (this.#playedMs === 0) {
      return 0;
    }
    const draws = [this.#tableDraws('search'), this.#tableDraws('validation')];
    const sessionCount = draws.reduce((sum, { real, synthetic }) => sum + 2 * (real.length + synthetic.length), 0);
    const { search, final } = this.#options;
    // Best and mean of each start, and the defaults.
    const finalistMaxCount = 2 * search.restartMaxCount + 1;
    const virtualMs =
      finalistMaxCount * final.episodeCount * final.durationMs + sessionCount * this.#options.tableSessionMs;
    return (virtualMs * this.#elapsedMs) / this.#playedMs;
  }

  #standing(state: SearchState, generationMs: number): Standing {
    const { restartMaxCount, generationMaxCount } = this.#options.search;
    const { runMaxMs } = this.#options;
    const toCome = (restartMaxCount - state.restartIndex) * generationMaxCount - state.cma.generation;
    const generationsLeftMs = toCome * generationMs + this.#reserveMs;
    const leftMs = state.isFinished ? this.#reserveMs : Math.min(generationsLeftMs, runMaxMs - this.#elapsedMs);
    return {
      restartIndex: state.restartIndex,
      restartMaxCount,
      generation: state.cma.generation,
      generationMaxCount,
      bestValue: state.best?.value,
      spread: spreadOf(state.cma),
      doneRatio: this.#elapsedMs / (this.#elapsedMs + Math.max(0, leftMs)),
      leftMs,
    };
  }
}
