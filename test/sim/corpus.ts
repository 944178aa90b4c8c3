/**
 * The traces of a corpus, split by their groups with a fixed hash, and made into links. Most were recorded in bins of half a second or more, and
 * none with losses or delays: what is missing is added by class from the seed, so results on them are semi-real.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { CapacityStep } from '../latency/link/capacity.ts';
import type { LinkModelOptions } from '../latency/link/link-model.ts';
import { RandomStream } from '../latency/link/random-streams.ts';
import { loadTrace } from '../latency/link/trace-file.ts';

export type SplitName = 'search' | 'validation' | 'test-a' | 'test-b';

export type Trace = {
  readonly id: string;
  readonly file: string;
  readonly networkClass: string;
  readonly group: string;
  readonly split: SplitName;
  readonly steps: readonly CapacityStep[];
  readonly meanBps: number;
  /** Less than 0.7 Mbit/s for more than 8 % of the time: no rendition fits, the right result is to degrade in grace. */
  readonly isInfeasible: boolean;
  /** Where the recording tells; drawn by class where it does not. */
  readonly measured?: { readonly rttMs: number; readonly lossRatio: number };
};

type ManifestEntry = {
  readonly id: string;
  readonly class: string;
  readonly direction: string;
  readonly file: string;
  readonly group: string;
};

const INFEASIBLE_BPS = 700_000;
const INFEASIBLE_RATIO = 0.08;
const SPLIT_ENDS: readonly (readonly [SplitName, number])[] = [
  ['search', 0.5],
  ['validation', 0.7],
  ['test-a', 0.85],
  ['test-b', 1],
];

/** FNV-1a of the group, in [0, 1): never by trace, never by window, and never changed. */
export const splitOf = (group: string): SplitName => {
  let hash = 0x811c9dc5;
  for (let index = 0; index < group.length; index += 1) {
    hash = Math.imul(hash ^ group.charCodeAt(index), 0x01000193) >>> 0;
  }
  const ratio = (hash ^ (hash >>> 15)) / 2 ** 32;
  const place = ratio < 0 ? ratio + 1 : ratio;
  return SPLIT_ENDS.find(([, end]) => place < end)?.[0] ?? 'test-b';
};

