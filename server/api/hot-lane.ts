/**
 * A short way for what thousands ask for several times a second: plain requests of given paths without a body, on HTTP/1.1 connections. It reads request heads
 * itself and writes each answer in one piece, whose bytes are kept for all who get the same answer; Node's own HTTP and the router cost about
 * twice as much per answer as all the rest together. Anything it does not know, down to an unusual header, makes it hand the connection over to the HTTP
 * server behind it, bytes and all, and that is where the connection stays.
 *
 *     METHOD PATH HTTP/1.1 CRLF (name: value CRLF)* CRLF     RFC 9112: what is taken; no body, no upgrade, no obsolete folding
 */
import type { Server, Socket } from 'node:net';
import type { HttpAnswer, HttpRequest } from '../base/http-exchange.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../observability/log.ts';
import { HotTargets, PeerGone, answerHot } from './hot-request.ts';
import type { HotRoute } from './hot-request.ts';

export type HotLaneOptions = {
  readonly routes: readonly HotRoute[];
  /** Requests that name who they are forwarded for are left to the server behind, which knows whom to believe. */
  readonly hasTrustedProxies: boolean;
  readonly headersMaxBytes: number;
  /** From a request's first byte to its last. */
  readonly requestTimeoutMs: number;
  /** A connection that neither sends nor takes anything for so long is ended. */
  readonly idleTimeoutMs: number;
};

type Parts = { readonly clock: Clock; readonly log: Log };

/**
 * Answers up to this are one piece with their head, copied once a second for all who ask: Node takes 5 µs more to write two pieces at once, per viewer,
 * than a part of 100 kB takes to be copied. Larger bodies are written beside their head, uncopied.
 */
const ONE_PIECE_MAX_BYTES = 262_144;
/** Requests that were sent before the answer to the one before had come. */
const PIPELINED_MAX_BYTES = 65_536;
/** A method and a prefix are shorter. */
const START_MAX_BYTES = 64;
const LOOK_MAX_MS = 10_000;
const HEAD_END = Buffer.from('\r\n\r\n');
const EMPTY = Buffer.alloc(0);
/** What would change how the request is to be read or answered. */
const UNUSUAL =
  /\n(?:transfer-encoding|expect|upgrade|http2-settings)[ \t]*:|\ncontent-length[ \t]*:(?! *0\r?$)|\nconnection:(?! *keep-alive\r?$)|\n[ \t]/im;
const REASONS: Readonly<Record<number, string>> = {
  ...{ 200: 'OK', 201: 'Created', 204: 'No Content', 304: 'Not Modified', 400: 'Bad Request', 401: 'Unauthorized' },
  ...{ 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 409: 'Conflict', 410: 'Gone' },
  ...{ 429: 'Too Many Requests', 499: 'Client Closed', 500: 'Internal Server Error', 503: 'Service Unavailable' },
};

export class HotLane {
  readonly #options: HotLaneOptions;
  readonly #parts: Parts;
  readonly #connections = new Set<HotConnection>();
  readonly #targets = new HotTargets();
  readonly #routes: readonly StartedRoute[];
  readonly #timer: NodeJS.Timeout;

  constructor(options: HotLaneOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
    this.#routes = options.routes.map((route) => ({ start: `${route.method} ${route.prefix}`, route }));
    this.#timer = setInterval(() => this.#endIdle(), Math.min(LOOK_MAX_MS, options.idleTimeoutMs / 4)).unref();
  }

  /** Puts the lane in front of all that listens to a plain HTTP server's connections by now; to be called once. */
  attach(server: Server): void {
    const listeners = server.listeners('connection');
    server.removeAllListeners('connection');
    server.on('connection', (socket: Socket) => {
      if (!socket.destroyed) {
        this.#open(socket, () => listeners.forEach((listener) => Reflect.apply(listener, server, [socket])));
      }
    });
  }

  /** Ends connections between two requests; the others when they have their answer. */
  close(): void {
    clearInterval(this.#timer);
    for (const connection of this.#connections) {
      connection.close();
    }
  }

  #endIdle(): void {
    const nowMs = this.#parts.clock.nowMs();
    for (const connection of this.#connections) {
      connection.endIfIdle(nowMs);
    }
  }

  #open(socket: Socket, handOver: () => void): void {
    const connection: HotConnection = new HotConnection(socket, {
      ...this.#parts,
      ...{ settings: this.#options, routes: this.#routes, targets: this.#targets },
      serialise: this.#serialise,
      onLeft: () => this.#connections.delete(connection),
      handOver,
    });
    this.#connections.add(connection);
  }

  /** Bytes of what was answered in this second (`Date`), for all who get the same; forgotten with it. */
  #serialised = new Map<HttpAnswer, readonly Uint8Array[]>();
  #second = 0;

  readonly #serialise = (answer: HttpAnswer): readonly Uint8Array[] => {
    const second = Math.floor(this.#parts.clock.wallMs() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#serialised = new Map();
    }
    let pieces = this.#serialised.get(answer);
    if (pieces === undefined) {
      pieces = piecesOf(answer, second);
      this.#serialised.set(answer, pieces);
    }
    return pieces;
  };
}

