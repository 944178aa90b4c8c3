/** The units from the last keyframe on, so that someone who joins late can be shown a picture at once. Capped in bytes and in count. */
import type { AccessUnit } from '../media/access-unit.ts';

export type GopCacheOptions = { readonly cacheMaxBytes: number; readonly cacheMaxCount: number };

export class GopCache {
  readonly #options: GopCacheOptions;
  #units: AccessUnit[] = [];
  #bytes = 0;
  /** Set when the open GOP outgrew the cap: a GOP with a hole is worth nothing, so nothing is kept until the next keyframe. */
  #isSkipping = false;
  #overflowCount = 0;

  constructor(options: GopCacheOptions) {
    this.#options = options;
  }

  get units(): readonly AccessUnit[] {
    return this.#units;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** GOPs that were too long to keep. */
  get overflowCount(): number {
    return this.#overflowCount;
  }

  add(unit: AccessUnit): void {
    if (unit.isKeyframe) {
      this.clear();
    } else if (this.#isSkipping || this.#units.length === 0) {
      return;
    }
    const { cacheMaxBytes, cacheMaxCount } = this.#options;
    if (this.#bytes + unit.payload.byteLength > cacheMaxBytes || this.#units.length >= cacheMaxCount) {
      this.clear();
      this.#isSkipping = true;
      this.#overflowCount += 1;
      return;
    }
    this.#units.push(unit);
    this.#bytes += unit.payload.byteLength;
  }

  /** A fresh array each time, so that views handed out earlier stay as they were. */
  clear(): void {
    this.#units = [];
    this.#bytes = 0;
    this.#isSkipping = false;
  }
}
