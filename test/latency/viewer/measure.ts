/** Measures one play address as one viewer sees it. The stream must carry the lab's stamp (`../source`). */
import type { Publisher } from '../source/publisher.ts';
import { passMs } from '../../support/wait.ts';
import { composeEmptyReport, composeReport, type Collected } from './compose-report.ts';
import { percentile } from './frame-analysis.ts';
import { findFlashes, pairOffsets, startSoundProbe, takeBeeps } from './lip-sync.ts';
import { soundProbeOffsetMs } from './self-check.ts';
import type { ReadFrame } from './stamp-reader.ts';
import type { ViewerReport } from './viewer-report.ts';
import { JOIN_MAX_MS, Viewer, type ViewerOptions } from './viewer.ts';

export type MeasureOptions = ViewerOptions & {
  /** Length of the observation. */
  readonly durationMs: number;
  /**
   * Left out before it: a player that steers its latency needs time to arrive. Default 3 s. With 0 the observation begins with the
   * first picture.
   */
  readonly settleMs?: number;
  /** Listens as well: the page is unmuted, and the first call of a process takes some 10 s more to measure the probe itself. */
  readonly withSound?: boolean;
  /** Tells `sourceLateMaxMs`. */
  readonly publisher?: Publisher;
};

const SETTLE_MS = 3_000;

type Heard = { readonly flashesMs: readonly number[]; readonly beepsMs: readonly number[]; readonly isStream: boolean };

/** Never rejects for what the server does: a refusal or a silence is a report without a picture. */
export const measureViewer = async (options: MeasureOptions): Promise<ViewerReport> => {
  const viewer = await Viewer.open(options);
  let seen: { readonly collected: Collected; readonly heard: Heard | undefined };
  try {
    const refusal = await viewer.play().then(
      () => undefined,
      (error: unknown) => String(error),
    );
    const joined = refusal === undefined ? await viewer.tryJoin() : undefined;
    if (joined === undefined) {
      return await reportNothing(viewer, options, refusal);
    }
    seen = await observe(viewer, { ...options, firstAtWallMs: joined.shownAtWallMs });
  } finally {
    await viewer.leave();
    await viewer.close();
  }
  const avOffsetMs = seen.heard === undefined ? null : await toAvOffset(seen.heard);
  return composeReport({ ...seen.collected, avOffsetMs });
};

const observe = async (
  viewer: Viewer,
  options: MeasureOptions & { readonly firstAtWallMs: number },
): Promise<{ readonly collected: Collected; readonly heard: Heard | undefined }> => {
  const settleMs = options.settleMs ?? SETTLE_MS;
  if (options.withSound === true) {
    await startSoundProbe(viewer.page);
  }
  await passMs(settleMs);
  const fromWallMs = settleMs === 0 ? options.firstAtWallMs : (await viewer.element()).nowWallMs;
  if (settleMs > 0) {
    await viewer.samples();
  }
  await passMs(Math.max(0, fromWallMs + options.durationMs - Date.now()));
  const samples = [...(await viewer.samples())];
  const toWallMs = samples.at(-1)?.atWallMs ?? Date.now();
  const frames = (await viewer.frames()).filter((frame) => frame.shownAtWallMs <= toWallMs);
  const heard = options.withSound === true ? await listen(viewer, frames, fromWallMs) : undefined;
  const lateMs = await options.publisher?.lateMaxBetween(fromWallMs, toWallMs);
  const collected = {
    target: options.target,
    startedAtWallMs: viewer.startedAtWallMs,
    ...{ frames, samples, fromWallMs, toWallMs },
    ...(lateMs === undefined ? {} : { sourceLateMaxMs: lateMs }),
    refusals: (await viewer.troubles()).refusals,
  };
  return { collected, heard };
};

const listen = async (viewer: Viewer, frames: readonly ReadFrame[], fromWallMs: number): Promise<Heard> => ({
  flashesMs: findFlashes(frames).filter((atWallMs) => atWallMs >= fromWallMs),
  beepsMs: await takeBeeps(viewer.page),
  isStream: (await viewer.element()).sourceKind === 'srcObject',
});

const toAvOffset = async ({ flashesMs, beepsMs, isStream }: Heard): Promise<ViewerReport['avOffsetMs']> => {
  const probeOffsetMs = await soundProbeOffsetMs(isStream);
  const offsetsMs = pairOffsets(flashesMs, beepsMs).map((offsetMs) => offsetMs - probeOffsetMs);
  return offsetsMs.length === 0
    ? null
    : { p50: percentile(offsetsMs, 0.5), p95: percentile(offsetsMs, 0.95), count: offsetsMs.length, probeOffsetMs };
};

const reportNothing = async (
  viewer: Viewer,
  options: MeasureOptions,
  refusal: string | undefined,
): Promise<ViewerReport> => {
  const { refusals, failure } = await viewer.troubles();
  return composeEmptyReport({
    target: options.target,
    startedAtWallMs: viewer.startedAtWallMs,
    joinMaxMs: options.joinMaxMs ?? JOIN_MAX_MS,
    // A page that was refused may be gone.
    samples: refusal === undefined ? await viewer.samples() : [],
    refusals,
    failure: refusal ?? failure ?? 'no picture came',
  });
};

/** One line for people. */
export const describeReport = (report: ViewerReport): string => {
  const { latencyMs, joinMs } = report;
  if (joinMs === null) {
    return `no picture within ${report.durationMs / 1000} s: ${report.failure ?? 'nobody said why'}`;
  }
  const latency =
    latencyMs === null
      ? 'no stamp could be read'
      : `latency p50 ${latencyMs.p50.toFixed(0)} ms, p95 ${latencyMs.p95.toFixed(0)} ms, p99 ${latencyMs.p99.toFixed(0)} ms`;
  return [
    latency,
    `${report.pictureFps.toFixed(1)} fps`,
    `${report.freezes.length} freezes (${(report.stallRatio * 100).toFixed(1)} % of the time)`,
    `first frame after ${joinMs.toFixed(0)} ms`,
  ].join('; ');
};
