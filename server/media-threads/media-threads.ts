/** All media threads: viewers are spread over them, and the rest of the server sees one way out over WebRTC. */
import type { Gauge } from 'prom-client';
import type { Clock } from '../base/clock.ts';
import { clockZeroMs } from '../base/clock.ts';
import { WorldError } from '../base/errors.ts';
import type { HttpAnswer, HttpEndpoint, HttpRequest } from '../base/http-exchange.ts';
import { refuse } from '../base/http-exchange.ts';
import type { Prng } from '../base/prng.ts';
import type { Policy } from '../congestion/learned/policy.ts';
import type { LinkCaptureOptions } from '../learning/link-captures.ts';
import type { Learning } from '../learning/learning.ts';
import type { Log, LogLevel } from '../observability/log.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { BroadcastView } from '../relay/broadcast-view.ts';
import type { GopCacheOptions } from '../relay/gop-cache.ts';
import type { Hub } from '../relay/hub.ts';
import type { CongestionOptions } from '../relay/webrtc/congestion-options.ts';
import { COUNTER_OFFER_MAX_COUNT } from '../relay/webrtc/counter-offers.ts';
import type { WebRtcOutOptions } from '../relay/webrtc/options.ts';
import type { SessionListener, SessionView, SessionsOut } from '../relay/webrtc/session-view.ts';
import type { WhepContext } from '../relay/webrtc/whep-endpoint.ts';
import type { Audience, AudienceNews } from '../relay/webrtc/whep-extensions.ts';
import type { AnnouncedEndpoint } from '../webrtc-transport/sdp-answer.ts';
import type { SelfTestReport } from '../webrtc-transport/self-test.ts';
import { joinReports } from '../webrtc-transport/self-test.ts';
import type { WebRtcPortOptions } from '../webrtc-transport/webrtc-port.ts';
import { HubFeed } from './hub-feed.ts';
import type { StartWorker } from './media-thread.ts';
import { MediaThread, startWorker } from './media-thread.ts';
import { portAfter } from './options.ts';
import type { AnswerMessage, RequestMessage } from './thread-messages.ts';

export type MediaThreadsParts = {
  readonly threadCount: number;
  readonly ringBytes: number;
  readonly hub: Hub;
  /** `port`: of the first thread; the others follow. */
  readonly settings: WebRtcOutOptions & WebRtcPortOptions;
  readonly congestion: CongestionOptions;
  readonly capture: LinkCaptureOptions;
  readonly policies: readonly Policy[];
  readonly learning: Pick<Learning, 'revision' | 'snapshot' | 'note' | 'holdoutRatio'>;
  readonly gopCache: GopCacheOptions;
  readonly logLevel: LogLevel;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly startWorker?: StartWorker;
};

const LOOK_EVERY_MS = 1_000;
/** What was learned is copied to the threads at most so often. */
const LEARNED_EVERY_LOOK = 5;

export class MediaThreads implements SessionsOut {
  readonly #parts: MediaThreadsParts;
  readonly #threads: readonly MediaThread[];
  readonly #listeners: SessionListener[] = [];
  readonly #bySecret = new Map<string, SessionView>();
  readonly #homes = new Map<string, MediaThread>();
  /** Of offers of ours that are not answered yet. */
  readonly #offeredHomes = new Map<string, MediaThread>();
  readonly #smoothness = new WeakMap<BroadcastView, number>();
  readonly #busy: Gauge;
  readonly #timer: NodeJS.Timeout;
  #context: WhepContext | undefined;
  #lookCount = 0;
  #learnedRevision = -1;

