/**
 * One look: server up, fresh publisher, stream playable, link in between, viewer, and everything down again in reverse order.
 * What it is made of is handed in, so that the order of things can be tested without a browser.
 */
import { WorldError, messageOf } from '../../../server/base/errors.ts';
import type { LinkCounts, LinkSample } from '../link/link-counts.ts';
import type { LinkScenario } from '../link/link-scenario.ts';
import { hasSound } from '../source/presets.ts';
import type { PlayTarget, ViewerReport } from '../viewer/viewer-report.ts';
import type { LabConfig, LabScenario, LabServer, LabSource, LabTarget } from './lab-config.ts';
import { sourceOf } from './lab-config.ts';
import type { RunningServer } from './lab-server.ts';
import { busyRatioBetween, readCpuTimes } from './machine.ts';
import { fillIn } from './placeholders.ts';
import type { PlannedRun } from './plan.ts';
import type { RunResult } from './results.ts';
import { UsageMeter } from './server-usage.ts';
import type { StreamRecord } from './stream-record.ts';

/** The part of a publisher that a run needs. */
export type LabPublisher = {
  lateMaxBetween(fromWallMs: number, toWallMs: number): Promise<number>;
  readonly isRunning: boolean;
  readonly stderrTail: string;
  stop(): Promise<void>;
};

/** The part of an emulated link that a run needs. */
export type LabLink = {
  through(url: string): Promise<string>;
  counts(): Promise<LinkCounts>;
  series(): Promise<readonly LinkSample[]>;
  restart(): Promise<void>;
  close(): Promise<void>;
};

export type MeasureRequest = {
  readonly target: PlayTarget;
  readonly durationMs: number;
  readonly settleMs: number;
  readonly withSound: boolean;
  /** Called right before `play()`: the link's time begins there. */
  readonly beforePlay: () => Promise<void>;
};

/** The lab's parts, each as the run needs it. */
export type Instruments = {
  startServer(server: LabServer | undefined): Promise<RunningServer>;
  startPublisher(source: LabSource, url: string): Promise<LabPublisher>;
  untilPlayable(target: PlayTarget, warmUpMs: number): Promise<void>;
  startLink(scenario: LinkScenario, seed: number): Promise<LabLink>;
  measureViewer(request: MeasureRequest): Promise<ViewerReport>;
  /** Of a server that is Sluice. */
  recordStream(server: RunningServer, streamName: string): Promise<StreamRecord>;
};

/** What a run is about, looked up in the config. */
export type RunOrder = {
  readonly planned: PlannedRun;
  readonly lab: LabConfig;
  readonly scenario: LabScenario;
  readonly target: LabTarget;
  /** A stream name that nobody used before. */
  readonly streamName: string;
  /** Gives the run up: it rejects in the middle of whatever it waits for, and closes what is open. */
  readonly signal: AbortSignal;
};

type Measured = Pick<RunResult, 'viewer' | 'link' | 'server' | 'sourceLateMaxMs' | 'machineBusyRatio' | 'stream'>;

type Closer = () => Promise<void>;
/** Of something that has ended by itself; undefined while it runs. */
type LastWords = () => string | undefined;
/** What a run has opened so far. */
type Opened = { readonly closers: Closer[]; readonly lastWords: LastWords[] };

/** Beyond, frames that were shown may not have been read. */
const AWAY_MAX_RATIO = 0.05;

/** Never rejects: a failure is a result with its reason. */
export const runOnce = async (order: RunOrder, instruments: Instruments): Promise<RunResult> => {
  const startedAtWallMs = Date.now();
  const closers: Closer[] = [];
  const nothing: Measured = { viewer: null, link: null, server: null, sourceLateMaxMs: null, machineBusyRatio: null };
  let measured = nothing;
  const faults: string[] = [];
  const lastWords: LastWords[] = [];
  try {
    measured = await measure(order, instruments, { closers, lastWords });
  } catch (error) {
    faults.push(messageOf(error), ...lastWords.flatMap((words) => words() ?? []));
  }
  faults.push(...(await closeAll(closers)));
  const lateMs = measured.sourceLateMaxMs;
  return {
    ...order.planned,
    ...measured,
    startedAtWallMs,
    attemptCount: 1,
    error: faults.length === 0 ? null : faults.join('\n'),
    isSourceLate: measured.viewer !== null && (lateMs ?? Infinity) > order.lab.sourceLateMaxMs,
    isViewerStarved: awayRatioOf(measured.viewer) > AWAY_MAX_RATIO,
  };
};