/** A route, and how the first line of its requests begins. */
type StartedRoute = { readonly start: string; readonly route: HotRoute };

/** A request, and who answers it. */
type HotRequest = { readonly route: HotRoute; readonly request: HttpRequest };

type ConnectionParts = Parts & {
  readonly settings: HotLaneOptions;
  readonly routes: readonly StartedRoute[];
  readonly targets: HotTargets;
  readonly serialise: (answer: HttpAnswer) => readonly Uint8Array[];
  readonly onLeft: () => void;
  readonly handOver: () => void;
};

class HotConnection {
  readonly #socket: Socket;
  readonly #parts: ConnectionParts;
  readonly #remoteAddress: string;
  #pending: Buffer = EMPTY;
  #headSinceMs: number | undefined;
  #headersText = '';
  #headers: Readonly<Record<string, string>> | undefined;
  #gone: PeerGone | undefined;
  #isAnswering = false;
  #isReading = false;
  #isClosing = false;
  #movedAtMs: number;

  constructor(socket: Socket, parts: ConnectionParts) {
    this.#socket = socket;
    this.#parts = parts;
    this.#remoteAddress = socket.remoteAddress ?? '';
    socket.setNoDelay(true);
    // Set only while an answer waits to be taken: refreshed with each read and write, it costs as much as the parsing.
    socket.on('timeout', this.#onTimeout);
    this.#movedAtMs = parts.clock.nowMs();
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  close(): void {
    this.#isClosing = true;
    if (!this.#isAnswering) {
      this.#socket.destroy();
    }
  }

  /** The other way to be idle, not to take an answer, is the socket's own time-out. */
  endIfIdle(nowMs: number): void {
    if (!this.#isAnswering && nowMs - this.#movedAtMs > this.#parts.settings.idleTimeoutMs) {
      this.#socket.destroy();
    }
  }

  readonly #onData = (bytes: Buffer): void => {
    this.#movedAtMs = this.#parts.clock.nowMs();
    this.#pending = this.#pending.byteLength === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    if (!this.#isAnswering) {
      this.#readRequests();
    } else if (this.#pending.byteLength > PIPELINED_MAX_BYTES) {
      this.#socket.destroy();
    }
  };

