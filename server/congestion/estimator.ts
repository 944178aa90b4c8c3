/**
 * What the link carries. GCC's slope and losses, and three things it does not have: trains of packets that measure capacity directly (keyframes, and
 * probes where those are small), the height of the queue (its slope forgets a queue that stands), and doubt about over-use while there was little to send.
 */
import { Aimd, type AimdOptions } from './gcc/aimd.ts';
import type { LinkObserver } from './link-observer.ts';
import type { Mechanisms, Parameters } from './parameters.ts';
import type { ProbeResult } from './probe-meter.ts';
import { StandingQueue } from './standing-queue.ts';
import type { TrainSample } from './train-sampler.ts';

const MIN_BPS = 100_000;
const AIMD: AimdOptions = { minBps: MIN_BPS, maxBps: 100_000_000, increasePerS: 1.08 };
const SILENCE_MIN_MS = 500;
const SILENCE_FACTOR = 0.8;
const SILENCE_STEP_MIN_MS = 200;
/** Less than this part of what the lowest rendition needs is no use to anybody. */
const FLOOR_KEPT_RATIO = 0.5;
/** A measured capacity is believed for so long. */
const CAPACITY_FRESH_MS = 2_000;
/** On over-use a measured capacity is kept to this part; a mere rate of arrival to `backoffRatio`. */
const CAPACITY_KEPT_RATIO = 0.95;
/** Less than this part of the estimate is little to send; over-use then keeps that part of the estimate. */
const LITTLE_RATIO = 0.6;
const LITTLE_KEPT_RATIO = 0.8;
/** Over-use needs a queue: below this it was a keyframe's shadow. */
const OVERUSE_QUEUE_MIN_MS = 8;
const DRAIN_AFTER_MS = 1_000;
const DRAIN_RATIO = 0.9;
const DRAINED_MS = 10;
/** Others' queue swings: CUBIC gives up three tenths of it at a loss. So much of it may stand above what it was at its least. */
const FORGIVEN_SWING_RATIO = 0.5;
/** While less than this part of what the lowest rendition needs comes through, a queue that stands is the link's doing. */
const FLOWING_RATIO = 0.7;
const LOW_SAMPLE_COUNT = 10;
const LOW_QUANTILE = 0.2;
const LOW_MAX_AGE_MS = 5_000;

export class Estimator {
  readonly observer: LinkObserver;
  readonly #parameters: Parameters;
  readonly #mechanisms: Mechanisms;
  readonly #aimd: Aimd;
  #estimateBps: number;
  #capacityBps = Number.NaN;
  #capacityAtMs = Number.NEGATIVE_INFINITY;
  #highSinceMs = Number.NaN;
  #isDraining = false;
  #silenceCutAtMs = Number.NEGATIVE_INFINITY;
  #isSaturated = false;
  #floorBps = MIN_BPS;
  #feedbackAtMs = Number.NaN;
  readonly #standing = new StandingQueue();
  readonly #recentBps: number[] = [];
  readonly #recentAtMs: number[] = [];
  #recentCount = 0;

  constructor(observer: LinkObserver, options: { startBps: number; parameters: Parameters; mechanisms: Mechanisms }) {
    this.observer = observer;
    this.#parameters = options.parameters;
    this.#mechanisms = options.mechanisms;
    this.#estimateBps = options.startBps;
    this.#aimd = new Aimd(AIMD, { startBps: options.startBps, backoffRatio: options.parameters.backoffRatio });
  }

  get estimateBps(): number {
    return this.#estimateBps;
  }

  /** A queue that has stood for a second is being let run empty. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** A train that filled the link has told what it carries, not long ago. */
  isMeasured(nowMs: number): boolean {
    return nowMs - this.#capacityAtMs < CAPACITY_FRESH_MS;
  }

  /** Whether the last train filled the link: the estimate is then a measurement, not a lower bound. */
  get isSaturated(): boolean {
    return this.#isSaturated;
  }

