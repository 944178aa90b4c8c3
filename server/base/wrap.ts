/** Wrap-around arithmetic, once: counters that live in 16, 24 or 32 bits on the wire, unwrapped into plain numbers. */

/** Signed distance from `from` to `to` in a counter of `bits` bits, in −2^(bits−1) … 2^(bits−1)−1. */
export const wrapDistance = (from: number, to: number, bits: number): number => {
  const range = 2 ** bits;
  const distance = (((to - from) % range) + range) % range;
  return distance >= range / 2 ? distance - range : distance;
};

/** Signed distance between two 16-bit sequence numbers: positive when `to` is newer. */
export const seqDistance = (from: number, to: number): number => ((to - from) << 16) >> 16;

/** Follows a wrapping counter and gives the extended value nearest to the last one. Values may arrive out of order. */
export class Unwrapper {
  readonly #bits: number;
  #lastExtended: number | undefined;

  constructor(bits: 16 | 24 | 32) {
    this.#bits = bits;
  }

  /** The extended value of `wrapped`; the first call returns it as it is. May go negative when old values arrive after the first. */
  unwrap(wrapped: number): number {
    if (this.#lastExtended === undefined) {
      this.#lastExtended = wrapped;
      return wrapped;
    }
    this.#lastExtended += wrapDistance(this.#lastExtended, wrapped, this.#bits);
    return this.#lastExtended;
  }

  /** Forgets the past: the next value starts anew. */
  reset(): void {
    this.#lastExtended = undefined;
  }
}
