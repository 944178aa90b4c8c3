/** Puts a `ViewerReport` together from what the page collected. Pure. */
import { analyseFrames, latencyOf } from './frame-analysis.ts';
import type { ReadFrame } from './stamp-reader.ts';
import { findSilences, toChromeCounts, toStats, type RawStats } from './stats-reader.ts';
import type { PlayTarget, Refusal, ViewerReport } from './viewer-report.ts';

export type Collected = {
  readonly target: PlayTarget;
  readonly startedAtWallMs: number;
  /** All since `play()`. */
  readonly frames: readonly ReadFrame[];
  readonly samples: readonly RawStats[];
  readonly fromWallMs: number;
  readonly toWallMs: number;
  readonly avOffsetMs?: ViewerReport['avOffsetMs'];
  readonly sourceLateMaxMs?: number;
  readonly refusals?: readonly Refusal[];
};

/** Throws a `TypeError` without frames: that is `composeEmptyReport`'s. */
export const composeReport = (collected: Collected): ViewerReport => {
  const { frames, samples, startedAtWallMs, fromWallMs, toWallMs } = collected;
  const silences = findSilences(samples);
  const analysis = analyseFrames(frames, {
    ...{ fromWallMs, endAtWallMs: toWallMs },
    ...(silences === undefined ? {} : { silences }),
  });
  const firstAtWallMs = frames[0]!.shownAtWallMs;
  const hasLatency = Number.isFinite(analysis.latencyMs.p50);
  return {
    target: collected.target,
    startedAtWallMs,
    joinMs: firstAtWallMs - startedAtWallMs,
    observedFromMs: Math.max(fromWallMs, firstAtWallMs) - startedAtWallMs,
    durationMs: analysis.durationMs,
    latencyMs: hasLatency ? analysis.latencyMs : null,
    ageMs: hasLatency ? analysis.ageMs : null,
    freezes: analysis.freezes.map(({ startedAtWallMs: atWallMs, ...freeze }) => ({
      startedAtMs: atWallMs - startedAtWallMs,
      ...freeze,
    })),
    stallRatio: analysis.stallRatio,
    pictureFps: analysis.pictureFps,
    unreadableCount: analysis.unreadableCount,
    backwardCount: analysis.backwardCount,
    frames: {
      shownAtMs: frames.map((frame) => roundToTenth(frame.shownAtWallMs - startedAtWallMs)),
      latencyMs: frames.map((frame) => roundToTenth(latencyOf(frame) ?? null)),
    },
    resolution: toResolution(frames, startedAtWallMs),
    stats: toStats(samples, startedAtWallMs),
    chrome: toChromeCounts(samples, fromWallMs),
    avOffsetMs: collected.avOffsetMs ?? null,
    ...(collected.sourceLateMaxMs === undefined ? {} : { sourceLateMaxMs: collected.sourceLateMaxMs }),
    scriptAwayMs: sumAwayMs(frames.filter((frame) => frame.shownAtWallMs >= fromWallMs)),
    refusals: collected.refusals ?? [],
  };
};

/** No picture came within `joinMaxMs`: a stall from the first to the last moment. */
export const composeEmptyReport = (options: {
  readonly target: PlayTarget;
  readonly startedAtWallMs: number;
  readonly joinMaxMs: number;
  readonly samples: readonly RawStats[];
  readonly refusals: readonly Refusal[];
  readonly failure: string;
}): ViewerReport => ({
  target: options.target,
  startedAtWallMs: options.startedAtWallMs,
  joinMs: null,
  observedFromMs: 0,
  durationMs: options.joinMaxMs,
  latencyMs: null,
  ageMs: null,
  freezes: [{ startedAtMs: 0, durationMs: options.joinMaxMs, kind: 'open' }],
  stallRatio: 1,
  pictureFps: 0,
  unreadableCount: 0,
  backwardCount: 0,
  frames: { shownAtMs: [], latencyMs: [] },
  resolution: [],
  stats: toStats(options.samples, options.startedAtWallMs),
  chrome: toChromeCounts(options.samples, options.startedAtWallMs),
  avOffsetMs: null,
  scriptAwayMs: 0,
  refusals: options.refusals,
  failure: options.failure,
});

const toResolution = (frames: readonly ReadFrame[], startedAtWallMs: number): ViewerReport['resolution'] =>
  frames
    .filter((frame, k) => frame.widthPx !== frames[k - 1]?.widthPx || frame.heightPx !== frames[k - 1]?.heightPx)
    .map(({ shownAtWallMs, widthPx, heightPx }) => ({ atMs: shownAtWallMs - startedAtWallMs, widthPx, heightPx }));

const sumAwayMs = (frames: readonly ReadFrame[]): number =>
  frames.reduce((sum, { scriptAway: away }) => sum + (away === null ? 0 : away.toWallMs - away.fromWallMs), 0);

/** Readings are not finer, and the report is read by people too. */
const roundToTenth = <T extends number | null>(value: T): T =>
  (value === null ? null : Math.round(value * 10) / 10) as T;
