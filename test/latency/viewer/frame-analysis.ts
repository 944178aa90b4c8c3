/**
 * What a viewer saw, from the frames that the stamp reader collected: latency and age over time, frame rate, freezes. Pure;
 * definitions as in the controller's design, section 2.1, and in this folder's README.
 */
import { unwrapStampMs } from '../source/stamp.ts';
import { findFreezes, frozenMsWithin, type Freeze, type Span } from './freezes.ts';
import type { ReadFrame } from './stamp-reader.ts';

/** Pictures that the compositor took but the awake script was not told of all came within one refresh of the screen. */
const REFRESH_MS = 1000 / 60;
/** The age of the screen is looked at this often. */
const AGE_STEP_MS = 20;

export type FrameReport = {
  readonly frameCount: number;
  readonly unreadableCount: number;
  readonly durationMs: number;
  /** Presented frames a second, also those the script itself missed. */
  readonly presentedFps: number;
  /** Distinct stamps a second: pictures that the viewer got and the script read. */
  readonly distinctFps: number;
  /**
   * Distinct pictures a second that the viewer got: those read, and those shown between two readings (the element counted them, the
   * script came late), as far as the stamps leave room for them.
   */
  readonly pictureFps: number;
  /** Glass to glass, each frame weighted by the time it stayed on screen. */
  readonly latencyMs: {
    readonly p50: number;
    readonly p95: number;
    readonly p99: number;
    readonly min: number;
    readonly mean: number;
  };
  /** How old the picture on the screen was, over time: a frozen picture ages. */
  readonly ageMs: { readonly p50: number; readonly p95: number; readonly p99: number };
  readonly freezes: readonly Freeze[];
  readonly stallRatio: number;
  /** Stamps that went back: pictures shown out of order. */
  readonly backwardCount: number;
  readonly widthPx: number;
  readonly heightPx: number;
};

/** The value below which `ratio` of the weight lies; NaN without values. */
export const weightedPercentile = (
  values: readonly { readonly value: number; readonly weight: number }[],
  ratio: number,
): number => {
  const sorted = values.filter((entry) => entry.weight > 0).sort((a, b) => a.value - b.value);
  const wanted = ratio * sorted.reduce((sum, entry) => sum + entry.weight, 0);
  let sum = 0;
  for (const entry of sorted) {
    sum += entry.weight;
    if (sum >= wanted) {
      return entry.value;
    }
  }
  return sorted.at(-1)?.value ?? Number.NaN;
};

export const percentile = (values: readonly number[], ratio: number): number =>
  weightedPercentile(
    values.map((value) => ({ value, weight: 1 })),
    ratio,
  );

/**
 * When pictures reached the screen, also those that the script did not see: the element counts them all. They came one after another
 * while the script was away; where it was there all the time, they came together, within the refresh that showed the last of them.
 */
export const shownInstants = (frames: readonly ReadFrame[]): number[] =>
  frames.flatMap((frame, k) => {
    const before = frames[k - 1];
    if (before === undefined || before.elementIndex !== frame.elementIndex) {
      return [frame.shownAtWallMs];
    }
    const missedCount = Math.max(0, frame.presentedCount - before.presentedCount - 1);
    const shownAtMs = frame.shownAtWallMs;
    const fromMs = Math.max(before.shownAtWallMs, frame.scriptAway?.fromWallMs ?? shownAtMs - REFRESH_MS);
    const stepMs =
      Math.max(0, Math.min(shownAtMs, frame.scriptAway?.toWallMs ?? shownAtMs) - fromMs) / (missedCount + 1);
    return [...Array.from({ length: missedCount }, (_, place) => fromMs + stepMs * (place + 1)), shownAtMs];
  });

/** Latency of one frame; undefined where the stamp was unreadable. */
export const latencyOf = (frame: ReadFrame): number | undefined =>
  frame.stamp === null ? undefined : frame.shownAtWallMs - unwrapStampMs(frame.stamp, frame.shownAtWallMs);

export type AnalysisOptions = {
  /** When the viewer was last looked at; default is the last frame. */
  readonly endAtWallMs?: number;
  /** The observation begins here, or with the first frame after; the frames before only tell what stood on the screen, and the pace. */
  readonly fromWallMs?: number;
  /** Spans without any packet; see `findFreezes`. */
  readonly silences?: readonly Span[];
};

