/**
 * A load from its start to its report: viewers come as the shape says, those who stay are counted for a while, some are replaced
 * meanwhile, all leave. The viewers live in processes of their own, so that their work delays nobody who measures.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { cpuMs, cpuWaitMs, descendants, pidListeningOn, pidNamed, rssBytes } from '../../support/process-usage.ts';
import { passMs, within } from '../../support/wait.ts';
import type { FromWorker, ToWorker, WorkerTally } from './load-messages.ts';
import { LOAD_DEFAULTS, type LoadOptions } from './load-options.ts';
import { buildReport, type LoadReport, type ServerCost } from './load-report.ts';

const WORKER = fileURLToPath(new URL('./load-worker.ts', import.meta.url));
const READY_MAX_MS = 20_000;
const JOIN_MAX_MS = 60_000;
/** Whoever was joining has its 15 s. */
const TALLY_MAX_MS = 40_000;
const LEAVE_MAX_MS = 30_000;
/** Servers send newcomers a backlog; it is not what the window is about. */
const SETTLE_MS = 2_000;
const IDLE_MS = 2_000;
const PROGRESS_EVERY_MS = 1_000;
/**
 * On a ramp only: handshakes are JavaScript here, maybe on both sides; more at once on a slow core time each other out, and the load
 * would be fewer viewers.
 */
const RAMP_JOINING_MAX_COUNT = 4;
const CHURN_TICK_MS = 50;

export type LoadProgress = {
  readonly phase: 'idle' | 'joining' | 'counting' | 'leaving';
  readonly elapsedMs: number;
  readonly viewerCount: number;
  readonly failedCount: number;
  readonly packetsPerS: number;
  readonly bitrateBps: number;
};

export type LoadRunOptions = Pick<LoadOptions, 'target' | 'viewerCount'> &
  Partial<LoadOptions> & {
    readonly onProgress?: (progress: LoadProgress) => void;
    /** Ends it before its time; the report still comes. */
    readonly signal?: AbortSignal;
  };

export type RunningLoad = {
  /** Viewers that joined; counting has started. */
  readonly joinedCount: number;
  /** Resolves when the time is over and all have left. */
  readonly report: Promise<LoadReport>;
};

/** Resolves with the report. Rejects with `TypeError` when nobody listens on `serverPort`, or when a process of the load died. */
export const runLoad = async (options: LoadRunOptions): Promise<LoadReport> => (await startLoad(options)).report;

/** Resolves when all viewers have joined or failed, and counting has started. */
export const startLoad = async (options: LoadRunOptions): Promise<RunningLoad> => {
  const run = new LoadRun({ ...LOAD_DEFAULTS, ...options });
  try {
    await run.join();
  } catch (error) {
    run.abandon();
    throw error;
  }
  const report = run.count();
  // Whoever waits for it hears of a failure; before, it is nobody's.
  report.catch(() => undefined);
  return { joinedCount: run.joinedCount, report };
};

type Settled = Required<Pick<LoadOptions, keyof typeof LOAD_DEFAULTS>> & LoadRunOptions;

class LoadRun {
  readonly #options: Settled;
  readonly #startedAtWallMs = Date.now();
  readonly #startedAtMs = performance.now();
  readonly #serverPid: number | undefined;
  readonly #crowds: Crowd[] = [];
  readonly #failures: Record<string, { count: number; example: string }> = {};
  readonly #endedEarly: Record<string, number> = {};
  #phase: LoadProgress['phase'] = 'idle';
  #progressTimer: NodeJS.Timeout | undefined;
  #nextId = 0;
  #joiningCount = 0;
  #joinedCount = 0;
  #leftCount = 0;
  #idle: { cpuMsPerS: number; rssBytes: number } | undefined;

  constructor(options: Settled) {
    this.#options = options;
    this.#serverPid = options.serverPid ?? pidOf(options);
  }

  get joinedCount(): number {
    return this.#joinedCount;
  }

