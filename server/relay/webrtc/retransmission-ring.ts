/**
 * What one viewer was sent lately, by sequence number, so that a NACK can be answered. Payloads are the shared ones; the ring holds
 * references, at most `RING_MAX_COUNT`, and answers nothing older than its window. How often something is sent again is the controller's matter.
 */

export const RING_MAX_COUNT = 1_024;

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
  readonly #payloadTypes = new Uint8Array(RING_MAX_COUNT);
  readonly #timestamps = new Uint32Array(RING_MAX_COUNT);
  readonly #sentAtMs = new Float64Array(RING_MAX_COUNT);
  readonly #seqsExt = new Float64Array(RING_MAX_COUNT);
  readonly #isMarked = new Uint8Array(RING_MAX_COUNT);
  #sweptTo = 0;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  add({ seqExt, payload, payloadType, timestampTs32, isMarked }: SentPayload, nowMs: number): void {
    const at = seqExt % RING_MAX_COUNT;
    this.#payloads[at] = payload;
    this.#payloadTypes[at] = payloadType;
    this.#timestamps[at] = timestampTs32;
    this.#sentAtMs[at] = nowMs;
    this.#seqsExt[at] = seqExt;
    this.#isMarked[at] = isMarked ? 1 : 0;
    this.#sweep(nowMs);
  }

  /** Undefined when it is unknown or too old. */
  find(seqExt: number, nowMs: number): SentPayload | undefined {
    const at = ((seqExt % RING_MAX_COUNT) + RING_MAX_COUNT) % RING_MAX_COUNT;
    const payload = this.#payloads[at];
    const ageMs = nowMs - (this.#sentAtMs[at] ?? 0);
    if (payload === undefined || this.#seqsExt[at] !== seqExt || ageMs > this.#windowMs) {
      return undefined;
    }
    const payloadType = this.#payloadTypes[at] ?? 0;
    const timestampTs32 = this.#timestamps[at] ?? 0;
    return { seqExt, payload, payloadType, timestampTs32, isMarked: this.#isMarked[at] === 1 };
  }

  /** Lets go of payloads past the window, a few at a time, so that slow streams do not hold old pictures. */
  #sweep(nowMs: number): void {
    for (let count = 0; count < 2; count += 1) {
      const at = this.#sweptTo;
      if (nowMs - (this.#sentAtMs[at] ?? 0) <= this.#windowMs) {
        return;
      }
      this.#payloads[at] = undefined;
      this.#sweptTo = (at + 1) % RING_MAX_COUNT;
    }
  }
}
