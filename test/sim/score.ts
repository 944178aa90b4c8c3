/** What one viewer saw, as CONGESTION 2.1 counts it: latency of what is on the screen, its age, stalls, quality, switches, start. */

const BUCKET_MS = 2;
const BUCKET_COUNT = 15_000;
const AGE_STEP_MS = 100;
const JOIN_MAX_MS = 10_000;
const PAUSE_SILENCE_MS = 5_000;
const JUDDER_MS = 100;

export type Score = {
  readonly seconds: number;
  /** Freezes, pauses and the open gap, over time since the first picture; 1 for a session without any. */
  readonly stallRatio: number;
  readonly stallMs: number;
  readonly freezesPerMinute: number;
  readonly pauseMs: number;
  readonly isStallFree: boolean;
  readonly latencyMeanMs: number;
  readonly latencyP50Ms: number;
  readonly latencyP95Ms: number;
  readonly ageMeanMs: number;
  readonly ageP95Ms: number;
  readonly qualityRatio: number;
  readonly switchesPerMinute: number;
  readonly joinMs: number;
  readonly shownFps: number;
  readonly judderRatio: number;
  readonly audioConcealedRatio: number;
  /** Milliseconds of screen time in each bucket of `BUCKET_MS` of latency, for percentiles over many sessions. */
  readonly latencyBuckets: Float64Array;
};

/** A picture on the screen. */
export type ShownPicture = { readonly captureMs: number; readonly qualityRatio: number };

export class ScoreKeeper {
  readonly #told: ((picture: ShownPicture, atMs: number) => void) | undefined;
  readonly #latency = new Float64Array(BUCKET_COUNT);
  readonly #age = new Float64Array(BUCKET_COUNT);
  #firstShownMs = Number.NaN;
  #shownMs = Number.NaN;
  #shownCaptureMs = 0;
  #shownQuality = 0;
  #latencySumMs = 0;
  #ageSumMs = 0;
  #qualitySum = 0;
  #switchSum = 0;
  #shownCount = 0;
  #judderMs = 0;
  #stallMs = 0;
  #pauseMs = 0;
  #stallCount = 0;
  #isFrozen = false;
  #audioCount = 0;
  #audioLateCount = 0;
  readonly stalls: { fromMs: number; toMs: number }[] = [];

  /** `told`: of each picture that reaches the screen. */
  constructor(told?: (picture: ShownPicture, atMs: number) => void) {
    this.#told = told;
  }

  /** The decoder's output after a gap that counts as a freeze. */
  onFreeze(gapMs: number, nowMs: number, packetSilenceMs: number): void {
    this.#stallMs += gapMs;
    this.#pauseMs += packetSilenceMs > PAUSE_SILENCE_MS ? gapMs : 0;
    this.#stallCount += 1;
    this.#isFrozen = true;
    this.stalls.push({ fromMs: nowMs - gapMs, toMs: nowMs });
  }

