/**
 * The short way over HTTP/2: streams that ask for what `hot-lane` takes over HTTP/1.1 are answered here, without router and without the classes of
 * node:http around them, which cost twice as much as the stream itself. All others, with a body or with anything unusual, go on to the door behind.
 */
import { constants } from 'node:http2';
import type { Http2SecureServer, Http2Session, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Clock } from '../base/clock.ts';
import type { HttpAnswer, HttpRequest } from '../base/http-exchange.ts';
import type { Log } from '../observability/log.ts';
import { HotTargets, PeerGone, answerHot } from './hot-request.ts';
import type { HotRoute } from './hot-request.ts';
import { RATE_MIN_BYTES_PER_S } from './stalled-answers.ts';

export type HotStreamsOptions = {
  readonly routes: readonly HotRoute[];
  /** Requests that name who they are forwarded for are left to the server behind, which knows whom to believe. */
  readonly hasTrustedProxies: boolean;
  /** An answer may take so long to be read, and the time its size needs on the slowest line. */
  readonly idleTimeoutMs: number;
};

type Parts = { readonly clock: Clock; readonly log: Log };

const EMPTY = new Uint8Array();
/** RFC 9113, 6.2. */
const FLAG_END_STREAM = 0x1;
/** How often answers are looked at that are not read. */
const LOOK_MAX_MS = 5_000;

export class HotStreams {
  readonly #options: HotStreamsOptions;
  readonly #parts: Parts;
  readonly #targets = new HotTargets();
  readonly #addresses = new WeakMap<Http2Session, string>();
  /** Answers that are on their way, and when each is given up. */
  readonly #sending = new Map<ServerHttp2Stream, number>();
  readonly #timer: NodeJS.Timeout;
  readonly #heads = new WeakMap<HttpAnswer, Readonly<Record<string, string | number>>>();

  constructor(options: HotStreamsOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
    const everyMs = Math.min(LOOK_MAX_MS, options.idleTimeoutMs / 2);
    this.#timer = setInterval(() => this.#cancelStalled(), everyMs).unref();
  }

  /** Puts the short way in front of all that listens to the server's streams by now; to be called once. */
  attach(server: Http2SecureServer): void {
    const listeners = server.listeners('stream');
    server.removeAllListeners('stream');
    server.on(
      'stream',
      (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, rawHeaders: string[]) => {
        const hot = stream.session === undefined ? undefined : this.#read(stream.session, headers, flags);
        if (hot === undefined) {
          listeners.forEach((listener) => Reflect.apply(listener, server, [stream, headers, flags, rawHeaders]));
        } else {
          this.#answer(stream, hot);
        }
      },
    );
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #read(
    session: Http2Session,
    headers: IncomingHttpHeaders,
    flags: number,
  ): { route: HotRoute; request: StreamRequest } | undefined {
    const target = headers[':path'] ?? '';
    const route = this.#options.routes.find(
      ({ method, prefix }) => headers[':method'] === method && target.startsWith(prefix),
    );
    const isForwarded = this.#options.hasTrustedProxies && headers['x-forwarded-for'] !== undefined;
    if (route === undefined || (flags & FLAG_END_STREAM) === 0 || isForwarded || headers['expect'] !== undefined) {
      return undefined;
    }
    const read = this.#targets.read(route, target);
    const remoteAddress = this.#addressOf(session);
    return read === undefined
      ? undefined
      : { route, request: new StreamRequest({ method: route.method, ...read, remoteAddress }, headers) };
  }

  /** Asked of the socket once a session: sessions hand their socket out behind a proxy, which is dear. */
  #addressOf(session: Http2Session): string {
    let address = this.#addresses.get(session);
    if (address === undefined) {
      address = session.socket.remoteAddress ?? '';
      this.#addresses.set(session, address);
    }
    return address;
  }

  #answer(stream: ServerHttp2Stream, hot: { route: HotRoute; request: StreamRequest }): void {
    stream.on('error', ignore);
    stream.once('close', () => {
      this.#sending.delete(stream);
      hot.request.leave();
    });
    answerHot(hot, { log: this.#parts.log, send: (answer) => this.#send(stream, answer) });
  }

  #send(stream: ServerHttp2Stream, answer: HttpAnswer): void {
    if (stream.destroyed || stream.closed) {
      return;
    }
    const { body = EMPTY } = answer;
    const hasBody = body.length > 0 && answer.status !== 204 && answer.status !== 304;
    this.#sending.set(
      stream,
      this.#parts.clock.nowMs() + this.#options.idleTimeoutMs + (body.length * 1000) / RATE_MIN_BYTES_PER_S,
    );
    stream.respond(this.#headOf(answer), { endStream: !hasBody });
    if (hasBody) {
      stream.end(body);
    }
  }

  #headOf(answer: HttpAnswer): Readonly<Record<string, string | number>> {
    let head = this.#heads.get(answer);
    if (head === undefined) {
      const bytes = typeof answer.body === 'string' ? Buffer.byteLength(answer.body) : (answer.body?.byteLength ?? 0);
      const hasLength = answer.status !== 204 && answer.status !== 304;
      head = { ':status': answer.status, ...answer.headers, ...(hasLength ? { 'content-length': bytes } : {}) };
      this.#heads.set(answer, head);
    }
    return head;
  }

  /** Node's own time-out of a stream does not fire while its connection is lively. */
  #cancelStalled(): void {
    const nowMs = this.#parts.clock.nowMs();
    for (const [stream, untilMs] of this.#sending) {
      if (nowMs > untilMs) {
        stream.close(constants.NGHTTP2_CANCEL);
      }
    }
  }
}

class StreamRequest implements HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body = EMPTY;
  readonly remoteAddress: string;
  #gone: PeerGone | undefined;

  constructor(read: Pick<HttpRequest, 'method' | 'path' | 'query' | 'remoteAddress'>, headers: IncomingHttpHeaders) {
    this.method = read.method;
    this.path = read.path;
    this.query = read.query;
    this.remoteAddress = read.remoteAddress;
    // Node joins what is repeated; the host comes as a pseudo-header (RFC 9113, 8.3.1). Those stay among them: nobody asks for a name with a colon.
    this.headers = headers as Record<string, string | undefined>;
    headers.host ??= headers[':authority'];
  }

  /** Made only when somebody asks for it. */
  get signal(): PeerGone {
    return (this.#gone ??= new PeerGone());
  }

  leave(): void {
    this.#gone?.abort();
  }
}

/** The close that follows tells the rest. */
const ignore = (): void => undefined;
