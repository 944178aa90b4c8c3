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
import type { ClientMessage, ServerMessage } from '../contract/socket.ts';
import type { FanOut, Hearer } from '../fan-out.ts';
import { PING_FRAME } from '../fan-out.ts';
import { SocketCrowd } from '../socket-crowd.ts';
import type {
  AccessView,
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
/** What a crowd is told may hold the loop for so long at a time: media goes out in between. */
const SLICE_MAX_MS = 2;
const BEAT_EVERY_MS = 100;
/** So long it may take to read why it is closed: what waits for it is held until then. */
const CLOSE_MAX_MS = 5_000;
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
  readonly #crowds = new Map<string, Crowd>();
  readonly #viewers = new Set<ViewerSocket>();
  readonly #heartbeat: NodeJS.Timeout;
  /** Whose heart is felt next, and how many are due. */
  #round = this.#viewers.values();
  #beatCredit = 0;
  /** With something to tell; the first is the next. */
  readonly #telling = new Set<FanOut>();
  #isSliceDue = false;

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
    this.#heartbeat = setInterval(() => this.#beat(), BEAT_EVERY_MS);
    this.#heartbeat.unref();
  }

  /** Takes the upgrades of `server`. */
  attach(server: Server): void {
    server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) =>
      this.#onUpgrade(request, stream, head),
    );
  }

  /** One text to all sockets of `name` that are there now: framed once, and sent in slices of the loop. */
  tellAll(name: string, text: string): void {
    const crowd = this.#crowds.get(name);
    crowd?.sockets.tell(text);
    this.#startTelling(crowd);
  }

  /** Ends all with a reason they are told, and takes no more. */
  close(reason: string): void {
    clearInterval(this.#heartbeat);
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
      const crowd = this.#crowdOf(name);
      const viewer = new ViewerSocket({
        ...{ socket, stream, name, session, parts: this.#parts, dropped: this.#dropped },
        crowd: crowd.sockets,
      });
      this.#viewers.add(viewer);
      socket.on('close', () => this.#forget(viewer, crowd));
      crowd.sockets.add(viewer);
      viewer.start();
    });
  }

  #crowdOf(name: string): Crowd {
    const existing = this.#crowds.get(name);
    if (existing !== undefined) {
      return existing;
    }
    const { broadcasts } = this.#parts;
    const sockets = new SocketCrowd(broadcasts.newsOf(name));
    const stop = broadcasts.watch(name, (news) => {
      sockets.onNews(news);
      this.#startTelling(crowd);
    });
    const crowd = { name, sockets, stop };
    this.#crowds.set(name, crowd);
    return crowd;
  }

  #forget(viewer: ViewerSocket, crowd: Crowd): void {
    viewer.stop();
    this.#viewers.delete(viewer);
    const { fanOut } = crowd.sockets;
    fanOut.remove(viewer);
    if (fanOut.memberCount === 0 && this.#crowds.get(crowd.name) === crowd) {
      this.#crowds.delete(crowd.name);
      this.#telling.delete(fanOut);
      crowd.stop();
    }
  }

  #startTelling(crowd: Crowd | undefined): void {
    if (crowd?.sockets.fanOut.hasWork === true) {
      this.#telling.add(crowd.sockets.fanOut);
      this.#tellOn();
    }
  }

  #tellOn(): void {
    if (!this.#isSliceDue && this.#telling.size > 0) {
      this.#isSliceDue = true;
      setImmediate(() => {
        this.#isSliceDue = false;
        this.#tellSlice();
        this.#tellOn();
      });
    }
  }

  /** Crowds take turns. */
  #tellSlice(): void {
    const { clock } = this.#parts;
    const endAtMs = clock.nowMs() + SLICE_MAX_MS;
    for (const fanOut of [...this.#telling]) {
      fanOut.run(() => clock.nowMs() >= endAtMs);
      this.#telling.delete(fanOut);
      if (fanOut.hasWork) {
        this.#telling.add(fanOut);
      }
      if (clock.nowMs() >= endAtMs) {
        return;
      }
    }
  }

  /**
   * The kernel takes megabytes for a peer that reads nothing: only an answer to a ping shows that one does. Each is asked four times within the time of idleness,
   * a few at a time, so that ten thousand do not answer in one moment.
   */
  #beat(): void {
    this.#beatCredit += (this.#viewers.size * BEAT_EVERY_MS * 4) / this.#parts.settings.idleTimeoutMs;
    for (; this.#beatCredit >= 1; this.#beatCredit -= 1) {
      const next = this.#round.next();
      if (next.done === true) {
        this.#round = this.#viewers.values();
      } else {
        next.value.beat();
      }
    }
  }
}