  onShown(picture: ShownPicture, atMs: number): void {
    this.#told?.(picture, atMs);
    if (Number.isNaN(this.#firstShownMs)) {
      this.#firstShownMs = atMs;
    } else {
      this.#endOfPicture(atMs);
      this.#switchSum += Math.abs(picture.qualityRatio - this.#shownQuality);
    }
    this.#isFrozen = false;
    this.#shownMs = atMs;
    this.#shownCaptureMs = picture.captureMs;
    this.#shownQuality = picture.qualityRatio;
    this.#shownCount += 1;
  }

  onAudio(isLate: boolean): void {
    this.#audioCount += 1;
    this.#audioLateCount += isLate ? 1 : 0;
  }

  /** `openMs`: the gap that has not ended, if it counts. */
  finish(startMs: number, endMs: number, openMs: number): Score {
    if (Number.isNaN(this.#firstShownMs)) {
      return this.#neverStarted(endMs - startMs);
    }
    this.#isFrozen = openMs > 0;
    if (openMs > 0) {
      this.#stallMs += openMs;
      this.#stallCount += 1;
      this.stalls.push({ fromMs: endMs - openMs, toMs: endMs });
    }
    this.#endOfPicture(endMs);
    const joinMs = this.#firstShownMs - startMs;
    // A join that takes longer than ten seconds counts as a stall of ten.
    const lateMs = joinMs > JOIN_MAX_MS ? JOIN_MAX_MS : 0;
    const seenMs = endMs - this.#firstShownMs;
    const wholeMs = seenMs + lateMs;
    const minutes = wholeMs / 60_000;
    return {
      seconds: wholeMs / 1000,
      stallRatio: Math.min(1, (this.#stallMs + lateMs) / wholeMs),
      stallMs: this.#stallMs + lateMs,
      freezesPerMinute: this.#stallCount / minutes,
      pauseMs: this.#pauseMs,
      isStallFree: this.#stallMs + lateMs === 0,
      latencyMeanMs: this.#latencySumMs / seenMs,
      latencyP50Ms: percentileOf(this.#latency, 0.5),
      latencyP95Ms: percentileOf(this.#latency, 0.95),
      ageMeanMs: this.#ageSumMs / seenMs,
      ageP95Ms: percentileOf(this.#age, 0.95),
      qualityRatio: this.#qualitySum / wholeMs,
      switchesPerMinute: this.#switchSum / minutes,
      joinMs,
      shownFps: (this.#shownCount * 1000) / Math.max(1, seenMs - this.#stallMs),
      judderRatio: this.#judderMs / seenMs,
      audioConcealedRatio: this.#audioCount === 0 ? 0 : this.#audioLateCount / this.#audioCount,
      latencyBuckets: this.#latency,
    };
  }

  #endOfPicture(atMs: number): void {
    const lastedMs = atMs - this.#shownMs;
    const latencyMs = this.#shownMs - this.#shownCaptureMs;
    this.#latency[bucketOf(latencyMs)]! += lastedMs;
    this.#latencySumMs += latencyMs * lastedMs;
    this.#ageSumMs += (latencyMs + lastedMs / 2) * lastedMs;
    for (let at = AGE_STEP_MS * Math.ceil(this.#shownMs / AGE_STEP_MS); at < atMs; at += AGE_STEP_MS) {
      this.#age[bucketOf(at - this.#shownCaptureMs)]! += AGE_STEP_MS;
    }
    if (!this.#isFrozen) {
      this.#qualitySum += this.#shownQuality * lastedMs;
      this.#judderMs += lastedMs > JUDDER_MS ? lastedMs : 0;
    }
  }

  #neverStarted(lastedMs: number): Score {
    return {
      seconds: lastedMs / 1000,
      stallRatio: 1,
      stallMs: lastedMs,
      freezesPerMinute: 60_000 / lastedMs,
      pauseMs: lastedMs,
      isStallFree: false,
      latencyMeanMs: lastedMs,
      latencyP50Ms: lastedMs,
      latencyP95Ms: lastedMs,
      ageMeanMs: lastedMs,
      ageP95Ms: lastedMs,
      qualityRatio: 0,
      switchesPerMinute: 0,
      joinMs: lastedMs,
      shownFps: 0,
      judderRatio: 0,
      audioConcealedRatio: 1,
      latencyBuckets: this.#latency,
    };
  }
}

const bucketOf = (ms: number): number => Math.max(0, Math.min(BUCKET_COUNT - 1, Math.floor(ms / BUCKET_MS)));

/** Of buckets of screen time. */
export const percentileOf = (buckets: Float64Array, ratio: number): number => {
  let total = 0;
  for (const weight of buckets) {
    total += weight;
  }
  let left = ratio * total;
  for (let bucket = 0; bucket < buckets.length; bucket += 1) {
    left -= buckets[bucket]!;
    if (left <= 0 && buckets[bucket]! > 0) {
      return (bucket + 0.5) * BUCKET_MS;
    }
  }
  return 0;
};

/** Weight of latency for a λ (CONGESTION 2.2). */
export const latencyWeight = (smoothnessRatio: number): number => 2 ** (4 * (0.5 - smoothnessRatio)) / 4;

/** What each term of utility is multiplied by, 1 where nothing is said: a ranking must not hang on the weights (CONGESTION 7.5). */
export type UtilityWeights = {
  readonly [Term in 'quality' | 'stall' | 'freezes' | 'latency' | 'switches' | 'join']?: number;
};

const STALL_WEIGHT = 8;

/** CONGESTION 2.2, over a session. */
export const utilityOf = (
  score: Omit<Score, 'latencyBuckets'>,
  smoothnessRatio: number,
  { quality = 1, stall = 1, freezes = 1, latency = 1, switches = 1, join = 1 }: UtilityWeights = {},
): number => {
  const meanS = score.latencyMeanMs / 1000;
  const tailS = Math.max(0, score.latencyP95Ms / 1000 - 1);
  return (
    quality * score.qualityRatio -
    stall * STALL_WEIGHT * score.stallRatio -
    freezes * 0.03 * score.freezesPerMinute -
    latency * latencyWeight(smoothnessRatio) * (meanS + 0.5 * tailS) -
    switches * 0.05 * score.switchesPerMinute -
    join * 0.05 * Math.min(5, score.joinMs / 1000)
  );
};
