/** Which transport-wide numbers one viewer was sent, and when: feedback is checked against it, and nothing else is believed. */
import { seqDistance } from '../../base/wrap.ts';
import type { TransportFeedback } from '../../media/rtp/transport-cc.ts';

const LEDGER_MAX_COUNT = 2_048;

export type LedgerVerdict =
  /** Feedback about packets that were never sent: forged or broken, to be ignored. */
  | { readonly isPlausible: false }
  | { readonly isPlausible: true; readonly arrivedCount: number; readonly lostCount: number };

const FORGED: LedgerVerdict = { isPlausible: false };

export class TransportLedger {
  readonly #sentAtMs = new Float64Array(LEDGER_MAX_COUNT);
  readonly #firstSeqExt: number;
  #nextSeqExt: number;

  /** `firstSeqExt`: the number of the first packet. */
  constructor(firstSeqExt: number) {
    this.#firstSeqExt = firstSeqExt;
    this.#nextSeqExt = firstSeqExt;
  }

  /** The number for a packet that leaves now. */
  next(nowMs: number): number {
    const seqExt = this.#nextSeqExt;
    this.#sentAtMs[seqExt % LEDGER_MAX_COUNT] = nowMs;
    this.#nextSeqExt += 1;
    return seqExt;
  }

  /** When this number left, if it is still known. */
  sentAtMs(seqExt: number): number | undefined {
    const isKnown =
      seqExt >= Math.max(this.#firstSeqExt, this.#nextSeqExt - LEDGER_MAX_COUNT) && seqExt < this.#nextSeqExt;
    return isKnown ? this.#sentAtMs[seqExt % LEDGER_MAX_COUNT] : undefined;
  }

  /** Feedback is plausible when all of its packets were sent; those too old to be in the ledger count as sent. */
  check(feedback: TransportFeedback): LedgerVerdict {
    const lastSeqExt = this.#nextSeqExt - 1;
    const baseSeqExt = lastSeqExt + seqDistance(lastSeqExt & 0xffff, feedback.baseSeq16);
    const endSeqExt = baseSeqExt + feedback.arrivedMs.length - 1;
    if (baseSeqExt < this.#firstSeqExt || endSeqExt > lastSeqExt) {
      return FORGED;
    }
    const lostCount = feedback.arrivedMs.filter((atMs) => atMs === undefined).length;
    return { isPlausible: true, arrivedCount: feedback.arrivedMs.length - lostCount, lostCount };
  }
}
