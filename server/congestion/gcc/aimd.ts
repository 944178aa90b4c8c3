/** libwebrtc's additive increase, multiplicative decrease on the state of the delay (draft-ietf-rmcat-gcc-02 5.5, aimd_rate_control). */
import type { DelayState } from './overuse-detector.ts';

/** One for all viewers of a kind. */
export type AimdOptions = {
  readonly minBps: number;
  readonly maxBps: number;
  /** Growth in a second far from where over-use was met last. */
  readonly increasePerS: number;
};

const BACKOFF_BPS = 5_000;
const ACKED_FACTOR = 1.5;
const ACKED_MARGIN_BPS = 10_000;
const LINK_SMOOTHING = 0.05;
const FRAME_RATE_HZ = 30;
const PACKET_BITS = 1_200 * 8;
const RESPONSE_EXTRA_MS = 100;
const ADDITIVE_MIN_BPS_PER_S = 4_000;

export class Aimd {
  readonly #options: AimdOptions;
  /** What is kept of the acknowledged rate on over-use; may be changed at any time. */
  backoffRatio: number;
  #estimateBps: number;
  #isDecreasing = false;
  #isIncreasing = true;
  #changedAtMs = Number.NaN;
  #reducedAtMs = Number.NEGATIVE_INFINITY;
  #linkKbps = Number.NaN;
  #linkDeviation = 0.4;

  constructor(options: AimdOptions, { startBps, backoffRatio }: { startBps: number; backoffRatio: number }) {
    this.#options = options;
    this.backoffRatio = backoffRatio;
    this.#estimateBps = startBps;
  }

  get estimateBps(): number {
    return this.#estimateBps;
  }

  /** A measured rate takes the estimate's place. */
  setEstimate(bps: number, nowMs: number): void {
    this.#estimateBps = this.#clamp(bps);
    this.#changedAtMs = nowMs;
  }

  /** At most one cut in a round trip, unless half of the estimate no longer comes through. */
  mayReduce(ackedBps: number, rttMs: number, nowMs: number): boolean {
    return nowMs - this.#reducedAtMs >= Math.min(200, Math.max(10, rttMs)) || ackedBps < 0.5 * this.#estimateBps;
  }

  /** `ackedBps` is NaN while nothing is known. */
  update(state: DelayState, ackedBps: number, rttMs: number, nowMs: number): void {
    if (state === 'over') {
      this.#decrease(ackedBps, nowMs);
    } else if (state === 'under') {
      this.#isIncreasing = false;
    } else if (this.#isIncreasing) {
      this.#increase(ackedBps, rttMs, nowMs);
    } else {
      this.#isIncreasing = true;
    }
    this.#isDecreasing = state === 'over';
    this.#changedAtMs = nowMs;
  }

  /** The link was seen to carry this, by a burst or by over-use. */
  observeLink(bps: number, smoothing = LINK_SMOOTHING): void {
    const kbps = bps / 1000;
    this.#linkKbps = Number.isNaN(this.#linkKbps) ? kbps : (1 - smoothing) * this.#linkKbps + smoothing * kbps;
    const norm = Math.max(this.#linkKbps, 1);
    const error = this.#linkKbps - kbps;
    this.#linkDeviation = Math.min(
      2.5,
      Math.max(0.4, (1 - smoothing) * this.#linkDeviation + (smoothing * error * error) / norm),
    );
  }

  #increase(ackedBps: number, rttMs: number, nowMs: number): void {
    const passedS = Number.isNaN(this.#changedAtMs) ? 0 : Math.min(1, (nowMs - this.#changedAtMs) / 1000);
    const capBps = Number.isNaN(ackedBps) ? Infinity : ACKED_FACTOR * ackedBps + ACKED_MARGIN_BPS;
    if (ackedBps / 1000 > this.#linkUpperKbps) {
      this.#linkKbps = Number.NaN;
    }
    const next = Number.isNaN(this.#linkKbps)
      ? this.#estimateBps + Math.max(1_000 * passedS, this.#estimateBps * (this.#options.increasePerS ** passedS - 1))
      : this.#estimateBps + this.#additiveBpsPerS(rttMs) * passedS;
    // The cap stops growth; it does not take away what a probe has shown.
    this.#estimateBps = this.#clamp(Math.max(this.#estimateBps, Math.min(next, capBps)));
  }

  #decrease(ackedBps: number, nowMs: number): void {
    const measuredBps = Number.isNaN(ackedBps) ? this.#estimateBps : ackedBps;
    let next = measuredBps * this.backoffRatio - BACKOFF_BPS;
    if (next > this.#estimateBps && !Number.isNaN(this.#linkKbps)) {
      next = this.backoffRatio * this.#linkKbps * 1000;
    }
    next = Math.min(next, this.#estimateBps);
    if (measuredBps / 1000 < this.#linkLowerKbps) {
      this.#linkKbps = Number.NaN;
    }
    this.observeLink(measuredBps);
    this.#estimateBps = this.#clamp(next);
    this.#isIncreasing = false;
    if (!this.#isDecreasing || nowMs > this.#reducedAtMs) {
      this.#reducedAtMs = nowMs;
    }
  }

  get #linkUpperKbps(): number {
    return this.#linkKbps + 3 * Math.sqrt(this.#linkDeviation * this.#linkKbps);
  }

  get #linkLowerKbps(): number {
    return this.#linkKbps - 3 * Math.sqrt(this.#linkDeviation * this.#linkKbps);
  }

  /** About half a packet in the time that a change takes to be seen. */
  #additiveBpsPerS(rttMs: number): number {
    const frameBits = this.#estimateBps / FRAME_RATE_HZ;
    const packetBits = frameBits / Math.ceil(frameBits / PACKET_BITS);
    const responseS = (2 * (rttMs + RESPONSE_EXTRA_MS)) / 1000;
    return Math.max(ADDITIVE_MIN_BPS_PER_S, packetBits / responseS);
  }

  #clamp(bps: number): number {
    return Math.min(this.#options.maxBps, Math.max(this.#options.minBps, bps));
  }
}
