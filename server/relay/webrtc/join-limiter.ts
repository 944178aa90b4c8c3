/** Fair and bounded: joins get their turn at a fixed rate, and one address asks only so often. Pure: told what time it is. */

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

const ADDRESS_MAX_COUNT = 10_000;

/** Requests a minute for each address. Beyond the cap of addresses the oldest is forgotten. */
export class AddressLimiter {
  readonly #perMinute: number;
  readonly #allowances = new Map<string, { count: number; atMs: number }>();

  constructor(perMinute: number) {
    this.#perMinute = perMinute;
  }

  /** True when this request may go on. */
  take(address: string, nowMs: number): boolean {
    const known = this.#allowances.get(address) ?? { count: this.#perMinute, atMs: nowMs };
    const earned = ((nowMs - known.atMs) * this.#perMinute) / 60_000;
    const count = Math.min(this.#perMinute, known.count + earned);
    this.#allowances.delete(address);
    this.#allowances.set(address, { count: Math.max(0, count - 1), atMs: nowMs });
    const oldest = this.#allowances.keys().next();
    if (this.#allowances.size > ADDRESS_MAX_COUNT && oldest.done === false) {
      this.#allowances.delete(oldest.value);
    }
    return count >= 1;
  }
}
