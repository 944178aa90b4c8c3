/** A small RTMP client that can be told to behave or to misbehave: handshake, chunks, AMF0 commands, media tags. For tests. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import type { AmfObject, AmfValue } from '../../server/media/flv/amf0.ts';
import { isAmfObject, readAmf0, writeAmf0 } from '../../server/media/flv/amf0.ts';

export type RtmpCommand = { readonly name: string; readonly values: readonly AmfValue[] };

const HANDSHAKE_BYTES = 1_536;
const WAIT_MAX_MS = 15_000;

/** One message as chunks: format 0, then format 3. */
export const chunked = (options: {
  type: number;
  payload: Uint8Array;
  csid?: number;
  timestamp?: number;
  streamId?: number;
  chunkSize?: number;
}): Buffer => {
  const { type, payload, csid = 3, timestamp = 0, streamId = 0, chunkSize = 128 } = options;
  const isExtended = timestamp >= 0xff_ffff;
  const header = Buffer.alloc(12);
  header[0] = csid;
  header.writeUIntBE(isExtended ? 0xff_ffff : timestamp, 1, 3);
  header.writeUIntBE(payload.byteLength, 4, 3);
  header[7] = type;
  header.writeUInt32LE(streamId, 8);
  const extended = Buffer.alloc(isExtended ? 4 : 0);
  if (isExtended) {
    extended.writeUInt32BE(timestamp);
  }
  const pieces: Uint8Array[] = [header, extended];
  for (let offset = 0; offset < payload.byteLength; offset += chunkSize) {
    if (offset > 0) {
      pieces.push(Uint8Array.of(0xc0 | csid), extended);
    }
    pieces.push(payload.subarray(offset, offset + chunkSize));
  }
  return Buffer.concat(pieces);
};

export const command = (...values: AmfValue[]): Buffer => chunked({ type: 20, payload: writeAmf0(values) });

export const amfObject = (fields: Readonly<Record<string, AmfValue>>): AmfObject => new Map(Object.entries(fields));

export class RtmpClient {
  readonly socket: Socket;
  readonly commands: RtmpCommand[] = [];
  /** Types of all messages that came, protocol control included. */
  readonly messageTypes: number[] = [];
  isClosed = false;
  #received = Buffer.alloc(0);
  #handshakeLeftBytes = 0;
  #chunkSize = 128;
  readonly #partial = new Map<number, { type: number; length: number; payload: Buffer }>();

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.isClosed = true;
    });
    socket.on('data', (bytes) => this.#onData(bytes));
  }

  static async open(port: number): Promise<RtmpClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const client = new RtmpClient(socket);
    await once(socket, 'connect');
    return client;
  }

  send(bytes: Uint8Array): void {
    if (!this.socket.destroyed) {
      this.socket.write(bytes);
    }
  }

  async handshake(): Promise<void> {
    this.#handshakeLeftBytes = 1 + 2 * HANDSHAKE_BYTES;
    const c1 = Buffer.alloc(HANDSHAKE_BYTES, 0x5a);
    this.send(Buffer.concat([Buffer.from([3]), c1]));
    await this.until(() => this.#handshakeLeftBytes === 0);
    this.send(c1);
  }

  async connectApp(app = 'live'): Promise<void> {
    await this.handshake();
    this.send(command('connect', 1, amfObject({ app, tcUrl: `rtmp://127.0.0.1/${app}`, flashVer: 'test' })));
    await this.until(() => this.find('_result') !== undefined || this.find('_error') !== undefined);
  }

  /** Everything up to `NetStream.Publish.Start`, or to the refusal. Gives the status code. */
  async publish(target: string): Promise<string> {
    await this.connectApp();
    this.send(command('createStream', 2, null));
    await this.until(() => this.commands.filter((one) => one.name === '_result').length === 2);
    this.send(chunked({ type: 20, payload: writeAmf0(['publish', 3, null, target, 'live']), streamId: 1 }));
    await this.until(() => this.statusCodes.length > 0);
    return this.statusCodes[0] ?? '';
  }

  media(type: 8 | 9 | 18, timestamp: number, payload: Uint8Array): void {
    this.send(chunked({ type, payload, csid: type === 9 ? 6 : 4, timestamp, streamId: 1 }));
  }

  find(name: string): RtmpCommand | undefined {
    return this.commands.find((one) => one.name === name);
  }

  get statuses(): readonly AmfObject[] {
    return this.commands.flatMap((one) => (one.name === 'onStatus' ? one.values.filter(isAmfObject) : []));
  }

  get statusCodes(): readonly string[] {
    return this.statuses.map((status) => textOf(status.get('code')));
  }

  get descriptions(): readonly string[] {
    return this.statuses.map((status) => textOf(status.get('description')));
  }

  /** Waits for the server to hang up. */
  async closed(): Promise<void> {
    await this.until(() => this.isClosed);
  }

  async until(condition: () => boolean): Promise<void> {
    const deadline = performance.now() + WAIT_MAX_MS;
    while (!condition()) {
      if (performance.now() > deadline) {
        throw new Error(`waited ${WAIT_MAX_MS} ms; commands so far: ${this.commands.map((one) => one.name).join()}`);
      }
      if (this.isClosed && !condition()) {
        throw new Error(`connection closed; statuses: ${this.statusCodes.join()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  destroy(): void {
    this.socket.destroy();
  }

  #onData(bytes: Buffer): void {
    const skipped = Math.min(this.#handshakeLeftBytes, bytes.byteLength);
    this.#handshakeLeftBytes -= skipped;
    this.#received = Buffer.concat([this.#received, bytes.subarray(skipped)]);
    while (this.#readChunk()) {
      // One chunk at a time, until they are used up.
    }
  }

  /** Enough of the protocol for what our server sends: formats 0 and 3, small chunk stream ids, no extended times. */
  #readChunk(): boolean {
    const bytes = this.#received;
    const first = bytes[0];
    if (first === undefined) {
      return false;
    }
    const csid = first & 0x3f;
    const headerBytes = first >> 6 === 0 ? 12 : 1;
    if (bytes.byteLength < headerBytes) {
      return false;
    }
    const open =
      headerBytes === 12
        ? { type: bytes[7] ?? 0, length: bytes.readUIntBE(4, 3), payload: Buffer.alloc(0) }
        : this.#partial.get(csid);
    if (open === undefined) {
      throw new Error('server sent a continuation of nothing');
    }
    const size = Math.min(this.#chunkSize, open.length - open.payload.byteLength);
    if (bytes.byteLength < headerBytes + size) {
      return false;
    }
    open.payload = Buffer.concat([open.payload, bytes.subarray(headerBytes, headerBytes + size)]);
    this.#received = bytes.subarray(headerBytes + size);
    this.#partial.set(csid, open);
    if (open.payload.byteLength === open.length) {
      this.#partial.delete(csid);
      this.#onMessage(open.type, open.payload);
    }
    return true;
  }

  #onMessage(type: number, payload: Buffer): void {
    this.messageTypes.push(type);
    if (type === 1) {
      this.#chunkSize = payload.readUInt32BE();
    } else if (type === 20) {
      const [name, ...values] = readAmf0(payload);
      this.commands.push({ name: textOf(name), values });
    }
  }
}

const textOf = (value: AmfValue): string => (typeof value === 'string' ? value : '');
