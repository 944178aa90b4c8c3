/** A cursor over bytes from outside: big-endian, never reads past the end, and says so with the code it was given. */
import { ProtocolError } from './errors.ts';

export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #errorCode: string;
  #offset = 0;

  /** `errorCode` is the `ProtocolError` code thrown when the bytes end too soon. The bytes are not copied. */
  constructor(bytes: Uint8Array, errorCode: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#errorCode = errorCode;
  }

  get offset(): number {
    return this.#offset;
  }

  get remainingBytes(): number {
    return this.#bytes.byteLength - this.#offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2));
  }

  u24(): number {
    const at = this.#advance(3);
    return (this.#view.getUint16(at) << 8) | this.#view.getUint8(at + 2);
  }

  /** Signed 24-bit, as FLV composition times are. */
  i24(): number {
    return (this.u24() << 8) >> 8;
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4));
  }

  /** A 64-bit unsigned integer as a number; exact up to 2^53. */
  u64(): number {
    const high = this.u32();
    return high * 2 ** 32 + this.u32();
  }

  /** A view of the next `length` bytes (not a copy). */
  bytes(length: number): Uint8Array {
    const at = this.#advance(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** A view of all that is left. */
  rest(): Uint8Array {
    return this.bytes(this.remainingBytes);
  }

  /** The next four bytes as ASCII. */
  fourCc(): string {
    return String.fromCharCode(...this.bytes(4));
  }

  skip(length: number): void {
    this.#advance(length);
  }

  #advance(length: number): number {
    const at = this.#offset;
    if (length < 0 || at + length > this.#bytes.byteLength) {
      throw new ProtocolError(
        this.#errorCode,
        `needed ${length} bytes at offset ${at}, but only ${this.#bytes.byteLength - at} are left`,
      );
    }
    this.#offset = at + length;
    return at;
  }
}
