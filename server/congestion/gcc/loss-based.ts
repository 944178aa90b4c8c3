/**
 * The bandwidth that explains the losses best, by libwebrtc's second loss-based rule: over the last observations of a quarter second or
 * more, the likelihood of (inherent loss p, bandwidth B) where P(loss) = p + (1 − p)·max(0, 1 − B / rate).
 */

const OBSERVATION_COUNT = 15;
const OBSERVATION_MIN_MS = 250;
const FORGETTING = 0.9;
const INHERENT_MIN_RATIO = 0.001;
const INHERENT_MAX_RATIO = 0.05;
const INHERENT_BALANCE_BPS = 100_000;
const NEWTON_STEP = 0.75;
const HIGHER_BIAS = 0.0002;
const HIGHER_LOG_BIAS = 0.02;
const CANDIDATE_FACTORS: readonly number[] = [1.02, 1, 0.95];
const CEILING_BALANCE_BPS = 100_000;
const HOLD_START_MS = 300;
const HOLD_MAX_MS = 60_000;

export const LOSS_TOLERANCE_DEFAULT = 0.05;

export class LossBased {
  /** May be changed at any time. */
  toleranceRatio: number;
  readonly #sentCount: number[] = [];
  readonly #lostCount: number[] = [];
  readonly #rateBps: number[] = [];
  #count = 0;
  #partSent = 0;
  #partLost = 0;
  #partBytes = 0;
  #partSinceMs = Number.NaN;
  #estimateBps = Infinity;
  #inherentRatio = 0.01;
  #holdUntilMs = Number.NEGATIVE_INFINITY;
  #holdMs = HOLD_START_MS;

  constructor(toleranceRatio = LOSS_TOLERANCE_DEFAULT) {
    this.toleranceRatio = toleranceRatio;
  }

  /** Infinity while losses ask for nothing. */
  get estimateBps(): number {
    return this.#estimateBps;
  }

  /** Mean of the last observations, the newest weighing most. */
  get lossRatio(): number {
    let sent = 0;
    let lost = 0;
    for (let age = 0; age < Math.min(this.#count, OBSERVATION_COUNT); age += 1) {
      const at = (this.#count - 1 - age) % OBSERVATION_COUNT;
      sent += FORGETTING ** age * (this.#sentCount[at] ?? 0);
      lost += FORGETTING ** age * (this.#lostCount[at] ?? 0);
    }
    return sent === 0 ? 0 : lost / sent;
  }

  get inherentRatio(): number {
    return this.#inherentRatio;
  }

  /** One feedback's packets; `sentSpanAtMs` is when the last of them was sent. */
  onFeedback(news: { sentCount: number; lostCount: number; bytes: number; sentAtMs: number }): boolean {
    if (Number.isNaN(this.#partSinceMs)) {
      this.#partSinceMs = news.sentAtMs;
      return false;
    }
    this.#partSent += news.sentCount;
    this.#partLost += news.lostCount;
    this.#partBytes += news.bytes;
    const spanMs = news.sentAtMs - this.#partSinceMs;
    if (spanMs < OBSERVATION_MIN_MS) {
      return false;
    }
    const at = this.#count % OBSERVATION_COUNT;
    this.#sentCount[at] = this.#partSent;
    this.#lostCount[at] = this.#partLost;
    this.#rateBps[at] = (this.#partBytes * 8_000) / spanMs;
    this.#count += 1;
    this.#partSent = 0;
    this.#partLost = 0;
    this.#partBytes = 0;
    this.#partSinceMs = news.sentAtMs;
    return true;
  }

  /** After an observation. `delayBps`: what the delay-based rule allows, and the highest answer. */
  update(delayBps: number, ackedBps: number, nowMs: number): void {
    if (this.#count < 3) {
      return;
    }
    const lossRatio = this.lossRatio;
    if (!Number.isFinite(this.#estimateBps) && lossRatio < this.toleranceRatio / 2) {
      return;
    }
    const currentBps = Math.min(this.#estimateBps, delayBps);
    const candidates = CANDIDATE_FACTORS.map((factor) => factor * currentBps);
    if (!Number.isNaN(ackedBps)) {
      candidates.push(ackedBps);
    }
    candidates.push(delayBps);
    const ceilingBps =
      lossRatio > this.toleranceRatio ? CEILING_BALANCE_BPS / (lossRatio - this.toleranceRatio) : Infinity;
    let bestBps = currentBps;
    let bestValue = Number.NEGATIVE_INFINITY;
    let bestInherent = this.#inherentRatio;
    for (const candidate of candidates) {
      const bps = Math.max(1_000, candidate);
      const inherent = this.#newton(bps);
      const value = this.#likelihood(bps, inherent);
      if (value > bestValue) {
        bestValue = value;
        bestBps = bps;
        bestInherent = inherent;
      }
    }
    this.#inherentRatio = bestInherent;
    bestBps = Math.min(bestBps, ceilingBps, delayBps);
    if (bestBps > currentBps && nowMs < this.#holdUntilMs) {
      bestBps = currentBps;
    }
    if (bestBps < currentBps * 0.999) {
      this.#holdUntilMs = nowMs + this.#holdMs;
      this.#holdMs = Math.min(HOLD_MAX_MS, 2 * this.#holdMs);
    } else if (nowMs > this.#holdUntilMs + 2 * this.#holdMs) {
      this.#holdMs = HOLD_START_MS;
    }
    this.#estimateBps = bestBps >= delayBps * 0.999 ? Infinity : bestBps;
  }

  #upperInherent(bps: number): number {
    return INHERENT_MAX_RATIO + INHERENT_BALANCE_BPS / bps;
  }

  #newton(bps: number): number {
    let first = 0;
    let second = 0;
    for (let age = 0; age < Math.min(this.#count, OBSERVATION_COUNT); age += 1) {
      const at = (this.#count - 1 - age) % OBSERVATION_COUNT;
      const weight = FORGETTING ** age;
      const probability = lossProbability(this.#inherentRatio, bps, this.#rateBps[at] ?? 0);
      const lost = this.#lostCount[at] ?? 0;
      const kept = (this.#sentCount[at] ?? 0) - lost;
      first += weight * (lost / probability - kept / (1 - probability));
      second -= weight * (lost / probability ** 2 + kept / (1 - probability) ** 2);
    }
    const moved = second === 0 ? this.#inherentRatio : this.#inherentRatio - (NEWTON_STEP * first) / second;
    return Math.min(Math.min(0.99, this.#upperInherent(bps)), Math.max(INHERENT_MIN_RATIO, moved));
  }

  #likelihood(bps: number, inherentRatio: number): number {
    let sum = 0;
    for (let age = 0; age < Math.min(this.#count, OBSERVATION_COUNT); age += 1) {
      const at = (this.#count - 1 - age) % OBSERVATION_COUNT;
      const probability = lossProbability(inherentRatio, bps, this.#rateBps[at] ?? 0);
      const lost = this.#lostCount[at] ?? 0;
      const sent = this.#sentCount[at] ?? 0;
      const bias = (HIGHER_BIAS * bps) / 1000 / 1000 + (HIGHER_LOG_BIAS * Math.log(1 + bps / 1000)) / 1000;
      sum +=
        FORGETTING ** age * (lost * Math.log(probability) + (sent - lost) * Math.log(1 - probability) + bias * sent);
    }
    return sum;
  }
}

const lossProbability = (inherentRatio: number, bps: number, rateBps: number): number => {
  const excess = rateBps > bps ? (1 - inherentRatio) * (1 - bps / rateBps) : 0;
  return Math.min(0.999_9, Math.max(0.000_1, inherentRatio + excess));
};