  private constructor(parts: MediaThreadsParts) {
    const { hub, clock, metrics, threadCount } = parts;
    this.#parts = parts;
    const feed = new HubFeed({ hub, ringBytes: parts.ringBytes, clock, metrics });
    const deaths = metrics.counter('media_thread_deaths_total', 'Media threads that ended by themselves');
    this.#threads = Array.from({ length: threadCount }, (_, index) => {
      const thread: MediaThread = new MediaThread({
        ...{ feed, clock, log: parts.log, prng: parts.prng, startWorker: parts.startWorker ?? startWorker },
        order: {
          ...{ number: index + 1, memory: feed.memory, clockZeroMs: clockZeroMs(), logLevel: parts.logLevel },
          ...shareOf(parts, index),
          ...{ policies: parts.policies, gopCache: parts.gopCache },
        },
        onOpened: (session) => this.#onOpened(session, thread),
        onClosed: (session) => this.#onClosed(session),
        onNote: (note) => parts.learning.note(note),
        onStarted: () => this.#inform(thread),
        onDied: () => deaths.inc(),
      });
      return thread;
    });
    this.#busy = metrics.gauge('media_thread_busy_ratio', 'How much of the last second it was busy', ['thread']);
    this.#registerMetrics();
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  /** Rejects with `WorldError` when one of them cannot be started, `WEBRTC_PORT_UNAVAILABLE` above all. */
  static async open(parts: MediaThreadsParts): Promise<MediaThreads> {
    const all = new MediaThreads(parts);
    try {
      await Promise.all(all.#threads.map(async (thread) => thread.open()));
      return all;
    } catch (error) {
      await all.close('not_started');
      throw error;
    }
  }

  get sessionCount(): number {
    return this.#homes.size;
  }

  /** Where viewers are sent, of all threads that run. */
  get endpoints(): readonly AnnouncedEndpoint[] {
    return this.#threads.flatMap(({ endpoints }) => endpoints);
  }

  listen(listener: SessionListener): void {
    this.#listeners.push(listener);
  }

  findBySecret(secret: string): SessionView | undefined {
    return this.#bySecret.get(secret);
  }

  viewerCount({ name }: BroadcastView): number {
    const count = ({ sessions }: MediaThread): number =>
      [...sessions.values()].filter((session) => session.isConnected && session.name === name).length;
    return this.#threads.reduce((sum, thread) => sum + count(thread), 0);
  }

  watch(sessionId: string, renditionId: string | undefined): void {
    this.#homes.get(sessionId)?.tell({ kind: 'watch', sessionId, renditionId });
  }

  smoothnessOf(broadcast: BroadcastView): number {
    return this.#smoothness.get(broadcast) ?? this.#parts.congestion.smoothnessRatio;
  }

  setSmoothness(broadcast: BroadcastView, smoothnessRatio: number): void {
    this.#smoothness.set(broadcast, smoothnessRatio);
    this.#threads.forEach((thread) => thread.tell({ kind: 'smoothness', name: broadcast.name, smoothnessRatio }));
  }

  /** WHEP: each request goes to the thread that has its session, new ones to the thread with the fewest. */
  endpoint(context: WhepContext): HttpEndpoint {
    this.#context = context;
    const { hub } = this.#parts;
    hub.listen({ onBroadcastStarted: (broadcast) => this.#follow(broadcast, context.audience) });
    hub.broadcasts.forEach((broadcast) => this.#follow(broadcast, context.audience));
    return async (request) => this.#answer(request);
  }

  /** Never rejects. */
  async selfTest(): Promise<SelfTestReport> {
    return joinReports(
      await Promise.all(
        this.#threads.map(async (thread) => thread.ask('selfTest', undefined).catch(() => joinReports([]))),
      ),
    );
  }

  async close(reason: string): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#threads.map(async (thread) => thread.close(reason)));
  }

  async #answer(request: HttpRequest): Promise<HttpAnswer> {
    const [, , name = '', id] = request.path.split('/');
    const thread = this.#homeOf(id);
    if (thread === undefined) {
      return dead();
    }
    const message: RequestMessage = {
      ...{ method: request.method, path: request.path, query: request.query.toString(), headers: request.headers },
      ...{ body: new Uint8Array(request.body), remoteAddress: request.remoteAddress },
    };
    const lack = this.#context?.lacking(name);
    try {
      const { streamId, ...answer } = await thread.ask('http', { request: message, name, lack }, request.signal);
      this.#noteOffer(answer, thread);
      const { status, headers, body } = answer;
      const own = { status, headers, ...(body === undefined ? {} : { body }) };
      return streamId === undefined ? own : { ...own, stream: pulled(thread, streamId) };
    } catch (error) {
      if (error instanceof WorldError && error.code === 'MEDIA_THREAD_DIED') {
        return dead();
      }
      throw error;
    }
  }

  /** Undefined: there is none that runs. */
  #homeOf(id: string | undefined): MediaThread | undefined {
    const home = id === undefined ? undefined : (this.#homes.get(id) ?? this.#offeredHomes.get(id));
    const running = this.#threads.filter(({ isReady }) => isReady);
    return home ?? running.toSorted((a, b) => a.load - b.load)[0];
  }

  #noteOffer({ status, headers }: Pick<AnswerMessage, 'status' | 'headers'>, thread: MediaThread): void {
    const id = status === 406 ? headers['location']?.split('/')[3] : undefined;
    if (id !== undefined) {
      this.#offeredHomes.set(id, thread);
      const [oldest] = this.#offeredHomes.keys();
      if (this.#offeredHomes.size > COUNTER_OFFER_MAX_COUNT * this.#threads.length && oldest !== undefined) {
        this.#offeredHomes.delete(oldest);
      }
    }
  }

  #onOpened(session: SessionView, thread: MediaThread): void {
    this.#homes.set(session.id, thread);
    this.#offeredHomes.delete(session.id);
    this.#bySecret.set(session.secret, session);
    this.#listeners.forEach((listener) => listener.onOpened(session));
  }

  #onClosed(session: SessionView): void {
    this.#homes.delete(session.id);
    this.#bySecret.delete(session.secret);
    this.#listeners.forEach((listener) => listener.onClosed(session));
  }

  /** A thread that starts, the first time or again. */
  #inform(thread: MediaThread): void {
    const { hub, learning } = this.#parts;
    thread.tell({ kind: 'learning', snapshot: learning.snapshot(), holdoutRatio: learning.holdoutRatio });
    for (const broadcast of hub.broadcasts.values()) {
      const smoothnessRatio = this.#smoothness.get(broadcast);
      if (smoothnessRatio !== undefined) {
        thread.tell({ kind: 'smoothness', name: broadcast.name, smoothnessRatio });
      }
      const news = this.#context?.audience.newsOf(broadcast.name);
      thread.tell({ kind: 'news', name: broadcast.name, news });
    }
  }

  #follow(broadcast: BroadcastView, audience: Audience): void {
    const { name } = broadcast;
    const tell = (news: AudienceNews | undefined): void =>
      this.#threads.forEach((thread) => thread.tell({ kind: 'news', name, news }));
    const stop = audience.watch(name, tell);
    tell(audience.newsOf(name));
    broadcast.listen({
      onStateChanged: (state) => {
        if (state === 'ended') {
          stop();
          tell(undefined);
        }
      },
    });
  }

  #look(): void {
    this.#threads.forEach((thread) => thread.look());
    this.#lookCount += 1;
    const { learning } = this.#parts;
    if (this.#lookCount % LEARNED_EVERY_LOOK === 0 && learning.revision !== this.#learnedRevision) {
      this.#learnedRevision = learning.revision;
      const { holdoutRatio } = learning;
      this.#threads.forEach((thread) => thread.tell({ kind: 'learning', snapshot: learning.snapshot(), holdoutRatio }));
    }
    this.#threads.forEach((thread) => this.#busy.set({ thread: String(thread.number) }, thread.takeBusyRatio()));
  }

  #registerMetrics(): void {
    const { metrics } = this.#parts;
    metrics.observedGauge(
      'media_threads_running',
      'Media threads that take viewers',
      () => this.#threads.filter(({ isReady }) => isReady).length,
    );
    for (const thread of this.#threads) {
      metrics.addSource(async () => thread.metrics());
    }
  }
}

