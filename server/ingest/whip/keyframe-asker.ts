/**
 * When the publisher is asked for a keyframe: at once when nothing can be decoded without one, and when the last one is `keyframeEveryMs` old, so that
 * GOPs stay short enough for LL-HLS. A request may be lost or ignored (OBS knows none), so it is repeated with growing pauses. Pure: told what time it is.
 */

/** Chrome makes no two keyframes within 300 ms. */
const PAUSE_MIN_MS = 150;
const PAUSE_MAX_MS = 2_000;
const PAUSE_GROWTH = 1.5;

export class KeyframeAsker {
  readonly #everyMs: number;
  #wantedSinceMs: number | undefined;
  #keyframeAtMs: number | undefined;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #askedCount = 0;
  #totalCount = 0;

  constructor(options: { keyframeEveryMs: number }) {
    this.#everyMs = options.keyframeEveryMs;
  }

  /** Requests since the start. */
  get askedCount(): number {
    return this.#totalCount;
  }

  /** Nothing more can be decoded before a keyframe. */
  onBroken(nowMs: number): void {
    if (this.#wantedSinceMs === undefined) {
      this.#wantedSinceMs = nowMs;
      // Whatever was asked for before came too early to be the answer to this.
      this.#askedCount = 0;
      this.#askedAtMs = Math.min(this.#askedAtMs, nowMs - PAUSE_MIN_MS);
    }
  }

  onKeyframe(nowMs: number): void {
    this.#wantedSinceMs = undefined;
    this.#keyframeAtMs = nowMs;
    this.#askedCount = 0;
  }

  /** Whether to ask now; counts as asked. Not before the first packet of the stream. */
  isDue(nowMs: number, rttMs: number): boolean {
    const isOld = this.#keyframeAtMs !== undefined && nowMs - this.#keyframeAtMs >= this.#everyMs;
    const pauseMs = Math.min(
      PAUSE_MAX_MS,
      Math.max(PAUSE_MIN_MS, 1.5 * rttMs) * PAUSE_GROWTH ** (this.#askedCount - 1),
    );
    const mayAsk = this.#askedCount === 0 || nowMs - this.#askedAtMs >= pauseMs;
    if (!(this.#wantedSinceMs !== undefined || isOld) || !mayAsk) {
      return false;
    }
    this.#askedAtMs = nowMs;
    this.#askedCount += 1;
    this.#totalCount += 1;
    return true;
  }
}