  /** The 20 % quantile of the estimates at the last keyframes that filled the link, as far as they are no older than five seconds. */
  lowBps(nowMs: number): number {
    const recent = this.#recentBps.filter((_, index) => nowMs - (this.#recentAtMs[index] ?? 0) < LOW_MAX_AGE_MS);
    if (recent.length < 3) {
      return this.#estimateBps;
    }
    recent.sort((a, b) => a - b);
    return Math.min(this.#estimateBps, recent[Math.floor(LOW_QUANTILE * recent.length)] ?? this.#estimateBps);
  }

  /** `floorBps`: what the lowest rendition needs. */
  onGop(floorBps: number, nowMs: number): void {
    this.#floorBps = floorBps;
    // A lower bound says nothing about how low the link can go.
    if (this.#isSaturated) {
      this.#recentBps[this.#recentCount % LOW_SAMPLE_COUNT] = this.#estimateBps;
      this.#recentAtMs[this.#recentCount % LOW_SAMPLE_COUNT] = nowMs;
      this.#recentCount += 1;
    }
  }

  /** After the observer has read a feedback. */
  onFeedback(nowMs: number): void {
    const { observer } = this;
    const train = observer.trains.take();
    if (train !== undefined && this.#mechanisms.hasTrains) {
      this.#onTrain(train, nowMs);
    }
    const ackedBps = observer.acked.bps;
    if (this.#isOverused()) {
      if (this.#aimd.mayReduce(ackedBps, observer.rttMs, nowMs)) {
        this.#backOff(ackedBps, nowMs);
      }
    } else {
      const state = observer.detector.state === 'over' ? 'normal' : observer.detector.state;
      this.#aimd.update(state, ackedBps, observer.rttMs, nowMs);
    }
    this.#watchQueue(ackedBps, nowMs);
    this.#returnToFloor(nowMs);
    if (observer.isLossObserved) {
      observer.loss.update(this.#aimd.estimateBps, ackedBps, nowMs);
    }
    this.#settle();
  }

  /** A train made for the purpose has come through, at this rate. */
  onProbe(result: ProbeResult, nowMs: number): void {
    if (!Number.isNaN(result.bps)) {
      this.#onTrain({ bps: result.bps, isSaturated: this.observer.trains.isStretched(result.stretchMs) }, nowMs);
      this.#settle();
    }
  }

  onTick(nowMs: number): void {
    const silenceMs = Math.max(SILENCE_MIN_MS, 3 * this.observer.rttMs);
    if (this.observer.silenceMs(nowMs) > silenceMs && nowMs - this.#silenceCutAtMs > this.#silenceStepMs) {
      this.#silenceCutAtMs = nowMs;
      const cutBps = SILENCE_FACTOR * this.#aimd.estimateBps;
      this.#aimd.setEstimate(
        Math.max(cutBps, Math.min(this.#aimd.estimateBps, FLOOR_KEPT_RATIO * this.#floorBps)),
        nowMs,
      );
      this.#settle();
    }
  }

  #onTrain(train: TrainSample, nowMs: number): void {
    this.#isSaturated = train.isSaturated;
    const currentBps = this.#aimd.estimateBps;
    if (train.isSaturated) {
      const isFresh = nowMs - this.#capacityAtMs < CAPACITY_FRESH_MS;
      const { trainGainRatio } = this.#parameters;
      this.#capacityBps = isFresh ? this.#capacityBps + trainGainRatio * (train.bps - this.#capacityBps) : train.bps;
      this.#capacityAtMs = nowMs;
      this.#aimd.setEstimate(currentBps + trainGainRatio * (train.bps - currentBps), nowMs);
    } else if (train.bps > currentBps) {
      this.#aimd.setEstimate(train.bps, nowMs);
    }
  }

  #isOverused(): boolean {
    const { detector, queuePeakMs } = this.observer;
    if (!this.#mechanisms.hasQueueHeight) {
      return detector.state === 'over';
    }
    return (
      queuePeakMs > this.#parameters.queueEmergencyMs + this.#swingMs ||
      (detector.state === 'over' && queuePeakMs > OVERUSE_QUEUE_MIN_MS + this.#swingMs)
    );
  }

  #backOff(ackedBps: number, nowMs: number): void {
    const { backoffRatio } = this.#parameters;
    this.#aimd.backoffRatio = backoffRatio;
    const isKnown = nowMs - this.#capacityAtMs < CAPACITY_FRESH_MS && this.#mechanisms.hasTrains;
    const knownBps = isKnown ? CAPACITY_KEPT_RATIO * this.#capacityBps : 0;
    const littleBps = this.#isLittle(ackedBps) ? LITTLE_KEPT_RATIO * this.#aimd.estimateBps : 0;
    const acked = Number.isNaN(ackedBps) ? 0 : ackedBps;
    const measuredBps = Math.max(acked, knownBps / backoffRatio, littleBps / backoffRatio);
    const keptBps = Math.min(this.#aimd.estimateBps, this.#keptBps(ackedBps));
    this.#aimd.update('over', measuredBps || Number.NaN, this.observer.rttMs, nowMs);
    if (this.#aimd.estimateBps < keptBps) {
      this.#aimd.setEstimate(keptBps, nowMs);
    }
  }

  /** Less than the lowest rendition cannot be sent: what of it arrives is given up for no queue, ours or others'. NaN while nothing is known. */
  #keptBps(ackedBps: number): number {
    return this.#mechanisms.hasQueueHeight ? Math.min(ackedBps, this.#floorBps) : 0;
  }

  get #swingMs(): number {
    return FORGIVEN_SWING_RATIO * this.observer.forgivenMs;
  }

