/** What arrives, in bits a second: bytes of the last while over the longer of the times it took to send them and to receive them. */

const WINDOW_MS = 750;
/** Packets that arrive closer together share an entry. */
const GROUP_MS = 12;
const GROUP_MIN_COUNT = 3;
const GROUP_MAX_COUNT = 64;
/** Feedback and what is remembered of sending have this resolution. */
const TIME_UNITS_PER_MS = 4;
const WORD_COUNT = 3;

export class AckedRate {
  // Of each group three words: when its last packet arrived and when it was sent, in units that wrap after twelve days, and the bytes of all.
  readonly #words = new Int32Array(WORD_COUNT * GROUP_MAX_COUNT);
  #headIndex = 0;
  #tailIndex = 0;
  #groupSinceMs = 0;
  #sumBytes = 0;

  /** In the order of sending. */
  onPacket(sentAtMs: number, arrivedAtMs: number, bytes: number): void {
    const isNew = this.#tailIndex === this.#headIndex || Math.abs(arrivedAtMs - this.#groupSinceMs) > GROUP_MS;
    if (isNew) {
      if (this.#tailIndex - this.#headIndex === GROUP_MAX_COUNT) {
        this.#drop();
      }
      this.#groupSinceMs = arrivedAtMs;
      this.#words[placeOf(this.#tailIndex) + 2] = 0;
      this.#tailIndex += 1;
    }
    const at = placeOf(this.#tailIndex - 1);
    this.#words[at] = Math.round(arrivedAtMs * TIME_UNITS_PER_MS);
    this.#words[at + 1] = Math.round(sentAtMs * TIME_UNITS_PER_MS);
    this.#words[at + 2] = (this.#words[at + 2] ?? 0) + bytes;
    this.#sumBytes += bytes;
    while (this.#tailIndex - this.#headIndex > GROUP_MIN_COUNT && this.#lastedMs(0) > WINDOW_MS) {
      this.#drop();
    }
  }

  /** NaN until a few groups have arrived. */
  get bps(): number {
    if (this.#tailIndex - this.#headIndex < GROUP_MIN_COUNT) {
      return Number.NaN;
    }
    const firstBytes = this.#words[placeOf(this.#headIndex) + 2] ?? 0;
    return ((this.#sumBytes - firstBytes) * 8_000) / Math.max(this.#lastedMs(0), this.#lastedMs(1), 1);
  }

  /** From the first group to the last, by arrival (0) or by sending (1). */
  #lastedMs(word: 0 | 1): number {
    const first = this.#words[placeOf(this.#headIndex) + word] ?? 0;
    const last = this.#words[placeOf(this.#tailIndex - 1) + word] ?? 0;
    return ((last - first) | 0) / TIME_UNITS_PER_MS;
  }

  #drop(): void {
    this.#sumBytes -= this.#words[placeOf(this.#headIndex) + 2] ?? 0;
    this.#headIndex += 1;
  }
}

const placeOf = (index: number): number => WORD_COUNT * (index % GROUP_MAX_COUNT);
