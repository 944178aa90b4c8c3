/** How often one address may ask. Bounded in addresses too. Pure: told what time it is. */

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
