/**
 * What one viewer was sent lately, by sequence number, so that a NACK can be answered. Payloads are the shared ones; the ring holds
 * references, at most `RING_MAX_COUNT`, and answers nothing older than its window. How often something is sent again is the controller's matter.
 */
import { assert } from '../../base/assert.ts';
import type { RtpFields } from '../../media/rtp/rtp-header.ts';

export const RING_MAX_COUNT = 1_024;
/** It begins with so many, and doubles when one would be forgotten within its window: a second of 2.5 Mbit/s is some 300 packets. Powers of two, both. */
const RING_START_COUNT = 128;
const MARKER = 0x80;
/** Two words a packet: its stamp; when it was sent, with payload type and marker, as on the wire, in the low byte. */
const WORD_COUNT = 2;
/** Whole milliseconds in 24 bits wrap after four hours and a half. */
const TIME_WRAP_MS = 2 ** 24;

export type SentPayload = {
  readonly seqExt: number;
  readonly payload: Uint8Array;
  readonly payloadType: number;
  readonly timestampTs32: number;
  readonly isMarked: boolean;
};

export class RetransmissionRing {
  readonly #windowMs: number;
  #payloads = emptySlots(RING_START_COUNT);
  // One array for both: each costs more than a hundred bytes beside what it holds.
  #words = new Uint32Array(WORD_COUNT * RING_START_COUNT);
  #mask = RING_START_COUNT - 1;
  #firstSeqExt = Number.POSITIVE_INFINITY;
  #nextSeqExt = Number.NEGATIVE_INFINITY;
  #sweptTo = 0;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** What `prepare` made ready. Each number is one more than the last. */
  add({ seqExt, payloadType, timestampTs32, isMarked }: RtpFields, payload: Uint8Array, nowMs: number): void {
    assert(seqExt === this.#nextSeqExt || this.#nextSeqExt < 0, 'one packet after the other');
    this.#firstSeqExt = Math.min(this.#firstSeqExt, seqExt);
    const isNeeded =
      seqExt - this.#firstSeqExt > this.#mask && this.#ageMs(seqExt & this.#mask, nowMs) <= this.#windowMs;
    if (isNeeded && this.#mask + 1 < RING_MAX_COUNT) {
      this.#grow();
    }
    this.#nextSeqExt = seqExt + 1;
    const at = seqExt & this.#mask;
    this.#payloads[at] = payload;
    this.#words[WORD_COUNT * at] = timestampTs32;
    this.#words[WORD_COUNT * at + 1] =
      (Math.floor(nowMs) % TIME_WRAP_MS) * 256 + (isMarked ? payloadType | MARKER : payloadType);
    this.#sweep(nowMs);
  }

  /** Undefined when it is unknown or too old. */
  find(seqExt: number, nowMs: number): SentPayload | undefined {
    const isKept =
      seqExt >= Math.max(this.#firstSeqExt, this.#nextSeqExt - this.#mask - 1) && seqExt < this.#nextSeqExt;
    const at = isKept ? seqExt & this.#mask : 0;
    const payload = isKept ? this.#payloads[at] : undefined;
    if (payload === undefined || this.#ageMs(at, nowMs) > this.#windowMs) {
      return undefined;
    }
    const type = (this.#words[WORD_COUNT * at + 1] ?? 0) & 0xff;
    const timestampTs32 = this.#words[WORD_COUNT * at] ?? 0;
    return { seqExt, payload, payloadType: type & ~MARKER, timestampTs32, isMarked: (type & MARKER) !== 0 };
  }

  #ageMs(at: number, nowMs: number): number {
    const sentAtMs = (this.#words[WORD_COUNT * at + 1] ?? 0) >>> 8;
    return ((Math.floor(nowMs) % TIME_WRAP_MS) - sentAtMs + TIME_WRAP_MS) % TIME_WRAP_MS;
  }

  #grow(): void {
    const [payloads, words, mask] = [this.#payloads, this.#words, this.#mask];
    this.#mask = 2 * mask + 1;
    this.#payloads = emptySlots(this.#mask + 1);
    this.#words = new Uint32Array(WORD_COUNT * (this.#mask + 1));
    this.#firstSeqExt = Math.max(this.#firstSeqExt, this.#nextSeqExt - mask - 1);
    for (let seqExt = this.#firstSeqExt; seqExt < this.#nextSeqExt; seqExt += 1) {
      const [from, to] = [seqExt & mask, seqExt & this.#mask];
      this.#payloads[to] = payloads[from];
      this.#words.set(words.subarray(WORD_COUNT * from, WORD_COUNT * (from + 1)), WORD_COUNT * to);
    }
    this.#sweptTo = this.#firstSeqExt & this.#mask;
  }

  /** Lets go of payloads past the window, a few at a time, so that slow streams do not hold old pictures. */
  #sweep(nowMs: number): void {
    for (let count = 0; count < 2; count += 1) {
      const at = this.#sweptTo;
      if (this.#ageMs(at, nowMs) <= this.#windowMs) {
        return;
      }
      this.#payloads[at] = undefined;
      this.#sweptTo = (at + 1) & this.#mask;
    }
  }
}

/** Filled from the start: numbers begin anywhere, and an array with a gap before its first element is a slow one. */
const emptySlots = (count: number): (Uint8Array | undefined)[] =>
  Array.from<Uint8Array | undefined>({ length: count }).fill(undefined);
