/**
 * RTMP chunks into messages (Adobe RTMP 1.0, section 5.3). Pure and incremental.
 *
 *     fmt (2) csid (6, 0: +8, 1: +16 little-endian) | fmt 0: time (24) length (24) type (8) stream (32 LE)
 *                                                     fmt 1: delta (24) length (24) type (8) | fmt 2: delta (24) | fmt 3: –
 *     | time (32) where the 24-bit one is 0xffffff | up to chunk size bytes of payload
 *
 * A buffer grows with the bytes that really came, never with the length that a header claims.
 */
import { ProtocolError } from '../../base/errors.ts';
import type { ByteBudget } from './byte-budget.ts';

export type RtmpMessage = {
  readonly type: number;
  readonly streamId: number;
  /** Milliseconds modulo 2^32. */
  readonly timestampTs32: number;
  /** A view of a buffer that the next message on the same chunk stream overwrites. */
  readonly payload: Buffer;
};

export type ChunkLimits = {
  readonly messageMaxBytes: number;
  /** Buffers of all chunk streams of this connection together. */
  readonly bufferedMaxBytes: number;
  readonly chunkStreamMaxCount: number;
};

type ChunkStream = {
  fmt: number;
  timestampField: number;
  extended: number | undefined;
  clock: number;
  length: number;
  type: number;
  streamId: number;
  buffer: Buffer;
  receivedBytes: number;
};

const EXTENDED = 0xff_ffff;
const MESSAGE_HEADER_BYTES = [11, 7, 3, 0];
const HEADER_MAX_BYTES = 18;
const BUFFER_MIN_BYTES = 1_024;
const EMPTY = Buffer.alloc(0);
/** Adobe RTMP 1.0, section 5.4.1. */
const CHUNK_SIZE_INITIAL_BYTES = 128;
/** The spec allows less; nobody sends less, and smaller chunks only cost time. */
const CHUNK_SIZE_MIN_BYTES = 128;

export class ChunkReader {
  readonly #budget: ByteBudget;
  readonly #streams = new Map<number, ChunkStream>();
  readonly #header = Buffer.alloc(HEADER_MAX_BYTES);
  #limits: ChunkLimits;
  #headerBytes = 0;
  #chunkSizeBytes = CHUNK_SIZE_INITIAL_BYTES;
  #bufferedBytes = 0;
  /** The stream whose payload comes next, once its header is whole. */
  #current: ChunkStream | undefined;
  #chunkLeftBytes = 0;
  #isClosed = false;

  constructor(options: { limits: ChunkLimits; budget: ByteBudget }) {
    this.#limits = options.limits;
    this.#budget = options.budget;
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** Other caps from here on: a publisher that has proved who it is may send more than a stranger. */
  setLimits(limits: ChunkLimits): void {
    this.#limits = limits;
  }

  /** Set Chunk Size (5.4.1). Throws `RTMP_CHUNK_SIZE_INVALID`. */
  setChunkSize(sizeBytes: number): void {
    if (sizeBytes < CHUNK_SIZE_MIN_BYTES || sizeBytes > 0x7fff_ffff) {
      throw new ProtocolError(
        'RTMP_CHUNK_SIZE_INVALID',
        `chunk size is ${sizeBytes}, expected ${CHUNK_SIZE_MIN_BYTES} or more`,
      );
    }
    this.#chunkSizeBytes = sizeBytes;
  }

  /** Abort Message (5.4.2): what has come of the message on that chunk stream is thrown away. */
  abort(chunkStreamId: number): void {
    const stream = this.#streams.get(chunkStreamId);
    if (stream !== undefined) {
      stream.receivedBytes = 0;
    }
  }

  /**
   * Reads from `offset` until one message is whole or the bytes are used up; gives the offset reached. Throws `ProtocolError`:
   * `RTMP_CHUNK_HEADER_INVALID`, `RTMP_CHUNK_STREAMS_TOO_MANY`, `RTMP_MESSAGE_TOO_LARGE`, `RTMP_BUFFER_FULL`.
   */
  read(bytes: Buffer, offset: number): { readonly offset: number; readonly message: RtmpMessage | undefined } {
    let at = offset;
    while (at < bytes.byteLength) {
      if (this.#current === undefined) {
        at = this.#readHeader(bytes, at);
      } else {
        at = this.#readPayload(this.#current, bytes, at);
      }
      // Also right after a header: a message may have no payload at all.
      const stream: ChunkStream | undefined = this.#current;
      if (stream !== undefined && stream.receivedBytes >= stream.length) {
        this.#current = undefined;
        return { offset: at, message: this.#finish(stream) };
      }
      if (stream !== undefined && this.#chunkLeftBytes === 0) {
        this.#current = undefined;
      }
    }
    return { offset: at, message: undefined };
  }

  /** Gives its share of the budget back. Nothing may be read afterwards. */
  close(): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#budget.give(this.#bufferedBytes);
      this.#bufferedBytes = 0;
      this.#streams.clear();
      this.#current = undefined;
    }
  }