/** For what share of the look the reading script did not run. */
export const awayRatioOf = (viewer: ViewerReport | null): number =>
  viewer === null ? 0 : viewer.scriptAwayMs / Math.max(1, viewer.durationMs);

const measure = async (order: RunOrder, instruments: Instruments, opened: Opened): Promise<Measured> => {
  const { closers, lastWords } = opened;
  const { lab, scenario, target } = order;
  const server = await instruments.startServer(target.server === undefined ? undefined : lab.servers[target.server]);
  closers.push(() => server.stop());
  lastWords.push(() => server.lastWords());
  const values = { ...server.placeholders, name: order.streamName };
  const publisher = await instruments.startPublisher(sourceOf(lab, scenario), fillIn(target.push, values));
  closers.push(() => publisher.stop());
  lastWords.push(() => (publisher.isRunning ? undefined : `the publisher had ended: ${publisher.stderrTail.trim()}`));
  const directUrl = fillIn(target.play.url, values);
  await unlessAborted(order.signal, () =>
    instruments.untilPlayable({ kind: target.play.kind, url: directUrl }, lab.warmUpMs),
  );
  if (!publisher.isRunning) {
    throw new WorldError('LAB_PUBLISH_FAILED', 'the server did not keep the publisher');
  }
  const link =
    scenario.link === undefined ? undefined : await instruments.startLink(scenario.link, order.planned.linkSeed);
  if (link !== undefined) {
    closers.push(() => link.close());
  }
  return look(order, instruments, { server, publisher, link, directUrl });
};

type Stage = {
  readonly server: RunningServer;
  readonly publisher: LabPublisher;
  readonly link: LabLink | undefined;
  readonly directUrl: string;
};

/** The viewer's minutes, with the meters running beside. */
const look = async (order: RunOrder, instruments: Instruments, stage: Stage): Promise<Measured> => {
  const { lab, scenario, target } = order;
  const { link, publisher } = stage;
  const url = link === undefined ? stage.directUrl : await link.through(stage.directUrl);
  let usage: UsageMeter | undefined;
  let cpuBefore = readCpuTimes();
  try {
    const request: MeasureRequest = {
      target: { kind: target.play.kind, url },
      durationMs: scenario.durationMs ?? lab.durationMs,
      settleMs: scenario.settleMs ?? lab.settleMs,
      withSound: lab.lipSync && hasSound(sourceOf(lab, scenario).preset),
      // Not before: the browser's own start is nobody's cost.
      beforePlay: async () => {
        usage = new UsageMeter(stage.server.rootPid);
        cpuBefore = readCpuTimes();
        await link?.restart();
      },
    };
    const viewer = await unlessAborted(order.signal, () => instruments.measureViewer(request));
    const server = usage?.stop() ?? null;
    const machineBusyRatio = busyRatioBetween(cpuBefore, readCpuTimes());
    const seen = await linkOrNull(link, viewer.startedAtWallMs);
    const sourceLateMaxMs = await latenessOf(publisher, viewer.startedAtWallMs);
    const measured = { viewer, link: seen, server, sourceLateMaxMs, machineBusyRatio };
    return lab.recordsStream && stage.server.dataFolder !== undefined
      ? { ...measured, stream: await instruments.recordStream(stage.server, order.streamName) }
      : measured;
  } finally {
    usage?.stop();
  }
};

/** `startsAtMs`: the link's time 0, in the viewer's time. */
const linkOrNull = async (link: LabLink | undefined, playedAtWallMs: number): Promise<RunResult['link']> => {
  if (link === undefined) {
    return null;
  }
  const counts = await link.counts();
  return { counts, series: await link.series(), startsAtMs: counts.startedAtWallMs - playedAtWallMs };
};

/** What was waited for goes on by itself; its owner ends it. */
const unlessAborted = async <T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> => {
  signal.throwIfAborted();
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort);
  });
  try {
    return await Promise.race([work(), aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort ?? (() => {}));
  }
};

/** Null when the source is so late that it does not even say so. Rejects when it has ended. */
const latenessOf = async (publisher: LabPublisher, fromWallMs: number): Promise<number | null> => {
  try {
    return await publisher.lateMaxBetween(fromWallMs, Date.now());
  } catch (error) {
    if (publisher.isRunning) {
      return null;
    }
    throw error;
  }
};

/** Newest first; each is tried whatever the others say. */
const closeAll = async (closers: readonly Closer[]): Promise<string[]> => {
  const faults: string[] = [];
  for (const close of closers.toReversed()) {
    try {
      await close();
    } catch (error) {
      faults.push(`while closing: ${messageOf(error)}`);
    }
  }
  return faults;
};
