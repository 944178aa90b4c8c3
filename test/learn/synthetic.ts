/**
 * Traces made up per kind of network, so that the search works with no corpus and clings less to one: a continuous-time Markov chain over states
 * of the channel, within each state a log-normal first-order autoregression. Seeded; the same trace type as the corpus gives.
 *
 * Levels, dwell times and spreads were set so that the spread of the logarithm of one-second means, its correlation from second to second and
 * the share of time under a quarter of the mean come near those of the search part of the corpus (README); satellite, of which that part has
 * none, from what is published of Starlink's fifteen-second slots.
 */
import type { CapacityStep } from '../latency/link/capacity.ts';
import { RandomStream } from '../latency/link/random-streams.ts';
import type { SplitName, Trace } from '../sim/corpus.ts';
import { isTooSlow } from '../sim/corpus.ts';

type ChannelState = {
  /** Of the good state's rate. */
  readonly levelRatio: number;
  readonly dwellMeanS: number;
  /** Chance to be the next one, among the others. */
  readonly weight: number;
};

type Channel = {
  readonly states: readonly ChannelState[];
  /** Spread of the logarithm within a state. */
  readonly sigma: number;
  /** Mean of a trace, drawn evenly in the logarithm. */
  readonly meanBps: readonly [number, number];
};

const state = (levelRatio: number, dwellMeanS: number, weight: number): ChannelState => ({
  levelRatio,
  dwellMeanS,
  weight,
});

const CHANNELS: Readonly<Record<string, Channel>> = {
  wifi: { states: [state(1, 20, 4), state(0.6, 5, 3), state(0.3, 1.5, 1)], sigma: 0.2, meanBps: [3e6, 25e6] },
  '3g': { states: [state(1, 25, 5), state(0.45, 12, 4), state(0.02, 1.5, 1)], sigma: 0.3, meanBps: [0.7e6, 7e6] },
  '4g': {
    states: [state(1, 20, 5), state(0.45, 10, 5), state(0.12, 4, 2), state(0.01, 1, 1)],
    sigma: 0.3,
    meanBps: [2e6, 60e6],
  },
  '5g': {
    states: [state(1, 15, 4), state(0.35, 10, 4), state(0.07, 4, 2), state(0.005, 1, 1)],
    sigma: 0.25,
    meanBps: [6e6, 150e6],
  },
  fixed: { states: [state(1, 120, 1), state(0.75, 15, 1)], sigma: 0.06, meanBps: [0.9e6, 12e6] },
  satellite: {
    states: [state(1, 13, 5), state(0.7, 13, 4), state(0.25, 1, 2), state(0.01, 0.8, 1)],
    sigma: 0.25,
    meanBps: [8e6, 200e6],
  },
  mixed: {
    states: [state(1, 8, 4), state(0.45, 6, 4), state(0.1, 4, 3), state(0.005, 1.5, 1)],
    sigma: 0.4,
    meanBps: [0.9e6, 6e6],
  },
};

const STEP_MS = 500;
const DURATION_MS = 240_000;
/** Kept of the spread from step to step. */
const KEPT = 0.8;
/** Far from the chain's own draws, so that a change of state more or less does not shift the variation. */
const NOISE_FIRST = 1 << 20;
const ID_PREFIX = 'synthetic';

export const isSynthetic = (trace: Trace): boolean => trace.id.startsWith(`${ID_PREFIX}/`);

/** `countPerClass` of each kind. Parts never share a trace: the part's name is in the seed. */
export const syntheticTraces = (split: SplitName, countPerClass: number, seed: number): Trace[] =>
  Object.entries(CHANNELS).flatMap(([networkClass, channel]) =>
    Array.from({ length: countPerClass }, (_, index) => {
      const id = `${ID_PREFIX}/${split}/${networkClass}-${index}`;
      return toTrace(id, { networkClass, split, channel }, new RandomStream(seed, id));
    }),
  );

const toTrace = (
  id: string,
  { networkClass, split, channel }: { networkClass: string; split: SplitName; channel: Channel },
  draws: RandomStream,
): Trace => {
  const [low, high] = channel.meanBps;
  const meanBps = low * (high / low) ** draws.ratio(0);
  const levels = levelsOf(channel, draws);
  const levelMean = levels.reduce((sum, level) => sum + level, 0) / levels.length;
  const steps: CapacityStep[] = levels.map((level) => ({
    durationMs: STEP_MS,
    rateBps: Math.round((meanBps * level) / levelMean),
  }));
  return { id, file: '', networkClass, group: id, split, steps, meanBps, isInfeasible: isTooSlow(steps) };
};

/** One a step: the state's, averaged over the step where it changes within, times the variation. */
const levelsOf = ({ states, sigma }: Channel, draws: RandomStream): number[] => {
  const count = DURATION_MS / STEP_MS;
  const levels: number[] = [];
  let counter = 1;
  const next = (): number => {
    counter += 1;
    return draws.ratio(counter);
  };
  let current = pickState(states, undefined, next());
  let leftMs = dwellMs(current, next());
  let variation = 0;
  const innovation = Math.sqrt(1 - KEPT * KEPT);
  for (let index = 0; index < count; index += 1) {
    let stepLeftMs = STEP_MS;
    let sum = 0;
    while (stepLeftMs > 0) {
      const usedMs = Math.min(stepLeftMs, leftMs);
      sum += current.levelRatio * usedMs;
      stepLeftMs -= usedMs;
      leftMs -= usedMs;
      if (leftMs <= 0) {
        current = pickState(states, current, next());
        leftMs = dwellMs(current, next());
      }
    }
    variation = KEPT * variation + innovation * draws.normal(NOISE_FIRST + index);
    levels.push((sum / STEP_MS) * Math.exp(sigma * variation));
  }
  return levels;
};

const dwellMs = ({ dwellMeanS }: ChannelState, ratio: number): number =>
  Math.max(1, -1000 * dwellMeanS * Math.log(1 - ratio));

const pickState = (states: readonly ChannelState[], from: ChannelState | undefined, ratio: number): ChannelState => {
  const others = states.filter((other) => other !== from);
  const total = others.reduce((sum, { weight }) => sum + weight, 0);
  let left = ratio * total;
  for (const other of others) {
    left -= other.weight;
    if (left < 0) {
      return other;
    }
  }
  return others.at(-1) ?? states[0]!;
};
