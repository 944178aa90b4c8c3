/**
 * What the link carries where there is no transport-cc (Firefox, Safari by setting): losses from receiver reports and what the player says it
 * received. Slow and blunt, with the thresholds of GCC's first loss rule (draft-ietf-rmcat-gcc-02 6).
 */

const LOSS_HIGH_RATIO = 0.1;
const LOSS_LOW_RATIO = 0.02;
const INCREASE_PER_S = 1.05;
/** Rungs lie a factor of two apart: less would never reach the next. */
const RECEIVED_FACTOR = 3;
const RTT_RISE_MS = 100;
const BACKOFF_RATIO = 0.85;
const MIN_BPS = 100_000;
const STEP_MAX_S = 2;

export class ReportEstimator {
  #estimateBps: number;
  #receivedBps = Infinity;
  #leastRttMs = Infinity;
  #atMs = Number.NaN;

  constructor(startBps: number) {
    this.#estimateBps = startBps;
  }

  get estimateBps(): number {
    return this.#estimateBps;
  }

  onReception(lostRatio: number, rttMs: number | undefined, nowMs: number): void {
    const passedS = Number.isNaN(this.#atMs) ? 0 : Math.min(STEP_MAX_S, Math.max(0, nowMs - this.#atMs) / 1000);
    this.#atMs = nowMs;
    this.#leastRttMs = Math.min(this.#leastRttMs, rttMs ?? Infinity);
    const loss = Number.isFinite(lostRatio) ? Math.min(1, Math.max(0, lostRatio)) : 0;
    const isQueued = rttMs !== undefined && rttMs > this.#leastRttMs + RTT_RISE_MS;
    if (loss > LOSS_HIGH_RATIO) {
      this.#estimateBps *= 1 - 0.5 * loss;
    } else if (isQueued) {
      this.#estimateBps *= BACKOFF_RATIO;
    } else if (loss < LOSS_LOW_RATIO) {
      const grownBps = this.#estimateBps * INCREASE_PER_S ** passedS;
      this.#estimateBps = Math.max(this.#estimateBps, Math.min(grownBps, RECEIVED_FACTOR * this.#receivedBps));
    }
    this.#estimateBps = Math.max(MIN_BPS, this.#estimateBps);
  }

  /** What the player says has come; it may only hold the estimate down. */
  onReceived(receivedBps: number): void {
    if (Number.isFinite(receivedBps) && receivedBps > 0) {
      this.#receivedBps = receivedBps;
    }
  }
}
