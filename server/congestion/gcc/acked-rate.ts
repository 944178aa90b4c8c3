/** What arrives, in bits a second: bytes of the last while over the longer of the times it took to send them and to receive them. */

const WINDOW_MS = 750;
/** Packets that arrive closer together share an entry. */
const GROUP_MS = 12;
const GROUP_MIN_COUNT = 3;
const GROUP_MAX_COUNT = 64;

export class AckedRate {
  // Of each group: when its last packet arrived, when it was sent, and the bytes of all.
  readonly #buffer = new ArrayBuffer(20 * GROUP_MAX_COUNT);
  readonly #arrivedMs = new Float64Array(this.#buffer, 0, GROUP_MAX_COUNT);
  readonly #sentMs = new Float64Array(this.#buffer, 8 * GROUP_MAX_COUNT, GROUP_MAX_COUNT);
  readonly #bytes = new Uint32Array(this.#buffer, 16 * GROUP_MAX_COUNT, GROUP_MAX_COUNT);
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
      this.#bytes[this.#tailIndex % GROUP_MAX_COUNT] = 0;
      this.#tailIndex += 1;
    }
    const at = (this.#tailIndex - 1) % GROUP_MAX_COUNT;
    this.#arrivedMs[at] = arrivedAtMs;
    this.#sentMs[at] = sentAtMs;
    this.#bytes[at] = (this.#bytes[at] ?? 0) + bytes;
    this.#sumBytes += bytes;
    while (this.#tailIndex - this.#headIndex > GROUP_MIN_COUNT && arrivedAtMs - this.#firstMs > WINDOW_MS) {
      this.#drop();
    }
  }

  /** NaN until a few groups have arrived. */
  get bps(): number {
    if (this.#tailIndex - this.#headIndex < GROUP_MIN_COUNT) {
      return Number.NaN;
    }
    const first = this.#headIndex % GROUP_MAX_COUNT;
    const last = (this.#tailIndex - 1) % GROUP_MAX_COUNT;
    const receivedMs = (this.#arrivedMs[last] ?? 0) - (this.#arrivedMs[first] ?? 0);
    const sendingMs = (this.#sentMs[last] ?? 0) - (this.#sentMs[first] ?? 0);
    return ((this.#sumBytes - (this.#bytes[first] ?? 0)) * 8_000) / Math.max(receivedMs, sendingMs, 1);
  }

  get #firstMs(): number {
    return this.#arrivedMs[this.#headIndex % GROUP_MAX_COUNT] ?? 0;
  }

  #drop(): void {
    this.#sumBytes -= this.#bytes[this.#headIndex % GROUP_MAX_COUNT] ?? 0;
    this.#headIndex += 1;
  }
}
