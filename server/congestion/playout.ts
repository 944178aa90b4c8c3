/**
 * How long pictures wait at the viewer: the delay at which one more millisecond costs as much in latency as it saves in stalls
 * (CONGESTION 3.9). The worst need of each GOP is a sample; a correction keeps the predicted share of misses true whatever the distribution.
 */
import type { Parameters } from './parameters.ts';
import { FREEZE_WEIGHT, STALL_WEIGHT, latencyWeightOf } from './parameters.ts';

const BLOCK_MAX_COUNT = 64;
const PRIOR_COUNT = 3;
/** A stall costs so much that one belief in a hundred samples is enough to keep the delay up: it is forgotten within half a minute of samples. */
const PRIOR_HALF_LIFE_COUNT = 5;
const PRIOR_SPREAD_MS = 40;
const LEARNING_RATE = 0.02;
const GRID_MS = 10;
const TAIL_MIN_RATIO = 0.001;
const TAIL_MAX_RATIO = 0.5;
/** A rise stretches one interval: with 33 ms of its own it stays below what counts as a freeze. */
const RISE_MAX_MS = 150;
const RISE_EVERY_MS = 200;
const FRAME_INTERVAL_S = 1 / 30;
const STAMP_UNIT_MS = 10;

/** Workspace of one calculation, which never waits: shared by all viewers. */
const weights = new Float64Array(BLOCK_MAX_COUNT + PRIOR_COUNT);
const values = new Float64Array(BLOCK_MAX_COUNT + PRIOR_COUNT);
const order: number[] = [];

