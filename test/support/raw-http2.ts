/**
 * The leanest HTTP/2 client there can be in Node: one connection over TLS, whatever certificate it is shown, windows as Chrome's. A lane sends one
 * request after the other, each as a stream; lanes share the connection as a player's requests do.
 */
import { connect, constants, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';
import type { RawRequest, RawResponse } from './raw-http.ts';

/** Chrome's: of a stream, and of a connection. */
const STREAM_WINDOW_BYTES = 6_291_456;
const CONNECTION_WINDOW_BYTES = 15_728_640;

export class RawHttp2Session {
  readonly #session: ClientHttp2Session;
  readonly #lanes = new Set<RawHttp2Lane>();

  constructor({ host, port }: { host: string; port: number }) {
    this.#session = connect(`https://${host}:${port}`, {
      rejectUnauthorized: false,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES },
    });
    this.#session.once('connect', () => this.#session.setLocalWindowSize(CONNECTION_WINDOW_BYTES));
    this.#session.on('error', (error: Error) => this.#fail(error.message));
    this.#session.once('close', () => this.#fail('connection closed'));
  }

  lane(): RawHttp2Lane {
    const lane = new RawHttp2Lane(this.#session);
    this.#lanes.add(lane);
    return lane;
  }

  close(): void {
    this.#lanes.clear();
    this.#session.destroy();
  }

  #fail(reason: string): void {
    this.#lanes.forEach((lane) => lane.fail(reason));
  }
}

export class RawHttp2Lane {
  readonly #session: ClientHttp2Session;
  #onFailure: ((reason: string) => void) | undefined;

  constructor(session: ClientHttp2Session) {
    this.#session = session;
  }

  get isBusy(): boolean {
    return this.#onFailure !== undefined;
  }

  /** One request at a time. */
  send(
    { path, keepsBody = false }: RawRequest,
    onResponse: (response: RawResponse) => void,
    onFailure: (reason: string) => void,
  ): void {
    if (this.isBusy) {
      throw new TypeError('a request is under way, expected one at a time');
    }
    this.#onFailure = onFailure;
    const sentAtMs = performance.now();
    const chunks: Buffer[] = [];
    let head: IncomingHttpHeaders & { readonly ':status'?: number | undefined } = {};
    let [bodyBytes, firstByteAtMs] = [0, 0];
    const stream = this.#session.request({ ':path': path }, { endStream: true });
    stream.once('response', (headers) => {
      head = headers;
      firstByteAtMs = performance.now();
    });
    stream.on('data', (bytes: Buffer) => {
      bodyBytes += bytes.byteLength;
      if (keepsBody) {
        chunks.push(bytes);
      }
    });
    stream.on('error', (error: Error) => this.fail(error.message));
    stream.once('close', () => {
      if (this.#onFailure === undefined) {
        return;
      }
      if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) {
        this.fail(`stream ended with ${stream.rstCode}`);
        return;
      }
      this.#onFailure = undefined;
      const lines = Object.entries(head).map(([name, value]) => `${name}: ${String(value)}`);
      onResponse({
        ...{ status: head[':status'] ?? 0, head: lines.join('\r\n'), body: Buffer.concat(chunks), bodyBytes },
        ...{ sentAtMs, firstByteAtMs, lastByteAtMs: performance.now() },
      });
    });
  }

  /** The request under way comes to nothing. */
  fail(reason: string): void {
    const onFailure = this.#onFailure;
    this.#onFailure = undefined;
    onFailure?.(reason);
  }

  close(): void {
    this.#onFailure = undefined;
  }
}
