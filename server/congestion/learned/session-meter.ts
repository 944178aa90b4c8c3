/**
 * What one viewer's session is worth, by what the server itself knows (CONGESTION 2): quality of what is sent, stalls by the twin, latency from
 * sending, path and playout delay. Beside it the same by the player's reports: two instruments, of which each keeps the other honest. Pure.
 */
import type { Decision, GopOffer, PlayerReport, SentPicture } from '../controller.ts';
import { FREEZE_WEIGHT, STALL_WEIGHT, latencyWeightOf } from '../parameters.ts';
import type { TwinView } from '../receiver-twin/receiver-twin.ts';

/** Of a stretch of a session, times as means, rates a minute. */
export type Outcome = {
  readonly seconds: number;
  readonly stallRatio: number;
  readonly freezesPerMinute: number;
  readonly latencyMs: number;
  readonly latencyP95Ms: number;
  /** 0 … 1; frozen time counts nothing. */
  readonly qualityRatio: number;
  readonly switchesPerMinute: number;
};

const SWITCH_WEIGHT = 0.05;
const TAIL_WEIGHT = 0.5;
const TAIL_FROM_S = 1;

/** CONGESTION 2.2, without the start. */
export const utilityOf = (outcome: Outcome, smoothnessRatio: number): number => {
  const tailS = Math.max(0, outcome.latencyP95Ms / 1000 - TAIL_FROM_S);
  return (
    outcome.qualityRatio -
    STALL_WEIGHT * outcome.stallRatio -
    FREEZE_WEIGHT * outcome.freezesPerMinute -
    latencyWeightOf(smoothnessRatio) * (outcome.latencyMs / 1000 + TAIL_WEIGHT * tailS) -
    SWITCH_WEIGHT * outcome.switchesPerMinute
  );
};

/** An open gap counts from here on: no freeze is shorter, and a feedback may be late. */
const OPEN_GAP_MIN_MS = 500;
/** From a picture's decoding to its showing: half a refresh and the decoder's own. */
const SHOWING_MS = 15;
const LATENCY_BIN_MS = 100;
const LATENCY_BIN_COUNT = 40;
const WAIT_SMOOTHING = 0.1;
/** Twin and player may differ by so much and still speak of the same session. */
const AGREE_RATIO = 0.5;
const AGREE_MS = 600;
/** Reports must cover this part of what is judged. */
const COVERED_RATIO = 0.5;

/** One line of a ledger: sums since the session began. */
type Sums = { stallMs: number; freezeCount: number; qualityMs: number; switchSum: number };

export class SessionMeter {
  readonly #twin: TwinView | undefined;
  readonly #bins = new Uint16Array(LATENCY_BIN_COUNT);
  #offer: GopOffer | undefined;
  #gopAtMs = Number.NEGATIVE_INFINITY;
  #qualityRatio = Number.NaN;
  #qualitySinceMs = 0;
  #qualityMs = 0;
  #switchSum = 0;
  #waitMs = 0;
  #shownAtMs = Number.NEGATIVE_INFINITY;
  #shownSeenAtMs = Number.NaN;
  // Since the part began.
  #partAtMs = Number.NaN;
  #part: Sums = { stallMs: 0, freezeCount: 0, qualityMs: 0, switchSum: 0 };
  #latencySumMs = 0;
  #latencyCount = 0;
  // What the player says of the part, and the twin of the same time.
  #reportedMs = 0;
  #reportedStallMs = 0;
  #reportedFreezeCount = 0;
  #reportedLatencySumMs = 0;
  #twinAtReportMs = Number.NaN;
  #twinStallMs = 0;
  #decision: Pick<Decision, 'rttMs'> = { rttMs: 0 };

  /** `twin`: of controllers that have one. */
  constructor(twin: TwinView | undefined) {
    this.#twin = twin;
  }

