/**
 * A token bucket: packets leave at a rate, with some at once. The bucket may go below zero by one packet, so that a packet larger than
 * what is left still leaves, and pays afterwards. Pure.
 */

/** A picture that is no keyframe leaves this part of the burst for keyframes and repairs (CONGESTION 3.4). */
const RESERVED_RATIO = 2 / 3;
/** Timers are no finer: what would be ready sooner is ready now. */
const TICK_MS = 1;

export class Pacer {
  #bytesPerMs = Infinity;
  #burstBytes = Infinity;
  #creditBytes = 0;
  #atMs = Number.NEGATIVE_INFINITY;

  /** From now on; credit saved up so far stays, up to the new burst. */
  set(paceBps: number, burstBytes: number, nowMs: number): void {
    this.#refill(nowMs);
    this.#bytesPerMs = paceBps / 8_000;
    this.#burstBytes = burstBytes;
    this.#creditBytes = Math.min(this.#creditBytes, burstBytes);
  }

  /** True, and it is paid for, when a packet may leave now. `isPrivileged`: it may use the whole burst. */
  takes(bytes: number, nowMs: number, isPrivileged: boolean): boolean {
    this.#refill(nowMs);
    if (this.#creditBytes < this.#floorBytes(isPrivileged) - this.#bytesPerMs * TICK_MS) {
      return false;
    }
    this.#creditBytes -= bytes;
    return true;
  }

  /** What leaves unpaced, like sound, still takes its share of the link. */
  charge(bytes: number, nowMs: number): void {
    this.#refill(nowMs);
    this.#creditBytes -= bytes;
  }

  /** When a packet may leave. */
  readyAtMs(nowMs: number, isPrivileged: boolean): number {
    this.#refill(nowMs);
    const missingBytes = this.#floorBytes(isPrivileged) - this.#creditBytes;
    return missingBytes <= 0 ? nowMs : nowMs + missingBytes / this.#bytesPerMs;
  }

  #floorBytes(isPrivileged: boolean): number {
    return isPrivileged || this.#burstBytes === Infinity ? 0 : RESERVED_RATIO * this.#burstBytes;
  }

  #refill(nowMs: number): void {
    if (nowMs > this.#atMs) {
      const earnedBytes = this.#atMs === Number.NEGATIVE_INFINITY ? Infinity : (nowMs - this.#atMs) * this.#bytesPerMs;
      this.#creditBytes = Math.min(this.#burstBytes, this.#creditBytes + earnedBytes);
      this.#atMs = nowMs;
    }
  }
}
