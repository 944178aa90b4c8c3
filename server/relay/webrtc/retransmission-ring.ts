/**
 * What one viewer was sent lately, by sequence number, so that a NACK can be answered. Payloads are the shared ones; the ring
 * holds references, at most `RING_MAX_COUNT`, and answers nothing older than its window.
 */

export const RING_MAX_COUNT = 1_024;
const COPY_MAX_COUNT = 6;
/** Two NACKs for one loss arrive closer together than this, or than the round trip. */
const DEDUPE_MIN_MS = 10;
const DEDUPE_RTT_RATIO = 0.8;

/** `found` and what to send, or why not. */
export type RingAnswer = {
  readonly payload: Uint8Array;
  readonly payloadType: number;
  readonly timestampTs32: number;
  readonly isMarked: boolean;
};

export class RetransmissionRing {
  readonly #windowMs: number;
  readonly #payloads: (Uint8Array | undefined)[] = [];
  readonly #timestamps = new Uint32Array(RING_MAX_COUNT);
  readonly #sentAtMs = new Float64Array(RING_MAX_COUNT);
  readonly #lastCopyAtMs = new Float64Array(RING_MAX_COUNT);
  readonly #payloadTypes = new Uint8Array(RING_MAX_COUNT);
  readonly #seqs16 = new Uint16Array(RING_MAX_COUNT);
  /** Copies sent, and the marker in the top bit. */
  readonly #flags = new Uint8Array(RING_MAX_COUNT);
  #sweptTo = 0;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  add(packet: RingAnswer & { readonly seqExt: number }, nowMs: number): void {
    const at = packet.seqExt % RING_MAX_COUNT;
    this.#payloads[at] = packet.payload;
    this.#payloadTypes[at] = packet.payloadType;
    this.#timestamps[at] = packet.timestampTs32;
    this.#sentAtMs[at] = nowMs;
    this.#lastCopyAtMs[at] = nowMs;
    this.#seqs16[at] = packet.seqExt & 0xffff;
    this.#flags[at] = packet.isMarked ? 0x80 : 0;
    this.#sweep(nowMs);
  }

  /** What to send again for this number; undefined when it is unknown, too old, was sent again just now, or often enough. */
  take(seq16: number, options: { nowMs: number; rttMs: number }): RingAnswer | undefined {
    const at = seq16 % RING_MAX_COUNT;
    const payload = this.#payloads[at];
    const { nowMs, rttMs } = options;
    if (payload === undefined || this.#seqs16[at] !== seq16 || nowMs - (this.#sentAtMs[at] ?? 0) > this.#windowMs) {
      return undefined;
    }
    const copyCount = (this.#flags[at] ?? 0) & 0x7f;
    const sinceMs = nowMs - (this.#lastCopyAtMs[at] ?? 0);
    const isRepeat = copyCount > 0 && sinceMs < Math.max(DEDUPE_MIN_MS, DEDUPE_RTT_RATIO * rttMs);
    if (isRepeat || copyCount >= COPY_MAX_COUNT) {
      return undefined;
    }
    this.#flags[at] = ((this.#flags[at] ?? 0) & 0x80) | (copyCount + 1);
    this.#lastCopyAtMs[at] = nowMs;
    return {
      payload,
      payloadType: this.#payloadTypes[at] ?? 0,
      timestampTs32: this.#timestamps[at] ?? 0,
      isMarked: ((this.#flags[at] ?? 0) & 0x80) !== 0,
    };
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

const BUDGET_MIN_BYTES_PER_S = 32_000;
const BUDGET_SHARE_RATIO = 0.5;
const BUCKET_MIN_BYTES = 65_536;

/** How much may be sent again: a share of what was sent, saved up for a burst. Without it, answering NACKs feeds the very congestion that caused them. */
export class RetransmissionBudget {
  #bytes = BUCKET_MIN_BYTES;
  #lastAtMs: number | undefined;

  /** What was sent for the first time. */
  earn(bytes: number): void {
    this.#bytes = Math.min(BUCKET_MIN_BYTES, this.#bytes + bytes * BUDGET_SHARE_RATIO);
  }

  /** True, and it is spent, when there is enough. */
  spend(bytes: number, nowMs: number): boolean {
    const passedMs = this.#lastAtMs === undefined ? 0 : nowMs - this.#lastAtMs;
    this.#lastAtMs = nowMs;
    this.#bytes = Math.min(BUCKET_MIN_BYTES, this.#bytes + (passedMs * BUDGET_MIN_BYTES_PER_S) / 1000);
    if (this.#bytes < bytes) {
      return false;
    }
    this.#bytes -= bytes;
    return true;
  }
}
