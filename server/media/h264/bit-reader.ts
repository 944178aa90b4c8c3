/** Bits of a raw byte sequence payload, most significant first, with exp-Golomb codes (ITU-T H.264 7.2, 9.1; HEVC and AV1 read alike). */
import { ProtocolError } from '../../base/errors.ts';

export class BitReader {
  readonly #bytes: Uint8Array;
  readonly #errorCode: string;
  #bitOffset = 0;

  /** `errorCode` is the `ProtocolError` code thrown when the bits end too soon. */
  constructor(bytes: Uint8Array, errorCode: string) {
    this.#bytes = bytes;
    this.#errorCode = errorCode;
  }

  get remainingBits(): number {
    return this.#bytes.byteLength * 8 - this.#bitOffset;
  }

  bit(): number {
    const byte = this.#bytes[this.#bitOffset >> 3];
    if (byte === undefined) {
      throw new ProtocolError(this.#errorCode, `bits ended at ${this.#bitOffset}`);
    }
    const bit = (byte >> (7 - (this.#bitOffset & 7))) & 1;
    this.#bitOffset += 1;
    return bit;
  }

  flag(): boolean {
    return this.bit() === 1;
  }

  /** An unsigned integer of `count` bits, at most 48. */
  bits(count: number): number {
    let value = 0;
    for (let index = 0; index < count; index += 1) {
      value = value * 2 + this.bit();
    }
    return value;
  }

  skip(count: number): void {
    if (count > this.remainingBits) {
      throw new ProtocolError(this.#errorCode, `needed ${count} bits at ${this.#bitOffset}`);
    }
    this.#bitOffset += count;
  }

  /** ue(v), at most 32 bits long. */
  ue(): number {
    let zeroCount = 0;
    while (this.bit() === 0) {
      zeroCount += 1;
      if (zeroCount > 31) {
        throw new ProtocolError(this.#errorCode, 'an exp-Golomb code is longer than 32 bits');
      }
    }
    return 2 ** zeroCount - 1 + this.bits(zeroCount);
  }

  /** se(v). */
  se(): number {
    const code = this.ue();
    return code % 2 === 0 ? -code / 2 : (code + 1) / 2;
  }
}

/** The payload of a NAL unit without its emulation prevention bytes (ITU-T H.264 7.3.1). */
export const unescapeNalUnit = (nalUnit: Uint8Array, headerBytes: number): Uint8Array => {
  const out = new Uint8Array(Math.max(0, nalUnit.byteLength - headerBytes));
  let length = 0;
  let zeroCount = 0;
  for (let offset = headerBytes; offset < nalUnit.byteLength; offset += 1) {
    const byte = nalUnit[offset] ?? 0;
    if (zeroCount >= 2 && byte === 3) {
      zeroCount = 0;
      continue;
    }
    zeroCount = byte === 0 ? zeroCount + 1 : 0;
    out[length] = byte;
    length += 1;
  }
  return out.subarray(0, length);
};
