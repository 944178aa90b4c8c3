/**
 * Packets of one stream in order again: what came early waits for what is missing, until that comes, its time is over, or the buffer is full; then
 * the hole is said and the stream goes on behind it. Pure: told what time it is. Holds at most `bufferMaxCount` packets and `bufferMaxBytes`.
 */

export type JitterBufferOptions = {
  /** How long a missing packet is waited for from when its absence showed. */
  readonly waitMaxMs: number;
  readonly bufferMaxCount: number;
  readonly bufferMaxBytes: number;
};

/** `bytes`: what it holds in memory. */
export type JitterPacket = { readonly seqExt: number; readonly bytes: number };

export type JitterEvent<P> =
  | { readonly type: 'packet'; readonly packet: P }
  /** `count` packets before the next one are given up. */
  | { readonly type: 'loss'; readonly count: number };

/** A jump further than this is a stream that was away, not packets to be waited for. */
const JUMP_MAX_COUNT = 1_000;
/** Missing at once; beyond it the oldest hole is given up. */
const MISSING_MAX_COUNT = 4_000;

export class JitterBuffer<P extends JitterPacket> {
  readonly #options: JitterBufferOptions;
  readonly #early = new Map<number, P>();
  /** Since when each missing number is known to be missing, in order. */
  readonly #missing = new Map<number, number>();
  #bytes = 0;
  #nextExt: number | undefined;
  #highestExt = 0;
  #lateCount = 0;
  #lostCount = 0;

  constructor(options: JitterBufferOptions) {
    this.#options = options;
  }

  /** Came after they had been given up, or twice. */
  get lateCount(): number {
    return this.#lateCount;
  }

  /** Given up. */
  get lostCount(): number {
    return this.#lostCount;
  }

  get bufferedBytes(): number {
    return this.#bytes;
  }

  get bufferedCount(): number {
    return this.#early.size;
  }

  /** The number that is to be given out next; undefined before the first packet. */
  get nextExt(): number | undefined {
    return this.#nextExt;
  }

  /** A packet came. What can go on because of it comes out of `take`. */
  push(packet: P, nowMs: number): void {
    const { seqExt } = packet;
    if (this.#nextExt === undefined) {
      this.#nextExt = seqExt;
      this.#highestExt = seqExt - 1;
    }
    if (seqExt < this.#nextExt || this.#early.has(seqExt)) {
      this.#lateCount += 1;
      return;
    }
    this.#missing.delete(seqExt);
    this.#early.set(seqExt, packet);
    this.#bytes += packet.bytes;
    const firstMissing = Math.max(this.#highestExt + 1, seqExt - JUMP_MAX_COUNT);
    for (let missing = firstMissing; missing < seqExt; missing += 1) {
      this.#missing.set(missing, nowMs);
    }
    this.#highestExt = Math.max(this.#highestExt, seqExt);
  }

  /** What is in order now, and what is given up. */
  take(nowMs: number): JitterEvent<P>[] {
    const events: JitterEvent<P>[] = [];
    while (this.#nextExt !== undefined && this.#early.size > 0) {
      const packet = this.#early.get(this.#nextExt);
      if (packet !== undefined) {
        this.#early.delete(this.#nextExt);
        this.#bytes -= packet.bytes;
        this.#nextExt += 1;
        events.push({ type: 'packet', packet });
      } else if (this.#isGivenUp(this.#nextExt, nowMs)) {
        events.push({ type: 'loss', count: this.#skip(this.#nextExt) });
      } else {
        break;
      }
    }
    return events;
  }

  /** A number that is not noted as missing lies in a jump. */
  #isGivenUp(seqExt: number, nowMs: number): boolean {
    const sinceMs = this.#missing.get(seqExt);
    const { waitMaxMs, bufferMaxCount, bufferMaxBytes } = this.#options;
    const isFull =
      this.#early.size > bufferMaxCount || this.#bytes > bufferMaxBytes || this.#missing.size > MISSING_MAX_COUNT;
    return sinceMs === undefined || nowMs - sinceMs >= waitMaxMs || isFull;
  }

  /** Over to the next packet that is there. How many were passed over. */
  #skip(fromExt: number): number {
    let toExt = Number.POSITIVE_INFINITY;
    for (const seqExt of this.#early.keys()) {
      toExt = Math.min(toExt, seqExt);
    }
    for (const seqExt of this.#missing.keys()) {
      if (seqExt < toExt) {
        this.#missing.delete(seqExt);
      }
    }
    this.#nextExt = toExt;
    this.#lostCount += toExt - fromExt;
    return toExt - fromExt;
  }
}
