/** CUBIC (RFC 9438) with the delay half of HyStart (Ha and Rhee, 2011): how many bytes a modelled TCP sender may have in flight. Pure. */

const CUBIC_C = 0.4;
const BETA = 0.7;
const RENO_ALPHA = (3 * (1 - BETA)) / (1 + BETA);
const HYSTART_SAMPLE_COUNT = 8;
const HYSTART_MIN_MS = 4;
const HYSTART_MAX_MS = 16;

export class Cubic {
  readonly #mssBytes: number;
  readonly #initialBytes: number;
  #windowBytes: number;
  #thresholdBytes = Infinity;
  #windowMaxBytes = 0;
  #epochAtMs: number | undefined;
  #kS = 0;
  #originBytes = 0;
  #renoBytes = 0;
  #roundEndOrder = 0;
  #roundMinRttMs = Infinity;
  #roundSampleCount = 0;
  #minRttMs = Infinity;

  constructor(mssBytes: number, initialSegmentCount: number) {
    this.#mssBytes = mssBytes;
    this.#initialBytes = mssBytes * initialSegmentCount;
    this.#windowBytes = this.#initialBytes;
  }

  get windowBytes(): number {
    return this.#windowBytes;
  }

  get thresholdBytes(): number {
    return this.#thresholdBytes;
  }

  /**
   * Bytes newly acknowledged while the window was what held the sender back. `order` is the transmission acknowledged, `nextOrder` the
   * one to come: they tell one round trip from the next.
   */
  onAcked(acked: {
    bytes: number;
    rttMs: number;
    smoothedRttMs: number;
    order: number;
    nextOrder: number;
    nowMs: number;
  }): void {
    if (this.#windowBytes < this.#thresholdBytes) {
      this.#windowBytes = Math.min(this.#windowBytes + acked.bytes, Math.max(this.#thresholdBytes, this.#windowBytes));
      this.#watchDelay(acked);
      return;
    }
    this.#avoidCongestion(acked.bytes, acked.smoothedRttMs, acked.nowMs);
  }

  /** Once a round trip in which something was lost. */
  onLoss(): void {
    const { windowBytes } = this;
    // Fast convergence: who could not reach the last maximum makes room for others.
    this.#windowMaxBytes = windowBytes < this.#windowMaxBytes ? (windowBytes * (1 + BETA)) / 2 : windowBytes;
    this.#thresholdBytes = Math.max(2 * this.#mssBytes, windowBytes * BETA);
    this.#windowBytes = this.#thresholdBytes;
    this.#epochAtMs = undefined;
  }

  onTimeout(): void {
    this.onLoss();
    this.#windowBytes = this.#mssBytes;
  }

  /** After an idle time a window that nobody has tested shrinks by half a time-out, down to the initial one (RFC 9293, as Linux does). */
  onIdle(idleMs: number, timeoutMs: number): void {
    for (let leftMs = idleMs; leftMs > timeoutMs && this.#windowBytes > this.#initialBytes; leftMs -= timeoutMs) {
      this.#windowBytes = Math.max(this.#initialBytes, this.#windowBytes / 2);
    }
    this.#epochAtMs = undefined;
  }

  #watchDelay({ rttMs, order, nextOrder }: { rttMs: number; order: number; nextOrder: number }): void {
    if (order >= this.#roundEndOrder) {
      this.#minRttMs = Math.min(this.#minRttMs, this.#roundMinRttMs);
      this.#roundEndOrder = nextOrder;
      this.#roundMinRttMs = Infinity;
      this.#roundSampleCount = 0;
    }
    if (!Number.isFinite(rttMs)) {
      return;
    }
    this.#roundSampleCount += 1;
    this.#roundMinRttMs = Math.min(this.#roundMinRttMs, rttMs);
    const marginMs = Math.min(HYSTART_MAX_MS, Math.max(HYSTART_MIN_MS, this.#minRttMs / 8));
    if (
      this.#roundSampleCount === HYSTART_SAMPLE_COUNT &&
      this.#windowBytes >= 16 * this.#mssBytes &&
      this.#roundMinRttMs >= this.#minRttMs + marginMs
    ) {
      this.#thresholdBytes = this.#windowBytes;
    }
  }

  #avoidCongestion(bytes: number, rttMs: number, nowMs: number): void {
    if (this.#epochAtMs === undefined) {
      this.#epochAtMs = nowMs;
      this.#originBytes = Math.max(this.#windowMaxBytes, this.#windowBytes);
      this.#kS = Math.cbrt((this.#originBytes - this.#windowBytes) / this.#mssBytes / CUBIC_C);
      this.#renoBytes = this.#windowBytes;
    }
    const atS = (nowMs - this.#epochAtMs + rttMs) / 1000;
    const cubicBytes = this.#originBytes + CUBIC_C * (atS - this.#kS) ** 3 * this.#mssBytes;
    this.#renoBytes += (RENO_ALPHA * this.#mssBytes * bytes) / this.#windowBytes;
    const targetBytes = Math.min(Math.max(cubicBytes, this.#renoBytes), 1.5 * this.#windowBytes);
    if (targetBytes > this.#windowBytes) {
      this.#windowBytes += ((targetBytes - this.#windowBytes) * bytes) / this.#windowBytes;
    }
  }
}