/** Caps are of the whole server, so each thread has its part; `joinsPerS` is what one loop bears, and stays. */
const shareOf = (
  { settings, congestion, capture, threadCount }: MediaThreadsParts,
  index: number,
): {
  settings: WebRtcOutOptions;
  port: WebRtcPortOptions;
  congestion: CongestionOptions;
  capture: LinkCaptureOptions;
} => {
  const part = (count: number): number => Math.ceil(count / threadCount);
  const shared = {
    ...settings,
    port: portAfter(settings.port, index),
    sessionMaxCount: part(settings.sessionMaxCount),
    // Automatic, it follows from `joinsPerS`.
    joinQueueMaxCount: settings.joinQueueMaxCount === 'auto' ? ('auto' as const) : part(settings.joinQueueMaxCount),
    requestsPerMinute: part(settings.requestsPerMinute),
    tcpConnectionMaxCount: part(settings.tcpConnectionMaxCount),
  };
  const { trace } = congestion;
  return {
    settings: shared,
    port: shared,
    congestion: { ...congestion, trace: { ...trace, sessionMaxCount: part(trace.sessionMaxCount) } },
    capture: { ...capture, sessionMaxCount: part(capture.sessionMaxCount) },
  };
};

const dead = (): HttpAnswer =>
  refuse(503, 'WHEP_OVERLOADED', 'the part of this server that sends media is being started again', {
    'retry-after': '1',
  });

/** What a thread streams, taken as fast as the peer reads. No generator: its `return` would wait for the pull that is under way, perhaps for ever. */
const pulled = (thread: MediaThread, streamId: number): AsyncIterable<Uint8Array> => ({
  [Symbol.asyncIterator]: () => ({
    next: async () => {
      const value = await thread.ask('pull', { streamId }).catch(() => undefined);
      return value === undefined ? { value: undefined, done: true } : { value, done: false };
    },
    return: async () => {
      await thread.ask('leave', { streamId }).catch(() => undefined);
      return { value: undefined, done: true };
    },
  }),
});
