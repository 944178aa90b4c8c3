/**
 * `/ws/NAME`: state, viewer count, clock, cues and what concerns one viewer's session. Messages are those of `contract/socket.ts`.
 * Every socket is bounded: what it may send, what may wait for it, and how many there may be.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Counter } from 'prom-client';
import type { WebSocket } from 'ws';
import { WebSocketServer } from 'ws';
import { z } from 'zod';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../observability/log.ts';
import type { Metrics } from '../../observability/metrics.ts';
import type { ClientMessage, RenditionSummary, ServerMessage } from '../contract/socket.ts';
import type {
  AccessView,
  BroadcastNews,
  BroadcastsView,
  CuesView,
  HintsView,
  Reporter,
  ReportersView,
  SessionsView,
  ViewerSessionView,
} from '../views.ts';

export type SocketOptions = {
  readonly socketMaxCount: number;
  /** A socket that lets this much pile up is closed: it reads too slowly. */
  readonly queueMaxBytes: number;
  readonly messageMaxBytes: number;
  readonly messageRateMaxPerS: number;
  readonly idleTimeoutMs: number;
};

export const DEFAULT_SOCKET_OPTIONS: SocketOptions = {
  socketMaxCount: 20_000,
  queueMaxBytes: 65_536,
  messageMaxBytes: 4_096,
  messageRateMaxPerS: 20,
  idleTimeoutMs: 60_000,
};

export type SocketParts = {
  readonly settings: SocketOptions;
  readonly broadcasts: BroadcastsView;
  readonly sessions: SessionsView;
  readonly reporters: ReportersView;
  readonly hints: HintsView;
  readonly cues: Pick<CuesView, 'snapshotText' | 'setViewers'>;
  readonly access: Pick<AccessView, 'mayWatch'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
};

const PATH_FORM = /^\/ws\/([A-Za-z0-9_-]{1,64})$/;
/** Of rungs, in the hub's words (`isRungId`). */
const RUNG = '(?:av1)?h\\d{3,4}';
const WATCHED_FORM = new RegExp(`^(?:main|${RUNG})$`);
const WISH_FORM = new RegExp(`^(?:auto|main|${RUNG})$`);
/** A bitrate that moved by less than this is no news. */
const BITRATE_NEWS_RATIO = 0.25;
const COUNT = z.number().int().min(0).max(1e9);

const CLIENT_MESSAGE: z.ZodType<ClientMessage> = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('ping'), id: COUNT }),
  z.strictObject({
    type: z.literal('report'),
    // Not strict: what a newer player says beside is nothing to lose its socket for.
    report: z.object({
      transport: z.enum(['whep', 'll-hls']),
      latencyMs: z.number().min(-10_000).max(600_000).nullable(),
      stallCount: COUNT,
      stallMs: z.number().min(0).max(1e9),
      framesDecoded: COUNT,
      framesDropped: COUNT,
      bufferDelayMs: z.number().min(0).max(600_000).nullable().exactOptional(),
      receivedBps: z.number().min(0).max(1e10).nullable().exactOptional(),
      targetLatencyMs: z.number().min(0).max(600_000).nullable().exactOptional(),
      rendition: z.string().regex(WATCHED_FORM).nullable().exactOptional(),
      bandwidthBps: z.number().min(0).max(1e10).nullable().exactOptional(),
    }),
  }),
  z.strictObject({ type: z.literal('watch'), rendition: z.string().regex(WISH_FORM) }),
]);

/** The sockets of all doors together. */
export class WatchSockets {
  readonly #parts: SocketParts;
  readonly #acceptor: WebSocketServer;
  readonly #dropped: Counter;
  readonly #byName = new Map<string, Set<ViewerSocket>>();

