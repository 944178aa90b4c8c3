/**
 * Whose queue it is. One that stays although we have given way for seconds is filled by somebody who stops at losses alone (CUBIC): giving way
 * further gains nothing. It then counts as part of the way, and what is watched is what stands above it. Pure.
 */

/** Our own queue, at what the estimate falls to meanwhile, is gone by then. */
const GONE_AFTER_MS = 4_000;
const WINDOW_MS = 1_000;

export class StandingQueue {
  #sinceMs = Number.NaN;
  #windowSinceMs = Number.NaN;
  #leastMs = Infinity;
  #leastBeforeMs = Infinity;

  /** After each feedback. `isHigh`: higher than is left standing, while packets come through. Returns how much of it is others'; mostly 0. */
  observe(queueMs: number, isHigh: boolean, nowMs: number): number {
    if (!isHigh) {
      this.#sinceMs = Number.NaN;
      return 0;
    }
    if (Number.isNaN(this.#sinceMs)) {
      this.#sinceMs = nowMs;
      this.#windowSinceMs = nowMs;
      this.#leastMs = Infinity;
      this.#leastBeforeMs = Infinity;
    }
    if (nowMs - this.#windowSinceMs > WINDOW_MS) {
      this.#leastBeforeMs = this.#leastMs;
      this.#leastMs = Infinity;
      this.#windowSinceMs = nowMs;
    }
    this.#leastMs = Math.min(this.#leastMs, queueMs);
    if (nowMs - this.#sinceMs <= GONE_AFTER_MS) {
      return 0;
    }
    this.#sinceMs = Number.NaN;
    return Math.min(this.#leastMs, this.#leastBeforeMs);
  }
}
