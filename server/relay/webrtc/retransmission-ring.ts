/**
 * What one viewer was sent lately, so that a NACK can be answered: pictures, and which numbers their packets had. Payloads are the shared ones; the ring holds one
 * reference a picture, at most `RING_MAX_COUNT`, and answers nothing older than its window. How often something is sent again is the controller's matter.
 */
import { assert } from '../../base/assert.ts';
import type { RtpFields } from '../../media/rtp/rtp-header.ts';

export const RING_MAX_COUNT = 1_024;
/** It begins with so many, a second of 30 fps, and doubles when one would be forgotten within its window. Powers of two, both. */
const RING_START_COUNT = 32;
/** Four words a picture: the number of its first packet, its stamp, its payload type, when it was sent last. One array for all: each costs more than a hundred bytes beside what it holds. */
const WORD_COUNT = 4;
const [FIRST_SEQ, STAMP, TYPE, SENT_AT] = [0, 1, 2, 3];

export type SentPayload = {
  readonly seqExt: number;
  readonly payload: Uint8Array;
  readonly payloadType: number;
  readonly timestampTs32: number;
  readonly isMarked: boolean;
};

type Payloads = readonly Uint8Array[];

export class RetransmissionRing {
  readonly #windowMs: number;
  #pictures = emptySlots(RING_START_COUNT);
  #words = new Float64Array(WORD_COUNT * RING_START_COUNT);
  #mask = RING_START_COUNT - 1;
  /** Pictures so far; the newest has the place before. */
  #count = 0;
  #keptCount = 0;
  #nextSeqExt = Number.NEGATIVE_INFINITY;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** A picture follows, and its first packet is this one. Each number is one more than the last. */
  begin(payloads: Payloads, first: Pick<RtpFields, 'seqExt' | 'payloadType' | 'timestampTs32'>, nowMs: number): void {
    assert(first.seqExt === this.#nextSeqExt || this.#count === 0, 'one picture after the other');
    this.#forgetOld(nowMs);
    if (this.#keptCount > this.#mask && this.#mask + 1 < RING_MAX_COUNT) {
      this.#grow();
    }
    const place = this.#count & this.#mask;
    const at = WORD_COUNT * place;
    this.#pictures[place] = payloads;
    this.#words[at + FIRST_SEQ] = first.seqExt;
    this.#words[at + STAMP] = first.timestampTs32;
    this.#words[at + TYPE] = first.payloadType;
    this.#words[at + SENT_AT] = nowMs;
    this.#nextSeqExt = first.seqExt;
    this.#count += 1;
    this.#keptCount = Math.min(this.#keptCount + 1, this.#mask + 1);
  }

  /** One more packet of it leaves. */
  noteSent(nowMs: number): void {
    this.#nextSeqExt += 1;
    this.#words[WORD_COUNT * ((this.#count - 1) & this.#mask) + SENT_AT] = nowMs;
  }

  /** Undefined when it is unknown or too old. */
  find(seqExt: number, nowMs: number): SentPayload | undefined {
    for (let index = this.#count - 1; index >= this.#count - this.#keptCount && seqExt < this.#nextSeqExt; index -= 1) {
      const at = WORD_COUNT * (index & this.#mask);
      const firstSeqExt = this.#words[at + FIRST_SEQ] ?? 0;
      if (seqExt >= firstSeqExt) {
        const payloads = this.#pictures[index & this.#mask] ?? [];
        const payload = payloads[seqExt - firstSeqExt];
        const isMarked = seqExt - firstSeqExt === payloads.length - 1;
        return payload === undefined || this.#isOld(index, nowMs)
          ? undefined
          : {
              seqExt,
              payload,
              isMarked,
              payloadType: this.#words[at + TYPE] ?? 0,
              timestampTs32: this.#words[at + STAMP] ?? 0,
            };
      }
    }
    return undefined;
  }

  #isOld(index: number, nowMs: number): boolean {
    return nowMs - (this.#words[WORD_COUNT * (index & this.#mask) + SENT_AT] ?? 0) > this.#windowMs;
  }

  /** So that slow streams do not hold old pictures. */
  #forgetOld(nowMs: number): void {
    while (this.#keptCount > 0 && this.#isOld(this.#count - this.#keptCount, nowMs)) {
      this.#pictures[(this.#count - this.#keptCount) & this.#mask] = undefined;
      this.#keptCount -= 1;
    }
  }

  #grow(): void {
    const [pictures, words, mask] = [this.#pictures, this.#words, this.#mask];
    this.#mask = 2 * mask + 1;
    this.#pictures = emptySlots(this.#mask + 1);
    this.#words = new Float64Array(WORD_COUNT * (this.#mask + 1));
    for (let index = this.#count - this.#keptCount; index < this.#count; index += 1) {
      const [from, to] = [index & mask, index & this.#mask];
      this.#pictures[to] = pictures[from];
      this.#words.set(words.subarray(WORD_COUNT * from, WORD_COUNT * (from + 1)), WORD_COUNT * to);
    }
  }
}

/** Filled from the start: an array with gaps is a slow one. */
const emptySlots = (count: number): (Payloads | undefined)[] =>
  Array.from<Payloads | undefined>({ length: count }).fill(undefined);
