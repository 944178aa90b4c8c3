/**
 * Domain randomisation: what a recording and its class say about a link, shaken within what networks and devices do, so that no vector is
 * fitted to the simulator's own habits. The same for the same seed, whoever is sent over it.
 */
import type { LinkModelOptions } from '../latency/link/link-model.ts';
import type { CapacityStep } from '../latency/link/capacity.ts';
import { RandomStream } from '../latency/link/random-streams.ts';
import type { Trace, TraceLink } from '../sim/corpus.ts';
import { linkOf } from '../sim/corpus.ts';
import type { LadderOptions } from '../sim/ladder-source.ts';
import { LADDER_DEFAULT } from '../sim/ladder-source.ts';

/** A link, the encoder before it and the device behind it. */
export type World = TraceLink & { readonly ladder: LadderOptions; readonly decodeMs: readonly number[] };

/** Times what the class has. */
const QUEUE_FACTOR: Span = [0.4, 2.5];
const LOSS_FACTOR: Span = [0.3, 3];
const LOSS_MAX_RATIO = 0.05;
/** One link in so many loses packets one by one, one in as many none at all. */
const INDEPENDENT_RATIO = 0.25;
const LOSSLESS_RATIO = 0.15;
const LOSS_BURST_COUNT: Span = [1.3, 8];
const KEYFRAME_FACTOR: Span = [3, 8];
/**
 * Median decode time of the top rung. The server's receiver twin believes in 10 ms whatever the device, so this is also what CONGESTION 4.3
 * calls the twin's bias.
 */
const DECODE_TOP_MS: Span = [2, 20];
/** Of the top rung's. */
const DECODE_SHARES = [0.35, 0.5, 0.7, 1];

type Span = readonly [number, number];

export const randomise = (trace: Trace, seed: number): World => {
  const draws = new RandomStream(seed, `randomise/${trace.id}`);
  const between = ([low, high]: Span, counter: number): number => low * (high / low) ** draws.ratio(counter);
  const begun = { ...trace, steps: rotate(trace.steps, draws.ratio(0)) };
  const link = linkOf(begun, seed);
  const decodeTopMs = between(DECODE_TOP_MS, 1);
  const keyframeFactor = between(KEYFRAME_FACTOR, 6);
  return {
    ...link,
    down: {
      ...link.down,
      queueMaxBytes: Math.round(link.down.queueMaxBytes * between(QUEUE_FACTOR, 2)),
      ...lossOf(link.down, draws.ratio(3), between(LOSS_FACTOR, 4), between(LOSS_BURST_COUNT, 5)),
    },
    ladder: { ...LADDER_DEFAULT, rungs: LADDER_DEFAULT.rungs.map((rung) => ({ ...rung, keyframeFactor })) },
    decodeMs: DECODE_SHARES.map((share) => share * decodeTopMs),
  };
};

type Loss = Pick<LinkModelOptions, 'lossRatio' | 'lossBurstCount'>;

const lossOf = (down: Loss, kind: number, factor: number, burstCount: number): Loss => {
  if (kind < LOSSLESS_RATIO) {
    return { lossRatio: 0, lossBurstCount: undefined };
  }
  const lossRatio = Math.min(LOSS_MAX_RATIO, down.lossRatio * factor);
  return { lossRatio, lossBurstCount: kind < LOSSLESS_RATIO + INDEPENDENT_RATIO ? undefined : burstCount };
};

/** Short sessions would else see nothing but the first half minute of each recording. */
const rotate = (steps: readonly CapacityStep[], ratio: number): CapacityStep[] => {
  const first = Math.floor(ratio * steps.length);
  return [...steps.slice(first), ...steps.slice(0, first)];
};
