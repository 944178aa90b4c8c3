/**
 * When each frame was there as a decoder needs it: all its packets, and all frames before it. A frame that waited for a retransmission, or
 * stood behind one that did, is late by that much. Delays are over the viewer's own fastest frame, since its clock and the
 * publisher's are strangers. Pure.
 */

/** Packets that may wait for one before them. */
const WINDOW_COUNT = 4_096;
/** 20 minutes of 30 fps; later ones are counted, their delay is not kept. */
const DELAY_MAX_COUNT = 36_000;
const VIDEO_CLOCK_KHZ = 90;
const GIVEN_UP = 2;

export class FrameTally {
  readonly #seqsExt = new Float64Array(WINDOW_COUNT).fill(Number.NaN);
  readonly #stampsTs32 = new Uint32Array(WINDOW_COUNT);
  /** 0 not the last of its frame, 1 the last, 2 given up. */
  readonly #kinds = new Uint8Array(WINDOW_COUNT);
  #nextExt: number | undefined;
  #isBroken = false;
  #firstTs32: number | undefined;
  #firstAtMs: number | undefined;
  #fastestMs = Number.POSITIVE_INFINITY;
  #frameCount = 0;
  #brokenCount = 0;
  readonly #offsetsMs: number[] = [];
  readonly #settleMs: number;

  /** Frames of the first `settleMs` count, but their delay does not: servers send a backlog at the start. */
  constructor(options: { settleMs: number }) {
    this.#settleMs = options.settleMs;
  }

  /** Frames that were whole. */
  get frameCount(): number {
    return this.#frameCount;
  }

  /** Frames with a packet that never came. */
  get brokenCount(): number {
    return this.#brokenCount;
  }

  /** Of the first whole frame, on the clock of `take`. */
  get firstFrameAtMs(): number | undefined {
    return this.#firstAtMs;
  }

  delaysMs(): number[] {
    return this.#offsetsMs.map((offsetMs) => offsetMs - this.#fastestMs);
  }

  /** Counts start again; where in the sequence we are stays. */
  reset(): void {
    this.#frameCount = 0;
    this.#brokenCount = 0;
    this.#offsetsMs.length = 0;
    this.#fastestMs = Number.POSITIVE_INFINITY;
  }

  take(packet: { seqExt: number; ts32: number; isMarked: boolean }, nowMs: number): void {
    const { seqExt } = packet;
    this.#nextExt ??= seqExt;
    if (seqExt < this.#nextExt) {
      return;
    }
    if (seqExt - this.#nextExt >= WINDOW_COUNT) {
      this.skipTo(seqExt);
    }
    this.#put(seqExt, packet.ts32, packet.isMarked ? 1 : 0);
    this.#advance(nowMs);
  }

  /** Nothing before this number is waited for any more: the frame that was open, and the one it falls into, are broken. */
  skipTo(seqExt: number): void {
    this.#isBroken = true;
    this.#nextExt = seqExt;
  }

  /** A packet that is waited for no longer. */
  giveUp(seqExt: number, nowMs: number): void {
    if (this.#nextExt !== undefined && seqExt >= this.#nextExt && seqExt - this.#nextExt < WINDOW_COUNT) {
      this.#put(seqExt, 0, GIVEN_UP);
      this.#advance(nowMs);
    }
  }

  #put(seqExt: number, ts32: number, kind: number): void {
    const slot = slotOf(seqExt);
    this.#seqsExt[slot] = seqExt;
    this.#stampsTs32[slot] = ts32;
    this.#kinds[slot] = kind;
  }

  #advance(nowMs: number): void {
    let nextExt = this.#nextExt ?? 0;
    for (let slot = slotOf(nextExt); this.#seqsExt[slot] === nextExt; slot = slotOf(nextExt)) {
      const kind = this.#kinds[slot];
      this.#isBroken ||= kind === GIVEN_UP;
      if (kind === 1) {
        this.#endFrame(this.#stampsTs32[slot] ?? 0, nowMs);
      }
      nextExt += 1;
    }
    this.#nextExt = nextExt;
  }

  #endFrame(ts32: number, nowMs: number): void {
    if (this.#isBroken) {
      this.#isBroken = false;
      this.#brokenCount += 1;
      return;
    }
    this.#frameCount += 1;
    this.#firstAtMs ??= nowMs;
    this.#firstTs32 ??= ts32;
    if (nowMs - this.#firstAtMs < this.#settleMs || this.#offsetsMs.length >= DELAY_MAX_COUNT) {
      return;
    }
    const offsetMs = nowMs - ((ts32 - this.#firstTs32) | 0) / VIDEO_CLOCK_KHZ;
    this.#fastestMs = Math.min(this.#fastestMs, offsetMs);
    this.#offsetsMs.push(offsetMs);
  }
}

const slotOf = (seqExt: number): number => ((seqExt % WINDOW_COUNT) + WINDOW_COUNT) % WINDOW_COUNT;