  async join(): Promise<void> {
    const { onProgress, processCount, viewerCount } = this.#options;
    if (onProgress !== undefined) {
      this.#progressTimer = setInterval(() => onProgress(this.#progress()), PROGRESS_EVERY_MS);
    }
    await this.#measureIdle();
    this.#phase = 'joining';
    for (let k = 0; k < Math.min(processCount, viewerCount); k += 1) {
      this.#crowds.push(new Crowd(this.#options, (crowd, message) => this.#onMessage(crowd, message)));
    }
    await within(READY_MAX_MS, 'the processes of the load start', () => this.#crowds.every((crowd) => crowd.isReady));
    await this.#joinAll();
    await this.#wait(SETTLE_MS);
    this.#crowds.forEach((crowd) => crowd.tell({ type: 'count' }));
  }

  async count(): Promise<LoadReport> {
    try {
      return await this.#countToEnd();
    } catch (error) {
      this.abandon();
      throw error;
    }
  }

  async #countToEnd(): Promise<LoadReport> {
    this.#phase = 'counting';
    const { durationS, signal } = this.#options;
    const startedAtMs = performance.now();
    const before = { usedMs: this.#serverCpuMs(), waitedMs: this.#serverWaitMs() };
    // Nobody to be counted: no time is spent on it.
    const viewerMs = await this.#churn(this.#joinedCount === 0 ? 0 : durationS * 1000);
    const durationMs = performance.now() - startedAtMs;
    const server = this.#serverCost(before, durationMs);
    this.#phase = 'leaving';
    const tallies = await this.#finish();
    clearInterval(this.#progressTimer);
    return buildReport({
      target: this.#options.target,
      startedAtWallMs: this.#startedAtWallMs,
      durationMs,
      isCutShort: signal?.aborted === true,
      wantedCount: this.#options.viewerCount,
      viewerCount: viewerMs / Math.max(1, durationMs),
      joinedCount: this.#joinedCount,
      failures: this.#failures,
      leftCount: this.#leftCount,
      endedEarly: this.#endedEarly,
      tallies,
      server,
    });
  }

  /** Ends the processes at once. */
  abandon(): void {
    clearInterval(this.#progressTimer);
    this.#crowds.forEach((crowd) => crowd.kill());
  }

  async #joinAll(): Promise<void> {
    const { viewerCount, joinsPerS } = this.#options;
    const isStorm = joinsPerS === Number.POSITIVE_INFINITY;
    const joiningMaxCount = isStorm ? viewerCount : RAMP_JOINING_MAX_COUNT * this.#crowds.length;
    for (let k = 0; k < viewerCount && !this.#isCancelled; k += 1) {
      while (this.#joiningCount >= joiningMaxCount && !this.#isCancelled) {
        this.#crowds.forEach((each) => each.assertAlive());
        await passMs(5);
      }
      this.#joinOne();
      if (!isStorm) {
        await this.#wait(1000 / joinsPerS);
      }
    }
    await within(JOIN_MAX_MS, 'all viewers join or fail', () => {
      this.#crowds.forEach((each) => each.assertAlive());
      return this.#joiningCount === 0 || this.#isCancelled;
    });
  }

  /** Into the process with the fewest. */
  #joinOne(): void {
    const [crowd] = this.#crowds.toSorted((a, b) => a.memberCount - b.memberCount);
    this.#joiningCount += 1;
    crowd?.join(this.#nextId);
    this.#nextId += 1;
  }

  /** Lets the time pass; the oldest leave and are replaced. Returns the sum of all viewers' times. */
  async #churn(durationMs: number): Promise<number> {
    const { churnPerS, vanishRatio } = this.#options;
    const startedAtMs = performance.now();
    let viewerMs = 0;
    let lastAtMs = startedAtMs;
    for (let leftCount = 0; lastAtMs - startedAtMs < durationMs && !this.#isCancelled;) {
      await this.#wait(Math.min(CHURN_TICK_MS, durationMs - (lastAtMs - startedAtMs)));
      const nowMs = performance.now();
      viewerMs += this.#viewerCount * (nowMs - lastAtMs);
      lastAtMs = nowMs;
      for (; leftCount < Math.floor(((nowMs - startedAtMs) * churnPerS) / 1000); leftCount += 1) {
        this.#replaceOldest(Math.floor((leftCount + 1) * vanishRatio) > Math.floor(leftCount * vanishRatio));
      }
    }
    return viewerMs;
  }

  #replaceOldest(isVanishing: boolean): void {
    const [crowd] = this.#crowds
      .filter((candidate) => candidate.oldestId !== undefined)
      .toSorted((a, b) => (a.oldestId ?? 0) - (b.oldestId ?? 0));
    if (crowd !== undefined) {
      crowd.leave(isVanishing);
      this.#leftCount += 1;
      this.#joinOne();
    }
  }