export class Playout {
  readonly #parameters: Parameters;
  readonly #isConformal: boolean;
  readonly #needsMs = new Float32Array(BLOCK_MAX_COUNT);
  #count = 0;
  readonly #priorMs: number;
  #latencyWeight: number;
  #theta = 0;
  #predictedRatio = Number.NaN;
  #targetMs: number;
  #delayMs: number;
  #atMs = Number.NaN;
  #roseAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: { parameters: Parameters; isConformal: boolean; priorMs: number; smoothnessRatio: number }) {
    this.#parameters = options.parameters;
    this.#isConformal = options.isConformal;
    this.#priorMs = options.priorMs;
    this.#latencyWeight = latencyWeightOf(options.smoothnessRatio);
    this.#delayMs = this.#clamp(options.priorMs);
    this.#targetMs = this.#delayMs;
  }

  /** In force, in whole units of the extension. */
  get delayMs(): number {
    return this.#clamp(Math.ceil(this.#delayMs / STAMP_UNIT_MS - 1e-9) * STAMP_UNIT_MS);
  }

  setSmoothness(smoothnessRatio: number): void {
    this.#latencyWeight = latencyWeightOf(smoothnessRatio);
  }

  /** The worst need of one GOP. */
  onBlock(needMs: number): void {
    const { playoutMaxMs, playoutGraceMs } = this.#parameters;
    if (needMs > playoutMaxMs + playoutGraceMs) {
      // No delay that may be chosen would have helped: an outage says nothing about how long pictures should wait.
      return;
    }
    const exceeds = needMs > this.#delayMs + this.#parameters.playoutGraceMs;
    if (!Number.isNaN(this.#predictedRatio)) {
      const isHeld = this.#delayMs >= this.#parameters.playoutMaxMs || this.#targetMs > this.#delayMs + 1;
      if (!isHeld && this.#isConformal) {
        this.#theta += LEARNING_RATE * ((exceeds ? 1 : 0) - this.#predictedRatio);
      }
    }
    this.#needsMs[this.#count % BLOCK_MAX_COUNT] = needMs;
    this.#count += 1;
    this.#solve();
  }

  /** Moves towards the target; `floorMs`: needed at once, whatever the past says. */
  tick(floorMs: number, nowMs: number): void {
    const passedS = Number.isNaN(this.#atMs) ? 0 : (nowMs - this.#atMs) / 1000;
    this.#atMs = nowMs;
    // Bounds may have moved with λ.
    this.#delayMs = this.#clamp(this.#delayMs);
    const targetMs = this.#clamp(Math.max(this.#targetMs, floorMs));
    if (targetMs > this.#delayMs) {
      if (nowMs - this.#roseAtMs >= RISE_EVERY_MS) {
        this.#delayMs = Math.min(targetMs, this.#delayMs + RISE_MAX_MS);
        this.#roseAtMs = nowMs;
      }
    } else {
      this.#delayMs = Math.max(targetMs, this.#delayMs - this.#parameters.playoutFallMsPerS * passedS);
    }
  }

  #clamp(delayMs: number): number {
    return Math.min(this.#parameters.playoutMaxMs, Math.max(this.#parameters.playoutMinMs, delayMs));
  }

  /** Samples in falling order with their weights, then the cheapest delay on the grid of the samples themselves. */
  #solve(): void {
    const total = this.#gather();
    const { playoutGraceMs, playoutMarginMs, playoutMinMs, playoutMaxMs } = this.#parameters;
    let bestMs = playoutMinMs;
    let bestCost = Infinity;
    for (let delayMs = playoutMinMs; delayMs <= playoutMaxMs; delayMs += GRID_MS) {
      const cost = (this.#latencyWeight * delayMs) / 1000 + this.#stallCost(delayMs) / total;
      if (cost < bestCost) {
        bestCost = cost;
        bestMs = delayMs;
      }
    }
    const predicted = this.#tailWeight(bestMs + playoutGraceMs) / total;
    this.#predictedRatio = predicted;
    const tailRatio = Math.min(TAIL_MAX_RATIO, Math.max(TAIL_MIN_RATIO, predicted - this.#theta));
    const wantedMs =
      this.#theta === 0 || Math.abs(tailRatio - predicted) < 1e-9
        ? bestMs
        : this.#quantile(tailRatio * total) - playoutGraceMs;
    this.#targetMs = this.#clamp(wantedMs + playoutMarginMs);
  }

  #gather(): number {
    const count = Math.min(this.#count, BLOCK_MAX_COUNT);
    order.length = 0;
    let total = 0;
    for (let age = 0; age < count; age += 1) {
      const weight = 2 ** (-age / this.#parameters.needHalfLifeS);
      values[age] = this.#needsMs[(this.#count - 1 - age) % BLOCK_MAX_COUNT] ?? 0;
      weights[age] = weight;
      total += weight;
      order.push(age);
    }
    const priorWeight = 2 ** (-this.#count / PRIOR_HALF_LIFE_COUNT);
    for (let place = 0; place < PRIOR_COUNT; place += 1) {
      const at = BLOCK_MAX_COUNT + place;
      // An even spread below the prior's 85th percentile, and a little above it.
      values[at] = this.#priorMs + PRIOR_SPREAD_MS * ((place + 0.5) / PRIOR_COUNT - 0.85);
      weights[at] = priorWeight;
      total += priorWeight;
      order.push(at);
    }
    order.sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0));
    return total;
  }

  #stallCost(delayMs: number): number {
    const limitMs = delayMs + this.#parameters.playoutGraceMs;
    let cost = 0;
    for (const at of order) {
      const needMs = values[at] ?? 0;
      if (needMs <= limitMs) {
        break;
      }
      const stallS = (needMs - delayMs) / 1000 + FRAME_INTERVAL_S;
      cost += (weights[at] ?? 0) * (STALL_WEIGHT * stallS + 60 * FREEZE_WEIGHT);
    }
    return cost;
  }

  #tailWeight(limitMs: number): number {
    let weight = 0;
    for (const at of order) {
      if ((values[at] ?? 0) <= limitMs) {
        break;
      }
      weight += weights[at] ?? 0;
    }
    return weight;
  }

  /** The need above which this weight lies. */
  #quantile(tailWeight: number): number {
    let weight = 0;
    for (const at of order) {
      weight += weights[at] ?? 0;
      if (weight > tailWeight) {
        return values[at] ?? 0;
      }
    }
    return this.#priorMs;
  }
}
