/**
 * The leanest HTTP/1.1 client there can be in Node: one keep-alive connection, one request at a time, no allocation per packet, so that
 * thousands of viewers fit beside what is measured. Answers must carry Content-Length.
 */
import { connect, type Socket } from 'node:net';

const READ_BUFFER_BYTES = 262_144;
/** All connections of a process read one after the other. */
const readBuffer = Buffer.allocUnsafe(READ_BUFFER_BYTES);

export type RawRequest = {
  readonly path: string;
  readonly method?: 'GET' | 'POST';
  /** More header lines, each ended by CRLF. */
  readonly lines?: string;
  readonly keepsBody?: boolean;
};

export type RawResponse = {
  readonly status: number;
  /** The status line and headers as they came. */
  readonly head: string;
  /** Empty unless it was asked for. */
  readonly body: Buffer;
  readonly bodyBytes: number;
  readonly sentAtMs: number;
  readonly firstByteAtMs: number;
  readonly lastByteAtMs: number;
};

export class RawConnection {
  readonly #socket: Socket;
  #head: Buffer = Buffer.alloc(0);
  #status = 0;
  #headText = '';
  #bodyBytes = 0;
  #missingBytes = -1;
  #chunks: Buffer[] | undefined;
  #sentAtMs = 0;
  #firstByteAtMs = 0;
  #onResponse: ((response: RawResponse) => void) | undefined;
  #onFailure: ((reason: string) => void) | undefined;

  constructor(options: { host: string; port: number }) {
    this.#socket = connect({
      ...options,
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (byteCount) => {
          this.#onBytes(readBuffer.subarray(0, byteCount));
          return true;
        },
      },
    });
    this.#socket.on('error', (error) => this.#fail(error.message));
    this.#socket.on('close', () => this.#fail('connection closed'));
  }

  get isBusy(): boolean {
    return this.#onResponse !== undefined;
  }

  /** One request at a time. */
  send(request: RawRequest, onResponse: (response: RawResponse) => void, onFailure: (reason: string) => void): void {
    if (this.isBusy) {
      throw new TypeError('a request is under way, expected one at a time');
    }
    this.#onResponse = onResponse;
    this.#onFailure = onFailure;
    this.#chunks = request.keepsBody === true ? [] : undefined;
    this.#sentAtMs = performance.now();
    this.#firstByteAtMs = 0;
    this.#socket.write(`${request.method ?? 'GET'} ${request.path} HTTP/1.1\r\nHost: x\r\n${request.lines ?? ''}\r\n`);
  }

  async get(path: string, options: { lines?: string; keepsBody?: boolean } = {}): Promise<RawResponse> {
    return new Promise((resolve, reject) => {
      this.send({ path, ...options }, resolve, (reason) => reject(new Error(`${path}: ${reason}`)));
    });
  }

  close(): void {
    this.#onResponse = undefined;
    this.#onFailure = undefined;
    this.#socket.destroy();
  }

  #onBytes(bytes: Buffer): void {
    if (this.#firstByteAtMs === 0) {
      this.#firstByteAtMs = performance.now();
    }
    const rest = this.#missingBytes < 0 ? this.#onHeadBytes(bytes) : bytes;
    if (this.#missingBytes >= 0) {
      this.#chunks?.push(Buffer.from(rest));
      this.#missingBytes -= rest.byteLength;
      if (this.#missingBytes <= 0) {
        this.#finish();
      }
    }
  }

  /** What of `bytes` is body already. */
  #onHeadBytes(bytes: Buffer): Buffer {
    const all = this.#head.byteLength === 0 ? bytes : Buffer.concat([this.#head, bytes]);
    const end = all.indexOf('\r\n\r\n');
    if (end < 0) {
      this.#head = Buffer.from(all);
      return bytes.subarray(bytes.byteLength);
    }
    this.#headText = all.toString('latin1', 0, end);
    this.#status = Number(this.#headText.slice(9, 12));
    this.#bodyBytes = Number(/^content-length: *(\d+)/im.exec(this.#headText)?.[1] ?? 0);
    this.#missingBytes = this.#bodyBytes;
    if (/^transfer-encoding:/im.test(this.#headText)) {
      this.#fail('the answer has no Content-Length');
    }
    this.#head = Buffer.alloc(0);
    return all.subarray(end + 4);
  }

  #finish(): void {
    const response: RawResponse = {
      status: this.#status,
      head: this.#headText,
      body: this.#chunks === undefined ? Buffer.alloc(0) : Buffer.concat(this.#chunks),
      bodyBytes: this.#bodyBytes,
      sentAtMs: this.#sentAtMs,
      firstByteAtMs: this.#firstByteAtMs,
      lastByteAtMs: performance.now(),
    };
    const onResponse = this.#onResponse;
    this.#missingBytes = -1;
    this.#onResponse = undefined;
    this.#onFailure = undefined;
    onResponse?.(response);
  }

  #fail(reason: string): void {
    const onFailure = this.#onFailure;
    this.#onResponse = undefined;
    this.#onFailure = undefined;
    onFailure?.(reason);
  }
}
