/**
 * Chrome's map from RTP stamps to local time: recursive least squares of stamps against arrivals, outliers left out for a while, an alarm
 * for lasting changes (libwebrtc's timestamp extrapolator as of late 2025). The simulated receiver and the server's twin share it.
 */

const OFFSET_VARIANCE_START = 1e10;
const OUTLIER_AFTER_COUNT = 300;
const OUTLIER_SIGMAS = 2;
const OUTLIER_RUN_MAX_COUNT = 150;
const RESIDUAL_SMOOTHING = 0.001;
/** 3,000 ticks of 90 kHz, squared. */
const RESIDUAL_VARIANCE_START = (3_000 / 90) ** 2;
const RESIDUAL_VARIANCE_MIN = (1 / 90) ** 2;
const SILENCE_RESET_MS = 10_000;
/** A jump of stamps that is taken for another clock: everything begins anew. */
const STAMP_JUMP_MS = 10_000;
/** In ticks of 90 kHz, as there. */
const TICKS_PER_MS = 90;
const CUSUM_ERROR_MAX = 7_000;
const CUSUM_DRIFT = 6_600;
const CUSUM_ALARM = 60_000;

export class ClockFit {
  readonly #rejectsOutliers: boolean;
  #startMs = Number.NaN;
  #firstStampMs = 0;
  #slope = 1;
  #offset = 0;
  #p00 = 1;
  #p01 = 0;
  #p11 = OFFSET_VARIANCE_START;
  #count = 0;
  #lastMs = 0;
  #lastStampMs = 0;
  #residualMean = 0;
  #residualVariance = RESIDUAL_VARIANCE_START;
  #outlierCount = 0;
  #sumUp = 0;
  #sumDown = 0;

  /** `rejectsOutliers`: Chrome since October 2025. */
  constructor(rejectsOutliers = true) {
    this.#rejectsOutliers = rejectsOutliers;
  }

  /** A picture is complete, without retransmission. */
  update(arrivedAtMs: number, stampMs: number): void {
    const isSilent = arrivedAtMs - this.#lastMs > SILENCE_RESET_MS;
    const isJump = Math.abs(stampMs - this.#lastStampMs) > STAMP_JUMP_MS;
    if (Number.isNaN(this.#startMs) || isSilent || isJump) {
      this.#reset(arrivedAtMs, stampMs);
    }
    this.#lastMs = arrivedAtMs;
    const t = arrivedAtMs - this.#startMs;
    const residual = stampMs - this.#firstStampMs - this.#slope * t - this.#offset;
    if (this.#isOutlier(residual)) {
      this.#outlierCount += 1;
      if (this.#outlierCount <= OUTLIER_RUN_MAX_COUNT) {
        return;
      }
      // It has lasted: the new place is the right one.
      this.#p11 = OFFSET_VARIANCE_START;
    }
    this.#outlierCount = 0;
    this.#lastStampMs = stampMs;
    if (this.#isAlarmed(residual * TICKS_PER_MS) && this.#count >= 2) {
      this.#p11 = OFFSET_VARIANCE_START;
    }
    this.#count += 1;
    // Kalman gain with [t, 1].
    const pt0 = this.#p00 * t + this.#p01;
    const pt1 = this.#p01 * t + this.#p11;
    const scale = 1 + t * pt0 + pt1;
    const k0 = pt0 / scale;
    const k1 = pt1 / scale;
    this.#slope += k0 * residual;
    this.#offset += k1 * residual;
    this.#p00 -= k0 * pt0;
    this.#p01 -= k0 * pt1;
    this.#p11 -= k1 * pt1;
  }

  /** Local time of a stamp; NaN before the first picture. */
  localMs(stampMs: number): number {
    if (this.#count < 2) {
      return Number.isNaN(this.#startMs) ? Number.NaN : this.#startMs + stampMs - this.#firstStampMs;
    }
    return this.#startMs + (stampMs - this.#firstStampMs - this.#offset) / Math.max(this.#slope, 1e-3);
  }

  #reset(arrivedAtMs: number, stampMs: number): void {
    this.#startMs = arrivedAtMs;
    this.#lastStampMs = stampMs;
    this.#firstStampMs = stampMs;
    this.#slope = 1;
    this.#offset = 0;
    this.#p00 = 1;
    this.#p01 = 0;
    this.#p11 = OFFSET_VARIANCE_START;
    this.#count = 0;
    this.#residualMean = 0;
    this.#residualVariance = RESIDUAL_VARIANCE_START;
    this.#outlierCount = 0;
    this.#sumUp = 0;
    this.#sumDown = 0;
  }

  /** Its statistics learn from the others alone. */
  #isOutlier(residual: number): boolean {
    const off = residual - this.#residualMean;
    const limit = OUTLIER_SIGMAS * OUTLIER_SIGMAS * this.#residualVariance;
    if (this.#rejectsOutliers && this.#count >= OUTLIER_AFTER_COUNT && off * off > limit) {
      return true;
    }
    this.#residualMean += RESIDUAL_SMOOTHING * off;
    const left = residual - this.#residualMean;
    this.#residualVariance = Math.max(
      RESIDUAL_VARIANCE_MIN,
      this.#residualVariance + RESIDUAL_SMOOTHING * (left * left - this.#residualVariance),
    );
    return false;
  }

  #isAlarmed(residualTicks: number): boolean {
    const error = Math.max(-CUSUM_ERROR_MAX, Math.min(CUSUM_ERROR_MAX, residualTicks));
    this.#sumUp = Math.max(0, this.#sumUp + error - CUSUM_DRIFT);
    this.#sumDown = Math.min(0, this.#sumDown + error + CUSUM_DRIFT);
    if (this.#sumUp < CUSUM_ALARM && this.#sumDown > -CUSUM_ALARM) {
      return false;
    }
    this.#sumUp = 0;
    this.#sumDown = 0;
    return true;
  }
}