  async #finish(): Promise<WorkerTally[]> {
    this.#crowds.forEach((crowd) => crowd.tell({ type: 'finish' }));
    await within(TALLY_MAX_MS, 'the processes of the load tell what they saw', () =>
      this.#crowds.every((crowd) => crowd.tally !== undefined),
    );
    const ended = Promise.all(this.#crowds.map(async (crowd) => crowd.ended));
    const timer = setTimeout(() => this.abandon(), LEAVE_MAX_MS);
    await ended;
    clearTimeout(timer);
    return this.#crowds.flatMap((crowd) => crowd.tally ?? []);
  }

  #onMessage(crowd: Crowd, message: FromWorker): void {
    if (message.type === 'joined') {
      this.#joiningCount -= 1;
      this.#joinedCount += 1;
    } else if (message.type === 'failed') {
      this.#joiningCount -= 1;
      const failure = (this.#failures[message.code] ??= { count: 0, example: message.detail });
      failure.count += 1;
    } else if (message.type === 'ended') {
      this.#endedEarly[message.code] = (this.#endedEarly[message.code] ?? 0) + 1;
    }
    crowd.note(message);
  }

  async #measureIdle(): Promise<void> {
    if (this.#serverPid !== undefined) {
      const beforeMs = this.#serverCpuMs();
      await this.#wait(IDLE_MS);
      const cpuMsPerS = (1000 * (this.#serverCpuMs() - beforeMs)) / IDLE_MS;
      this.#idle = { cpuMsPerS, rssBytes: this.#serverRssBytes() };
    }
  }

  #serverCpuMs(): number {
    return this.#serverPid === undefined ? 0 : cpuMs(this.#serverPid, { withChildren: true });
  }

  #serverRssBytes(): number {
    const pid = this.#serverPid;
    return pid === undefined ? 0 : [pid, ...descendants(pid)].reduce((sum, each) => sum + rssBytes(each), 0);
  }

  #serverWaitMs(): number {
    return this.#serverPid === undefined ? 0 : cpuWaitMs(this.#serverPid);
  }

  #serverCost(before: { usedMs: number; waitedMs: number }, durationMs: number): ServerCost | null {
    const perS = 1000 / Math.max(1, durationMs);
    return this.#serverPid === undefined
      ? null
      : {
          pid: this.#serverPid,
          idleCpuMsPerS: this.#idle?.cpuMsPerS ?? 0,
          cpuMsPerS: (this.#serverCpuMs() - before.usedMs) * perS,
          // Threads that ended take their waiting with them.
          waitMsPerS: Math.max(0, this.#serverWaitMs() - before.waitedMs) * perS,
          idleRssBytes: this.#idle?.rssBytes ?? 0,
          rssBytes: this.#serverRssBytes(),
        };
  }

  get #viewerCount(): number {
    return this.#crowds.reduce((sum, crowd) => sum + crowd.viewerCount, 0);
  }

  get #isCancelled(): boolean {
    return this.#options.signal?.aborted === true;
  }

  /** Returns early when it is cancelled. */
  async #wait(durationMs: number): Promise<void> {
    const { signal } = this.#options;
    if (signal === undefined) {
      await passMs(durationMs);
    } else if (!signal.aborted) {
      await Promise.race([passMs(durationMs), once(signal, 'abort')]);
    }
  }

  #progress(): LoadProgress {
    return {
      phase: this.#phase,
      elapsedMs: performance.now() - this.#startedAtMs,
      viewerCount: this.#viewerCount,
      failedCount: Object.values(this.#failures).reduce((sum, { count }) => sum + count, 0),
      packetsPerS: this.#crowds.reduce((sum, crowd) => sum + crowd.packetsPerS, 0),
      bitrateBps: this.#crowds.reduce((sum, crowd) => sum + crowd.bitrateBps, 0),
    };
  }
}

