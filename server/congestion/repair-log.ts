/** Which packets were sent again, how often and when last: so that two NACKs for one loss are answered once. */

/** Grows only as packets are lost. */
const LOG_MAX_COUNT = 64;
const AGAIN_MIN_MS = 10;
const AGAIN_RTT_RATIO = 0.8;

export class RepairLog {
  readonly #seqs: number[] = [];
  readonly #atMs: number[] = [];
  readonly #counts: number[] = [];

  /** Copies of it sent so far, as far as remembered. */
  copyCount(seqExt: number): number {
    const at = seqExt % LOG_MAX_COUNT;
    return this.#seqs[at] === seqExt ? (this.#counts[at] ?? 0) : 0;
  }

  /** True, and noted, unless it was repeated within the last round trip. */
  mayRepeat(seqExt: number, rttMs: number, nowMs: number): boolean {
    const at = seqExt % LOG_MAX_COUNT;
    const isKnown = this.#seqs[at] === seqExt;
    if (isKnown && nowMs - (this.#atMs[at] ?? 0) < Math.max(AGAIN_MIN_MS, AGAIN_RTT_RATIO * rttMs)) {
      return false;
    }
    this.#counts[at] = isKnown ? Math.min(0xff, (this.#counts[at] ?? 0) + 1) : 1;
    this.#seqs[at] = seqExt;
    this.#atMs[at] = nowMs;
    return true;
  }
}
