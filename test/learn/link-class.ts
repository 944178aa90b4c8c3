/**
 * The class a link belongs to (the tree of CONGESTION 4.2), by what it is rather than by what a controller measures on it; merged into the
 * three kinds for which vectors are searched.
 */
import type { PolicyClass } from '../../server/congestion/learned/policy.ts';
import { LADDER_DEFAULT } from '../sim/ladder-source.ts';
import type { TraceLink } from '../sim/corpus.ts';

/** What the ladder cannot use is not seen: a link of 50 Mbit/s that loses half of it is stable. */
const SEEN_RATIO = 1.3;
const CONSTRAINED_RATIO = 1.5;
const LOW_QUANTILE = 0.2;
const SILENCE_MS = 700;
/** Less than one packet in a silence. */
const SILENT_BPS = (1_200 * 8_000) / SILENCE_MS;
const OUTAGE_EVERY_MS = 60_000;
const LOSSY_RATIO = 0.01;
const LONG_RTT_MS = 150;
const VOLATILE_CV = 0.35;
const BIN_MS = 1_000;

export const mergedClassOf = ({ down, up }: TraceLink): Exclude<PolicyClass, 'all'> => {
  const steps = down.capacity?.steps ?? [];
  const { rungs } = LADDER_DEFAULT;
  const seenMaxBps = SEEN_RATIO * (rungs.at(-1)?.bitrateBps ?? 0);
  const bins = binsOf(steps).map((bps) => Math.min(bps, seenMaxBps));
  const isConstrained = quantileOf(bins, LOW_QUANTILE) < CONSTRAINED_RATIO * (rungs[0]?.bitrateBps ?? 0);
  if (isConstrained || hasOutages(steps)) {
    return 'constrained|outage';
  }
  const isLossy = down.lossRatio > LOSSY_RATIO;
  const isLong = down.delayMs + up.delayMs > LONG_RTT_MS;
  return isLossy || isLong || variationOf(bins) > VOLATILE_CV ? 'lossy|long|volatile' : 'stable|jittery';
};

type Steps = NonNullable<TraceLink['down']['capacity']>['steps'];

/** Means of a second each. */
const binsOf = (steps: Steps): number[] => {
  const bins: number[] = [];
  let bits = 0;
  let leftMs = BIN_MS;
  for (const { durationMs, rateBps } of steps) {
    for (let stepLeftMs = durationMs; stepLeftMs > 0;) {
      const usedMs = Math.min(stepLeftMs, leftMs);
      bits += (usedMs * rateBps) / 1000;
      stepLeftMs -= usedMs;
      leftMs -= usedMs;
      if (leftMs <= 0) {
        bins.push((bits * 1000) / BIN_MS);
        bits = 0;
        leftMs = BIN_MS;
      }
    }
  }
  return bins;
};

/** At least one silence a minute. */
export const hasOutages = (steps: Steps): boolean => {
  let silenceCount = 0;
  let silentMs = 0;
  let totalMs = 0;
  for (const { durationMs, rateBps } of steps) {
    totalMs += durationMs;
    const before = silentMs;
    silentMs = rateBps < SILENT_BPS ? silentMs + durationMs : 0;
    silenceCount += before <= SILENCE_MS && silentMs > SILENCE_MS ? 1 : 0;
  }
  return silenceCount > 0 && silenceCount * OUTAGE_EVERY_MS >= totalMs;
};

const quantileOf = (values: readonly number[], ratio: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(ratio * values.length)] ?? Number.POSITIVE_INFINITY;

const variationOf = (values: readonly number[]): number => {
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length);
  return mean > 0 ? Math.sqrt(variance) / mean : 0;
};
