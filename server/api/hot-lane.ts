/**
 * A short way for what thousands ask for several times a second: plain requests of given paths without a body, on HTTP/1.1 connections. It reads request heads
 * itself and writes each answer in one piece, whose bytes are kept for all who get the same answer; Node's own HTTP and the router cost about
 * twice as much per answer as all the rest together. Anything it does not know, down to an unusual header, makes it hand the connection over to the HTTP
 * server behind it, bytes and all, and that is where the connection stays.
 *
 *     METHOD PATH HTTP/1.1 CRLF (name: value CRLF)* CRLF     RFC 9112: what is taken; no body, no upgrade, no obsolete folding
 */
import type { Server, Socket } from 'node:net';
import { messageOf } from '../base/errors.ts';
import type { HttpAnswer, HttpEndpoint, HttpRequest } from '../base/http-exchange.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../observability/log.ts';

export type HotRoute = {
  readonly method: 'GET' | 'POST';
  /** What its paths begin with, slash included: `/hls/`. */
  readonly prefix: string;
  /** How they go on; anything, where there is none. */
  readonly form?: RegExp;
  readonly endpoint: HttpEndpoint;
};

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

/** Answers up to this are kept as one piece with their head; larger bodies are written beside it, uncopied. */
const ONE_PIECE_MAX_BYTES = 32_768;
/** Requests that were sent before the answer to the one before had come. */
const PIPELINED_MAX_BYTES = 65_536;
/** A method and a prefix are shorter. */
const START_MAX_BYTES = 64;
const HEAD_END = Buffer.from('\r\n\r\n');
const EMPTY = Buffer.alloc(0);
/** What would change how the request is to be read or answered. */
const UNUSUAL =
  /\n(?:transfer-encoding|expect|upgrade|http2-settings)[ \t]*:|\ncontent-length[ \t]*:(?! *0\r?$)|\nconnection:(?! *keep-alive\r?$)|\n[ \t]/im;
const PLAIN_PATH = /^[\w./~-]+$/;
const REASONS: Readonly<Record<number, string>> = {
  ...{ 200: 'OK', 201: 'Created', 204: 'No Content', 304: 'Not Modified', 400: 'Bad Request', 401: 'Unauthorized' },
  ...{ 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 409: 'Conflict', 410: 'Gone' },
  ...{ 429: 'Too Many Requests', 499: 'Client Closed', 500: 'Internal Server Error', 503: 'Service Unavailable' },
};

export class HotLane {
  readonly #options: HotLaneOptions;
  readonly #parts: Parts;
  readonly #connections = new Set<HotConnection>();

  constructor(options: HotLaneOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
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
    for (const connection of this.#connections) {
      connection.close();
    }
  }

  #open(socket: Socket, handOver: () => void): void {
    const connection: HotConnection = new HotConnection(socket, {
      ...this.#parts,
      settings: this.#options,
      serialise: this.#serialise,
      onLeft: () => this.#connections.delete(connection),
      handOver,
    });
    this.#connections.add(connection);
  }

  /** Bytes of an answer for all who get it within the same second (`Date`). */
  readonly #serialised = new WeakMap<HttpAnswer, { readonly second: number; readonly pieces: readonly Uint8Array[] }>();

  readonly #serialise = (answer: HttpAnswer): readonly Uint8Array[] => {
    const second = Math.floor(this.#parts.clock.wallMs() / 1000);
    const known = this.#serialised.get(answer);
    if (known?.second === second) {
      return known.pieces;
    }
    const pieces = piecesOf(answer, second);
    this.#serialised.set(answer, { second, pieces });
    return pieces;
  };
}

/** A request, and who answers it. */
type HotRequest = { readonly route: HotRoute; readonly request: LaneRequest };

/**
 * What few requests need is made only when it is asked for. A class, not a literal with getters: each of those has a hidden class of its own, which keeps its
 * closures, and with them the whole request, until the next full collection (measured: 0.7 kB a claim, and scavenges of 10 ms).
 */
