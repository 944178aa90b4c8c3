/**
 * A TCP relay between a publisher and a server that notes when each video message of the publisher is complete. It tells what the
 * publisher itself costs (capture, encoder, muxer) apart from what the server costs. Nothing is changed on the way.
 */
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../../server/base/clock.ts';

const HANDSHAKE_BYTES = 1 + 1536 + 1536;
const TYPE_SET_CHUNK_SIZE = 1;
const TYPE_VIDEO = 9;
const HEADER_BYTES = [11, 7, 3, 0] as const;
const EXTENDED = 0xffffff;
/** FLV: packet type 1 is a picture, 0 the decoder configuration. */
const AVC_PICTURE = 1;

type Message = { lengthBytes: number; type: number; hasExtended: boolean; payload: Buffer[]; receivedBytes: number };

/** Just enough of RTMP's chunk stream to see where messages end. */
class ChunkWalker {
  #pending: Buffer = Buffer.alloc(0);
  #skipBytes = HANDSHAKE_BYTES;
  #chunkBytes = 128;
  readonly #messages = new Map<number, Message>();
  readonly #onMessage: (type: number, payload: Buffer) => void;

  constructor(onMessage: (type: number, payload: Buffer) => void) {
    this.#onMessage = onMessage;
  }

  push(bytes: Buffer): void {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    if (this.#skipBytes > 0) {
      const skipped = Math.min(this.#skipBytes, this.#pending.length);
      this.#skipBytes -= skipped;
      this.#pending = this.#pending.subarray(skipped);
    }
    let takenBytes = this.#skipBytes > 0 ? 0 : this.#takeChunk();
    while (takenBytes > 0) {
      this.#pending = this.#pending.subarray(takenBytes);
      takenBytes = this.#takeChunk();
    }
  }

  /** Bytes of the chunk at the front; 0 while it is incomplete. */
  #takeChunk(): number {
    const bytes = this.#pending;
    if (bytes.length < 1) {
      return 0;
    }
    const format = bytes[0]! >> 6;
    const short = bytes[0]! & 0x3f;
    const basicBytes = short === 0 ? 2 : short === 1 ? 3 : 1;
    const fixedBytes = basicBytes + HEADER_BYTES[format]!;
    if (bytes.length < fixedBytes + 4) {
      // Four more for an extended timestamp; every message has at least as much behind it, or another chunk.
      return 0;
    }
    const id = short === 0 ? bytes[1]! + 64 : short === 1 ? bytes[1]! + bytes[2]! * 256 + 64 : short;
    const before = this.#messages.get(id);
    const message = this.#headerOf(format, basicBytes, before);
    const headerBytes = fixedBytes + (message.hasExtended ? 4 : 0);
    const bodyBytes = Math.min(this.#chunkBytes, message.lengthBytes - message.receivedBytes);
    if (bytes.length < headerBytes + bodyBytes) {
      return 0;
    }
    message.payload.push(bytes.subarray(headerBytes, headerBytes + bodyBytes));
    message.receivedBytes += bodyBytes;
    this.#messages.set(id, message);
    if (message.receivedBytes >= message.lengthBytes) {
      this.#finish(message);
    }
    return headerBytes + bodyBytes;
  }

  /** Does not change what is kept: the chunk may turn out to be incomplete. */
  #headerOf(format: number, basicBytes: number, before: Message | undefined): Message {
    const bytes = this.#pending;
    const payload = before === undefined ? [] : [...before.payload];
    const receivedBytes = before?.receivedBytes ?? 0;
    if (format === 3) {
      const lengthBytes = before?.lengthBytes ?? 0;
      return {
        lengthBytes,
        type: before?.type ?? 0,
        hasExtended: before?.hasExtended ?? false,
        payload,
        receivedBytes,
      };
    }
    return {
      lengthBytes: format === 2 ? (before?.lengthBytes ?? 0) : bytes.readUIntBE(basicBytes + 3, 3),
      type: format === 2 ? (before?.type ?? 0) : bytes[basicBytes + 6]!,
      hasExtended: bytes.readUIntBE(basicBytes, 3) === EXTENDED,
      payload,
      receivedBytes,
    };
  }

  #finish(message: Message): void {
    const payload = Buffer.concat(message.payload);
    message.payload = [];
    message.receivedBytes = 0;
    if (message.type === TYPE_SET_CHUNK_SIZE) {
      this.#chunkBytes = payload.readUInt32BE(0) & 0x7fffffff;
    } else {
      this.#onMessage(message.type, payload);
    }
  }
}

export class RtmpTap {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #arrivalsAtWallMs: number[] = [];

  private constructor(targetPort: number) {
    this.#server = createServer({ noDelay: true }, (client) => this.#relay(client, targetPort));
  }

  /** Listens on an ephemeral loopback port and relays to `targetPort`. */
  static async start(targetPort: number): Promise<RtmpTap> {
    const tap = new RtmpTap(targetPort);
    tap.#server.listen(0, '127.0.0.1');
    await once(tap.#server, 'listening');
    return tap;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Unix ms at which the nth picture (from 0) was complete. */
  get arrivalsAtWallMs(): readonly number[] {
    return this.#arrivalsAtWallMs;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    this.#server.close();
    await once(this.#server, 'close');
  }

  #relay(client: Socket, targetPort: number): void {
    const upstream = createConnection({ port: targetPort, host: '127.0.0.1', noDelay: true });
    const walker = new ChunkWalker((type, payload) => {
      if (type === TYPE_VIDEO && payload[1] === AVC_PICTURE) {
        this.#arrivalsAtWallMs.push(systemClock.wallMs());
      }
    });
    client.on('data', (bytes) => {
      walker.push(bytes);
      upstream.write(bytes);
    });
    upstream.on('data', (bytes) => client.write(bytes));
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
  }
}
