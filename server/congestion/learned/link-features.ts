/**
 * What a session's first seconds say of its network (CONGESTION 4.2): the numbers by which arms are judged, and the class by which they are kept.
 * Everything is seen from outside the controller, so that any of them can be watched. Pure.
 */
import type { ArrivalReport, Decision } from '../controller.ts';
import type { PolicyClass } from './policy.ts';

/** The classes that are told apart; `all` is not one. */
export type NetworkClass = Exclude<PolicyClass, 'all'>;
export const NETWORK_CLASSES: readonly NetworkClass[] = ['constrained|outage', 'lossy|long|volatile', 'stable|jittery'];

/** In this order everywhere; 0 about in the middle of networks, and clipped to `FEATURE_MAX`. */
export const FEATURE_NAMES = [
  'one',
  'roundTrip',
  'estimate',
  'loss',
  'lossRuns',
  'queueSpread',
  'estimateSpread',
  'queued',
  'smoothness',
] as const;
export const FEATURE_COUNT = FEATURE_NAMES.length;
export const FEATURE_MAX = 3;

/** A viewer's network by features: `FEATURE_COUNT` numbers. */
export type Features = readonly number[];

const RTT_MIDDLE_MS = 50;
const ESTIMATE_MIDDLE_BPS = 3_500_000;
const SPREAD_MIDDLE_MS = 20;
const QUEUED_MS = 30;
const SILENCE_MS = 700;
/** Too few packets to speak of losses. */
const PACKET_MIN_COUNT = 200;
/** The tree of CONGESTION 4.2. */
const CONSTRAINED_RATIO = 1.5;
const LOSSY_RATIO = 0.01;
const LONG_RTT_MS = 150;
const VOLATILE_SPREAD_RATIO = 0.35;
const VOLATILE_QUEUED_RATIO = 0.1;

export class LinkFeatures {
  #leastRttMs = Number.POSITIVE_INFINITY;
  #sampleCount = 0;
  #estimateSum = 0;
  #estimateSquares = 0;
  #queueSum = 0;
  #queueSquares = 0;
  #queuedCount = 0;
  #packetCount = 0;
  #lostCount = 0;
  #runCount = 0;
  #feedbackAtMs = Number.NaN;
  #isSilent = false;

  onFeedback({ count, arrivedMs }: ArrivalReport, nowMs: number): void {
    this.#isSilent ||= nowMs - this.#feedbackAtMs > SILENCE_MS;
    this.#feedbackAtMs = nowMs;
    this.#packetCount += count;
    let wasLost = false;
    for (let index = 0; index < count; index += 1) {
      const isLost = Number.isNaN(arrivedMs[index]);
      this.#lostCount += isLost ? 1 : 0;
      this.#runCount += isLost && !wasLost ? 1 : 0;
      wasLost = isLost;
    }
  }

  /** To be called evenly in time. Before the first feedback a decision says nothing of the network. */
  sample({ rttMs, estimateBps, queueDelayMs }: Decision): void {
    if (Number.isNaN(this.#feedbackAtMs)) {
      return;
    }
    this.#leastRttMs = rttMs > 0 ? Math.min(this.#leastRttMs, rttMs) : this.#leastRttMs;
    this.#sampleCount += 1;
    this.#estimateSum += estimateBps;
    this.#estimateSquares += estimateBps * estimateBps;
    this.#queueSum += queueDelayMs;
    this.#queueSquares += queueDelayMs * queueDelayMs;
    this.#queuedCount += queueDelayMs > QUEUED_MS ? 1 : 0;
  }

  /** Undefined while too little was heard. `smoothnessRatio`: λ. */
  features(smoothnessRatio: number): Features | undefined {
    if (!this.#isKnown) {
      return undefined;
    }
    return [
      1,
      Math.log2(this.#leastRttMs / RTT_MIDDLE_MS),
      Math.log2(this.#estimateMeanBps / ESTIMATE_MIDDLE_BPS),
      50 * this.#lossRatio,
      this.#runCount === 0 ? 0 : this.#lostCount / this.#runCount - 1,
      this.#queueSpreadMs / SPREAD_MIDDLE_MS - 1,
      2 * this.#estimateSpreadRatio,
      2 * (this.#queuedCount / this.#sampleCount),
      2 * (smoothnessRatio - 0.5),
    ].map((value) => Math.max(-FEATURE_MAX, Math.min(FEATURE_MAX, Number.isFinite(value) ? value : 0)));
  }

  /** `lowestBps`: what the lowest rendition needs. Undefined while too little was heard. */
  networkClass(lowestBps: number): NetworkClass | undefined {
    if (!this.#isKnown) {
      return undefined;
    }
    if (this.#isSilent || this.#estimateMeanBps < CONSTRAINED_RATIO * lowestBps) {
      return 'constrained|outage';
    }
    const isLossy = this.#lossRatio > LOSSY_RATIO;
    const isVolatile =
      this.#estimateSpreadRatio > VOLATILE_SPREAD_RATIO &&
      this.#queuedCount > VOLATILE_QUEUED_RATIO * this.#sampleCount;
    return isLossy || this.#leastRttMs > LONG_RTT_MS || isVolatile ? 'lossy|long|volatile' : 'stable|jittery';
  }

  get #isKnown(): boolean {
    return this.#packetCount >= PACKET_MIN_COUNT && this.#sampleCount > 0 && Number.isFinite(this.#leastRttMs);
  }

  get #lossRatio(): number {
    return this.#lostCount / this.#packetCount;
  }

  get #estimateMeanBps(): number {
    return this.#estimateSum / this.#sampleCount;
  }

  get #estimateSpreadRatio(): number {
    return deviation(this.#estimateSquares, this.#estimateSum, this.#sampleCount) / this.#estimateMeanBps;
  }

  get #queueSpreadMs(): number {
    return deviation(this.#queueSquares, this.#queueSum, this.#sampleCount);
  }
}

const deviation = (squares: number, sum: number, count: number): number =>
  Math.sqrt(Math.max(0, squares / count - (sum / count) ** 2));
