/**
 * Reads NUT as ffmpeg writes it to a pipe: bytes in as they arrive, streams and frames out as soon as each is whole, with no
 * delay of its own. Knows what ffmpeg's muxer uses of the format; no seeking, no index. Bytes are never kept past one frame.
 */
import { ProtocolError } from '../../base/errors.ts';
import { NutCursor } from './nut-cursor.ts';
import type { FrameCode, NutStream } from './nut-headers.ts';
import { parseMainHeader, parseStreamHeader } from './nut-headers.ts';
import * as nut from './nut-format.ts';

export type NutFrame = {
  readonly stream: NutStream;
  /** In units of the stream's time base. NUT carries presentation times only. */
  readonly ptsTicks: number;
  readonly isKeyframe: boolean;
  /** A copy: the caller's to keep. */
  readonly payload: Uint8Array;
};

export type NutReaderOptions = { readonly frameMaxBytes: number };

const DEFAULTS: NutReaderOptions = { frameMaxBytes: 8 * 1024 * 1024 };
const PACKET_MAX_BYTES = 256 * 1024;
const RESERVED_MAX_COUNT = 64;

type StreamState = { readonly stream: NutStream; lastPtsTicks: number };

export class NutReader {
  readonly #options: NutReaderOptions;
  #buffer: Uint8Array = new Uint8Array(64 * 1024);
  #start = 0;
  #end = 0;
  #hasFileId = false;
  #frameCodes: readonly FrameCode[] = [];
  #timeBases: readonly { readonly num: number; readonly den: number }[] = [];
  #elisionHeaders: readonly Uint8Array[] = [];
  readonly #streams = new Map<number, StreamState>();

  constructor(options: Partial<NutReaderOptions> = {}) {
    this.#options = { ...DEFAULTS, ...options };
  }

  /** Bytes held back until the rest of a frame arrives; below `frameMaxBytes` and one push. */
  get bufferedBytes(): number {
    return this.#end - this.#start;
  }

  /** Streams announced so far, in order of their ids. */
  get streams(): readonly NutStream[] {
    return [...this.#streams.values()].map((state) => state.stream);
  }

  /** The frames that these bytes completed. Throws `ProtocolError`: `NUT_INVALID`, `NUT_CHECKSUM`, `NUT_FRAME_TOO_LARGE`. */
  push(bytes: Uint8Array): NutFrame[] {
    this.#append(bytes);
    const frames: NutFrame[] = [];
    while (this.#start < this.#end) {
      const cursor = new NutCursor(this.#buffer.subarray(0, this.#end), this.#start);
      const frame = this.#readNext(cursor);
      if (cursor.isShort) {
        break;
      }
      this.#start = cursor.offset;
      if (frame !== undefined) {
        frames.push(frame);
      }
    }
    return frames;
  }

  /** Keeps the buffer as small as the largest frame: what was read is moved over before anything grows. */
  #append(bytes: Uint8Array): void {
    const waiting = this.#end - this.#start;
    if (this.#end + bytes.byteLength > this.#buffer.byteLength) {
      const wanted = waiting + bytes.byteLength;
      const target = wanted > this.#buffer.byteLength ? new Uint8Array(wanted * 2) : this.#buffer;
      target.set(this.#buffer.subarray(this.#start, this.#end));
      this.#buffer = target;
      this.#start = 0;
      this.#end = waiting;
    }
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.byteLength;
  }

  #readNext(cursor: NutCursor): NutFrame | undefined {
    if (!this.#hasFileId) {
      this.#readFileId(cursor);
      return undefined;
    }
    if (this.#buffer[this.#start] === nut.START_BYTE) {
      this.#readPacket(cursor);
      return undefined;
    }
    return this.#readFrame(cursor);
  }

  #readFileId(cursor: NutCursor): void {
    const id = cursor.bytes(nut.NUT_FILE_ID.length);
    if (cursor.isShort) {
      return;
    }
    if (Buffer.from(id).toString('latin1') !== nut.NUT_FILE_ID) {
      throw new ProtocolError('NUT_INVALID', 'does not begin with the NUT file id');
    }
    this.#hasFileId = true;
  }

