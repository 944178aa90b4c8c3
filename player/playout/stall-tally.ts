/** Stalls of a player that says only when it waits and when it moves (LL-HLS). WebRTC's are counted by the browser itself. */

/** Shorter waits are not seen by anyone (CONGESTION 8.3). */
const STALL_MIN_MS = 100;

export class StallTally {
  #openAtMs: number | null = null;
  #count = 0;
  #totalMs = 0;

  get isOpen(): boolean {
    return this.#openAtMs !== null;
  }

  waiting(nowMs: number): void {
    this.#openAtMs ??= nowMs;
  }

  /** Moving again. Answers how long it stood, 0 if it did not stand or not long enough to count. */
  moving(nowMs: number): number {
    const stallMs = this.#openAtMs === null ? 0 : nowMs - this.#openAtMs;
    this.#openAtMs = null;
    if (stallMs < STALL_MIN_MS) {
      return 0;
    }
    this.#count += 1;
    this.#totalMs += stallMs;
    return stallMs;
  }

  /** The viewer paused or left the page: the open wait is not ours. */
  forgive(): void {
    this.#openAtMs = null;
  }

  /** The open stall counts as soon as it is long enough. */
  totals(nowMs: number): { stallCount: number; stallMs: number } {
    const openMs = this.#openAtMs === null ? 0 : nowMs - this.#openAtMs;
    return openMs < STALL_MIN_MS
      ? { stallCount: this.#count, stallMs: this.#totalMs }
      : { stallCount: this.#count + 1, stallMs: this.#totalMs + openMs };
  }
}
