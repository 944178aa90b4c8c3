/** Seeded pseudo-random numbers (splitmix32): the same seed gives the same run, on every machine. Not for secrets. */
export class Prng {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer in 0 … 2^32 − 1. */
  nextUint32(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  }

  /** A number in [0, 1). */
  nextRatio(): number {
    return this.nextUint32() / 2 ** 32;
  }

  /** An integer in 0 … `limit` − 1. */
  nextIndex(limit: number): number {
    return Math.floor(this.nextRatio() * limit);
  }

  /** `length` bytes. */
  nextBytes(length: number): Uint8Array {
    return new Uint8Array(length).map(() => this.nextUint32() & 0xff);
  }
}