/** Downlink traces of these parts; undefined: there is no corpus. The others' files are not even opened. */
export const loadCorpus = async (tracesDir: string, splits: readonly SplitName[]): Promise<Trace[] | undefined> => {
  let manifest: { traces: ManifestEntry[] };
  try {
    manifest = JSON.parse(await readFile(path.join(tracesDir, 'manifest.json'), 'utf8')) as typeof manifest;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
  const traces: Trace[] = [];
  for (const entry of manifest.traces) {
    const split = splitOf(entry.group);
    if (entry.direction === 'down' && splits.includes(split)) {
      traces.push(toTrace(entry, split, await loadTrace(tracesDir, entry.file)));
    }
  }
  return traces;
};

export const toTrace = (
  entry: Pick<ManifestEntry, 'id' | 'file' | 'class' | 'group'>,
  split: SplitName,
  steps: readonly CapacityStep[],
): Trace => {
  const totalMs = steps.reduce((sum, { durationMs }) => sum + durationMs, 0);
  const bits = steps.reduce((sum, { durationMs, rateBps }) => sum + durationMs * rateBps, 0);
  return {
    id: entry.id,
    file: entry.file,
    networkClass: entry.class,
    group: entry.group,
    split,
    steps,
    meanBps: bits / totalMs,
    isInfeasible: isTooSlow(steps),
  };
};

/** No rendition fits for too much of the time. */
export const isTooSlow = (steps: readonly CapacityStep[]): boolean => {
  const totalMs = steps.reduce((sum, { durationMs }) => sum + durationMs, 0);
  const lowMs = steps.reduce((sum, { durationMs, rateBps }) => sum + (rateBps < INFEASIBLE_BPS ? durationMs : 0), 0);
  return lowMs / totalMs > INFEASIBLE_RATIO;
};

type ClassProfile = {
  readonly rttMs: readonly [number, number];
  readonly jitterMs: readonly [number, number];
  readonly lossRatio: readonly [number, number];
  readonly lossBurstCount: number;
  readonly queueMs: readonly [number, number];
  /** Spread of the logarithm of capacity within a recorded bin. */
  readonly variationSigma: number;
};

/** What the recordings leave out, from least to most; drawn evenly in the logarithm. */
const PROFILES: Readonly<Record<string, ClassProfile>> = {
  wifi: {
    rttMs: [10, 60],
    jitterMs: [1, 8],
    lossRatio: [0.0002, 0.01],
    lossBurstCount: 2,
    queueMs: [100, 600],
    variationSigma: 0.25,
  },
  '3g': {
    rttMs: [60, 160],
    jitterMs: [3, 15],
    lossRatio: [0.0002, 0.005],
    lossBurstCount: 3,
    queueMs: [300, 1000],
    variationSigma: 0.2,
  },
  '4g': {
    rttMs: [35, 100],
    jitterMs: [2, 10],
    lossRatio: [0.0002, 0.005],
    lossBurstCount: 3,
    queueMs: [200, 800],
    variationSigma: 0.2,
  },
  '5g': {
    rttMs: [20, 60],
    jitterMs: [1, 8],
    lossRatio: [0.0002, 0.003],
    lossBurstCount: 3,
    queueMs: [150, 600],
    variationSigma: 0.2,
  },
  fixed: {
    rttMs: [10, 60],
    jitterMs: [0.5, 3],
    lossRatio: [0.0001, 0.002],
    lossBurstCount: 1.5,
    queueMs: [60, 400],
    variationSigma: 0.05,
  },
  satellite: {
    rttMs: [40, 90],
    jitterMs: [2, 8],
    lossRatio: [0.002, 0.02],
    lossBurstCount: 5,
    queueMs: [80, 300],
    variationSigma: 0.15,
  },
  mixed: {
    rttMs: [15, 90],
    jitterMs: [1, 6],
    lossRatio: [0.0002, 0.005],
    lossBurstCount: 2,
    queueMs: [100, 500],
    variationSigma: 0.15,
  },
};
const PROFILE_DEFAULT = PROFILES['mixed']!;
const FINE_STEP_MS = 100;
const FINE_KEPT = 0.7;
const UP_LOSS_RATIO = 0.002;
const QUEUE_MIN_BYTES = 15_000;
/** Bytes at the mean of a very fast link would be a queue no device has. */
const QUEUE_MEAN_MAX_BPS = 20_000_000;

export type TraceLink = {
  readonly down: LinkModelOptions;
  readonly up: LinkModelOptions;
  readonly feedbackEveryMs: number;
};

/** The trace as a link, with what its class adds; the same for the same seed, whoever is sent over it. */
export const linkOf = (trace: Trace, seed: number): TraceLink => {
  const profile = PROFILES[trace.networkClass] ?? PROFILE_DEFAULT;
  const draws = new RandomStream(seed, `profile/${trace.id}`);
  const between = ([low, high]: readonly [number, number], counter: number): number =>
    low * (high / low) ** draws.ratio(counter);
  const oneWayMs = (trace.measured?.rttMs ?? between(profile.rttMs, 0)) / 2;
  const jitterMs = between(profile.jitterMs, 1);
  const lossRatio = trace.measured?.lossRatio ?? between(profile.lossRatio, 2);
  const queueMs = between(profile.queueMs, 3);
  const meanBps = Math.min(trace.meanBps, QUEUE_MEAN_MAX_BPS);
  return {
    down: {
      capacity: { steps: finer(trace, profile.variationSigma, seed), isLooped: true },
      queueMaxBytes: Math.max(QUEUE_MIN_BYTES, Math.round((meanBps * queueMs) / 8_000)),
      delayMs: oneWayMs,
      jitterMs,
      lossRatio,
      lossBurstCount: profile.lossBurstCount,
      reorderRatio: 0,
      reorderMaxCount: 3,
    },
    up: {
      capacity: undefined,
      queueMaxBytes: Infinity,
      delayMs: oneWayMs,
      jitterMs: jitterMs / 2,
      lossRatio: UP_LOSS_RATIO,
      lossBurstCount: undefined,
      reorderRatio: 0,
      reorderMaxCount: 3,
    },
    feedbackEveryMs: 50 + 100 * draws.ratio(4),
  };
};

/** Bins longer than a quarter second are cut into tenths that vary around the bin's mean and keep it. */
const finer = (trace: Trace, sigma: number, seed: number): CapacityStep[] => {
  const draws = new RandomStream(seed, `fine/${trace.id}`);
  const steps: CapacityStep[] = [];
  let state = 0;
  let counter = 0;
  for (const step of trace.steps) {
    const count = step.durationMs > 250 ? Math.round(step.durationMs / FINE_STEP_MS) : 1;
    const factors: number[] = [];
    for (let index = 0; index < count; index += 1) {
      state = FINE_KEPT * state + Math.sqrt(1 - FINE_KEPT * FINE_KEPT) * draws.normal(counter);
      counter += 1;
      factors.push(count === 1 ? 1 : Math.exp(sigma * state));
    }
    const mean = factors.reduce((sum, factor) => sum + factor, 0) / count;
    for (const factor of factors) {
      steps.push({ durationMs: step.durationMs / count, rateBps: (step.rateBps * factor) / mean });
    }
  }
  return steps;
};
