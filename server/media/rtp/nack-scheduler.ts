/**
 * Which missing packets are asked for when, as Chrome's receiver does it: at once when a gap shows, then with every tick of 20 ms in which
 * a round trip has passed since the last time, ten times in all; at most a thousand at a time. Pure.
 */

/** Chrome's tick. */
export const NACK_TICK_MS = 20;
const RETRY_MAX_COUNT = 10;
const MISSING_MAX_COUNT = 1_000;

type Missing = { sentCount: number; sentAtMs: number };

/** `new`: was not missing. `reordered`: it was, but nobody had asked yet. `recovered`: it had been asked for. */
export type ArrivalKind = 'new' | 'reordered' | 'recovered';

export class NackScheduler {
  readonly #missing = new Map<number, Missing>();
  #givenUp: number[] = [];

  get pendingCount(): number {
    return this.#missing.size;
  }

  /** Numbers `fromExt` to `toExt`, both included, were passed over. The oldest are given up where they are too many. */
  noteMissing(fromExt: number, toExt: number): void {
    for (let seqExt = Math.max(fromExt, toExt - MISSING_MAX_COUNT + 1); seqExt <= toExt; seqExt += 1) {
      this.#missing.set(seqExt, { sentCount: 0, sentAtMs: Number.NEGATIVE_INFINITY });
    }
    for (const seqExt of this.#missing.keys()) {
      if (this.#missing.size <= MISSING_MAX_COUNT) {
        break;
      }
      this.#giveUp(seqExt);
    }
  }

  /** When this number was asked for, where that was once: then its coming tells the round trip. */
  askedOnceAtMs(seqExt: number): number | undefined {
    const missing = this.#missing.get(seqExt);
    return missing?.sentCount === 1 ? missing.sentAtMs : undefined;
  }

  noteArrived(seqExt: number): ArrivalKind {
    const missing = this.#missing.get(seqExt);
    if (missing === undefined) {
      return 'new';
    }
    this.#missing.delete(seqExt);
    return missing.sentCount > 0 ? 'recovered' : 'reordered';
  }

  /** What is to be asked for now; counts as asked. */
  due(nowMs: number, rttMs: number): number[] {
    const due: number[] = [];
    for (const [seqExt, missing] of this.#missing) {
      if (nowMs - missing.sentAtMs < rttMs) {
        continue;
      }
      if (missing.sentCount >= RETRY_MAX_COUNT) {
        this.#giveUp(seqExt);
      } else {
        missing.sentCount += 1;
        missing.sentAtMs = nowMs;
        due.push(seqExt);
      }
    }
    return due;
  }

  /** Numbers before this one are waited for no more, and not told as given up. */
  forgetBefore(seqExt: number): void {
    for (const missing of this.#missing.keys()) {
      if (missing < seqExt) {
        this.#missing.delete(missing);
      }
    }
  }

  /** Numbers given up since the last call. */
  takeGivenUp(): number[] {
    const givenUp = this.#givenUp;
    this.#givenUp = [];
    return givenUp;
  }

  #giveUp(seqExt: number): void {
    this.#missing.delete(seqExt);
    this.#givenUp.push(seqExt);
  }
}
