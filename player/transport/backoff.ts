/** Growing, capped, jittered pauses between attempts, so that a crowd does not come back in step after a restart. */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  #attemptCount = 0;

  constructor(options: { minMs: number; maxMs: number }) {
    this.#minMs = options.minMs;
    this.#maxMs = options.maxMs;
  }

  /** The next pause. `jitterRatio` is a random number from 0 to 1; the pause is half to all of the step. */
  nextMs(jitterRatio: number): number {
    const stepMs = Math.min(this.#maxMs, this.#minMs * 2 ** Math.min(this.#attemptCount, 30));
    this.#attemptCount += 1;
    return stepMs * (0.5 + 0.5 * jitterRatio);
  }

  reset(): void {
    this.#attemptCount = 0;
  }
}

/** A random number from 0 to 1 for jitter. */
export const jitterRatio = (): number => {
  const [value = 0] = crypto.getRandomValues(new Uint32Array(1));
  return value / 2 ** 32;
};
