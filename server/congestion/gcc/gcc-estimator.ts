/** libwebrtc's send-side estimate: the lesser of what delay and what losses allow, raised by probes. */
import type { LinkObserver } from '../link-observer.ts';
import { Aimd, type AimdOptions } from './aimd.ts';
import type { DelayState } from './overuse-detector.ts';

const MIN_BPS = 50_000;
const AIMD: AimdOptions = { minBps: MIN_BPS, maxBps: 100_000_000, increasePerS: 1.08 };
const BACKOFF_RATIO = 0.85;
/** Without word for so long something is wrong; libwebrtc cuts at each report that fails to come. */
const SILENCE_MIN_MS = 500;
const SILENCE_FACTOR = 0.8;

export class GccEstimator {
  readonly #aimd: Aimd;
  #estimateBps: number;
  #silenceCutAtMs = Number.NEGATIVE_INFINITY;

  constructor(startBps: number) {
    this.#estimateBps = startBps;
    this.#aimd = new Aimd(AIMD, { startBps, backoffRatio: BACKOFF_RATIO });
  }

  get estimateBps(): number {
    return this.#estimateBps;
  }

  /** After the observer has read a feedback; `probeBps` as in `ProbeResult`. */
  onFeedback(observer: LinkObserver, probeBps: number | undefined, nowMs: number): void {
    const ackedBps = observer.acked.bps;
    const state: DelayState = observer.detector.state;
    if (state === 'over') {
      if (this.#aimd.mayReduce(ackedBps, observer.rttMs, nowMs)) {
        this.#aimd.update('over', ackedBps, observer.rttMs, nowMs);
      }
    } else if (probeBps !== undefined && !Number.isNaN(probeBps)) {
      this.#aimd.setEstimate(probeBps, nowMs);
    } else {
      this.#aimd.update(state, ackedBps, observer.rttMs, nowMs);
    }
    if (observer.isLossObserved) {
      observer.loss.update(this.#aimd.estimateBps, ackedBps, nowMs);
    }
    this.#estimateBps = Math.max(MIN_BPS, Math.min(this.#aimd.estimateBps, observer.loss.estimateBps));
  }

  onTick(observer: LinkObserver, nowMs: number): void {
    const silenceMs = Math.max(SILENCE_MIN_MS, 3 * observer.rttMs);
    if (observer.silenceMs(nowMs) > silenceMs && nowMs - this.#silenceCutAtMs > silenceMs) {
      this.#silenceCutAtMs = nowMs;
      this.#aimd.setEstimate(SILENCE_FACTOR * this.#estimateBps, nowMs);
      this.#estimateBps = this.#aimd.estimateBps;
    }
  }
}