/** One process of viewers, seen from outside. */
class Crowd {
  readonly ended: Promise<unknown>;
  readonly #child: ChildProcess;
  readonly #joining = new Set<number>();
  /** In the order in which they joined. */
  readonly #joined = new Set<number>();
  isReady = false;
  tally: WorkerTally | undefined;
  packetsPerS = 0;
  bitrateBps = 0;
  #before = { packetCount: 0, byteCount: 0, atMs: performance.now() };

  constructor(options: Settled, onMessage: (crowd: Crowd, message: FromWorker) => void) {
    const pin =
      options.cpus === undefined ? {} : { execPath: 'taskset', execArgv: ['-c', options.cpus, process.execPath] };
    this.#child = fork(WORKER, [JSON.stringify(options.target)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      ...pin,
    });
    this.ended = once(this.#child, 'exit');
    this.#child.on('message', (message) => onMessage(this, message as FromWorker));
  }

  get memberCount(): number {
    return this.#joining.size + this.#joined.size;
  }

  get viewerCount(): number {
    return this.#joined.size;
  }

  get oldestId(): number | undefined {
    return this.#joined.values().next().value;
  }

  assertAlive(): void {
    if (!this.#child.connected) {
      throw new Error(`a process of the load ended with ${this.#child.exitCode ?? this.#child.signalCode}`);
    }
  }

  tell(message: ToWorker): void {
    this.assertAlive();
    this.#child.send(message);
  }

  join(viewerId: number): void {
    this.#joining.add(viewerId);
    this.tell({ type: 'join', viewerId });
  }

  /** The oldest. */
  leave(isVanishing: boolean): void {
    const viewerId = this.oldestId;
    if (viewerId !== undefined) {
      this.#joined.delete(viewerId);
      this.tell({ type: 'leave', viewerId, isVanishing });
    }
  }

  note(message: FromWorker): void {
    if (message.type === 'ready') {
      this.isReady = true;
    } else if (message.type === 'tally') {
      this.tally = message.tally;
    } else if (message.type === 'progress') {
      this.#noteProgress(message);
    } else {
      this.#joining.delete(message.viewerId);
      this.#joined.delete(message.viewerId);
      if (message.type === 'joined') {
        this.#joined.add(message.viewerId);
      }
    }
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #noteProgress({ packetCount, byteCount }: { packetCount: number; byteCount: number }): void {
    const atMs = performance.now();
    const perS = 1000 / Math.max(1, atMs - this.#before.atMs);
    this.packetsPerS = Math.max(0, packetCount - this.#before.packetCount) * perS;
    this.bitrateBps = Math.max(0, byteCount - this.#before.byteCount) * 8 * perS;
    this.#before = { packetCount, byteCount, atMs };
  }
}

const pidOf = ({ serverPort: port, serverName: name }: LoadRunOptions): number | undefined => {
  const named = name === undefined ? undefined : pidNamed(name);
  if (name !== undefined && named === undefined) {
    throw new TypeError(`no process here is named "${name}"; --server-pid N tells it by its number`);
  }
  const pid = port === undefined ? named : pidListeningOn(port);
  if (port !== undefined && pid === undefined) {
    throw new TypeError(
      `nobody listens on port ${port} here, or it is another user's; --server-pid N names the process`,
    );
  }
  return pid;
};
