/** Holds a constant-quality encoder below a bitrate by asking less of it: pure, told the time. Slow by design: each step is a new encoder. */

export type BitrateLook = { readonly nowMs: number; readonly bitrateMaxBps: number };

const WINDOW_MS = 4_000;
/** About a fifth of the bits, on libaom's scale. */
const CRF_STEP = 4;
const CRF_RISE_MAX = 24;
/** Below this share of the cap a step back would stay below it. */
const ROOM_RATIO = 0.6;
const ROOM_MIN_MS = 20_000;

export class BitrateCap {
  #crfRise = 0;
  #windowBytes = 0;
  #windowSinceMs: number | undefined;
  #roomSinceMs: number | undefined;

  /** To be added to the quality setting. */
  get crfRise(): number {
    return this.#crfRise;
  }

  /** A picture of so many bytes was made. */
  add(bytes: number, { nowMs, bitrateMaxBps }: BitrateLook): void {
    if (this.#windowSinceMs === undefined) {
      // What it holds was made before it began.
      this.#windowSinceMs = nowMs;
      return;
    }
    this.#windowBytes += bytes;
    const passedMs = nowMs - this.#windowSinceMs;
    if (passedMs < WINDOW_MS) {
      return;
    }
    const bitrateBps = (this.#windowBytes * 8_000) / passedMs;
    this.#windowBytes = 0;
    this.#windowSinceMs = nowMs;
    this.#judge(bitrateBps / bitrateMaxBps, nowMs);
  }

  #judge(ratio: number, nowMs: number): void {
    this.#roomSinceMs = ratio < ROOM_RATIO ? (this.#roomSinceMs ?? nowMs) : undefined;
    if (ratio > 1) {
      this.#crfRise = Math.min(CRF_RISE_MAX, this.#crfRise + CRF_STEP);
    } else if (this.#roomSinceMs !== undefined && nowMs - this.#roomSinceMs >= ROOM_MIN_MS) {
      this.#crfRise = Math.max(0, this.#crfRise - CRF_STEP);
      this.#roomSinceMs = undefined;
    }
  }
}