  #finish(stream: ChunkStream): RtmpMessage {
    const payload = stream.buffer.subarray(0, stream.length);
    stream.receivedBytes = 0;
    return { type: stream.type, streamId: stream.streamId, timestampTs32: stream.clock, payload };
  }

  #readHeader(bytes: Buffer, offset: number): number {
    let at = offset;
    while (at < bytes.byteLength) {
      const needed = this.#headerLength();
      if (this.#headerBytes >= needed) {
        break;
      }
      this.#header[this.#headerBytes] = bytes[at] ?? 0;
      this.#headerBytes += 1;
      at += 1;
    }
    if (this.#headerBytes > 0 && this.#headerBytes >= this.#headerLength()) {
      this.#openChunk();
    }
    return at;
  }

  /** How long the header is, as far as its bytes so far tell. */
  #headerLength(): number {
    if (this.#headerBytes === 0) {
      return 1;
    }
    const basicBytes = this.#basicBytes();
    const fmt = this.#fmt();
    const plainBytes = basicBytes + (MESSAGE_HEADER_BYTES[fmt] ?? 0);
    if (this.#headerBytes < plainBytes) {
      return plainBytes;
    }
    const hasExtended =
      fmt === 3
        ? this.#streams.get(this.#chunkStreamId())?.timestampField === EXTENDED
        : this.#header.readUIntBE(basicBytes, 3) === EXTENDED;
    return plainBytes + (hasExtended ? 4 : 0);
  }

  #fmt(): number {
    return (this.#header[0] ?? 0) >> 6;
  }

  #basicBytes(): number {
    const low = (this.#header[0] ?? 0) & 0x3f;
    return low > 1 ? 1 : low + 2;
  }

  #chunkStreamId(): number {
    const low = (this.#header[0] ?? 0) & 0x3f;
    if (low > 1) {
      return low;
    }
    return 64 + (this.#header[1] ?? 0) + (low === 1 ? (this.#header[2] ?? 0) * 256 : 0);
  }

  #openChunk(): void {
    const fmt = this.#fmt();
    const stream = this.#streamFor(this.#chunkStreamId(), fmt);
    const isNewMessage = stream.receivedBytes === 0;
    if (!isNewMessage && fmt !== 3) {
      throw new ProtocolError('RTMP_CHUNK_HEADER_INVALID', `header of format ${fmt} within a message`);
    }
    const basicBytes = this.#basicBytes();
    this.#readFields(stream, fmt, basicBytes);
    const extendedAt = basicBytes + (MESSAGE_HEADER_BYTES[fmt] ?? 0);
    const hasExtended = this.#headerBytes > extendedAt;
    const extended = hasExtended ? this.#header.readUInt32BE(extendedAt) : undefined;
    this.#headerBytes = 0;
    this.#current = stream;
    if (isNewMessage) {
      stream.extended = extended;
      const time = extended ?? stream.timestampField;
      stream.clock = fmt === 0 ? time : (stream.clock + time) % 2 ** 32;
    }
    this.#checkLength(stream);
    this.#chunkLeftBytes = Math.min(this.#chunkSizeBytes, stream.length - stream.receivedBytes);
    // Some encoders repeat the extended time in continuing chunks, as the spec has it, and some do not: then it was payload.
    if (!isNewMessage && extended !== undefined && extended !== stream.extended) {
      this.#readPayload(stream, Buffer.from(this.#header.subarray(extendedAt, extendedAt + 4)), 0);
    }
  }

  #readFields(stream: ChunkStream, fmt: number, basicBytes: number): void {
    stream.fmt = fmt;
    if (fmt <= 2) {
      stream.timestampField = this.#header.readUIntBE(basicBytes, 3);
    }
    if (fmt <= 1) {
      stream.length = this.#header.readUIntBE(basicBytes + 3, 3);
      stream.type = this.#header[basicBytes + 6] ?? 0;
    }
    if (fmt === 0) {
      stream.streamId = this.#header.readUInt32LE(basicBytes + 7);
    }
  }

  /** A chunk stream begins with a whole header; format 1 is let through too, because an old librtmp begins its control stream with it. */
  #streamFor(chunkStreamId: number, fmt: number): ChunkStream {
    const existing = this.#streams.get(chunkStreamId);
    if (existing !== undefined) {
      return existing;
    }
    if (fmt > 1) {
      throw new ProtocolError(
        'RTMP_CHUNK_HEADER_INVALID',
        `chunk stream ${chunkStreamId} begins with a header of format ${fmt}`,
      );
    }
    if (this.#streams.size >= this.#limits.chunkStreamMaxCount) {
      throw new ProtocolError(
        'RTMP_CHUNK_STREAMS_TOO_MANY',
        `more than ${this.#limits.chunkStreamMaxCount} chunk streams`,
      );
    }
    const stream: ChunkStream = {
      fmt,
      timestampField: 0,
      extended: undefined,
      clock: 0,
      length: 0,
      type: 0,
      streamId: 0,
      buffer: EMPTY,
      receivedBytes: 0,
    };
    this.#streams.set(chunkStreamId, stream);
    return stream;
  }

  #checkLength(stream: ChunkStream): void {
    if (stream.length > this.#limits.messageMaxBytes) {
      throw new ProtocolError(
        'RTMP_MESSAGE_TOO_LARGE',
        `message of type ${stream.type} has ${stream.length} bytes, at most ${this.#limits.messageMaxBytes} are taken`,
      );
    }
  }

  #readPayload(stream: ChunkStream, bytes: Buffer, offset: number): number {
    const size = Math.min(this.#chunkLeftBytes, bytes.byteLength - offset);
    this.#reserve(stream, stream.receivedBytes + size);
    bytes.copy(stream.buffer, stream.receivedBytes, offset, offset + size);
    stream.receivedBytes += size;
    this.#chunkLeftBytes -= size;
    return offset + size;
  }

  #reserve(stream: ChunkStream, neededBytes: number): void {
    const haveBytes = stream.buffer.byteLength;
    if (neededBytes <= haveBytes) {
      return;
    }
    const wantedBytes = Math.min(
      Math.max(neededBytes, haveBytes * 2, BUFFER_MIN_BYTES),
      Math.max(stream.length, neededBytes),
    );
    const growthBytes = wantedBytes - haveBytes;
    if (this.#bufferedBytes + growthBytes > this.#limits.bufferedMaxBytes || !this.#budget.take(growthBytes)) {
      throw new ProtocolError('RTMP_BUFFER_FULL', `no room for ${growthBytes} more bytes of half-received messages`);
    }
    this.#bufferedBytes += growthBytes;
    const grown = Buffer.allocUnsafeSlow(wantedBytes);
    stream.buffer.copy(grown, 0, 0, stream.receivedBytes);
    stream.buffer = grown;
  }
}