  constructor(parts: SocketParts) {
    this.#parts = parts;
    parts.cues.setViewers((name, text) => this.tellAll(name, text));
    this.#acceptor = new WebSocketServer({
      noServer: true,
      maxPayload: parts.settings.messageMaxBytes,
      perMessageDeflate: false,
    });
    this.#dropped = parts.metrics.counter('socket_closed_total', 'WebSockets closed by the server, by reason', [
      'reason',
    ]);
    parts.metrics.observedGauge('sockets_open', 'Open WebSockets', () => this.#acceptor.clients.size);
  }

  /** Takes the upgrades of `server`. */
  attach(server: Server): void {
    server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) =>
      this.#onUpgrade(request, stream, head),
    );
  }

  /** One text to all sockets of `name`: it is written once, however many there are. */
  tellAll(name: string, text: string): void {
    for (const socket of this.#byName.get(name) ?? []) {
      socket.sendText(text);
    }
  }

  /** Ends all with a reason they are told, and takes no more. */
  close(reason: string): void {
    for (const socket of this.#acceptor.clients) {
      socket.send(JSON.stringify({ type: 'closing', reason } satisfies ServerMessage));
      socket.close(1001, reason);
    }
    this.#acceptor.close();
  }

  #onUpgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    // Until the handshake is done nobody else listens, and a peer may be gone by now.
    stream.on('error', () => stream.destroy());
    const { access, sessions, settings } = this.#parts;
    // Not `new URL`, which throws on what a peer may well send (`//`).
    const [path = '', search = ''] = (request.url ?? '').split('?', 2);
    const query = new URLSearchParams(search);
    const name = PATH_FORM.exec(path)?.[1];
    if (name === undefined) {
      return refuseUpgrade(stream, '404 Not Found');
    }
    if (this.#acceptor.clients.size >= settings.socketMaxCount) {
      return refuseUpgrade(stream, '503 Service Unavailable\r\nRetry-After: 5');
    }
    // Who has a session has been let in already; its secret is not the token.
    const session = sessions.findBySecret(query.get('session') ?? '');
    if (session === undefined && !access.mayWatch(name, query.get('token') ?? undefined)) {
      return refuseUpgrade(stream, '401 Unauthorized\r\nWWW-Authenticate: Bearer');
    }
    this.#acceptor.handleUpgrade(request, stream, head, (socket) => {
      const viewer = new ViewerSocket({ socket, name, session, parts: this.#parts, dropped: this.#dropped });
      this.#keep(name, viewer);
      socket.on('close', () => this.#forget(name, viewer));
      viewer.start();
    });
  }

  #keep(name: string, viewer: ViewerSocket): void {
    const viewers = this.#byName.get(name) ?? new Set();
    this.#byName.set(name, viewers);
    viewers.add(viewer);
  }

  #forget(name: string, viewer: ViewerSocket): void {
    const viewers = this.#byName.get(name);
    viewers?.delete(viewer);
    if (viewers?.size === 0) {
      this.#byName.delete(name);
    }
  }
}

const refuseUpgrade = (stream: Duplex, status: string): void => {
  stream.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
};

/** One viewer's socket, from upgrade to close. */
class ViewerSocket {
  readonly #socket: WebSocket;
  readonly #name: string;
  readonly #session: ViewerSessionView | undefined;
  readonly #parts: SocketParts;
  readonly #dropped: Counter;
  readonly #stops: (() => void)[] = [];
  readonly #reporter: Reporter;
  #messageCount = 0;
  #windowStartMs: number;
  #lastHeardAtMs: number;
  #lastState = '';
  #lastRenditions: readonly RenditionSummary[] = [];

  constructor(options: {
    socket: WebSocket;
    name: string;
    session: ViewerSessionView | undefined;
    parts: SocketParts;
    dropped: Counter;
  }) {
    this.#socket = options.socket;
    this.#name = options.name;
    this.#session = options.session;
    this.#parts = options.parts;
    this.#dropped = options.dropped;
    this.#reporter = options.parts.reporters.open(options.name);
    this.#stops.push(() => this.#reporter.close());
    const nowMs = options.parts.clock.nowMs();
    this.#windowStartMs = nowMs;
    this.#lastHeardAtMs = nowMs;
  }

