/** Networks that the search never saw, for a learner that begins with beliefs from others. Drawn by counters; the same for the same seed. */
import type { CapacityStep } from '../latency/link/capacity.ts';
import { RandomStream } from '../latency/link/random-streams.ts';
import { LADDER_DEFAULT } from '../sim/ladder-source.ts';
import type { World } from './randomise.ts';

/**
 * `turns`: a crowded cell that serves its phones in turns, a burst at several times the mean and then nothing for a fifth of a second. A train of
 * packets sees the burst, not the mean. `handovers`: a train or a car, nothing for half a second every few seconds.
 */
export type NewNetwork = 'turns' | 'handovers';

const DURATION_MS = 120_000;
const MEAN_BPS = { least: 1_200_000, most: 5_000_000 };
const RTT_MS = { least: 20, most: 80 };
const QUEUE_MS = { least: 200, most: 800 };
const LOSS_RATIO = 0.002;
const DECODE_MS: readonly number[] = [2, 3, 4, 6];

export const newNetwork = (kind: NewNetwork, seed: number): World => {
  const stream = new RandomStream(seed, `network/${kind}`);
  let counter = 0;
  const ratio = (): number => {
    counter += 1;
    return stream.ratio(counter);
  };
  const evenly = ({ least, most }: { least: number; most: number }): number => least * (most / least) ** ratio();
  const meanBps = evenly(MEAN_BPS);
  const oneWayMs = evenly(RTT_MS) / 2;
  const queueMaxBytes = Math.round((meanBps * evenly(QUEUE_MS)) / 8_000);
  const way = { delayMs: oneWayMs, lossRatio: LOSS_RATIO, reorderRatio: 0, reorderMaxCount: 3 };
  return {
    down: {
      ...way,
      capacity: { steps: stepsOf(kind, meanBps, ratio), isLooped: true },
      queueMaxBytes,
      jitterMs: 2 + 6 * ratio(),
      lossBurstCount: 2,
    },
    up: { ...way, capacity: undefined, queueMaxBytes: Infinity, jitterMs: 2, lossBurstCount: undefined },
    feedbackEveryMs: 50 + 100 * ratio(),
    ladder: LADDER_DEFAULT,
    decodeMs: DECODE_MS,
  };
};

const stepsOf = (kind: NewNetwork, meanBps: number, ratio: () => number): CapacityStep[] => {
  const steps: CapacityStep[] = [];
  for (let atMs = 0; atMs < DURATION_MS;) {
    const [servedMs, silentMs, rateBps] = kind === 'turns' ? turn(meanBps, ratio) : ride(meanBps, ratio);
    steps.push({ durationMs: servedMs, rateBps }, { durationMs: silentMs, rateBps: 0 });
    atMs += servedMs + silentMs;
  }
  return steps;
};

const turn = (meanBps: number, ratio: () => number): [number, number, number] => {
  const cycleMs = 120 + 240 * ratio();
  const servedRatio = 0.2 + 0.2 * ratio();
  return [cycleMs * servedRatio, cycleMs * (1 - servedRatio), (meanBps / servedRatio) * (0.7 + 0.6 * ratio())];
};

const ride = (meanBps: number, ratio: () => number): [number, number, number] => [
  2_500 + 4_000 * ratio(),
  200 + 350 * ratio(),
  1.5 * meanBps * (0.6 + 0.8 * ratio()),
];