  /** What the lowest rendition needs; 0 before anything was offered. */
  get lowestBps(): number {
    return this.#offer?.renditions[0]?.bitrateBps ?? 0;
  }

  onGop(offer: GopOffer, nowMs: number): void {
    this.#offer = offer;
    this.#gopAtMs = nowMs;
  }

  onPicture({ renditionIndex, arrivedAtMs }: SentPicture, nowMs: number): void {
    this.#waitMs += WAIT_SMOOTHING * (Math.max(0, nowMs - arrivedAtMs) - this.#waitMs);
    const qualityRatio = this.#offer?.renditions[renditionIndex]?.qualityRatio ?? 0;
    if (qualityRatio !== this.#qualityRatio) {
      this.#countQuality(nowMs);
      this.#switchSum += Number.isNaN(this.#qualityRatio) ? 0 : Math.abs(qualityRatio - this.#qualityRatio);
      this.#qualityRatio = qualityRatio;
    }
  }

  onPlayerReport({ intervalMs, freezeMs, freezeCount, bufferDelayMs }: PlayerReport, nowMs: number): void {
    if (Number.isNaN(this.#partAtMs)) {
      return;
    }
    this.#reportedMs += intervalMs;
    this.#reportedStallMs += freezeMs;
    this.#reportedFreezeCount += freezeCount;
    this.#reportedLatencySumMs += intervalMs * this.#latencyMs(bufferDelayMs ?? 0);
    const stallMs = this.#stallMs(nowMs);
    this.#twinStallMs += Number.isNaN(this.#twinAtReportMs) ? 0 : Math.max(0, stallMs - this.#twinAtReportMs);
    this.#twinAtReportMs = stallMs;
  }

  /** About once a second. */
  look(decision: Decision, nowMs: number): void {
    this.#decision = decision;
    this.#noteShown(nowMs);
    const needMs = this.#twin?.lastNeedMs ?? Number.NaN;
    const heldMs = Math.max(decision.playoutDelayMs ?? 0, Number.isNaN(needMs) ? 0 : needMs);
    const latencyMs = this.#latencyMs(heldMs);
    const bin = Math.min(LATENCY_BIN_COUNT - 1, Math.floor(latencyMs / LATENCY_BIN_MS));
    this.#bins[bin] = Math.min(0xffff, (this.#bins[bin] ?? 0) + 1);
    this.#latencySumMs += latencyMs;
    this.#latencyCount += 1;
  }

  /** What was stalled since the session began, the open gap included. */
  stalledMs(nowMs: number): number {
    return this.#stallMs(nowMs);
  }

  /** From now on another part is measured. */
  begin(nowMs: number): void {
    this.#partAtMs = nowMs;
    this.#part = this.#sums(nowMs);
    this.#bins.fill(0);
    this.#latencySumMs = 0;
    this.#latencyCount = 0;
    this.#reportedMs = 0;
    this.#reportedStallMs = 0;
    this.#reportedFreezeCount = 0;
    this.#reportedLatencySumMs = 0;
    this.#twinStallMs = 0;
    this.#twinAtReportMs = this.#stallMs(nowMs);
  }

  /** By the twin. Undefined before `begin`, and without a twin. */
  outcome(nowMs: number): Outcome | undefined {
    const passedMs = nowMs - this.#partAtMs;
    if (!(passedMs > 0) || this.#twin === undefined || this.#latencyCount === 0) {
      return undefined;
    }
    const now = this.#sums(nowMs);
    const stallRatio = ratioOf(now.stallMs - this.#part.stallMs, passedMs);
    return {
      ...this.#sent(now, passedMs, stallRatio),
      stallRatio,
      freezesPerMinute: (60_000 * (now.freezeCount - this.#part.freezeCount)) / passedMs,
      latencyMs: this.#latencySumMs / this.#latencyCount,
      latencyP95Ms: this.#latencyP95Ms(),
    };
  }

  /** The same by the player's reports, whatever controller it was. Undefined where they cover too little. */
  reportedOutcome(nowMs: number): Outcome | undefined {
    const passedMs = nowMs - this.#partAtMs;
    if (!this.#isCovered(passedMs)) {
      return undefined;
    }
    const stallRatio = ratioOf(this.#reportedStallMs, this.#reportedMs);
    const latencyMs = this.#reportedLatencySumMs / this.#reportedMs;
    return {
      ...this.#sent(this.#sums(nowMs), passedMs, stallRatio),
      stallRatio,
      freezesPerMinute: (60_000 * this.#reportedFreezeCount) / this.#reportedMs,
      latencyMs,
      latencyP95Ms: latencyMs,
    };
  }

  /** Whether the player has said enough of this part. */
  isReported(nowMs: number): boolean {
    return this.#isCovered(nowMs - this.#partAtMs);
  }

  /** Whether what the player says and what the twin shows can both be true. */
  get isContradicted(): boolean {
    const offMs = Math.abs(this.#reportedStallMs - this.#twinStallMs);
    return offMs > Math.max(AGREE_MS, AGREE_RATIO * Math.max(this.#reportedStallMs, this.#twinStallMs));
  }

  #isCovered(passedMs: number): boolean {
    return passedMs > 0 && this.#reportedMs >= COVERED_RATIO * passedMs;
  }

  /** From the picture's coming to its showing; `heldMs`: in the browser. */
  #latencyMs(heldMs: number): number {
    return this.#waitMs + this.#decision.rttMs / 2 + heldMs + SHOWING_MS;
  }

  #sums(nowMs: number): Sums {
    this.#countQuality(nowMs);
    return {
      stallMs: this.#stallMs(nowMs),
      freezeCount: this.#twin?.freezeCount ?? 0,
      qualityMs: this.#qualityMs,
      switchSum: this.#switchSum,
    };
  }

  #sent(
    now: Sums,
    passedMs: number,
    stallRatio: number,
  ): Pick<Outcome, 'seconds' | 'qualityRatio' | 'switchesPerMinute'> {
    return {
      seconds: passedMs / 1000,
      qualityRatio: (1 - stallRatio) * ratioOf(now.qualityMs - this.#part.qualityMs, passedMs),
      switchesPerMinute: (60_000 * (now.switchSum - this.#part.switchSum)) / passedMs,
    };
  }

  #countQuality(nowMs: number): void {
    if (!Number.isNaN(this.#qualityRatio)) {
      this.#qualityMs += this.#qualityRatio * (nowMs - this.#qualitySinceMs);
    }
    this.#qualitySinceMs = nowMs;
  }

  /** A gap counts as open only while there was something to show: a publisher who is away stalls nobody. */
  #stallMs(nowMs: number): number {
    this.#noteShown(nowMs);
    const openMs = nowMs - this.#shownSeenAtMs;
    const isOpen = openMs > OPEN_GAP_MIN_MS && this.#gopAtMs > this.#shownSeenAtMs;
    return (this.#twin?.freezeMs ?? 0) + (isOpen ? openMs : 0);
  }

  #noteShown(nowMs: number): void {
    const shownAtMs = this.#twin?.shownAtMs ?? Number.NEGATIVE_INFINITY;
    if (shownAtMs !== this.#shownAtMs) {
      this.#shownAtMs = shownAtMs;
      this.#shownSeenAtMs = nowMs;
    }
  }

  #latencyP95Ms(): number {
    let left = 0.05 * this.#latencyCount;
    for (let bin = LATENCY_BIN_COUNT - 1; bin > 0; bin -= 1) {
      left -= this.#bins[bin] ?? 0;
      if (left < 0) {
        return (bin + 0.5) * LATENCY_BIN_MS;
      }
    }
    return LATENCY_BIN_MS / 2;
  }
}

const ratioOf = (part: number, whole: number): number => Math.min(1, Math.max(0, part / whole));
