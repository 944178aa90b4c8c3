/**
 * Whether the queue on the way grows, by libwebrtc's trendline rule: packets in groups of 5 ms, the change of one-way delay from group to
 * group summed and smoothed, a line through the last 20 sums, its slope against a threshold that adapts (draft-ietf-rmcat-gcc-02 5).
 */

export type DelayState = 'normal' | 'over' | 'under';

const GROUP_MS = 5;
const BURST_GAP_MS = 5;
const BURST_MAX_MS = 100;
const WINDOW_COUNT = 20;
const SMOOTHING = 0.9;
const DELTA_COUNT_MAX = 60;
const OVERUSE_TIME_MS = 10;
const ADAPT_OFFSET_MAX_MS = 15;
const ADAPT_STEP_MAX_MS = 100;
const K_UP_PER_MS = 0.0087;
const K_DOWN_PER_MS = 0.039;
const THRESHOLD_START_MS = 12.5;
const THRESHOLD_MIN_MS = 6;
const THRESHOLD_MAX_MS = 600;

export const TREND_GAIN_DEFAULT = 4;

export class OveruseDetector {
  /** May be changed at any time. */
  gain: number;
  #state: DelayState = 'normal';
  // The group that grows, and the one before.
  #groupFirstSentMs = Number.NaN;
  #groupLastSentMs = 0;
  #groupFirstArrivedMs = 0;
  #groupLastArrivedMs = 0;
  #beforeSentMs = Number.NaN;
  #beforeArrivedMs = 0;
  // The line. Arrays that grow as they fill take twice the room in the end.
  readonly #xMs = Array.from({ length: WINDOW_COUNT }, () => 0);
  readonly #yMs = Array.from({ length: WINDOW_COUNT }, () => 0);
  #pointCount = 0;
  #deltaCount = 0;
  #sumMs = 0;
  #smoothedMs = 0;
  #firstArrivedMs = Number.NaN;
  #slope = 0;
  // The threshold.
  #thresholdMs = THRESHOLD_START_MS;
  #adaptedAtMs = Number.NaN;
  #overMs = -1;
  #overCount = 0;
  #lastSlope = 0;

  constructor(gain = TREND_GAIN_DEFAULT) {
    this.gain = gain;
  }

  get state(): DelayState {
    return this.#state;
  }

  /** Change of delay over time, without unit. */
  get slope(): number {
    return this.#slope;
  }

  /** In the order of sending. */
  onPacket(sentAtMs: number, arrivedAtMs: number): void {
    if (Number.isNaN(this.#groupFirstSentMs)) {
      this.#beginGroup(sentAtMs, arrivedAtMs);
      return;
    }
    if (sentAtMs < this.#groupFirstSentMs) {
      return;
    }
    if (!this.#isBurst(sentAtMs, arrivedAtMs) && sentAtMs - this.#groupFirstSentMs > GROUP_MS) {
      this.#endGroup();
      this.#beginGroup(sentAtMs, arrivedAtMs);
      return;
    }
    this.#groupLastSentMs = Math.max(this.#groupLastSentMs, sentAtMs);
    this.#groupLastArrivedMs = arrivedAtMs;
  }

  /** Forgets groups and line, as after a long silence. */
  reset(): void {
    this.#groupFirstSentMs = Number.NaN;
    this.#beforeSentMs = Number.NaN;
    this.#pointCount = 0;
    this.#deltaCount = 0;
    this.#sumMs = 0;
    this.#smoothedMs = 0;
    this.#overMs = -1;
    this.#overCount = 0;
    this.#state = 'normal';
  }

  /** Packets that a channel held and let go together say nothing about a queue. */
  #isBurst(sentAtMs: number, arrivedAtMs: number): boolean {
    const arrivalMs = arrivedAtMs - this.#groupLastArrivedMs;
    const sendMs = sentAtMs - this.#groupLastSentMs;
    return (
      sendMs === 0 ||
      (arrivalMs - sendMs < 0 && arrivalMs <= BURST_GAP_MS && arrivedAtMs - this.#groupFirstArrivedMs < BURST_MAX_MS)
    );
  }

  #beginGroup(sentAtMs: number, arrivedAtMs: number): void {
    this.#groupFirstSentMs = sentAtMs;
    this.#groupLastSentMs = sentAtMs;
    this.#groupFirstArrivedMs = arrivedAtMs;
    this.#groupLastArrivedMs = arrivedAtMs;
  }

