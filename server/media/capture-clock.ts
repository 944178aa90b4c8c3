/**
 * Maps media time to the wall clock. A picture cannot have been captured after it arrived, so the mapping is the smallest
 * `arrival − presentation time` seen: exact but for the publisher's own delay. Publishers' clocks drift by tens of parts per
 * million, so the minimum is taken over the last minute and followed slowly, without steps a player would notice.
 */

const BUCKET_MS = 10_000;
const BUCKET_MAX_COUNT = 6;
/** Downward steps are free while there are no viewers' clocks to disturb. */
const SETTLE_MS = 5_000;
/** 0.5 ms a second: five times the worst crystal, and far below what a player's rate control can see. */
const SLEW_RATIO = 0.0005;
/**
 * A source that runs slower than real time (a starved encoder) falls behind by more than any crystal. What has been late for the whole
 * window is followed with this time constant; an uplink that queues for minutes is followed too, which is the price.
 */
const LATE_FOLLOW_MS = 30_000;
/** Disagreement that drift cannot explain (the host machine slept, the system clock was set): taken at once. */
const STEP_MIN_MS = 2_000;

export class CaptureClock {
  #bucketMinMs: number[] = [];
  #bucketStartMediaMs = 0;
  #firstMediaMs: number | undefined;
  #lastMediaMs = 0;
  #offsetMs = 0;

  /**
   * Another publisher's media follows. Its first picture tells where it lies, and may have waited for the connection to stand: those behind it came more
   * promptly, so all of it was captured earlier than that one says. What was known before tells nothing of it.
   */
  beginEpoch(): void {
    this.#firstMediaMs = undefined;
    this.#bucketMinMs = [];
  }

  /** One unit: its presentation time on the media timeline, and when it arrived on the Unix clock. */
  observe(mediaMs: number, arrivedAtWallMs: number): void {
    const sampleMs = arrivedAtWallMs - mediaMs;
    if (this.#firstMediaMs === undefined) {
      this.#firstMediaMs = mediaMs;
      this.#bucketStartMediaMs = mediaMs;
      this.#lastMediaMs = mediaMs;
      this.#bucketMinMs.push(sampleMs);
      this.#offsetMs = sampleMs;
      return;
    }
    this.#addToBucket(mediaMs, sampleMs);
    this.#follow(mediaMs, sampleMs);
  }

  /** Unix milliseconds at which `mediaMs` was captured. */
  wallMsAt(mediaMs: number): number {
    return mediaMs + this.#offsetMs;
  }

  #addToBucket(mediaMs: number, sampleMs: number): void {
    if (mediaMs - this.#bucketStartMediaMs >= BUCKET_MS) {
      this.#bucketStartMediaMs = mediaMs;
      this.#bucketMinMs.push(sampleMs);
      if (this.#bucketMinMs.length > BUCKET_MAX_COUNT) {
        this.#bucketMinMs.shift();
      }
      return;
    }
    const current = this.#bucketMinMs.length - 1;
    this.#bucketMinMs[current] = Math.min(this.#bucketMinMs[current] ?? sampleMs, sampleMs);
  }

  #follow(mediaMs: number, sampleMs: number): void {
    const targetMs = Math.min(...this.#bucketMinMs);
    const wantedMs = targetMs - this.#offsetMs;
    const advanceMs = Math.max(0, mediaMs - this.#lastMediaMs);
    this.#lastMediaMs = Math.max(this.#lastMediaMs, mediaMs);
    const isSettling = mediaMs - (this.#firstMediaMs ?? mediaMs) < SETTLE_MS;
    const isStep = wantedMs < 0 && (isSettling || -wantedMs > STEP_MIN_MS);
    if (isStep || sampleMs - this.#offsetMs < -STEP_MIN_MS) {
      this.#offsetMs = targetMs;
      return;
    }
    const slewMs = advanceMs * SLEW_RATIO;
    const lateMs = advanceMs * Math.max(SLEW_RATIO, wantedMs / LATE_FOLLOW_MS);
    this.#offsetMs += Math.max(-slewMs, Math.min(lateMs, wantedMs));
  }
}
