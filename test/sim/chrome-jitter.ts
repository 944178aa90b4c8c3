/** The delay that Chrome's own jitter buffer chooses where nobody asks for one (libwebrtc's jitter estimator and its Kalman filter). */

const SIZE_SMOOTHING = 0.97;
const MAX_DECAY = 0.9999;
const SIZE_OUTLIER_SIGMAS = 3;
const DELAY_OUTLIER_SIGMAS = 15;
const DELAY_CLAMP_SIGMAS = 3.5;
const CONGESTION_RATIO = -0.25;
const NOISE_SIGMAS = 2.33;
const NOISE_OFFSET_MS = 30;
const OPERATING_SYSTEM_MS = 10;
const NOISE_COUNT_MAX = 400;
const STARTUP_COUNT = 5;
const REPEATED_LIMIT_COUNT = 3;
const REPEATED_FORGET_MS = 60_000;
const RTT_RATIO = 0.9;
const RTT_SHARE_MAX_MS = 200;
const DELAY_MAX_MS = 10_000;

export class ChromeJitter {
  // Kalman: ms a byte, ms.
  #slope = 1 / 64_000;
  #offsetMs = 0;
  #c00 = 1e-4;
  #c01 = 0;
  #c11 = 1e2;
  #maxBytes = 500;
  #meanBytes = 500;
  #varianceBytes = 100;
  #startupBytes = 0;
  #startupCount = 0;
  #noiseMeanMs = 0;
  #noiseVariance = 4;
  #noiseCount = 1;
  #lastBytes = Number.NaN;
  #lastArrivedMs = Number.NaN;
  #lastStampMs = 0;
  #repeatedCount = 0;
  #repeatedAtMs = Number.NEGATIVE_INFINITY;

  /** A complete picture that needed no retransmission. */
  onPicture(arrivedAtMs: number, stampMs: number, bytes: number): void {
    if (!Number.isNaN(this.#lastArrivedMs)) {
      this.#update(arrivedAtMs - this.#lastArrivedMs - (stampMs - this.#lastStampMs), bytes);
    }
    this.#lastArrivedMs = arrivedAtMs;
    this.#lastStampMs = stampMs;
  }

  /** A picture that did. */
  onRepeatedPicture(nowMs: number): void {
    if (nowMs - this.#repeatedAtMs > REPEATED_FORGET_MS) {
      this.#repeatedCount = 0;
    }
    this.#repeatedCount += 1;
    this.#repeatedAtMs = nowMs;
  }

  delayMs(rttMs: number): number {
    const noiseMs = Math.max(1, NOISE_SIGMAS * Math.sqrt(this.#noiseVariance) - NOISE_OFFSET_MS);
    const sizeMs = this.#slope * Math.max(0, this.#maxBytes - this.#meanBytes);
    const repeatedMs = this.#repeatedCount >= REPEATED_LIMIT_COUNT ? Math.min(RTT_SHARE_MAX_MS, RTT_RATIO * rttMs) : 0;
    return Math.min(DELAY_MAX_MS, Math.max(1, sizeMs + noiseMs) + OPERATING_SYSTEM_MS + repeatedMs);
  }

  #update(variationMs: number, bytes: number): void {
    const deltaBytes = Number.isNaN(this.#lastBytes) ? 0 : bytes - this.#lastBytes;
    this.#observeSize(bytes);
    const isFirst = Number.isNaN(this.#lastBytes);
    this.#lastBytes = bytes;
    if (isFirst) {
      return;
    }
    const sigmaMs = Math.sqrt(this.#noiseVariance);
    const clampMs = DELAY_CLAMP_SIGMAS * sigmaMs + 0.5;
    const delayMs = Math.max(-clampMs, Math.min(clampMs, variationMs));
    const deviationMs = delayMs - (this.#slope * deltaBytes + this.#offsetMs);
    const isLarge = bytes > this.#meanBytes + SIZE_OUTLIER_SIGMAS * Math.sqrt(this.#varianceBytes);
    if (Math.abs(deviationMs) < DELAY_OUTLIER_SIGMAS * sigmaMs || isLarge) {
      this.#observeNoise(deviationMs);
      if (deltaBytes > CONGESTION_RATIO * this.#maxBytes) {
        this.#filter(delayMs, deltaBytes);
      }
    } else {
      this.#observeNoise(Math.sign(deviationMs) * DELAY_OUTLIER_SIGMAS * sigmaMs);
    }
  }

  #observeSize(bytes: number): void {
    if (this.#startupCount < STARTUP_COUNT) {
      this.#startupBytes += bytes;
      this.#startupCount += 1;
      if (this.#startupCount === STARTUP_COUNT) {
        this.#meanBytes = this.#startupBytes / STARTUP_COUNT;
      }
    }
    const mean = SIZE_SMOOTHING * this.#meanBytes + (1 - SIZE_SMOOTHING) * bytes;
    if (bytes < this.#meanBytes + 2 * Math.sqrt(this.#varianceBytes)) {
      this.#meanBytes = mean;
    }
    const off = bytes - mean;
    this.#varianceBytes = Math.max(1, SIZE_SMOOTHING * this.#varianceBytes + (1 - SIZE_SMOOTHING) * off * off);
    this.#maxBytes = Math.max(MAX_DECAY * this.#maxBytes, bytes);
  }

  #observeNoise(deviationMs: number): void {
    const kept = (this.#noiseCount - 1) / this.#noiseCount;
    this.#noiseCount = Math.min(this.#noiseCount + 1, NOISE_COUNT_MAX);
    const off = deviationMs - this.#noiseMeanMs;
    this.#noiseMeanMs += (1 - kept) * off;
    this.#noiseVariance = Math.max(1, kept * this.#noiseVariance + (1 - kept) * off * off);
  }

  #filter(delayMs: number, deltaBytes: number): void {
    this.#c00 += 2.5e-10;
    this.#c11 += 1e-10;
    const h0 = this.#c00 * deltaBytes + this.#c01;
    const h1 = this.#c01 * deltaBytes + this.#c11;
    const spread = 300 * Math.exp(-Math.abs(deltaBytes) / Math.max(1, this.#maxBytes)) + 1;
    const noise = Math.max(1, spread * Math.sqrt(this.#noiseVariance));
    const variance = deltaBytes * h0 + h1 + noise;
    const k0 = h0 / variance;
    const k1 = h1 / variance;
    const innovation = delayMs - (this.#slope * deltaBytes + this.#offsetMs);
    this.#slope = Math.max(1e-6, this.#slope + k0 * innovation);
    this.#offsetMs += k1 * innovation;
    this.#c00 -= k0 * h0;
    this.#c01 -= k0 * h1;
    this.#c11 -= k1 * h1;
  }
}
