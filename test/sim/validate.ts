/**
 * The simulator against a real Chromium (CONGESTION 5.6): each run of a lab's results is played again in virtual time, over the same link with the same
 * seed, with the same pictures and the same controller, and looked at by the lab's own analysis. What they agree on is said as a table.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { makeController } from '../../server/relay/webrtc/controllers.ts';
import { WEBRTC_OUT_DEFAULTS } from '../../server/relay/webrtc/options.ts';
import { planLink } from '../latency/link/link-scenario.ts';
import { isDoubtful, type LabResults, type RunResult } from '../latency/run/results.ts';
import type { StreamRecord } from '../latency/run/stream-record.ts';
import { STAMP_MODULUS_MS } from '../latency/source/stamp.ts';
import { analyseFrames, percentile, type FrameReport } from '../latency/viewer/frame-analysis.ts';
import type { ReadFrame } from '../latency/viewer/stamp-reader.ts';
import type { ViewerReport } from '../latency/viewer/viewer-report.ts';
import type { Cell, Seen } from './agreement.ts';
import { linesOf, readSession, type Line } from './decision-file.ts';
import { RecordedSource, rungsOf } from './recorded-source.ts';
import { compareTwin, predict, type TwinAgreement } from './twin-check.ts';
import { runViewer } from './viewer-run.ts';

/** A run that can be played again: without a failure, with its stream, over a link. */
type Playable = RunResult & {
  readonly viewer: ViewerReport;
  readonly stream: StreamRecord & { readonly decisionsFile: string };
  readonly link: NonNullable<RunResult['link']>;
};

/** How often each cell is played with other luck of the receiver. */
const LUCK_COUNT = 8;

export type ValidateOptions = {
  readonly results: LabResults;
  /** Where results.json lies. */
  readonly folder: string;
  readonly tracesDir: string;
};

/** `leftOut`: runs that say nothing of the simulator, with the reason. */
export type PlayedAgain = {
  readonly cells: readonly Cell[];
  /** Of the sessions that have a twin. */
  readonly twins: readonly TwinAgreement[];
  readonly leftOut: readonly string[];
};

/** One cell a run, in the order of the runs. */
export const playAgain = async ({ results, folder, tracesDir }: ValidateOptions): Promise<PlayedAgain> => {
  const cells: Cell[] = [];
  const twins: TwinAgreement[] = [];
  const leftOut: string[] = [];
  for (const run of results.runs) {
    const leaveOut = (why: string): void => {
      leftOut.push(`${run.scenarioName} · ${run.targetName} · ${run.repeatIndex + 1}: ${why}`);
    };
    if (!isPlayable(run)) {
      leaveOut('no picture, or nothing recorded');
      continue;
    }
    if (isDoubtful(run)) {
      leaveOut('source or viewer lacked CPU');
      continue;
    }
    const scenario = results.config.scenarios.find(({ name }) => name === run.scenarioName);
    const link = await planLink(scenario?.link ?? {}, tracesDir);
    const lines = linesOf(await readFile(path.join(folder, run.stream.decisionsFile), 'utf8'));
    const session = readSession(lines);
    const { min, max } = session.renditionCounts;
    if (min !== max) {
      leaveOut(`the ladder had ${min} to ${max} renditions`);
      continue;
    }
    if (session.kind === 'adaptive') {
      twins.push(checkTwin(run, lines));
    }
    cells.push({
      linkName: run.scenarioName,
      policyName: run.targetName,
      repeatIndex: run.repeatIndex,
      real: seenOf(run.viewer, run.viewer),
      simulated: simulate(run, { link, session }, run.linkSeed),
      withOtherLuck: Array.from({ length: LUCK_COUNT }, (_, luck) =>
        simulate(run, { link, session }, run.linkSeed + 1 + luck),
      ),
    });
  }
  return { cells, twins, leftOut };
};

const isPlayable = (run: RunResult): run is Playable =>
  run.error === null &&
  typeof run.viewer?.joinMs === 'number' &&
  run.link !== null &&
  typeof run.stream?.decisionsFile === 'string';

const seenOf = (
  { freezes, stallRatio }: Pick<FrameReport, 'stallRatio'> & { freezes: readonly unknown[] },
  { latencyMs }: { latencyMs: ViewerReport['latencyMs'] },
): Seen => ({
  latencyP50Ms: latencyMs?.p50 ?? Number.NaN,
  latencyP95Ms: latencyMs?.p95 ?? Number.NaN,
  stallRatio,
  freezeCount: freezes.length,
});