const refuseUpgrade = (stream: Duplex, status: string): void => {
  stream.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
};

type Crowd = { readonly name: string; readonly sockets: SocketCrowd; readonly stop: () => void };

/** One viewer's socket, from upgrade to close. */
class ViewerSocket implements Hearer {
  readonly #socket: WebSocket;
  /** What carries it: whole frames may be written beside those of `ws`, which keeps nothing back without compression. */
  readonly #stream: Duplex;
  readonly #crowd: SocketCrowd;
  readonly #name: string;
  readonly #session: ViewerSessionView | undefined;
  readonly #parts: SocketParts;
  readonly #dropped: Counter;
  readonly #stops: (() => void)[] = [];
  readonly #reporter: Reporter;
  #messageCount = 0;
  #windowStartMs: number;
  #lastHeardAtMs: number;
  /** Of the first ping that is not answered yet. */
  #pingedAtMs: number | undefined;

  constructor(options: {
    socket: WebSocket;
    stream: Duplex;
    crowd: SocketCrowd;
    name: string;
    session: ViewerSessionView | undefined;
    parts: SocketParts;
    dropped: Counter;
  }) {
    this.#socket = options.socket;
    this.#stream = options.stream;
    this.#crowd = options.crowd;
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
    this.#socket.on('message', (raw, isBinary) => this.#onMessage(isBinary ? '' : messageText(raw)));
    this.#socket.on('ping', () => this.#isHeardInRate());
    this.#socket.on('pong', () => {
      this.#pingedAtMs = undefined;
      this.#isHeardInRate();
    });
    this.#socket.on('error', () => this.#socket.terminate());
    if (this.#session !== undefined) {
      this.#stops.push(this.#session.listen((message) => this.#send(message)));
    }
    this.#send({ type: 'hints', hints: this.#parts.hints.hintsFor(this.#name) });
    this.hear(this.#crowd.frameOf(this.#parts.cues.snapshotText(this.#name)));
  }

  stop(): void {
    for (const stop of this.#stops.splice(0)) {
      stop();
    }
  }

  #onMessage(text: string): void {
    const message = this.#isHeardInRate() ? parseMessage(text) : undefined;
    if (this.#socket.readyState !== this.#socket.OPEN) {
      return;
    }
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

  /** False, and it is closed, when it says too much. */
  #isHeardInRate(): boolean {
    const nowMs = this.#parts.clock.nowMs();
    this.#lastHeardAtMs = nowMs;
    if (this.#isWithinRate(nowMs)) {
      return true;
    }
    this.#drop('too_many_messages');
    return false;
  }

  #isWithinRate(nowMs: number): boolean {
    if (nowMs - this.#windowStartMs >= 1_000) {
      this.#windowStartMs = nowMs;
      this.#messageCount = 0;
    }
    this.#messageCount += 1;
    return this.#messageCount <= this.#parts.settings.messageRateMaxPerS;
  }

  /** A frame that is made for all. Nothing happens when it is closing; one that reads too slowly is closed. */
  hear(frame: Buffer): void {
    if (this.#mayWrite()) {
      this.#stream.write(frame);
    }
  }

  #send(message: ServerMessage): void {
    if (this.#mayWrite()) {
      this.#socket.send(JSON.stringify(message));
    }
  }

  #mayWrite(): boolean {
    if (this.#socket.readyState !== this.#socket.OPEN) {
      return false;
    }
    if (this.#stream.writableLength <= this.#parts.settings.queueMaxBytes) {
      return true;
    }
    this.#drop('reads_too_slowly');
    return false;
  }

  /** One that fell silent is gone, whatever TCP thinks; one that speaks and does not answer does not read. Whoever is left is asked again. */
  beat(): void {
    const { clock, settings } = this.#parts;
    const nowMs = clock.nowMs();
    if (nowMs - this.#lastHeardAtMs > settings.idleTimeoutMs) {
      this.#drop('idle');
    } else if (nowMs - (this.#pingedAtMs ?? nowMs) > settings.idleTimeoutMs / 2) {
      this.#drop('reads_too_slowly');
    } else if (this.#mayWrite()) {
      this.#pingedAtMs ??= nowMs;
      this.#stream.write(PING_FRAME);
    }
  }

  #drop(reason: string): void {
    this.#dropped.inc({ reason });
    this.#socket.close(1008, reason);
    setTimeout(() => this.#socket.terminate(), CLOSE_MAX_MS).unref();
    this.stop();
  }
}

const messageText = (raw: unknown): string => (raw instanceof Buffer ? raw.toString('utf8') : '');

const parseMessage = (text: string): ClientMessage | undefined => {
  try {
    return CLIENT_MESSAGE.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
};