class LaneRequest implements HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly remoteAddress: string;
  readonly body = EMPTY;
  readonly #search: string;
  #query: URLSearchParams | undefined;
  #gone: AbortController | undefined;

  constructor(
    read: Pick<HttpRequest, 'method' | 'path' | 'remoteAddress'> & Pick<LaneRequest, 'headers'>,
    search: string,
  ) {
    this.method = read.method;
    this.path = read.path;
    this.headers = read.headers;
    this.remoteAddress = read.remoteAddress;
    this.#search = search;
  }

  get query(): URLSearchParams {
    return (this.#query ??= new URLSearchParams(this.#search));
  }

  get signal(): AbortSignal {
    return (this.#gone ??= new AbortController()).signal;
  }

  /** The peer went away. */
  abort(): void {
    this.#gone?.abort();
  }
}

type ConnectionParts = Parts & {
  readonly settings: HotLaneOptions;
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
  #asked: LaneRequest | undefined;
  #isAnswering = false;
  #isClosing = false;

  constructor(socket: Socket, parts: ConnectionParts) {
    this.#socket = socket;
    this.#parts = parts;
    this.#remoteAddress = socket.remoteAddress ?? '';
    socket.setNoDelay(true);
    socket.setTimeout(parts.settings.idleTimeoutMs, this.#onTimeout);
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

  readonly #onData = (bytes: Buffer): void => {
    this.#pending = this.#pending.byteLength === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    if (!this.#isAnswering) {
      this.#readRequest();
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
    this.#asked?.abort();
    this.#parts.onLeft();
  };

  #readRequest(): void {
    const end = this.#pending.indexOf(HEAD_END);
    if (end < 0) {
      this.#waitForHead();
      return;
    }
    this.#headSinceMs = undefined;
    const head = this.#pending.toString('latin1', 0, end);
    const request = end > this.#parts.settings.headersMaxBytes ? undefined : this.#parse(head);
    if (request === undefined) {
      this.#handOver();
      return;
    }
    this.#pending = this.#pending.subarray(end + HEAD_END.byteLength);
    void this.#answer(request);
  }

  /** Half a head is not waited for longer than the server behind would; one that cannot be ours is its business at once. */
  #waitForHead(): void {
    const { settings, clock } = this.#parts;
    const seen = this.#pending.toString('latin1', 0, START_MAX_BYTES);
    const nowMs = clock.nowMs();
    this.#headSinceMs ??= nowMs;
    const isLate = nowMs - this.#headSinceMs > settings.requestTimeoutMs;
    const mayBeOurs = settings.routes.some(
      (route) => startOf(route).startsWith(seen) || seen.startsWith(startOf(route)),
    );
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
    const route = this.#parts.settings.routes.find((each) => line.startsWith(startOf(each)));
    const headers = lineEnd < 0 || route === undefined ? undefined : this.#readHeaders(head.slice(lineEnd));
    if (headers === undefined || route === undefined || !line.endsWith(' HTTP/1.1')) {
      return undefined;
    }
    const target = line.slice(route.method.length + 1, -9);
    const queryAt = target.indexOf('?');
    const path = queryAt < 0 ? target : target.slice(0, queryAt);
    // Percent-encoding and odd characters are the router's to judge.
    if (!PLAIN_PATH.test(path) || route.form?.test(path) === false) {
      return undefined;
    }
    const search = queryAt < 0 ? '' : target.slice(queryAt + 1);
    return {
      route,
      request: new LaneRequest({ method: route.method, path, headers, remoteAddress: this.#remoteAddress }, search),
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

  async #answer(asked: HotRequest): Promise<void> {
    this.#isAnswering = true;
    this.#asked = asked.request;
    const answer = await this.#ask(asked);
    this.#asked = undefined;
    if (this.#socket.destroyed) {
      return;
    }
    const isTaken = this.#write(this.#parts.serialise(answer));
    if (this.#isClosing) {
      this.#socket.end();
    } else if (isTaken) {
      this.#next();
    } else {
      // The next request is not looked at before this answer has left: a peer that does not read holds one answer at most.
      this.#socket.once('drain', this.#next);
    }
  }

  readonly #next = (): void => {
    this.#isAnswering = false;
    if (this.#pending.byteLength > 0) {
      this.#readRequest();
    }
  };

  async #ask({ route, request }: HotRequest): Promise<HttpAnswer> {
    try {
      return await route.endpoint(request);
    } catch (error) {
      this.#parts.log.error('http.endpoint.failed', { path: route.prefix, error: messageOf(error) });
      return { status: 500, headers: { 'content-type': 'application/json' }, body: '{"error":"INTERNAL"}' };
    }
  }

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

const startOf = ({ method, prefix }: HotRoute): string => `${method} ${prefix}`;

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
