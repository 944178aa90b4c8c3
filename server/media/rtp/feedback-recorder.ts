/**
 * What a receiver tells of transport-wide sequence numbers, as libwebrtc does: each feedback goes on where the last one ended, so that what
 * was lost between two of them is told too; what comes late is told again from there. Pure.
 */
import { Unwrapper } from '../../base/wrap.ts';
import type { TransportFeedback } from './transport-cc.ts';

/** More than 100 ms hold at 200 Mbit/s; what comes beyond is not told, and counted. */
const ARRIVAL_MAX_COUNT = 2_000;
/** A hole larger than this is a new sequence, not loss. */
const HOLE_MAX_COUNT = 1_000;

export class TransportFeedbackRecorder {
  readonly #unwrapper = new Unwrapper(16);
  readonly #arrivals = new Map<number, number>();
  #nextExt: number | undefined;
  #feedbackCount = 0;
  #droppedCount = 0;

  /** Arrivals that found no room. */
  get droppedCount(): number {
    return this.#droppedCount;
  }

  /** A packet with this number came; of one that came twice the first counts. */
  take(seq16: number, atMs: number): void {
    const seqExt = this.#unwrapper.unwrap(seq16);
    if (this.#arrivals.size >= ARRIVAL_MAX_COUNT) {
      this.#droppedCount += 1;
    } else if (!this.#arrivals.has(seqExt)) {
      this.#arrivals.set(seqExt, atMs);
    }
  }

  /** A packet that was told as lost was repaired since: when it would have come, in a message of its own. */
  correct({ transportSeq16, atMs }: { transportSeq16: number; atMs: number }): TransportFeedback {
    const feedback = { baseSeq16: transportSeq16, feedbackCount: this.#feedbackCount, arrivedMs: [atMs] };
    this.#feedbackCount = (this.#feedbackCount + 1) & 0xff;
    return feedback;
  }

  /** Of what came since the last call; undefined when nothing did. */
  build(): TransportFeedback | undefined {
    if (this.#arrivals.size === 0) {
      return undefined;
    }
    let firstExt = Number.POSITIVE_INFINITY;
    let lastExt = Number.NEGATIVE_INFINITY;
    for (const seqExt of this.#arrivals.keys()) {
      firstExt = Math.min(firstExt, seqExt);
      lastExt = Math.max(lastExt, seqExt);
    }
    const nextExt = this.#nextExt ?? firstExt;
    const baseExt = firstExt - nextExt <= HOLE_MAX_COUNT ? Math.min(nextExt, firstExt) : firstExt;
    const count = Math.min(lastExt - baseExt + 1, HOLE_MAX_COUNT + ARRIVAL_MAX_COUNT);
    const feedback = {
      baseSeq16: baseExt & 0xffff,
      feedbackCount: this.#feedbackCount,
      arrivedMs: Array.from({ length: count }, (_, index) => this.#arrivals.get(baseExt + index)),
    };
    this.#arrivals.clear();
    this.#nextExt = Math.max(nextExt, lastExt + 1);
    this.#feedbackCount = (this.#feedbackCount + 1) & 0xff;
    return feedback;
  }
}
