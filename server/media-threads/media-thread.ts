/**
 * The main thread's side of one media thread: starts it, asks and tells it, keeps what is known of its sessions; when it dies, ends those and starts it
 * again with back-off, on the same port.
 */
import { Worker } from 'node:worker_threads';
import { Backoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import type { PeerSignal } from '../base/http-exchange.ts';
import { WorldError, messageOf } from '../base/errors.ts';
import type { Prng } from '../base/prng.ts';
import type { LearnerNote } from '../learning/session-plans.ts';
import type { Log } from '../observability/log.ts';
import type { MetricsSnapshot } from '../observability/metrics.ts';
import { countedBy } from '../observability/metrics.ts';
import type { SessionFacts } from '../relay/webrtc/session-view.ts';
import type { AnnouncedEndpoint } from '../webrtc-transport/sdp-answer.ts';
import type { HubFeed } from './hub-feed.ts';
import { RemoteSession } from './remote-session.ts';
import type { Call, CallName, Calls, FromThread, ThreadOrder, ToThread } from './thread-messages.ts';

export type StartWorker = (order: ThreadOrder) => Worker;

export const startWorker: StartWorker = (order) =>
  new Worker(new URL('thread.ts', import.meta.url), { workerData: order, name: `media ${order.number}` });

export type MediaThreadParts = {
  readonly order: Omit<ThreadOrder, 'position'>;
  readonly feed: HubFeed;
  readonly startWorker: StartWorker;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: Log;
  readonly onOpened: (session: RemoteSession) => void;
  readonly onClosed: (session: RemoteSession) => void;
  readonly onNote: (note: LearnerNote) => void;
  /** It has been told of the hub; what else it must know is told now. */
  readonly onStarted: () => void;
  readonly onDied: () => void;
};

type Pending = { readonly resolve: (value: unknown) => void; readonly reject: (error: WorldError) => void };

const BACKOFF = { firstMs: 250, maxMs: 30_000, healthyAfterMs: 30_000 };
/** Metrics are rendered without those of a thread that is busy for longer. */
const METRICS_MAX_MS = 1_000;
/** Seconds without a word after which a thread hangs. */
const SILENT_MAX_COUNT = 20;

export class MediaThread {
  readonly number: number;
  readonly #parts: MediaThreadParts;
  readonly #log: Log;
  readonly #backoff: Backoff;
  readonly #sessions = new Map<string, RemoteSession>();
  readonly #pending = new Map<number, Pending>();
  readonly #ready = Promise.withResolvers<void>();
  #worker: Worker | undefined;
  #detach: () => void = () => undefined;
  #endpoints: readonly AnnouncedEndpoint[] = [];
  #isReady = false;
  #isClosing = false;
  #startedAtMs = 0;
  #restartTimer: NodeJS.Timeout | undefined;
  #lastCallId = 0;
  #silentCount = 0;
  #joiningCount = 0;
  #loop: { readonly activeMs: number; readonly idleMs: number } | undefined;
  #lastSnapshot: MetricsSnapshot = [];
  /** What its predecessors on this place counted. */
  #counted: MetricsSnapshot = [];

  constructor(parts: MediaThreadParts) {
    this.number = parts.order.number;
    this.#parts = parts;
    this.#log = parts.log.child({ thread: this.number });
    this.#backoff = new Backoff(BACKOFF, parts.prng);
  }

  /** Rejects with `WorldError` when it cannot be started this first time. */
  async open(): Promise<void> {
    this.#start();
    return this.#ready.promise;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  get endpoints(): readonly AnnouncedEndpoint[] {
    return this.#endpoints;
  }

  /** Who watches, and who is about to. */
  get load(): number {
    return this.#sessions.size + this.#joiningCount;
  }

  get sessions(): ReadonlyMap<string, RemoteSession> {
    return this.#sessions;
  }

  /** Of the time since the last call, how much it was busy. */
  takeBusyRatio(): number {
    const before = this.#loop ?? { activeMs: 0, idleMs: 0 };
    const { active: activeMs = 0, idle: idleMs = 0 } = this.#worker?.performance.eventLoopUtilization() ?? {};
    this.#loop = { activeMs, idleMs };
    const busyMs = activeMs - before.activeMs;
    const passedMs = busyMs + idleMs - before.idleMs;
    return passedMs > 0 ? busyMs / passedMs : 0;
  }

  tell(message: ToThread): void {
    this.#worker?.postMessage(message, []);
  }

  /** Rejects with `WorldError` `MEDIA_THREAD_DIED`, or `MEDIA_THREAD_FAULT` where it made a mistake. `signal`: whoever asks has left. */
  async ask<Name extends CallName>(
    name: Name,
    ask: Calls[Name]['ask'],
    signal?: PeerSignal,
  ): Promise<Calls[Name]['answer']> {
    if (this.#worker === undefined) {
      throw died();
    }
    this.#lastCallId += 1;
    const callId = this.#lastCallId;
    const abort = (): void => this.tell({ kind: 'abort', callId });
    signal?.addEventListener('abort', abort, { once: true });
    this.#joiningCount += name === 'http' ? 1 : 0;
    try {
      return await new Promise<Calls[Name]['answer']>((resolve, reject) => {
        this.#pending.set(callId, { resolve: (value) => resolve(value as Calls[Name]['answer']), reject });
        this.tell({ kind: 'call', callId, call: { name, ask } as Call });
        // It may have left before it was asked for.
        if (signal?.aborted === true) {
          abort();
        }
      });
    } finally {
      this.#joiningCount -= name === 'http' ? 1 : 0;
      this.#pending.delete(callId);
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Of this thread and of those that died on its place. Never rejects. */
  async metrics(): Promise<readonly MetricsSnapshot[]> {
    if (this.#isReady) {
      const late = elapse(METRICS_MAX_MS).then(() => this.#lastSnapshot);
      this.#lastSnapshot = await Promise.race([this.ask('metrics', undefined), late]).catch(() => this.#lastSnapshot);
    }
    return [this.#counted, this.#lastSnapshot].filter(({ length }) => length > 0);
  }

  /** To be called once a second. */
  look(): void {
    this.#silentCount += 1;
    if (this.#isReady && this.#silentCount > SILENT_MAX_COUNT) {
      this.#log.error('media-thread.hangs', { seconds: this.#silentCount });
      void this.#worker?.terminate();
    }
  }

  /** Its viewers are told. Never rejects. */
  async close(reason: string): Promise<void> {
    this.#isClosing = true;
    clearTimeout(this.#restartTimer);
    const worker = this.#worker;
    if (this.#isReady) {
      await this.ask('close', { reason }).catch(() => undefined);
    }
    await worker?.terminate();
  }

  #start(): void {
    const { order, feed } = this.#parts;
    const worker = this.#parts.startWorker({ ...order, position: feed.position });
    this.#worker = worker;
    this.#startedAtMs = this.#parts.clock.nowMs();
    this.#silentCount = 0;
    let cause = 'it ended';
    worker.on('message', (message: FromThread) => {
      cause = message.kind === 'refused' ? `${message.code}: ${message.detail}` : cause;
      this.#onMessage(message);
    });
    worker.on('error', (error) => {
      cause = error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
    });
    worker.on('exit', () => this.#onExit(worker, cause));
    this.#detach = feed.attach((hub) => this.tell({ kind: 'hub', hub }));
    this.#parts.onStarted();
  }

  #onMessage(message: FromThread): void {
    this.#silentCount = 0;
    switch (message.kind) {
      case 'ready':
        this.#isReady = true;
        this.#endpoints = message.endpoints;
        this.#log.info('media-thread.ready', { port: message.endpoints[0]?.port });
        this.#ready.resolve();
        break;
      case 'refused':
        this.#ready.reject(new WorldError(message.code, message.detail));
        break;
      case 'answer':
        this.#pending.get(message.callId)?.resolve(message.value);
        break;
      case 'fault':
        this.#pending.get(message.callId)?.reject(new WorldError('MEDIA_THREAD_FAULT', message.detail));
        break;
      case 'opened':
        this.#onOpened(message);
        break;
      case 'facts':
        message.sessions.forEach(([id, facts]) => this.#sessions.get(id)?.noteFacts(facts));
        break;
      case 'closed':
        this.#endSession(message.id, message.facts, message.timeline);
        break;
      case 'mapping':
        this.#sessions.get(message.id)?.noteMapping(message.mapping);
        break;
      case 'note':
        this.#parts.onNote(message.note);
        break;
    }
  }

  #onOpened(opened: Extract<FromThread, { kind: 'opened' }>): void {
    const session = new RemoteSession(
      {
        timelineOf: async (sessionId) => this.ask('timeline', { sessionId }),
        report: (sessionId, totals) => this.tell({ kind: 'report', sessionId, totals }),
      },
      opened,
    );
    this.#sessions.set(session.id, session);
    this.#parts.onOpened(session);
  }

  #endSession(id: string, facts: Partial<SessionFacts>, timeline: Parameters<RemoteSession['end']>[1]): void {
    const session = this.#sessions.get(id);
    if (session !== undefined) {
      this.#sessions.delete(id);
      session.end(facts, timeline);
      this.#parts.onClosed(session);
    }
  }

  /** Its viewers find out by themselves, and come back to another thread, or to the next one on this place. */
  #onExit(worker: Worker, cause: string): void {
    if (worker !== this.#worker) {
      return;
    }
    this.#worker = undefined;
    this.#isReady = false;
    this.#loop = undefined;
    this.#detach();
    this.#pending.forEach(({ reject }) => reject(died()));
    const viewerCount = this.#sessions.size;
    for (const id of this.#sessions.keys()) {
      this.#endSession(id, { endReason: 'media_thread_died' }, []);
    }
    const wasEverReady = this.#endpoints.length > 0;
    if (this.#isClosing || !wasEverReady) {
      this.#ready.reject(new WorldError('MEDIA_THREAD_FAILED', cause));
      return;
    }
    const ranMs = this.#parts.clock.nowMs() - this.#startedAtMs;
    const waitMs = this.#backoff.nextDelayMs(ranMs);
    this.#log.error('media-thread.died', { cause, viewerCount, ranMs: Math.round(ranMs), waitMs: Math.round(waitMs) });
    this.#parts.onDied();
    this.#restartTimer = setTimeout(() => this.#start(), waitMs);
    const lost = this.#lastSnapshot;
    this.#lastSnapshot = [];
    void countedBy([this.#counted, lost]).then((counted) => {
      this.#counted = counted;
    });
  }
}

const died = (): WorldError => new WorldError('MEDIA_THREAD_DIED', 'the thread that held this session has ended');

const elapse = async (durationMs: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, durationMs).unref();
  });