/** A picture's place: by the media time of its stamp, and by the instant painted into it. */
const checkTwin = ({ viewer, stream }: Playable, lines: readonly Line[]): TwinAgreement => {
  const { frameIntervalMs } = new RecordedSource(rungsOf(stream.renditions).slice(-1));
  const { shownAtMs, latencyMs } = viewer.frames;
  const frameOf = (mediaMs: number): number => Math.round(mediaMs / frameIntervalMs);
  const shown = shownAtMs.flatMap((atMs, index): [number, number][] => {
    const paintedMs = atMs - (latencyMs[index] ?? Number.NaN) + viewer.startedAtWallMs - stream.wallOffsetMs;
    return Number.isNaN(paintedMs) ? [] : [[frameOf(paintedMs), atMs]];
  });
  const freezes = viewer.freezes
    .filter(({ kind }) => kind !== 'open')
    .map(({ startedAtMs, durationMs }) => ({ fromMs: startedAtMs, toMs: startedAtMs + durationMs }));
  const window = { fromMs: viewer.observedFromMs, toMs: viewer.observedFromMs + viewer.durationMs };
  return compareTwin({ shownAtMs: new Map(shown), freezes }, predict(lines, frameOf), window);
};

type World = {
  readonly link: Awaited<ReturnType<typeof planLink>>;
  readonly session: ReturnType<typeof readSession>;
};

const simulate = (run: Playable, { link, session }: World, receiverSeed: number): Seen => {
  const { viewer, stream } = run;
  // The link's time 0 on the wall clock; the simulator's time is the link's.
  const originWallMs = viewer.startedAtWallMs + run.link.startsAtMs;
  const fromMs = viewer.observedFromMs - run.link.startsAtMs;
  const toMs = fromMs + viewer.durationMs;
  const rungs = rungsOf(stream.renditions).slice(-session.joinOffer.renditions.length);
  const source = new RecordedSource(rungs);
  const linkMsOf = (mediaMs: number): number => mediaMs + stream.wallOffsetMs - originWallMs;
  const nextFrame = Math.ceil((session.joinMediaMs - source.fromMediaMs) / source.frameIntervalMs);
  const frameOf = (mediaMs: number): number => Math.round((mediaMs - source.fromMediaMs) / source.frameIntervalMs);
  const lateMsOf = new Map(session.lateness.map(({ mediaMs, lateMs }) => [frameOf(mediaMs), lateMs]));
  const frames: ReadFrame[] = [];
  runViewer({
    seed: run.linkSeed,
    receiverSeed,
    durationMs: toMs,
    ...link,
    stream: {
      source,
      joinAtMs: linkMsOf(session.joinMediaMs),
      nextFrame,
      nextFrameAtMs: linkMsOf(source.fromMediaMs + nextFrame * source.frameIntervalMs),
      lateMs: (frame) => lateMsOf.get(frame) ?? 0,
    },
    hasSound: false,
    hasPlayerReports: false,
    refreshPhaseMs: refreshPhaseOf(viewer) - run.link.startsAtMs,
    feedbackEveryMs: session.feedbackEveryMs,
    decodeMs: rungs.map(() => decodeMsOf(viewer)),
    sender: { hasMatchedStamps: true, hasTransportFeedback: session.controllerOptions.hasTransportFeedback },
    makeController: () => makeController(session.kind, session.controllerOptions, WEBRTC_OUT_DEFAULTS),
    onShown: ({ captureMs }, atMs) => {
      frames.push(asRead(captureMs + originWallMs, atMs + originWallMs, frames.length));
    },
  });
  const report = analyseFrames(frames, { fromWallMs: fromMs + originWallMs, endAtWallMs: toMs + originWallMs });
  return seenOf(report, report);
};

const DECODE_UNKNOWN_MS = 1;

/** Chromium's own measure, of the usual picture. */
const decodeMsOf = ({ stats }: ViewerReport): number => {
  const toldMs = stats.flatMap(({ decodeMs }) => decodeMs ?? []);
  return toldMs.length === 0 ? DECODE_UNKNOWN_MS : percentile(toldMs, 0.5);
};

const REFRESH_MS = 1000 / 60;

/** Where in its period the screen refreshed most: luck in either world, so it is shared. In the viewer's time. */
const refreshPhaseOf = ({ frames }: ViewerReport): number => {
  const counts = new Map<number, number>();
  for (const atMs of frames.shownAtMs) {
    const phaseMs = Math.floor(atMs % REFRESH_MS);
    counts.set(phaseMs, (counts.get(phaseMs) ?? 0) + 1);
  }
  const [best] = [...counts].toSorted(([, a], [, b]) => b - a);
  return (best?.[0] ?? 0) + 0.5;
};

/** As if the stamp reader had read it off the picture. */
const asRead = (captureWallMs: number, shownAtWallMs: number, index: number): ReadFrame => ({
  shownAtWallMs,
  submittedAtWallMs: shownAtWallMs,
  readAtWallMs: shownAtWallMs,
  stamp: Math.floor(captureWallMs) % STAMP_MODULUS_MS,
  mediaTimeS: 0,
  presentedCount: index + 1,
  widthPx: 0,
  heightPx: 0,
  flashLuma: 0,
  elementIndex: 0,
  scriptAway: null,
});