  readonly #onTimeout = (): void => {
    this.#socket.destroy();
  };

  /** HTTP servers leave connections half open. Who stopped sending waits for nothing new, but reads what is on its way. */
  readonly #onEnd = (): void => {
    if (this.#socket.writableLength > 0) {
      this.#socket.end();
    } else {
      this.#socket.destroy();
    }
  };

  /** The close that follows tells the rest. */
  readonly #onError = (): void => {
    this.#socket.destroy();
  };

  readonly #onClose = (): void => {
    this.#gone?.abort();
    this.#parts.onLeft();
  };

  /** One after the other, as far as they are here; answers that are there at once do not nest. */
  #readRequests(): void {
    if (this.#isReading) {
      return;
    }
    this.#isReading = true;
    let isRead = true;
    while (isRead && !this.#isAnswering && this.#pending.byteLength > 0) {
      isRead = this.#readRequest();
    }
    this.#isReading = false;
  }

  /** False: there is no whole one, or it is not ours. */
  #readRequest(): boolean {
    const end = this.#pending.indexOf(HEAD_END);
    if (end < 0) {
      this.#waitForHead();
      return false;
    }
    this.#headSinceMs = undefined;
    const head = this.#pending.toString('latin1', 0, end);
    const request = end > this.#parts.settings.headersMaxBytes ? undefined : this.#parse(head);
    if (request === undefined) {
      this.#handOver();
      return false;
    }
    const rest = this.#pending.subarray(end + HEAD_END.byteLength);
    // An empty view would keep what was read alive for as long as the request waits, and thousands of those are work for the collector.
    this.#pending = rest.byteLength === 0 ? EMPTY : rest;
    this.#isAnswering = true;
    answerHot(request, { log: this.#parts.log, send: this.#send });
    return true;
  }

  /** Half a head is not waited for longer than the server behind would; one that cannot be ours is its business at once. */
  #waitForHead(): void {
    const { settings, clock, routes } = this.#parts;
    const seen = this.#pending.toString('latin1', 0, START_MAX_BYTES);
    const nowMs = clock.nowMs();
    this.#headSinceMs ??= nowMs;
    const isLate = nowMs - this.#headSinceMs > settings.requestTimeoutMs;
    const mayBeOurs = routes.some(({ start }) => start.startsWith(seen) || seen.startsWith(start));
    if (!mayBeOurs || this.#pending.byteLength > settings.headersMaxBytes) {
      this.#handOver();
    } else if (isLate) {
      this.#socket.destroy();
    }
  }

  #handOver(): void {
    const socket = this.#socket;
    socket.off('data', this.#onData);
    socket.off('end', this.#onEnd);
    socket.off('error', this.#onError);
    socket.off('close', this.#onClose);
    socket.off('timeout', this.#onTimeout);
    socket.setTimeout(0);
    this.#parts.onLeft();
    socket.pause();
    const { handOver } = this.#parts;
    if (this.#pending.byteLength > 0) {
      socket.unshift(this.#pending);
    }
    this.#pending = EMPTY;
    handOver();
    socket.resume();
  }

  #parse(head: string): HotRequest | undefined {
    const lineEnd = head.indexOf('\r\n');
    const line = lineEnd < 0 ? head : head.slice(0, lineEnd);
    const route = this.#parts.routes.find(({ start }) => line.startsWith(start))?.route;
    const headers = lineEnd < 0 || route === undefined ? undefined : this.#readHeaders(head.slice(lineEnd));
    if (headers === undefined || route === undefined || !line.endsWith(' HTTP/1.1')) {
      return undefined;
    }
    const target = this.#parts.targets.read(route, line.slice(route.method.length + 1, -9));
    return target === undefined
      ? undefined
      : {
          route,
          request: new LaneRequest({ method: route.method, ...target, headers }, this.#openGone, this.#remoteAddress),
        };
  }

  /** A player sends the same lines with every request. Undefined: not to be taken. */
  #readHeaders(text: string): Readonly<Record<string, string>> | undefined {
    if (text !== this.#headersText) {
      const headers = UNUSUAL.test(text) ? undefined : headersOf(text);
      this.#headersText = text;
      const isForwarded = this.#parts.settings.hasTrustedProxies && headers?.['x-forwarded-for'] !== undefined;
      this.#headers = headers?.['host'] === undefined || isForwarded ? undefined : headers;
    }
    return this.#headers;
  }

  readonly #openGone = (): PeerGone => {
    this.#gone = new PeerGone();
    return this.#gone;
  };

  readonly #send = (answer: HttpAnswer): void => {
    this.#gone = undefined;
    if (this.#socket.destroyed) {
      return;
    }
    const isTaken = this.#write(this.#parts.serialise(answer));
    if (this.#isClosing) {
      this.#socket.end();
    } else if (isTaken || this.#socket.writableLength === 0) {
      this.#next();
    } else {
      // The next request is not looked at before this answer has left: a peer that does not read holds one answer at most.
      this.#socket.setTimeout(this.#parts.settings.idleTimeoutMs);
      this.#socket.once('drain', this.#onDrain);
    }
  };

  readonly #onDrain = (): void => {
    this.#socket.setTimeout(0);
    this.#next();
  };

  readonly #next = (): void => {
    this.#movedAtMs = this.#parts.clock.nowMs();
    this.#isAnswering = false;
    this.#readRequests();
  };

  #write(pieces: readonly Uint8Array[]): boolean {
    const [first, ...more] = pieces;
    if (first === undefined) {
      return true;
    }
    if (more.length === 0) {
      return this.#socket.write(first);
    }
    this.#socket.cork();
    this.#socket.write(first);
    const isTaken = more.map((piece) => this.#socket.write(piece)).every(Boolean);
    this.#socket.uncork();
    return isTaken;
  }
}

/**
 * What few requests need is made only when it is asked for. A class, not a literal with getters: each of those has a hidden class of its own, which keeps its
 * closures, and with them the whole request, until the next full collection (measured: 0.7 kB a claim, and scavenges of 10 ms).
 */
class LaneRequest implements HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string>>;
  readonly body = EMPTY;
  readonly remoteAddress: string;
  readonly #openGone: () => PeerGone;
  #gone: PeerGone | undefined;

  constructor(
    read: Pick<HttpRequest, 'method' | 'path' | 'query'> & { readonly headers: Readonly<Record<string, string>> },
    openGone: () => PeerGone,
    remoteAddress: string,
  ) {
    this.method = read.method;
    this.path = read.path;
    this.query = read.query;
    this.headers = read.headers;
    this.remoteAddress = remoteAddress;
    this.#openGone = openGone;
  }

  /** Made only when somebody asks for it. */
  get signal(): PeerGone {
    return (this.#gone ??= this.#openGone());
  }
}

/** Of lines that each begin with CRLF; undefined when one is no header line. */
const headersOf = (text: string): Record<string, string> | undefined => {
  const headers: Record<string, string> = {};
  for (const line of text.slice(2).split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon <= 0 || line.charCodeAt(colon - 1) === 0x20) {
      return undefined;
    }
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const before = headers[name];
    headers[name] = before === undefined ? value : `${before}, ${value}`;
  }
  return headers;
};

const piecesOf = ({ status, headers, body }: HttpAnswer, second: number): readonly Uint8Array[] => {
  const bytes = typeof body === 'string' ? Buffer.from(body) : (body ?? EMPTY);
  const hasBody = status !== 204 && status !== 304;
  const lines = [
    `HTTP/1.1 ${status} ${REASONS[status] ?? 'Unknown'}`,
    `date: ${new Date(second * 1000).toUTCString()}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ...(hasBody ? [`content-length: ${bytes.byteLength}`] : []),
  ];
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  if (!hasBody || bytes.byteLength === 0) {
    return [head];
  }
  return bytes.byteLength <= ONE_PIECE_MAX_BYTES ? [Buffer.concat([head, bytes])] : [head, bytes];
};
