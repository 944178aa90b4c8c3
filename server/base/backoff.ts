/** When to try again: at once after a time of health, then after doubling waits with jitter. Pure. */
import type { Prng } from './prng.ts';

export type BackoffOptions = { readonly firstMs: number; readonly maxMs: number; readonly healthyAfterMs: number };

export const BACKOFF_DEFAULTS: BackoffOptions = { firstMs: 500, maxMs: 8_000, healthyAfterMs: 5_000 };

export class Backoff {
  readonly #options: BackoffOptions;
  readonly #prng: Prng;
  #failureCount = 0;

  constructor(options: BackoffOptions, prng: Prng) {
    this.#options = options;
    this.#prng = prng;
  }

  /** The wait after a run that lasted `ranMs`: none if it was healthy, else within ±20 % of `firstMs`, twice that, … `maxMs`. */
  nextDelayMs(ranMs: number): number {
    if (ranMs >= this.#options.healthyAfterMs) {
      this.#failureCount = 0;
      return 0;
    }
    const delayMs = Math.min(this.#options.maxMs, this.#options.firstMs * 2 ** Math.min(this.#failureCount, 10));
    this.#failureCount += 1;
    return delayMs * (0.8 + 0.4 * this.#prng.nextRatio());
  }
}
