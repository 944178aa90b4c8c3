/** How much queue the bottleneck was seen to hold without dropping: what a burst may dare to add (as ACE, SIGCOMM 2025). Pure. */

import type { Parameters } from './parameters.ts';

const WINDOW_MS = 30_000;
const USED_RATIO = 0.5;
const LEAST_MS = 10;

export class Headroom {
  readonly #parameters: Pick<Parameters, 'burstMaxMs'>;
  #heldMs = 0;
  #heldBeforeMs = 0;
  #sinceMs = Number.NaN;

  constructor(parameters: Pick<Parameters, 'burstMaxMs'>) {
    this.#parameters = parameters;
  }

  /** What a burst may add to the queue. */
  get burstMs(): number {
    const heldMs = Math.max(this.#heldMs, this.#heldBeforeMs);
    return Math.min(this.#parameters.burstMaxMs, Math.max(LEAST_MS, USED_RATIO * heldMs));
  }

  /** `queueMs`: the highest wait that was seen while nothing was lost. A loss halves what is believed. */
  observe(queueMs: number, lostCount: number, nowMs: number): void {
    if (Number.isNaN(this.#sinceMs) || nowMs - this.#sinceMs > WINDOW_MS) {
      this.#heldBeforeMs = this.#heldMs;
      this.#heldMs = 0;
      this.#sinceMs = nowMs;
    }
    if (lostCount > 0) {
      this.#heldMs /= 2;
      this.#heldBeforeMs /= 2;
    } else {
      this.#heldMs = Math.max(this.#heldMs, queueMs);
    }
  }
}
