/**
 * How a viewer shares a link (CONGESTION 7.5, nr 6): with a second of our own, with a download by CUBIC, with a ping. The same for the baseline,
 * to tell what is the controller's and what the link's.
 */
import type { LinkModelOptions } from '../latency/link/link-model.ts';
import type { Policy } from './policies.ts';
import { jainOf, runShared, type SharedOptions, type SharedResult } from './shared-run.ts';

export const FAIR_RATES_BPS: readonly number[] = [3_000_000, 6_000_000, 10_000_000];
export const JAIN_MIN = 0.8;

const RTT_MS = 40;
const QUEUE_MS = 250;
const QUEUES_MS: readonly number[] = [60, 250];
const GAPS_MS: readonly number[] = [0, 5_000, 30_000];
const CUBIC_GAP_MS = 20_000;
/** From so long after the last has come … */
const SETTLE_MS = 10_000;
/** … bytes and waits are counted for so long. */
const COUNTED_MS = 120_000;
const UP_LOSS_RATIO = 0.002;

export const fairLink = (rateBps: number, queueMs = QUEUE_MS): { down: LinkModelOptions; up: LinkModelOptions } => {
  const shared = { delayMs: RTT_MS / 2, lossBurstCount: undefined, reorderRatio: 0, reorderMaxCount: 3 };
  const capacity = { steps: [{ durationMs: 1_000, rateBps }], isLooped: true };
  return {
    down: { ...shared, capacity, queueMaxBytes: (rateBps * queueMs) / 8_000, jitterMs: 1, lossRatio: 0 },
    up: { ...shared, capacity: undefined, queueMaxBytes: Infinity, jitterMs: 0.5, lossRatio: UP_LOSS_RATIO },
  };
};

type Guests = Pick<SharedOptions, 'viewers' | 'cubicStartMs'>;

const share = (seed: number, link: ReturnType<typeof fairLink>, guests: Guests): SharedResult => {
  const startsMs = [guests.cubicStartMs ?? 0, ...guests.viewers.map(({ startMs = 0 }) => startMs)];
  const countFromMs = Math.max(...startsMs) + SETTLE_MS;
  return runShared({ seed, ...link, ...guests, countFromMs, durationMs: countFromMs + COUNTED_MS });
};

/** Two viewers by this policy; of one broadcast their keyframes come together. */
export const shareByTwo = (
  policy: Policy,
  run: { seed: number; rateBps: number; gapMs: number; isOneBroadcast: boolean },
): SharedResult => {
  const { seed, rateBps, gapMs, isOneBroadcast } = run;
  const viewers = [0, gapMs].map((startMs) => ({
    ...policy,
    startMs,
    ...(isOneBroadcast ? { broadcastSeed: seed } : {}),
  }));
  return share(seed, fairLink(rateBps), { viewers });
};

export const jainOfViewers = ({ viewers }: SharedResult): number =>
  jainOf(viewers.map(({ deliveredBytes }) => deliveredBytes));

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const p95Of = (rising: readonly number[]): number => rising[Math.floor(0.95 * rising.length)] ?? Number.NaN;
const megaOf = (bytes: number): string => ((bytes * 8) / COUNTED_MS / 1_000).toFixed(2);
const percent = (ratio: number, digits = 0): string => `${(100 * ratio).toFixed(digits)} %`;
const span = (values: readonly number[], tell: (value: number) => string): string =>
  `${tell(Math.min(...values))} … ${tell(Math.max(...values))}`;
const megabits = (rateBps: number): string => `${rateBps / 1e6} Mbit/s`.padStart(9);

const stallsOf = (results: readonly SharedResult[]): string =>
  percent(meanOf(results.flatMap(({ viewers }) => viewers.map(({ score }) => score.stallRatio))), 2);

const pingsOf = (results: readonly SharedResult[]): string =>
  span(
    results.map(({ pingAddedMs }) => p95Of(pingAddedMs)),
    (ms) => ms.toFixed(0),
  );

const tellTwo = (policy: Policy, seeds: readonly number[]): string[] =>
  FAIR_RATES_BPS.flatMap((rateBps) =>
    [false, true].flatMap((isOneBroadcast) =>
      GAPS_MS.map((gapMs) => {
        const results = seeds.map((seed) => shareByTwo(policy, { seed, rateBps, gapMs, isOneBroadcast }));
        const jains = results.map(jainOfViewers);
        const [first, second] = [0, 1].map((at) =>
          megaOf(meanOf(results.map(({ viewers }) => viewers[at]?.deliveredBytes ?? 0))),
        );
        return (
          `${megabits(rateBps)}, ${isOneBroadcast ? 'one broadcast ' : 'two broadcasts'}, second after ${`${gapMs / 1000}`.padStart(2)} s: ` +
          `Jain ${meanOf(jains).toFixed(2)} (least ${Math.min(...jains).toFixed(2)}), ${first} and ${second} Mbit/s, ` +
          `stall ${stallsOf(results)}, ping + ${pingsOf(results)} ms`
        );
      }),
    ),
  );

const tellCubic = (policy: Policy, seeds: readonly number[]): string[] =>
  FAIR_RATES_BPS.flatMap((rateBps) =>
    QUEUES_MS.flatMap((queueMs) =>
      [0, CUBIC_GAP_MS].map((cubicStartMs) => {
        const startMs = CUBIC_GAP_MS - cubicStartMs;
        const results = seeds.map((seed) =>
          share(seed, fairLink(rateBps, queueMs), { viewers: [{ ...policy, startMs }], cubicStartMs }),
        );
        const shares = results.map(
          ({ viewers, cubicBytes }) => viewers[0]!.deliveredBytes / (viewers[0]!.deliveredBytes + cubicBytes),
        );
        const own = megaOf(meanOf(results.map(({ viewers }) => viewers[0]!.deliveredBytes)));
        return (
          `${megabits(rateBps)}, queue ${`${queueMs}`.padStart(3)} ms, ${cubicStartMs === 0 ? 'CUBIC first' : 'CUBIC later'}: ` +
          `the viewer takes ${span(shares, (value) => percent(value))}, ${own} Mbit/s, stall ${stallsOf(results)}`
        );
      }),
    ),
  );

const tellAlone = (policy: Policy, seeds: readonly number[]): string[] =>
  FAIR_RATES_BPS.map((rateBps) => {
    const results = seeds.map((seed) => share(seed, fairLink(rateBps), { viewers: [policy] }));
    const own = megaOf(meanOf(results.map(({ viewers }) => viewers[0]!.deliveredBytes)));
    return `${megabits(rateBps)}: ping + ${pingsOf(results)} ms beside ${own} Mbit/s`;
  });

/** `seedCount` runs of each, with seeds far enough apart that no two share their luck. */
export const tellFairness = (policy: Policy, seed: number, seedCount: number): string[] => {
  const seeds = Array.from({ length: seedCount }, (_, index) => seed + 10 * index);
  return [
    `Round trip ${RTT_MS} ms, queue ${QUEUE_MS} ms where nothing else is said; ${seedCount} seeds, ${COUNTED_MS / 1000} s counted each, from ` +
      `${SETTLE_MS / 1000} s after the last has come; pings: p95 of what the queue adds, least … most of the seeds`,
    '',
    `${policy.name}: two viewers on one link`,
    ...tellTwo(policy, seeds),
    '',
    `${policy.name}: a viewer and a download by CUBIC`,
    ...tellCubic(policy, seeds),
    '',
    `${policy.name}: a viewer and a ping`,
    ...tellAlone(policy, seeds),
  ];
};