  start(): void {
    const { broadcasts, cues, hints, settings } = this.#parts;
    this.#socket.on('message', (raw, isBinary) => this.#onMessage(isBinary ? '' : messageText(raw)));
    this.#socket.on('error', () => this.#socket.terminate());
    this.#socket.on('close', () => this.#stop());
    this.#stops.push(broadcasts.watch(this.#name, (news) => this.#sendNews(news)));
    if (this.#session !== undefined) {
      this.#stops.push(this.#session.listen((message) => this.#send(message)));
    }
    const heartbeat = setInterval(() => this.#checkIdle(), settings.idleTimeoutMs / 4);
    this.#stops.push(() => clearInterval(heartbeat));
    this.#sendNews(broadcasts.newsOf(this.#name));
    this.#send({ type: 'hints', hints: hints.hintsFor(this.#name) });
    this.sendText(cues.snapshotText(this.#name));
  }

  #stop(): void {
    for (const stop of this.#stops.splice(0)) {
      stop();
    }
  }

  #onMessage(text: string): void {
    const nowMs = this.#parts.clock.nowMs();
    this.#lastHeardAtMs = nowMs;
    if (!this.#isWithinRate(nowMs)) {
      this.#drop('too_many_messages');
      return;
    }
    const message = parseMessage(text);
    if (message === undefined) {
      this.#drop('message_invalid');
    } else if (message.type === 'ping') {
      this.#send({ type: 'pong', id: message.id, serverWallMs: this.#parts.clock.wallMs() });
    } else if (message.type === 'watch') {
      this.#session?.watch(message.rendition === 'auto' ? undefined : message.rendition);
    } else {
      this.#session?.report(message.report);
      this.#reporter.report(message.report);
    }
  }

  #isWithinRate(nowMs: number): boolean {
    if (nowMs - this.#windowStartMs >= 1_000) {
      this.#windowStartMs = nowMs;
      this.#messageCount = 0;
    }
    this.#messageCount += 1;
    return this.#messageCount <= this.#parts.settings.messageRateMaxPerS;
  }

  #sendNews({ state, viewerCount, broadcastId, renditions }: BroadcastNews): void {
    const named = broadcastId === undefined ? {} : { broadcastId };
    this.#sendState({ type: 'state', state, viewerCount, ...named });
    if (!isSameChoice(renditions, this.#lastRenditions)) {
      this.#lastRenditions = renditions;
      this.#send({ type: 'renditions', renditions });
    }
  }

  #sendState(message: ServerMessage): void {
    const text = JSON.stringify(message);
    if (text !== this.#lastState) {
      this.#lastState = text;
      this.sendText(text);
    }
  }

  #send(message: ServerMessage): void {
    this.sendText(JSON.stringify(message));
  }

  /** Nothing happens when it is closing; one that reads too slowly is closed. */
  sendText(text: string): void {
    if (this.#socket.readyState !== this.#socket.OPEN) {
      return;
    }
    if (this.#socket.bufferedAmount > this.#parts.settings.queueMaxBytes) {
      this.#drop('reads_too_slowly');
      return;
    }
    this.#socket.send(text);
  }

  /** Players ping every few seconds; one that fell silent is gone, whatever TCP thinks. */
  #checkIdle(): void {
    if (this.#parts.clock.nowMs() - this.#lastHeardAtMs > this.#parts.settings.idleTimeoutMs) {
      this.#drop('idle');
    }
  }

  #drop(reason: string): void {
    this.#dropped.inc({ reason });
    this.#socket.close(1008, reason);
    this.#stop();
  }
}

const isSameChoice = (now: readonly RenditionSummary[], before: readonly RenditionSummary[]): boolean =>
  now.length === before.length &&
  now.every(({ id, widthPx, heightPx, bitrateBps }, index) => {
    const last = before[index];
    const isSamePicture = last?.id === id && last.widthPx === widthPx && last.heightPx === heightPx;
    return isSamePicture && Math.abs(bitrateBps - last.bitrateBps) <= last.bitrateBps * BITRATE_NEWS_RATIO;
  });

const messageText = (raw: unknown): string => (raw instanceof Buffer ? raw.toString('utf8') : '');

const parseMessage = (text: string): ClientMessage | undefined => {
  try {
    return CLIENT_MESSAGE.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
};