  #endGroup(): void {
    if (!Number.isNaN(this.#beforeSentMs)) {
      const sendMs = this.#groupLastSentMs - this.#beforeSentMs;
      const arrivalMs = this.#groupLastArrivedMs - this.#beforeArrivedMs;
      if (arrivalMs >= 0) {
        this.#addDelta(arrivalMs - sendMs, sendMs, this.#groupLastArrivedMs);
      }
    }
    this.#beforeSentMs = this.#groupLastSentMs;
    this.#beforeArrivedMs = this.#groupLastArrivedMs;
  }

  #addDelta(deltaMs: number, sendMs: number, arrivedAtMs: number): void {
    if (Number.isNaN(this.#firstArrivedMs)) {
      this.#firstArrivedMs = arrivedAtMs;
    }
    this.#deltaCount = Math.min(this.#deltaCount + 1, DELTA_COUNT_MAX);
    this.#sumMs += deltaMs;
    this.#smoothedMs = SMOOTHING * this.#smoothedMs + (1 - SMOOTHING) * this.#sumMs;
    this.#xMs[this.#pointCount % WINDOW_COUNT] = arrivedAtMs - this.#firstArrivedMs;
    this.#yMs[this.#pointCount % WINDOW_COUNT] = this.#smoothedMs;
    this.#pointCount += 1;
    if (this.#pointCount >= WINDOW_COUNT) {
      this.#slope = slopeOf(this.#xMs, this.#yMs) ?? this.#slope;
    }
    this.#detect(sendMs, arrivedAtMs);
  }

  #detect(sendMs: number, atMs: number): void {
    if (this.#deltaCount < 2) {
      this.#state = 'normal';
      return;
    }
    const trendMs = this.#deltaCount * this.#slope * this.gain;
    if (trendMs > this.#thresholdMs) {
      this.#overMs = this.#overMs < 0 ? sendMs / 2 : this.#overMs + sendMs;
      this.#overCount += 1;
      if (this.#overMs > OVERUSE_TIME_MS && this.#overCount > 1 && this.#slope >= this.#lastSlope) {
        this.#overMs = 0;
        this.#overCount = 0;
        this.#state = 'over';
      }
    } else {
      this.#overMs = -1;
      this.#overCount = 0;
      this.#state = trendMs < -this.#thresholdMs ? 'under' : 'normal';
    }
    this.#lastSlope = this.#slope;
    this.#adapt(trendMs, atMs);
  }

  #adapt(trendMs: number, atMs: number): void {
    const stepMs = Number.isNaN(this.#adaptedAtMs) ? 0 : Math.min(atMs - this.#adaptedAtMs, ADAPT_STEP_MAX_MS);
    this.#adaptedAtMs = atMs;
    const size = Math.abs(trendMs);
    if (size > this.#thresholdMs + ADAPT_OFFSET_MAX_MS) {
      return;
    }
    const k = size < this.#thresholdMs ? K_DOWN_PER_MS : K_UP_PER_MS;
    const moved = this.#thresholdMs + k * (size - this.#thresholdMs) * stepMs;
    this.#thresholdMs = Math.min(THRESHOLD_MAX_MS, Math.max(THRESHOLD_MIN_MS, moved));
  }
}

/** Least squares; order does not matter. Undefined where all x are one. */
const slopeOf = (x: readonly number[], y: readonly number[]): number | undefined => {
  let sumX = 0;
  let sumY = 0;
  for (let index = 0; index < WINDOW_COUNT; index += 1) {
    sumX += x[index] ?? 0;
    sumY += y[index] ?? 0;
  }
  const meanX = sumX / WINDOW_COUNT;
  const meanY = sumY / WINDOW_COUNT;
  let numerator = 0;
  let denominator = 0;
  for (let index = 0; index < WINDOW_COUNT; index += 1) {
    const dx = (x[index] ?? 0) - meanX;
    numerator += dx * ((y[index] ?? 0) - meanY);
    denominator += dx * dx;
  }
  return denominator === 0 ? undefined : numerator / denominator;
};