  /** With little to send, what arrives is what was sent: while the queue is low it does not undo what was proved before. */
  #isLittle(ackedBps: number): boolean {
    const isLow = this.#mechanisms.hasQueueHeight && this.observer.queuePeakMs < this.#parameters.queueDrainMs;
    return isLow && ackedBps < LITTLE_RATIO * this.#aimd.estimateBps;
  }

  #watchQueue(ackedBps: number, nowMs: number): void {
    const limitMs = this.#parameters.queueDrainMs + this.#swingMs;
    if (this.#mechanisms.hasQueueHeight) {
      const isFlowing = ackedBps >= FLOWING_RATIO * this.#floorBps;
      const { queuePeakMs } = this.observer;
      this.observer.forgive(this.#standing.observe(queuePeakMs, isFlowing && queuePeakMs > limitMs, nowMs));
    }
    const { queuePeakMs } = this.observer;
    if (queuePeakMs <= limitMs) {
      this.#highSinceMs = Number.NaN;
    } else if (Number.isNaN(this.#highSinceMs)) {
      this.#highSinceMs = nowMs;
    }
    if (nowMs - this.#highSinceMs > DRAIN_AFTER_MS && this.#mechanisms.hasQueueHeight) {
      this.#isDraining = true;
    }
    if (queuePeakMs < DRAINED_MS) {
      this.#isDraining = false;
    }
    const drainBps = Math.max(DRAIN_RATIO * ackedBps, this.#keptBps(ackedBps));
    if (this.#isDraining && drainBps < this.#aimd.estimateBps) {
      this.#aimd.setEstimate(drainBps, nowMs);
    }
  }

  get #silenceStepMs(): number {
    return Math.max(SILENCE_STEP_MIN_MS, this.observer.rttMs);
  }

  /** Below the lowest rendition there is nothing to be careful for: with an empty queue it is tried again within a second. */
  #returnToFloor(nowMs: number): void {
    const passedMs = Number.isNaN(this.#feedbackAtMs) ? 0 : Math.min(200, nowMs - this.#feedbackAtMs);
    this.#feedbackAtMs = nowMs;
    const currentBps = this.#aimd.estimateBps;
    if (currentBps < this.#floorBps && this.observer.queuePeakMs < DRAINED_MS && this.observer.lostCount === 0) {
      this.#aimd.setEstimate(Math.min(this.#floorBps, currentBps + (this.#floorBps * passedMs) / 1_000), nowMs);
    }
  }

  #settle(): void {
    // Losses of an outage say little about what comes after it: never below what the lowest rendition needs, or what was measured.
    const lossBps = Math.max(this.observer.loss.estimateBps, this.#floorBps);
    this.#estimateBps = Math.max(MIN_BPS, Math.min(this.#aimd.estimateBps, lossBps));
  }
}
