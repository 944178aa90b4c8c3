/**
 * The HTTP server behind the link, in front of the real one: bodies, statuses and headers pass as they are, streamed, but for what would
 * lead around the link: candidates in session descriptions, `Location` and `Link`, absolute addresses in playlists.
 */
import { Agent as HttpAgent, createServer, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage, Server, ServerResponse } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { duplexPair, type Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { messageOf } from '../../../server/base/errors.ts';
import type { ServerAddress } from './small-buffers.ts';
import { isSdp, rewriteJson, withEmulatorCandidates, withoutCandidates, type CandidatePort } from './sdp-rewrite.ts';

export type ProxyOptions = {
  /** Of the real server: `http://host:port`. */
  readonly origin: URL;
  readonly portOf: CandidatePort;
  /** Unix socket that leads to the server, if it is to be reached so. */
  readonly doorTo: (address: ServerAddress) => Promise<string | undefined>;
  /** The address of the emulator that stands for this absolute one, or the address itself where it is not the server's. */
  readonly addressThrough: (url: string) => Promise<string>;
};

type Purpose = { readonly hasSdp: boolean; readonly isHead: boolean };

const DESCRIPTION_MAX_BYTES = 262_144;
const PLAYLIST_MAX_BYTES = 4_194_304;
/** Of each stream on the way: what waits here hides from the server. */
const STREAM_BUFFER_BYTES = 16_384;
const CONNECTION_HEADERS = new Set(['connection', 'keep-alive', 'proxy-connection', 'upgrade']);
const ADDRESS_HEADERS = new Set(['location', 'link', 'content-location']);
const ABSOLUTE_URL = /https?:\/\/[^\s<>"',;]+/gu;

export class ReverseProxy {
  readonly #options: ProxyOptions;
  readonly #server: Server;
  readonly #agent: HttpAgent;
  readonly #isTls: boolean;

  constructor(options: ProxyOptions) {
    this.#options = options;
    this.#isTls = options.origin.protocol === 'https:';
    // A lab's server may have a certificate of its own making.
    this.#agent = this.#isTls
      ? new HttpsAgent({ keepAlive: true, rejectUnauthorized: false })
      : new HttpAgent({ keepAlive: true });
    this.#server = createServer({
      requestTimeout: 0,
      headersTimeout: 0,
      keepAliveTimeout: 65_000,
      highWaterMark: STREAM_BUFFER_BYTES,
    });
    this.#server.timeout = 0;
    this.#server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#serve(request, response).catch((error: unknown) => fail(response, error));
    });
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#upgrade(request, socket, head).catch(() => socket.destroy());
    });
  }

  /** A connection to this server without a socket between. */
  accept(): Duplex {
    const [outer, inner] = duplexPair({ highWaterMark: STREAM_BUFFER_BYTES });
    outer.on('close', () => inner.destroy());
    inner.on('close', () => outer.destroy());
    inner.on('error', () => inner.destroy());
    this.#server.emit('connection', inner);
    return outer;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#agent.destroy();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const description = mayDescribe(request) ? await readDescription(request) : undefined;
    const hasSdp = description !== undefined && (isSdp(description) || description.includes('"sdp"'));
    const body = hasSdp ? await rewriteText(description, withoutCandidates) : description;
    const door = await this.#options.doorTo(addressOf(this.#options.origin));
    const upstream = this.#forward(request, { body, hasSdp, door });
    response.on('close', () => upstream.destroy());
    upstream.on('error', (error) => fail(response, error));
    upstream.on('response', (answer: IncomingMessage) => {
      const purpose = { hasSdp, isHead: request.method === 'HEAD' };
      this.#answer(answer, response, purpose).catch((error: unknown) => fail(response, error));
    });
    if (body === undefined) {
      request.pipe(upstream);
    } else {
      upstream.end(body);
    }
  }

  #forward(
    request: IncomingMessage,
    { body, hasSdp, door }: { body: string | undefined; hasSdp: boolean; door: string | undefined },
  ): ClientRequest {
    const dropped = new Set(CONNECTION_HEADERS);
    if (body !== undefined) {
      dropped.add('content-length').add('transfer-encoding');
    }
    if (hasSdp) {
      dropped.add('accept-encoding');
    }
    const headers = filterHeaders(request.rawHeaders, dropped);
    if (body !== undefined) {
      headers.push('Content-Length', String(Buffer.byteLength(body)));
    }
    const send = this.#isTls ? httpsRequest : httpRequest;
    return send({
      agent: this.#agent,
      ...(door === undefined ? addressOf(this.#options.origin) : { socketPath: door }),
      method: request.method,
      path: request.url,
      headers,
      setHost: false,
    });
  }

  async #answer(answer: IncomingMessage, response: ServerResponse, purpose: Purpose): Promise<void> {
    answer.on('error', () => response.destroy());
    const headers = await this.#answerHeaders(answer);
    const rewrite = this.#rewriterFor(answer, purpose);
    response.sendDate = false;
    if (rewrite === undefined) {
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage, headers);
      // Statuses and first bytes must not wait for the rest.
      response.flushHeaders();
      answer.on('aborted', () => response.destroy());
      answer.pipe(response);
      return;
    }
    const body = await rewrite(await readText(answer, PLAYLIST_MAX_BYTES));
    const kept = filterHeaders(headers, new Set(['content-length', 'transfer-encoding']));
    kept.push('Content-Length', String(Buffer.byteLength(body)));
    response.writeHead(answer.statusCode ?? 502, answer.statusMessage, kept).end(body);
  }

  async #answerHeaders(answer: IncomingMessage): Promise<string[]> {
    const headers = filterHeaders(answer.rawHeaders, CONNECTION_HEADERS);
    for (let index = 0; index < headers.length; index += 2) {
      if (ADDRESS_HEADERS.has(headers[index]!.toLowerCase())) {
        headers[index + 1] = await this.#rewriteAddresses(headers[index + 1]!);
      }
    }
    return headers;
  }

  /** How a body must change, or undefined: it passes as it is. */
  #rewriterFor(answer: IncomingMessage, { hasSdp, isHead }: Purpose): ((text: string) => Promise<string>) | undefined {
    const isPlain = answer.headers['content-encoding'] === undefined;
    const hasBody = answer.statusCode !== 204 && answer.statusCode !== 304 && answer.headers['content-length'] !== '0';
    if (isHead || !isPlain || !hasBody) {
      return undefined;
    }
    if (hasSdp) {
      return async (text) => rewriteText(text, async (sdp) => withEmulatorCandidates(sdp, this.#options.portOf));
    }
    const isPlaylist = (answer.headers['content-type'] ?? '').toLowerCase().includes('mpegurl');
    return isPlaylist && answer.headers['content-range'] === undefined
      ? async (text) => this.#rewriteAddresses(text)
      : undefined;
  }

  async #rewriteAddresses(text: string): Promise<string> {
    const found = [...new Set(text.match(ABSOLUTE_URL))];
    let rewritten = text;
    for (const url of found.toSorted((a, b) => b.length - a.length)) {
      rewritten = rewritten.replaceAll(url, await this.#options.addressThrough(url));
    }
    return rewritten;
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const door = await this.#options.doorTo(addressOf(this.#options.origin));
    const way = door === undefined ? addressOf(this.#options.origin) : { path: door };
    const server = this.#isTls ? connectTls({ ...way, rejectUnauthorized: false }) : connectTcp(way);
    const lines = [`${request.method} ${request.url} HTTP/1.1`];
    for (let index = 0; index < request.rawHeaders.length; index += 2) {
      lines.push(`${request.rawHeaders[index]}: ${request.rawHeaders[index + 1]}`);
    }
    server.write(`${lines.join('\r\n')}\r\n\r\n`);
    server.write(head);
    server.pipe(socket).pipe(server);
    for (const [one, other] of [
      [server, socket],
      [socket, server],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  }
}

/** Host and port of an `http:` or `https:` origin. */
export const addressOf = (origin: URL): ServerAddress => ({
  host: origin.hostname.replace(/^\[|\]$/gu, ''),
  port: origin.port === '' ? (origin.protocol === 'https:' ? 443 : 80) : Number(origin.port),
});

const filterHeaders = (headers: readonly string[], dropped: ReadonlySet<string>): string[] => {
  const kept: string[] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    if (!dropped.has(headers[index]!.toLowerCase())) {
      kept.push(headers[index]!, headers[index + 1]!);
    }
  }
  return kept;
};

/** Small bodies of the kinds that signalling uses. */
const mayDescribe = (request: IncomingMessage): boolean => {
  const type = (request.headers['content-type'] ?? '').toLowerCase();
  const lengthBytes = Number(request.headers['content-length'] ?? 0);
  const isSignalling = ['sdp', 'json', 'text/plain'].some((word) => type.includes(word));
  return (
    (request.method === 'POST' || request.method === 'PATCH') && isSignalling && lengthBytes <= DESCRIPTION_MAX_BYTES
  );
};

const readDescription = async (request: IncomingMessage): Promise<string> => readText(request, DESCRIPTION_MAX_BYTES);

const readText = async (message: IncomingMessage, maxBytes: number): Promise<string> => {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      throw new Error(`a body to look into has more than ${maxBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
};

/** A bare description, or JSON with one inside; anything else as it is. */
const rewriteText = async (text: string, rewrite: (sdp: string) => string | Promise<string>): Promise<string> => {
  if (isSdp(text)) {
    return rewrite(text);
  }
  try {
    return await rewriteJson(text, rewrite);
  } catch (error) {
    if (error instanceof SyntaxError) {
      return text;
    }
    throw error;
  }
};

const fail = (response: ServerResponse, error: unknown): void => {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(502, { 'content-type': 'text/plain' }).end(`link emulator: ${messageOf(error)}\n`);
};
