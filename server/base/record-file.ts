/**
 * Append-only files of records that check themselves, all numbers little-endian. Pure.
 *
 *     file    magic │ version u32 │ record …
 *     record  payload length u32 │ type u8 │ payload │ crc32 u32 of all before it in the record
 */
import { crc32 } from 'node:zlib';
import { ProtocolError } from './errors.ts';

export const RECORD_HEAD_BYTES = 5;
export const CRC_BYTES = 4;
const VERSION_BYTES = 4;

export type RecordFrame = { readonly type: number; readonly payload: Buffer; readonly endOffset: number };

export class RecordFileFormat {
  readonly #magic: Buffer;
  readonly #options: { noun: string; version: number; payloadMaxBytes: number; unreadableCode: string };

  /** `noun`: what such a file is (`an index`). `payloadMaxBytes`: a record that claims more is none. `unreadableCode`: of the `ProtocolError` for what is no such file. */
  constructor(options: {
    noun: string;
    magic: string;
    version: number;
    payloadMaxBytes: number;
    unreadableCode: string;
  }) {
    this.#magic = Buffer.from(options.magic);
    this.#options = options;
  }

  get prefixBytes(): number {
    return this.#magic.byteLength + VERSION_BYTES;
  }

  /** What every file begins with. */
  prefix(): Buffer {
    const bytes = Buffer.alloc(this.prefixBytes);
    this.#magic.copy(bytes);
    bytes.writeUInt32LE(this.#options.version, this.#magic.byteLength);
    return bytes;
  }

  /** Throws `ProtocolError` for what is no such file, or one of a version we do not know. */
  checkPrefix(bytes: Buffer): void {
    const { noun, version: expected, unreadableCode } = this.#options;
    if (bytes.byteLength < this.prefixBytes || !bytes.subarray(0, this.#magic.byteLength).equals(this.#magic)) {
      throw new ProtocolError(unreadableCode, `the file does not begin as ${noun} does`);
    }
    const version = bytes.readUInt32LE(this.#magic.byteLength);
    if (version !== expected) {
      throw new ProtocolError(unreadableCode, `${noun} of version ${version}, expected ${expected}`);
    }
  }

  frame(type: number, payload: Buffer): Buffer {
    const bytes = Buffer.allocUnsafe(RECORD_HEAD_BYTES + payload.byteLength + CRC_BYTES);
    bytes.writeUInt32LE(payload.byteLength, 0);
    bytes.writeUInt8(type, 4);
    payload.copy(bytes, RECORD_HEAD_BYTES);
    const crcAt = bytes.byteLength - CRC_BYTES;
    bytes.writeUInt32LE(crc32(bytes.subarray(0, crcAt)), crcAt);
    return bytes;
  }

  /** The record at `offset`; undefined when there is none that checks out. Never throws. */
  frameAt(bytes: Buffer, offset: number): RecordFrame | undefined {
    if (offset + RECORD_HEAD_BYTES + CRC_BYTES > bytes.byteLength) {
      return undefined;
    }
    const payloadBytes = bytes.readUInt32LE(offset);
    const crcAt = offset + RECORD_HEAD_BYTES + payloadBytes;
    if (payloadBytes > this.#options.payloadMaxBytes || crcAt + CRC_BYTES > bytes.byteLength) {
      return undefined;
    }
    if (crc32(bytes.subarray(offset, crcAt)) !== bytes.readUInt32LE(crcAt)) {
      return undefined;
    }
    const payload = bytes.subarray(offset + RECORD_HEAD_BYTES, crcAt);
    return { type: bytes.readUInt8(offset + 4), payload, endOffset: crcAt + CRC_BYTES };
  }
}
