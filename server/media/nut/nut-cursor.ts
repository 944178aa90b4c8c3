/** A cursor over bytes that may still be arriving: past the end it reads zeros and remembers that it did. */
import { ProtocolError } from '../../base/errors.ts';

const NUMBER_MAX_BYTES = 8;

export class NutCursor {
  readonly #bytes: Uint8Array;
  #offset: number;
  #isShort = false;

  constructor(bytes: Uint8Array, offset = 0) {
    this.#bytes = bytes;
    this.#offset = offset;
  }

  get offset(): number {
    return this.#offset;
  }

  /** True once something was read that has not arrived yet: all values since then mean nothing. */
  get isShort(): boolean {
    return this.#isShort;
  }

  u8(): number {
    const value = this.#bytes[this.#offset];
    if (value === undefined) {
      this.#isShort = true;
      return 0;
    }
    this.#offset += 1;
    return value;
  }

  u32(): number {
    return this.u8() * 2 ** 24 + ((this.u8() << 16) | (this.u8() << 8) | this.u8());
  }

  /** `v` of the specification. Throws `ProtocolError` `NUT_INVALID` above 2^53. */
  unsigned(): number {
    let value = 0;
    for (let count = 0; count < NUMBER_MAX_BYTES; count += 1) {
      const byte = this.u8();
      value = value * 128 + (byte & 0x7f);
      if (byte < 0x80) {
        return safe(value);
      }
    }
    throw new ProtocolError('NUT_INVALID', `number longer than ${NUMBER_MAX_BYTES} bytes at ${this.#offset}`);
  }

  /** `s` of the specification. */
  signed(): number {
    const next = this.unsigned() + 1;
    return next % 2 === 1 ? -Math.floor(next / 2) : next / 2;
  }

  /** `vb`: a length, then that many bytes (a view). */
  block(): Uint8Array {
    return this.bytes(this.unsigned());
  }

  bytes(length: number): Uint8Array {
    const end = this.#offset + length;
    if (end > this.#bytes.byteLength) {
      this.#isShort = true;
      return this.#bytes.subarray(0, 0);
    }
    const view = this.#bytes.subarray(this.#offset, end);
    this.#offset = end;
    return view;
  }
}

const safe = (value: number): number => {
  if (!Number.isSafeInteger(value)) {
    throw new ProtocolError('NUT_INVALID', `number ${value} is out of range`);
  }
  return value;
};
