/** Which recordings are being watched or downloaded: what is, is not removed by retention. Pure; told the time. */

/** A player that pauses asks for nothing for long; one that plays asks every few seconds. */
export const LEASE_MS = 120_000;

export class ViewingLeases {
  readonly #seenAtMs = new Map<string, number>();
  readonly #openCounts = new Map<string, number>();

  /** Something of it was asked for. */
  touch(id: string, nowMs: number): void {
    this.#seenAtMs.set(id, nowMs);
  }

  /** Something of it is being sent; the returned function ends that, once. */
  hold(id: string): (nowMs: number) => void {
    this.#openCounts.set(id, (this.#openCounts.get(id) ?? 0) + 1);
    let isHeld = true;
    return (nowMs) => {
      if (isHeld) {
        isHeld = false;
        this.#release(id, nowMs);
      }
    };
  }

  isWatched(id: string, nowMs: number): boolean {
    return this.#openCounts.has(id) || nowMs - (this.#seenAtMs.get(id) ?? Number.NEGATIVE_INFINITY) < LEASE_MS;
  }

  /** Forgets what ran out, so that memory follows what is watched. */
  sweep(nowMs: number): void {
    for (const [id, seenAtMs] of this.#seenAtMs) {
      if (nowMs - seenAtMs >= LEASE_MS) {
        this.#seenAtMs.delete(id);
      }
    }
  }

  #release(id: string, nowMs: number): void {
    const left = (this.#openCounts.get(id) ?? 1) - 1;
    this.touch(id, nowMs);
    if (left === 0) {
      this.#openCounts.delete(id);
    } else {
      this.#openCounts.set(id, left);
    }
  }
}
