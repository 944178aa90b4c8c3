/**
 * When the next rung's rate is tried, and how fast. A viewer on a rung with small keyframes sends no train that could prove more than what
 * is sent anyway; so now and then a short train is made of copies of pictures (CONGESTION 3.2). Pure.
 */
import type { ProbeRequest } from './controller.ts';

/** Long enough for a stretch to be told from jitter; what a train at twice the link's rate adds to its queue is as long again. */
const TRAIN_MS = 25;
const TRAIN_MAX_MS = 60;
const TRAIN_JITTER_FACTOR = 4;
/** A train has more packets than this. */
const PACKET_MIN_COUNT = 4;
const PACKET_MIN_BYTES = 200;
/** No faster than this many times what is believed: who knows nothing climbs by doubling. */
const STEP_MAX_RATIO = 2;
/** A step is taken when this part of the rate came through, or so many times what was believed before: a busy receiver blurs a train. */
const REACHED_RATIO = 0.9;
const PROGRESS_RATIO = 1.25;
/** A little more than needed, so that a good answer is enough. */
const AIM_RATIO = 1.05;
/** From one step of a climb to the next, and from one that did not come through (growing, CONGESTION 3.2). */
const STEP_EVERY_MS = 100;
const FAILED_EVERY_MS = 1_000;
/** Nothing of it left, because others were first or there was nothing to copy. */
const UNSENT_EVERY_MS = 500;
const BACKOFF_RATIO = 1.5;
const FAILED_EVERY_MAX_MS = 30_000;
/** Of all bytes sent, with a store that a whole climb may use. */
const SHARE_RATIO = 0.05;
const CREDIT_MAX_BYTES = 60_000;
const ENDS_FACTOR = 4;

export type ProbeWish = {
  /** What the estimate is to reach for the highest rung. */
  readonly topBps: number;
  readonly estimateBps: number;
  readonly jitterMs: number;
};

export class RungProber {
  #id = 0;
  #creditBytes = CREDIT_MAX_BYTES;
  #reachedBps = 0;
  #nextAtMs = 0;
  #failedEveryMs = FAILED_EVERY_MS;

  onSent(bytes: number): void {
    this.#creditBytes = Math.min(CREDIT_MAX_BYTES, this.#creditBytes + SHARE_RATIO * bytes);
  }

  onProbeSent(bytes: number): void {
    this.#creditBytes -= bytes;
  }

  /** To be asked while nothing waits and nothing was lost. */
  plan(wish: ProbeWish, nowMs: number): ProbeRequest | undefined {
    if (nowMs < this.#nextAtMs || wish.estimateBps >= wish.topBps) {
      return undefined;
    }
    const totalBps = Math.min(AIM_RATIO * wish.topBps, STEP_MAX_RATIO * wish.estimateBps);
    const trainMs = Math.min(TRAIN_MAX_MS, Math.max(TRAIN_MS, TRAIN_JITTER_FACTOR * wish.jitterMs));
    const wantedBytes = Math.max((PACKET_MIN_COUNT + 1) * PACKET_MIN_BYTES, (totalBps * trainMs) / 8_000);
    const bytes = Math.min(CREDIT_MAX_BYTES / 2, wantedBytes);
    if (bytes > this.#creditBytes) {
      return undefined;
    }
    this.#id += 1;
    this.#nextAtMs = nowMs + UNSENT_EVERY_MS;
    this.#reachedBps = Math.min(REACHED_RATIO * totalBps, PROGRESS_RATIO * wish.estimateBps);
    return {
      id: this.#id,
      totalBps,
      bytes,
      packetMaxBytes: bytes / PACKET_MIN_COUNT,
      endsAtMs: nowMs + ENDS_FACTOR * trainMs,
    };
  }

  /** `bps` came through; NaN: too much was lost to tell. */
  onAnswer(bps: number, nowMs: number): void {
    if (bps >= this.#reachedBps) {
      this.#failedEveryMs = FAILED_EVERY_MS;
      this.#nextAtMs = nowMs + STEP_EVERY_MS;
    } else {
      this.#nextAtMs = nowMs + this.#failedEveryMs;
      this.#failedEveryMs = Math.min(FAILED_EVERY_MAX_MS, BACKOFF_RATIO * this.#failedEveryMs);
    }
  }
}
