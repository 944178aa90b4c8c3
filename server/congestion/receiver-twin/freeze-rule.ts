/** Chrome's freeze: a gap between pictures far longer than the last thirty, itself included (libwebrtc's VideoQualityObserver). */

/** Gaps that are looked at. */
export const FREEZE_WINDOW_COUNT = 30;
const WINDOW_COUNT = FREEZE_WINDOW_COUNT;
const SAMPLE_MIN_COUNT = 5;
const FACTOR = 3;
const EXTRA_MS = 150;

export class FreezeRule {
  readonly #gapsMs: Float64Array;
  readonly #from: number;
  #count = 0;
  #sumMs = 0;
  #lastAtMs = Number.NaN;

  /** The window may be part of a larger array, from `from` on: an array of its own costs two hundred bytes. */
  constructor(gapsMs = new Float64Array(WINDOW_COUNT), from = 0) {
    this.#gapsMs = gapsMs;
    this.#from = from;
  }

  get lastAtMs(): number {
    return this.#lastAtMs;
  }

  /** The gap that ends with this picture when it was a freeze, else 0. The whole gap counts. */
  onPicture(atMs: number): number {
    const gapMs = atMs - this.#lastAtMs;
    const isFirst = Number.isNaN(this.#lastAtMs);
    this.#lastAtMs = atMs;
    if (isFirst) {
      return 0;
    }
    const at = this.#from + (this.#count % WINDOW_COUNT);
    this.#sumMs += gapMs - (this.#count >= WINDOW_COUNT ? (this.#gapsMs[at] ?? 0) : 0);
    this.#gapsMs[at] = gapMs;
    this.#count += 1;
    return this.#isFreeze(gapMs, this.#sumMs, this.#count) ? gapMs : 0;
  }

  /** The same for a gap that has not ended. */
  openMs(nowMs: number): number {
    if (Number.isNaN(this.#lastAtMs)) {
      return 0;
    }
    const gapMs = nowMs - this.#lastAtMs;
    const dropped = this.#count >= WINDOW_COUNT ? (this.#gapsMs[this.#from + (this.#count % WINDOW_COUNT)] ?? 0) : 0;
    return this.#isFreeze(gapMs, this.#sumMs - dropped + gapMs, this.#count + 1) ? gapMs : 0;
  }

  #isFreeze(gapMs: number, sumMs: number, count: number): boolean {
    if (count < SAMPLE_MIN_COUNT) {
      return false;
    }
    const averageMs = Math.floor(sumMs / Math.min(count, WINDOW_COUNT));
    return gapMs >= Math.max(FACTOR * averageMs, averageMs + EXTRA_MS);
  }
}
