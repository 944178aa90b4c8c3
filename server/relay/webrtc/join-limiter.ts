/** Fair and bounded: joins get their turn at a fixed rate. Pure: told what time it is. */

export class JoinLimiter {
  readonly #intervalMs: number;
  readonly #queueMaxCount: number;
  #nextAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: { joinsPerS: number; queueMaxCount: number }) {
    this.#intervalMs = 1000 / options.joinsPerS;
    this.#queueMaxCount = options.queueMaxCount;
  }

  /** How long to wait for one's turn, which is then taken; undefined when too many wait already. A few may come at once after a pause. */
  reserve(nowMs: number): number | undefined {
    const burstFromMs = nowMs - 4 * this.#intervalMs;
    const atMs = Math.max(this.#nextAtMs, burstFromMs);
    const waitMs = Math.max(0, atMs - nowMs);
    if (waitMs > this.#queueMaxCount * this.#intervalMs) {
      return undefined;
    }
    this.#nextAtMs = atMs + this.#intervalMs;
    return waitMs;
  }
}
