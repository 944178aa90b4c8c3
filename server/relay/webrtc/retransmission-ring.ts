/**
 * What one viewer was sent lately, by sequence number, so that a NACK can be answered. Payloads are the shared ones; the ring holds
 * references, at most `RING_MAX_COUNT`, and answers nothing older than its window. How often something is sent again is the controller's matter.
 */
import { assert } from '../../base/assert.ts';

export const RING_MAX_COUNT = 1_024;
const MARKER = 0x80;

export type SentPayload = {
  readonly seqExt: number;
  readonly payload: Uint8Array;
  readonly payloadType: number;
  readonly timestampTs32: number;
  readonly isMarked: boolean;
};

export class RetransmissionRing {
  readonly #windowMs: number;
  // Filled from the start: numbers begin anywhere, and an array with a gap before its first element is a slow one.
  readonly #payloads = Array.from<Uint8Array | undefined>({ length: RING_MAX_COUNT }).fill(undefined);
  /** Payload type, and above it the marker, as on the wire. */
  readonly #types = new Uint8Array(RING_MAX_COUNT);
  readonly #timestamps = new Uint32Array(RING_MAX_COUNT);
  /** Whole milliseconds, which wrap after seven weeks. */
  readonly #sentAtMs = new Uint32Array(RING_MAX_COUNT);
  #firstSeqExt = Number.POSITIVE_INFINITY;
  #nextSeqExt = Number.NEGATIVE_INFINITY;
  #sweptTo = 0;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** Each number is one more than the last. */
  add({ seqExt, payload, payloadType, timestampTs32, isMarked }: SentPayload, nowMs: number): void {
    assert(seqExt === this.#nextSeqExt || this.#nextSeqExt < 0, 'one packet after the other');
    this.#firstSeqExt = Math.min(this.#firstSeqExt, seqExt);
    this.#nextSeqExt = seqExt + 1;
    const at = seqExt % RING_MAX_COUNT;
    this.#payloads[at] = payload;
    this.#types[at] = isMarked ? payloadType | MARKER : payloadType;
    this.#timestamps[at] = timestampTs32;
    this.#sentAtMs[at] = nowMs;
    this.#sweep(nowMs);
  }

  /** Undefined when it is unknown or too old. */
  find(seqExt: number, nowMs: number): SentPayload | undefined {
    const isKept =
      seqExt >= Math.max(this.#firstSeqExt, this.#nextSeqExt - RING_MAX_COUNT) && seqExt < this.#nextSeqExt;
    const at = isKept ? seqExt % RING_MAX_COUNT : 0;
    const payload = isKept ? this.#payloads[at] : undefined;
    if (payload === undefined || this.#ageMs(at, nowMs) > this.#windowMs) {
      return undefined;
    }
    const type = this.#types[at] ?? 0;
    const timestampTs32 = this.#timestamps[at] ?? 0;
    return { seqExt, payload, payloadType: type & ~MARKER, timestampTs32, isMarked: (type & MARKER) !== 0 };
  }

  #ageMs(at: number, nowMs: number): number {
    return (Math.floor(nowMs) - (this.#sentAtMs[at] ?? 0)) >>> 0;
  }

  /** Lets go of payloads past the window, a few at a time, so that slow streams do not hold old pictures. */
  #sweep(nowMs: number): void {
    for (let count = 0; count < 2; count += 1) {
      const at = this.#sweptTo;
      if (this.#ageMs(at, nowMs) <= this.#windowMs) {
        return;
      }
      this.#payloads[at] = undefined;
      this.#sweptTo = (at + 1) % RING_MAX_COUNT;
    }
  }
}
