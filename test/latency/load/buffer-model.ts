/**
 * What a player's buffer would do, without a player: it plays at normal speed, stands still when any of its tracks has run dry, and goes on
 * once all of them hold `resumeS` again. No catching up, no skipping: what a stall took stays in the latency. Pure.
 */

export type Playback = { readonly playedMs: number; readonly stalledMs: number; readonly stallCount: number };

export class BufferModel {
  readonly #aheadMs: number[];
  readonly #resumeMs: number;
  #lastAtMs: number | undefined;
  #isStalled = false;
  #playedMs = 0;
  #stalledMs = 0;
  #stallCount = 0;

  constructor(options: { trackCount: number; resumeS: number }) {
    this.#aheadMs = Array.from({ length: options.trackCount }, () => 0);
    this.#resumeMs = options.resumeS * 1000;
  }

  /** Playback begins, with so much in each track. */
  start(aheadS: number, nowMs: number): void {
    this.#aheadMs.fill(aheadS * 1000);
    this.#lastAtMs = nowMs;
  }

  /** Media came; before the start it is not counted: what is ahead then is told by `start`. */
  append(trackIndex: number, durationS: number, nowMs: number): void {
    if (this.#lastAtMs === undefined) {
      return;
    }
    this.#pass(nowMs);
    this.#aheadMs[trackIndex] = (this.#aheadMs[trackIndex] ?? 0) + durationS * 1000;
    if (this.#isStalled && Math.min(...this.#aheadMs) >= this.#resumeMs) {
      this.#isStalled = false;
    }
  }

  /** Up to now, since the start or since `resetCounts`. */
  playback(nowMs: number): Playback {
    this.#pass(nowMs);
    return { playedMs: this.#playedMs, stalledMs: this.#stalledMs, stallCount: this.#stallCount };
  }

  resetCounts(nowMs: number): void {
    this.#pass(nowMs);
    this.#playedMs = 0;
    this.#stalledMs = 0;
    this.#stallCount = 0;
  }

  #pass(nowMs: number): void {
    if (this.#lastAtMs === undefined) {
      return;
    }
    const elapsedMs = nowMs - this.#lastAtMs;
    const playableMs = this.#isStalled ? 0 : Math.min(elapsedMs, ...this.#aheadMs);
    this.#aheadMs.forEach((aheadMs, index) => {
      this.#aheadMs[index] = aheadMs - playableMs;
    });
    this.#playedMs += playableMs;
    this.#stalledMs += elapsedMs - playableMs;
    if (playableMs < elapsedMs && !this.#isStalled) {
      this.#isStalled = true;
      this.#stallCount += 1;
    }
    this.#lastAtMs = nowMs;
  }
}
