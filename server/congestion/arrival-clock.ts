/** The receiver's clock as transport-cc tells it (24 bits of 64 ms, so it wraps after twelve days), unwrapped next to the latest time seen. */

const WRAP_MS = 2 ** 24 * 64;

export class ArrivalClock {
  #latestMs = Number.NaN;

  unwrap(wireMs: number): number {
    if (Number.isNaN(this.#latestMs)) {
      this.#latestMs = wireMs;
      return wireMs;
    }
    const atMs = wireMs + Math.round((this.#latestMs - wireMs) / WRAP_MS) * WRAP_MS;
    this.#latestMs = Math.max(this.#latestMs, atMs);
    return atMs;
  }
}
