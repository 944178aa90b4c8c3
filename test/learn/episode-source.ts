/** Which episodes a search plays: links of one class, real and synthetic apart, drawn anew for each generation and the same for all its candidates. */
import type { PolicyClass } from '../../server/congestion/learned/policy.ts';
import type { RandomStream } from '../latency/link/random-streams.ts';
import type { SplitName, Trace, TraceLink } from '../sim/corpus.ts';
import { linkOf } from '../sim/corpus.ts';
import type { Episode } from './episode.ts';
import { mergedClassOf } from './link-class.ts';
import { randomise } from './randomise.ts';
import { isSynthetic } from './synthetic.ts';

/** A trace with the luck that makes it a link. */
export type Draw = { readonly traceIndex: number; readonly seed: number };

export type EpisodeSource = {
  readonly real: readonly Draw[];
  readonly synthetic: readonly Draw[];
};

export type SourceOptions = {
  readonly networkClass: PolicyClass;
  readonly split: SplitName;
  readonly seeds: readonly number[];
  readonly isRandomised: boolean;
};

/** Of all traces those of the part whose links are of the class; `all` leaves out what carries no rendition. */
export const sourceOf = (traces: readonly Trace[], options: SourceOptions): EpisodeSource => {
  const draws = traces.flatMap((trace, traceIndex) =>
    trace.split === options.split
      ? options.seeds.filter((seed) => isOfClass(trace, seed, options)).map((seed) => ({ traceIndex, seed }))
      : [],
  );
  return {
    real: draws.filter(({ traceIndex }) => !isSynthetic(traces[traceIndex]!)),
    synthetic: draws.filter(({ traceIndex }) => isSynthetic(traces[traceIndex]!)),
  };
};

const isOfClass = (trace: Trace, seed: number, { networkClass, isRandomised }: SourceOptions): boolean => {
  if (networkClass === 'all') {
    return !trace.isInfeasible;
  }
  const link: TraceLink = isRandomised ? randomise(trace, seed) : linkOf(trace, seed);
  return mergedClassOf(link) === networkClass;
};

/**
 * `count` of them, a part synthetic, each trace once before any comes twice. The same for the same stream; empty only where the source is.
 */
export const drawEpisodes = (
  source: EpisodeSource,
  options: { count: number; durationMs: number; syntheticRatio: number; stream: RandomStream },
): Episode[] => {
  const { count, durationMs, stream } = options;
  const wantedSynthetic = Math.round(count * options.syntheticRatio);
  const syntheticCount =
    source.real.length === 0 ? count : source.synthetic.length === 0 ? 0 : Math.min(count, wantedSynthetic);
  const picked = [
    ...pick(source.real, count - syntheticCount, (index) => stream.ratio(index)),
    ...pick(source.synthetic, syntheticCount, (index) => stream.ratio(SYNTHETIC_FIRST + index)),
  ];
  return picked.map((draw) => ({ ...draw, durationMs, isRandomised: true }));
};

const SYNTHETIC_FIRST = 1 << 20;

const pick = (draws: readonly Draw[], count: number, ratio: (index: number) => number): Draw[] => {
  const shuffled = draws
    .map((draw, index) => ({ draw, order: ratio(index) }))
    .sort((a, b) => a.order - b.order)
    .map(({ draw }) => draw);
  const timesUsed = new Map<number, number>();
  const inRounds = shuffled.map((draw, index) => {
    const round = timesUsed.get(draw.traceIndex) ?? 0;
    timesUsed.set(draw.traceIndex, round + 1);
    return { draw, round, index };
  });
  inRounds.sort((a, b) => a.round - b.round || a.index - b.index);
  return Array.from({ length: draws.length === 0 ? 0 : count }, (_, index) => inRounds[index % inRounds.length]!.draw);
};
