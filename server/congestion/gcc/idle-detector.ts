/** Whether the sender has less to send than it may: libwebrtc's application-limited region, a budget that fills at 65 % of the estimate. */

const USAGE_RATIO = 0.65;
const WINDOW_MS = 500;
const START_RATIO = 0.8;
const STOP_RATIO = 0.5;

export class IdleDetector {
  #budgetBytes = 0;
  #atMs = Number.NaN;
  #sinceMs = Number.NaN;
  #endedAtMs = Number.NEGATIVE_INFINITY;

  /** Since when; NaN: it is not. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  get endedAtMs(): number {
    return this.#endedAtMs;
  }

  onSent(bytes: number, estimateBps: number, nowMs: number): void {
    const bytesPerMs = (USAGE_RATIO * estimateBps) / 8_000;
    const maxBytes = bytesPerMs * WINDOW_MS;
    const passedMs = Number.isNaN(this.#atMs) ? 0 : nowMs - this.#atMs;
    this.#atMs = nowMs;
    const filled = Math.min(maxBytes, this.#budgetBytes + passedMs * bytesPerMs);
    this.#budgetBytes = Math.max(-maxBytes, filled - bytes);
    const ratio = this.#budgetBytes / maxBytes;
    if (ratio > START_RATIO && Number.isNaN(this.#sinceMs)) {
      this.#sinceMs = nowMs;
    } else if (ratio < STOP_RATIO && !Number.isNaN(this.#sinceMs)) {
      this.#sinceMs = Number.NaN;
      this.#endedAtMs = nowMs;
    }
  }
}