  #readPacket(cursor: NutCursor): void {
    const code = { high: cursor.u32(), low: cursor.u32() };
    const bodyBytes = cursor.unsigned();
    if (cursor.isShort) {
      return;
    }
    if (bodyBytes < 4 || bodyBytes > PACKET_MAX_BYTES) {
      throw new ProtocolError('NUT_INVALID', `packet of ${bodyBytes} bytes, expected 4 to ${PACKET_MAX_BYTES}`);
    }
    if (bodyBytes > nut.LONG_PACKET_MIN_BYTES) {
      cursor.u32();
    }
    const body = cursor.bytes(bodyBytes);
    if (!cursor.isShort) {
      this.#takePacket(code, checkedBody(body));
    }
  }

  #takePacket(code: nut.StartCode, body: Uint8Array): void {
    if (isCode(code, nut.START_MAIN)) {
      const header = parseMainHeader(body);
      this.#timeBases = header.timeBases;
      this.#frameCodes = header.frameCodes;
      this.#elisionHeaders = header.elisionHeaders;
    } else if (isCode(code, nut.START_STREAM)) {
      const stream = parseStreamHeader(body, this.#timeBases);
      // ffmpeg repeats its headers now and then: the time of the stream goes on.
      const lastPtsTicks = this.#streams.get(stream.index)?.lastPtsTicks ?? 0;
      this.#streams.set(stream.index, { stream, lastPtsTicks });
    } else if (isCode(code, nut.START_SYNCPOINT)) {
      this.#takeSyncpoint(body);
    }
  }

  /** A syncpoint sets the clock of all streams. */
  #takeSyncpoint(body: Uint8Array): void {
    const coded = new NutCursor(body).unsigned();
    const base = this.#timeBases[coded % Math.max(1, this.#timeBases.length)];
    if (base === undefined) {
      throw new ProtocolError('NUT_INVALID', 'syncpoint before the main header');
    }
    const ticks = Math.floor(coded / this.#timeBases.length);
    for (const state of this.#streams.values()) {
      state.lastPtsTicks = rescaleDown(ticks, base, state.stream.timeBase);
    }
  }

  #readFrame(cursor: NutCursor): NutFrame | undefined {
    const header = this.#readFrameHeader(cursor);
    if (cursor.isShort) {
      return undefined;
    }
    const state = this.#streams.get(header.streamIndex);
    if (state === undefined) {
      throw new ProtocolError('NUT_INVALID', `frame of unknown stream ${header.streamIndex}`);
    }
    const elided = this.#elidedHeader(header);
    const rest = cursor.bytes(header.sizeBytes - elided.byteLength);
    if (cursor.isShort) {
      return undefined;
    }
    const payload = new Uint8Array(elided.byteLength + rest.byteLength);
    payload.set(elided);
    payload.set(rest, elided.byteLength);
    const ptsTicks = resolvePts(header, state);
    state.lastPtsTicks = ptsTicks;
    return { stream: state.stream, ptsTicks, isKeyframe: (header.flags & nut.FLAG_KEY) !== 0, payload };
  }

  #elidedHeader(header: FrameHeader): Uint8Array {
    const index = header.sizeBytes > nut.LONG_PACKET_MIN_BYTES ? 0 : header.elisionIndex;
    const elided = this.#elisionHeaders[index];
    if (elided === undefined || elided.byteLength > header.sizeBytes) {
      throw new ProtocolError('NUT_INVALID', `elision header ${index} does not fit ${header.sizeBytes} bytes`);
    }
    return elided;
  }

  #readFrameHeader(cursor: NutCursor): FrameHeader {
    const code = cursor.u8();
    const entry = this.#frameCodes[code];
    if (entry === undefined || (entry.flags & nut.FLAG_INVALID) !== 0) {
      throw new ProtocolError('NUT_INVALID', `frame code ${code} is not in the table`);
    }
    const flags = entry.flags ^ ((entry.flags & nut.FLAG_CODED) !== 0 ? cursor.unsigned() : 0);
    const has = (flag: number): boolean => (flags & flag) !== 0;
    const streamIndex = has(nut.FLAG_STREAM_ID) ? cursor.unsigned() : entry.streamIndex;
    const codedPts = has(nut.FLAG_CODED_PTS) ? cursor.unsigned() : undefined;
    const sizeBytes = entry.sizeLsb + (has(nut.FLAG_SIZE_MSB) ? cursor.unsigned() * entry.sizeMul : 0);
    if (has(nut.FLAG_MATCH_TIME)) {
      cursor.signed();
    }
    const elisionIndex = has(nut.FLAG_HEADER_IDX) ? cursor.unsigned() : entry.elisionIndex;
    skipReserved(cursor, has(nut.FLAG_RESERVED) ? cursor.unsigned() : entry.reservedCount);
    if (has(nut.FLAG_CHECKSUM)) {
      cursor.u32();
    }
    this.#checkFrame(flags, sizeBytes);
    return { flags, streamIndex, codedPts, ptsDelta: entry.ptsDelta, sizeBytes, elisionIndex };
  }

  #checkFrame(flags: number, sizeBytes: number): void {
    if ((flags & nut.FLAG_SM_DATA) !== 0) {
      throw new ProtocolError('NUT_INVALID', 'side data, which version 3 does not have');
    }
    if (sizeBytes > this.#options.frameMaxBytes) {
      throw new ProtocolError('NUT_FRAME_TOO_LARGE', `${sizeBytes} bytes, at most ${this.#options.frameMaxBytes}`);
    }
  }
}

type FrameHeader = {
  readonly flags: number;
  readonly streamIndex: number;
  readonly codedPts: number | undefined;
  readonly ptsDelta: number;
  readonly sizeBytes: number;
  readonly elisionIndex: number;
};

const isCode = (code: nut.StartCode, wanted: nut.StartCode): boolean =>
  code.high === wanted.high && code.low === wanted.low;

/** The body without its checksum, once that was found right. */
const checkedBody = (body: Uint8Array): Uint8Array => {
  const content = body.subarray(0, body.byteLength - 4);
  const stated = new NutCursor(body, content.byteLength).u32();
  if (nut.nutChecksum(content) !== stated) {
    throw new ProtocolError('NUT_CHECKSUM', `packet of ${body.byteLength} bytes is damaged`);
  }
  return content;
};

const skipReserved = (cursor: NutCursor, count: number): void => {
  if (count > RESERVED_MAX_COUNT) {
    throw new ProtocolError('NUT_INVALID', `${count} reserved fields`);
  }
  for (let index = 0; index < count; index += 1) {
    cursor.unsigned();
  }
};

const resolvePts = (header: FrameHeader, state: StreamState): number => {
  if (header.codedPts === undefined) {
    return state.lastPtsTicks + header.ptsDelta;
  }
  const range = 2 ** state.stream.ptsShiftBits;
  return header.codedPts < range
    ? nut.fullPtsTicks(header.codedPts, state.lastPtsTicks, state.stream.ptsShiftBits)
    : header.codedPts - range;
};

type TimeBase = { readonly num: number; readonly den: number };

const rescaleDown = (ticks: number, from: TimeBase, to: TimeBase): number =>
  Number((BigInt(ticks) * BigInt(from.num) * BigInt(to.den)) / (BigInt(from.den) * BigInt(to.num)));
