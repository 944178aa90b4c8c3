/** Capacity over time as steps, and its exact integral: when the last bit of a packet has passed. Pure. */

export type CapacityStep = {
  readonly durationMs: number;
  /** Bits of whole IP packets a second; 0 is an outage. */
  readonly rateBps: number;
};

export type CapacityOptions = {
  readonly steps: readonly CapacityStep[];
  /** Begins anew after its last step; otherwise the last rate stays. */
  readonly isLooped: boolean;
};

export class Capacity {
  readonly meanBps: number;
  /** Step i lasts from `#startsMs[i]` to `#startsMs[i + 1]` of its round. */
  readonly #startsMs: Float64Array;
  readonly #bitsPerMs: Float64Array;
  /** Bits that pass before step i of a round. */
  readonly #bitsBefore: Float64Array;
  readonly #isLooped: boolean;
  readonly #count: number;
  readonly #periodMs: number;
  #index = 0;
  #roundAtMs = 0;

  /** Throws `TypeError` for steps that are none, negative, or loop for ever at 0. */
  constructor({ steps, isLooped }: CapacityOptions) {
    if (steps.length === 0 || steps.some(({ durationMs, rateBps }) => !(durationMs > 0) || !(rateBps >= 0))) {
      throw new TypeError('capacity: expected steps with durationMs above 0 and rateBps of at least 0');
    }
    this.#count = steps.length;
    this.#isLooped = isLooped;
    this.#startsMs = new Float64Array(steps.length + 1);
    this.#bitsBefore = new Float64Array(steps.length + 1);
    this.#bitsPerMs = Float64Array.from(steps, ({ rateBps }) => rateBps / 1000);
    steps.forEach(({ durationMs, rateBps }, index) => {
      this.#startsMs[index + 1] = this.#startsMs[index]! + durationMs;
      this.#bitsBefore[index + 1] = this.#bitsBefore[index]! + (rateBps / 1000) * durationMs;
    });
    this.#periodMs = this.#startsMs[steps.length]!;
    this.meanBps = (this.#bitsBefore[steps.length]! * 1000) / this.#periodMs;
    if (isLooped && this.meanBps === 0) {
      throw new TypeError('capacity: a loop of nothing but outages never carries a packet');
    }
  }

  /** When `bits` that start at `startMs` have passed; Infinity in an outage without end. Fast while `startMs` does not go back. */
  finishMs(startMs: number, bits: number): number {
    this.#seek(startMs);
    let atMs = startMs;
    let left = bits;
    for (;;) {
      const rate = this.#bitsPerMs[this.#index]!;
      const endMs = this.#stepEndMs();
      if (rate > 0 && (endMs - atMs) * rate >= left) {
        return atMs + left / rate;
      }
      if (endMs === Infinity) {
        return Infinity;
      }
      left -= (endMs - atMs) * rate;
      atMs = endMs;
      this.#nextStep();
    }
  }

  /** Bits that can pass between two instants. */
  bitsBetween(fromMs: number, toMs: number): number {
    return this.#bitsUntil(toMs) - this.#bitsUntil(fromMs);
  }

  #bitsUntil(atMs: number): number {
    const rounds = this.#isLooped ? Math.floor(atMs / this.#periodMs) : 0;
    const inRoundMs = atMs - rounds * this.#periodMs;
    const index = this.#indexAt(inRoundMs);
    const inStepBits = (inRoundMs - this.#startsMs[index]!) * this.#bitsPerMs[index]!;
    return rounds * this.#bitsBefore[this.#count]! + this.#bitsBefore[index]! + inStepBits;
  }

  /** Binary search; after the end of a plan that is not looped it is the last step. */
  #indexAt(inRoundMs: number): number {
    let low = 0;
    let high = this.#count - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#startsMs[middle]! <= inRoundMs) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }

  #seek(atMs: number): void {
    const isBehind = atMs < this.#roundAtMs + this.#startsMs[this.#index]!;
    const isFarAhead = this.#isLooped && atMs >= this.#roundAtMs + 2 * this.#periodMs;
    if (isBehind || isFarAhead) {
      this.#roundAtMs = this.#isLooped ? Math.floor(atMs / this.#periodMs) * this.#periodMs : 0;
      this.#index = this.#indexAt(atMs - this.#roundAtMs);
    }
    while (atMs >= this.#stepEndMs()) {
      this.#nextStep();
    }
  }

  #stepEndMs(): number {
    return !this.#isLooped && this.#index === this.#count - 1
      ? Infinity
      : this.#roundAtMs + this.#startsMs[this.#index + 1]!;
  }

  #nextStep(): void {
    this.#index += 1;
    if (this.#index === this.#count) {
      this.#index = 0;
      this.#roundAtMs += this.#periodMs;
    }
  }
}
