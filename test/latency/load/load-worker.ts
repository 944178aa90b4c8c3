/**
 * A process that holds a share of the viewers: `fork(load-worker.ts, [target as JSON])`. Does what it is told by messages, ends when it is
 * told to finish or when the process that started it is gone.
 */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createHlsKind } from './hls-kind.ts';
import type { FromWorker, LoadTarget, ToWorker, WorkerHealth } from './load-messages.ts';
import type { CrowdViewer } from './viewer-kind.ts';
import { warmUpDtls } from './warm-up.ts';
import { createWhepKind } from './whep-kind.ts';

const PROGRESS_EVERY_MS = 1_000;
const LOOP_RESOLUTION_MS = 5;
/** Leaving viewers at a time: each is a request. */
const CLOSE_MAX_COUNT = 20;

type Member = { readonly viewer: CrowdViewer; joinedAtMs: number | undefined };

const target = JSON.parse(process.argv[2] ?? '') as LoadTarget;
const kind = target.kind === 'whep' ? createWhepKind(target) : createHlsKind(target);
const members = new Map<number, Member>();
const joining = new Set<Promise<void>>();
const loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
let countedFromMs: number | undefined;
let isFinished = false;
let cpuBefore = process.cpuUsage();
let joiningCpuMs = 0;
let joiningLoopDelayMs = 0;

const tell = (message: FromWorker): void => {
  if (process.connected) {
    process.send?.(message);
  }
};

const loopDelayMs = (): number => Math.max(0, loopDelay.percentile(99) / 1e6 - LOOP_RESOLUTION_MS);

const livedMs = (member: Member): number =>
  countedFromMs === undefined || member.joinedAtMs === undefined || isFinished
    ? 0
    : performance.now() - Math.max(countedFromMs, member.joinedAtMs);

const cpuSinceMs = (): number => {
  const { user, system } = process.cpuUsage(cpuBefore);
  return (user + system) / 1000;
};

const join = async (viewerId: number): Promise<void> => {
  const viewer = kind.open((code) => {
    depart(viewerId);
    tell({ type: 'ended', viewerId, code });
  });
  const member: Member = { viewer, joinedAtMs: undefined };
  members.set(viewerId, member);
  try {
    await viewer.start();
    member.joinedAtMs = performance.now();
    tell({ type: 'joined', viewerId });
  } catch (error) {
    members.delete(viewerId);
    const { code, detail, message } = error as Error & { code?: string; detail?: string };
    tell({ type: 'failed', viewerId, code: code ?? 'UNEXPECTED', detail: detail ?? message });
    await viewer.close();
  }
};

/** Counts it and takes it out; undefined when it had gone already. */
const depart = (viewerId: number): CrowdViewer | undefined => {
  const member = members.get(viewerId);
  members.delete(viewerId);
  if (member?.joinedAtMs === undefined) {
    return undefined;
  }
  member.viewer.fold(livedMs(member));
  return member.viewer;
};

const departAll = (): CrowdViewer[] =>
  [...members].flatMap(([viewerId, { joinedAtMs }]) => (joinedAtMs === undefined ? [] : (depart(viewerId) ?? [])));

const leave = async (viewerId: number, isVanishing: boolean): Promise<void> => {
  const viewer = depart(viewerId);
  if (isVanishing) {
    viewer?.vanish();
  } else {
    await viewer?.close();
  }
};

const beginCounting = (): void => {
  joiningCpuMs = cpuSinceMs();
  joiningLoopDelayMs = loopDelayMs();
  for (const { viewer } of members.values()) {
    viewer.resetCounts();
  }
  cpuBefore = process.cpuUsage();
  loopDelay.reset();
  countedFromMs = performance.now();
};

const health = (): WorkerHealth => ({
  windowMs: performance.now() - (countedFromMs ?? performance.now()),
  cpuMs: cpuSinceMs(),
  joiningCpuMs,
  joiningLoopDelayMs,
  loopDelayMs: loopDelayMs(),
  socketDropCount: socketDropCount(kind.localPorts()),
});

const finish = async (): Promise<void> => {
  const self = health();
  const viewers = departAll();
  isFinished = true;
  await Promise.all(joining);
  viewers.push(...departAll());
  tell({ type: 'tally', tally: { ...kind.tally.toJSON(), self } });
  while (viewers.length > 0) {
    await Promise.all(viewers.splice(0, CLOSE_MAX_COUNT).map(async (viewer) => viewer.close()));
  }
  process.exit(0);
};

/** Last field of the rows of `/proc/net/udp` whose local port is ours. */
const socketDropCount = (ports: readonly number[]): number => {
  const wanted = new Set(ports);
  const rows = ['udp', 'udp6'].flatMap((table) => readFileSync(`/proc/net/${table}`, 'utf8').split('\n').slice(1));
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter((fields) => wanted.has(Number.parseInt(fields[1]?.split(':')[1] ?? '', 16)))
    .reduce((sum, fields) => sum + Number(fields.at(-1)), 0);
};

const onMessage = (message: ToWorker): void => {
  if (message.type === 'join') {
    const joined = join(message.viewerId);
    joining.add(joined);
    void joined.finally(() => joining.delete(joined));
  } else if (message.type === 'leave') {
    void leave(message.viewerId, message.isVanishing);
  } else if (message.type === 'count') {
    beginCounting();
  } else {
    void finish();
  }
};

// Ctrl-C goes to all processes of a terminal; when to end is told by message.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.on('disconnect', () => process.exit(0));
process.on('message', (message) => onMessage(message as ToWorker));
setInterval(() => {
  let packetCount = 0;
  let byteCount = 0;
  for (const { viewer } of members.values()) {
    packetCount += viewer.progress.packetCount;
    byteCount += viewer.progress.byteCount;
  }
  tell({ type: 'progress', packetCount, byteCount });
}, PROGRESS_EVERY_MS);
if (target.kind === 'whep') {
  await warmUpDtls();
}
cpuBefore = process.cpuUsage();
loopDelay.enable();
tell({ type: 'ready' });
