/** Sequence numbers of one SSRC, as receiver reports count them (RFC 3550 A.3). Pure. */
import { seqDistance } from '../../base/wrap.ts';

/** A jump further than this is a new sequence, not loss. */
const GAP_MAX_COUNT = 500;

export class SequenceTally {
  #firstExt: number | undefined;
  #highestExt = 0;
  #receivedCount = 0;
  #expectedBefore = 0;
  #receivedBefore = 0;

  get highestSeqExt(): number {
    return this.#highestExt;
  }

  /** Never came, retransmissions on the same SSRC taken off. */
  get lostCount(): number {
    return Math.max(0, this.#expectedCount - this.#receivedCount);
  }

  /** The unwrapped number, and how many before it were passed over (0 for what comes in order, late or after a jump). */
  take(seq16: number): { seqExt: number; passedCount: number; hasJumped: boolean } {
    this.#receivedCount += 1;
    if (this.#firstExt === undefined) {
      this.#firstExt = seq16;
      this.#highestExt = seq16;
      return { seqExt: seq16, passedCount: 0, hasJumped: false };
    }
    const ahead = seqDistance(this.#highestExt & 0xffff, seq16);
    const seqExt = this.#highestExt + ahead;
    if (ahead <= 0) {
      return { seqExt, passedCount: 0, hasJumped: false };
    }
    this.#highestExt = seqExt;
    if (ahead > GAP_MAX_COUNT) {
      this.#firstExt += ahead - 1;
      return { seqExt, passedCount: 0, hasJumped: true };
    }
    return { seqExt, passedCount: ahead - 1, hasJumped: false };
  }

  /** The unwrapped number nearest to the highest, for one that came by another way (RTX). */
  extend(seq16: number): number {
    return this.#highestExt + seqDistance(this.#highestExt & 0xffff, seq16);
  }

  /** Lost since the last call, 0…1. */
  takeLostRatio(): number {
    const expected = this.#expectedCount - this.#expectedBefore;
    const received = this.#receivedCount - this.#receivedBefore;
    this.#expectedBefore += expected;
    this.#receivedBefore += received;
    return expected > 0 ? Math.max(0, expected - received) / expected : 0;
  }

  get #expectedCount(): number {
    return this.#firstExt === undefined ? 0 : this.#highestExt - this.#firstExt + 1;
  }
}
