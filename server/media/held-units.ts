/** Units of a track that follows the main video, held until that has passed them: only then it is known whether a segment begins before them. Pure. */
import type { AccessUnit } from './access-unit.ts';
import { ptsMsOf } from './access-unit.ts';

/** Beyond this the main video has stalled, and those who follow do not wait for it. */
const HOLD_MAX_MS = 1_000;
const HELD_MAX_COUNT = 512;

export class HeldUnits<U extends AccessUnit> {
  #held: U[] = [];
  #mainMs = Number.NEGATIVE_INFINITY;

  get count(): number {
    return this.#held.length;
  }

  push(unit: U): void {
    this.#held.push(unit);
  }

  /** The main video has reached this decoding time. */
  reach(dtsMs: number): void {
    this.#mainMs = Math.max(this.#mainMs, dtsMs);
  }

  /** The next unit that needs to wait no longer. */
  take(): U | undefined {
    const unit = this.#held[0];
    return unit !== undefined && this.#isFree(unit) ? this.#held.shift() : undefined;
  }

  /** All of them, waiting or not. */
  takeAll(): U[] {
    return this.#held.splice(0);
  }

  #isFree(unit: U): boolean {
    const ptsMs = ptsMsOf(unit);
    const heldMs = ptsMsOf(this.#held.at(-1) ?? unit) - ptsMs;
    return ptsMs <= this.#mainMs || heldMs > HOLD_MAX_MS || this.#held.length > HELD_MAX_COUNT;
  }
}