/** Throws a `TypeError` without frames. */
export const analyseFrames = (frames: readonly ReadFrame[], options: AnalysisOptions = {}): FrameReport => {
  const first = frames[0];
  const last = frames.at(-1);
  if (first === undefined || last === undefined) {
    throw new TypeError('no frame was presented');
  }
  const toWallMs = Math.max(options.endAtWallMs ?? 0, last.shownAtWallMs);
  const fromWallMs = Math.max(options.fromWallMs ?? 0, first.shownAtWallMs);
  const durationMs = toWallMs - fromWallMs;
  const seen = frames.filter((_, k) => (frames[k + 1]?.shownAtWallMs ?? toWallMs) >= fromWallMs);
  const times = toScreenTimes(seen, { fromWallMs, toWallMs });
  const came = seen.filter((frame) => frame.shownAtWallMs >= fromWallMs);
  const stamps = came.flatMap((frame) =>
    frame.stamp === null ? [] : [unwrapStampMs(frame.stamp, frame.shownAtWallMs)],
  );
  const pictureCount = new Set(stamps).size;
  const freezes = findFreezes(shownInstants(frames), toWallMs, options.silences).filter(
    (freeze) => freeze.startedAtWallMs + freeze.durationMs > fromWallMs,
  );
  return {
    frameCount: came.length,
    unreadableCount: came.filter((frame) => frame.stamp === null).length,
    durationMs,
    presentedFps: (countPresented(came) * 1000) / durationMs,
    distinctFps: (pictureCount * 1000) / durationMs,
    pictureFps: ((pictureCount + countUnread(came)) * 1000) / durationMs,
    latencyMs: {
      ...percentilesOf(times),
      min: Math.min(...times.map(({ value }) => value)),
      mean: times.reduce((sum, { value, weight }) => sum + value * weight, 0) / totalWeight(times),
    },
    ageMs: percentilesOf(times.flatMap(toAges)),
    freezes,
    stallRatio: durationMs > 0 ? frozenMsWithin(freezes, { fromWallMs, toWallMs }) / durationMs : 0,
    backwardCount: stamps.filter((stamp, k) => k > 0 && stamp < stamps[k - 1]! - 1).length,
    widthPx: last.widthPx,
    heightPx: last.heightPx,
  };
};

type Weighted = { readonly value: number; readonly weight: number };

/** How long each readable frame stood on the screen within the span. `olderMs`: for how long before that already. */
const toScreenTimes = (frames: readonly ReadFrame[], span: Span): (Weighted & { readonly olderMs: number })[] =>
  frames.flatMap((frame, k) => {
    const value = latencyOf(frame);
    const fromMs = Math.max(frame.shownAtWallMs, span.fromWallMs);
    const untilMs = Math.min(frames[k + 1]?.shownAtWallMs ?? span.toWallMs, span.toWallMs);
    return value === undefined
      ? []
      : [{ value, weight: Math.max(0, untilMs - fromMs), olderMs: fromMs - frame.shownAtWallMs }];
  });

/** A picture ages while it stays. */
const toAges = (time: Weighted & { readonly olderMs: number }): Weighted[] => {
  const count = Math.max(1, Math.ceil(time.weight / AGE_STEP_MS));
  const weight = time.weight / count;
  return Array.from({ length: count }, (_, k) => ({ value: time.value + time.olderMs + (k + 0.5) * weight, weight }));
};

const totalWeight = (values: readonly Weighted[]): number => values.reduce((sum, { weight }) => sum + weight, 0);

const percentilesOf = (values: readonly Weighted[]): { p50: number; p95: number; p99: number } => ({
  p50: weightedPercentile(values, 0.5),
  p95: weightedPercentile(values, 0.95),
  p99: weightedPercentile(values, 0.99),
});

/** Pictures shown between two readings; at most as many as the source made between their stamps. */
const countUnread = (frames: readonly ReadFrame[]): number => {
  const steps = frames.slice(1).flatMap((frame, k) => {
    const before = frames[k]!;
    const isComparable = frame.stamp !== null && before.stamp !== null && frame.elementIndex === before.elementIndex;
    const stampMs = isComparable ? ((frame.stamp - before.stamp) << 8) >> 8 : 0;
    return stampMs > 0 ? [{ stampMs, shownCount: frame.presentedCount - before.presentedCount }] : [];
  });
  const intervalMs = percentile(
    steps.filter(({ shownCount }) => shownCount === 1).map(({ stampMs }) => stampMs),
    0.5,
  );
  return steps.reduce((sum, { stampMs, shownCount }) => {
    const madeBetween = Math.round(stampMs / intervalMs) - 1;
    return sum + Math.max(0, Math.min(shownCount - 1, Number.isNaN(madeBetween) ? 0 : madeBetween));
  }, 0);
};

/** Per element, since each counts from its own zero. */
const countPresented = (frames: readonly ReadFrame[]): number => {
  const ranges = new Map<number, { first: number; last: number }>();
  for (const frame of frames) {
    const range = ranges.get(frame.elementIndex);
    ranges.set(frame.elementIndex, { first: range?.first ?? frame.presentedCount, last: frame.presentedCount });
  }
  return [...ranges.values()].reduce((sum, range) => sum + range.last - range.first + 1, 0);
};
