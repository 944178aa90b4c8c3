/**
 * What one session shows of its link, as a trace in half seconds: what the link carried while something waited for it, and only a lower bound
 * (censored) while it did not, since then the pictures were the limit. Pure; matches transport-cc with what was sent, whatever controls the session.
 */
import { ArrivalClock } from './arrival-clock.ts';
import type { ArrivalReport, SentPacket } from './controller.ts';
import { SentHistory } from './sent-history.ts';
import { TrainSampler } from './train-sampler.ts';

export type LinkTraceRow = {
  /** Since the first packet arrived. */
  readonly atMs: number;
  /** Over the half second that begins there. */
  readonly rateBps: number;
  /** The link may have carried more: too little was waiting for it. */
  readonly isCensored: boolean;
  readonly lossRatio: number;
};

export type LinkTrace = {
  readonly rows: readonly LinkTraceRow[];
  /** Least round trip of the session. */
  readonly rttMs: number;
};

export const LINK_TRACE_STEP_MS = 500;
const HISTORY_MAX_COUNT = 512;
/** The clocks of both ends drift apart: the least delay is of the last half minute or so. */
const BASE_HALF_WINDOW_MS = 15_000;
/** Where nothing of a step waited less than this, a queue stood all the time, and what arrived is what the link carried. */
const STANDING_MS = 60;
const STANDING_MIN_COUNT = 10;
/** What waited for longer than this with nothing in front of it waited for the link, not for its turn. */
const DOWN_MIN_MS = 100;
/** A link that was down for this part of a step was the limit in it. */
const DOWN_MIN_RATIO = 0.5;
const RTT_MAX_MS = 10_000;

export class LinkCapture {
  readonly #rowMaxCount: number;
  readonly #history = new SentHistory(HISTORY_MAX_COUNT);
  readonly #clock = new ArrivalClock();
  readonly #trains = new TrainSampler();
  readonly #rows: LinkTraceRow[] = [];
  #originMs = Number.NaN;
  #lastArrivedMs = Number.NaN;
  #answeredSeqExt = -1;
  #baseMs = Infinity;
  #baseBeforeMs = Infinity;
  #baseSinceMs = Number.NaN;
  #rttMs = Infinity;
  #stepIndex = 0;
  #step = newStep();

  /** `rowMaxCount`: what comes later is left out. */
  constructor(rowMaxCount: number) {
    this.#rowMaxCount = rowMaxCount;
  }

  onPacketSent(packet: SentPacket, nowMs: number): void {
    if (packet.transportSeqExt >= 0) {
      this.#history.add(packet.transportSeqExt, packet, nowMs);
    }
  }

  /** One that the controller has found plausible. */
  onFeedback(report: ArrivalReport, nowMs: number): void {
    for (let index = 0; index < report.count; index += 1) {
      const seqExt = report.baseSeqExt + index;
      if (!this.#history.has(seqExt)) {
        continue;
      }
      const sentAtMs = this.#history.sentAtMs(seqExt);
      const wireMs = report.arrivedMs[index] ?? Number.NaN;
      const isNews = seqExt > this.#answeredSeqExt;
      if (Number.isNaN(wireMs)) {
        this.#onLost(sentAtMs, isNews);
      } else if (this.#history.markArrived(seqExt)) {
        const arrivedAtMs = this.#clock.unwrap(wireMs);
        this.#onArrival({ seqExt, sentAtMs, arrivedAtMs, bytes: this.#history.bytes(seqExt) });
        this.#rttMs = Math.min(this.#rttMs, nowMs - sentAtMs);
      }
    }
    this.#answeredSeqExt = Math.max(this.#answeredSeqExt, report.baseSeqExt + report.count - 1);
  }

  /** The whole steps so far. */
  trace(): LinkTrace {
    return { rows: this.#rows, rttMs: Math.min(RTT_MAX_MS, this.#rttMs) };
  }

  #onArrival(packet: { seqExt: number; sentAtMs: number; arrivedAtMs: number; bytes: number }): void {
    const { sentAtMs, arrivedAtMs } = packet;
    if (Number.isNaN(this.#originMs)) {
      this.#originMs = arrivedAtMs;
      this.#lastArrivedMs = arrivedAtMs;
    }
    const dueMs = sentAtMs + this.#observeBase(arrivedAtMs - sentAtMs, arrivedAtMs);
    const sinceMs = Math.max(this.#lastArrivedMs, dueMs);
    this.#advance(arrivedAtMs, arrivedAtMs - sinceMs > DOWN_MIN_MS ? sinceMs : Infinity);
    this.#lastArrivedMs = Math.max(this.#lastArrivedMs, arrivedAtMs);
    this.#step.bits += 8 * packet.bytes;
    this.#step.arrivedCount += 1;
    this.#step.leastWaitMs = Math.min(this.#step.leastWaitMs, arrivedAtMs - dueMs);
    this.#trains.onPacket(packet);
    const train = this.#trains.take();
    if (train?.isSaturated === true) {
      this.#step.trainBps += train.bps;
      this.#step.trainCount += 1;
    } else if (train !== undefined) {
      this.#step.boundBps = Math.max(this.#step.boundBps, train.bps);
    }
  }

  #onLost(sentAtMs: number, isNews: boolean): void {
    const baseMs = Math.min(this.#baseMs, this.#baseBeforeMs);
    if (isNews && Number.isFinite(baseMs)) {
      this.#advance(Math.max(this.#lastArrivedMs, sentAtMs + baseMs), Infinity);
      this.#step.lostCount += 1;
    }
  }

  /** Time has come to `toMs`, and the link was down from `downFromMs` until then. */
  #advance(toMs: number, downFromMs: number): void {
    for (;;) {
      const fromMs = this.#originMs + this.#stepIndex * LINK_TRACE_STEP_MS;
      const endMs = fromMs + LINK_TRACE_STEP_MS;
      this.#step.downMs += Math.max(0, Math.min(toMs, endMs) - Math.max(fromMs, downFromMs));
      if (toMs < endMs) {
        return;
      }
      if (this.#rows.length < this.#rowMaxCount) {
        this.#rows.push(rowOf(this.#step, this.#stepIndex * LINK_TRACE_STEP_MS));
      }
      this.#stepIndex += 1;
      this.#step = newStep();
    }
  }

  #observeBase(delayMs: number, nowMs: number): number {
    if (Number.isNaN(this.#baseSinceMs) || nowMs - this.#baseSinceMs > BASE_HALF_WINDOW_MS) {
      this.#baseBeforeMs = this.#baseMs;
      this.#baseMs = Infinity;
      this.#baseSinceMs = nowMs;
    }
    this.#baseMs = Math.min(this.#baseMs, delayMs);
    return Math.min(this.#baseMs, this.#baseBeforeMs);
  }
}

type Step = {
  bits: number;
  arrivedCount: number;
  lostCount: number;
  leastWaitMs: number;
  /** Sum over trains that filled the link. */
  trainBps: number;
  trainCount: number;
  /** The most that a train showed which did not. */
  boundBps: number;
  downMs: number;
};

const newStep = (): Step => ({
  ...{ bits: 0, arrivedCount: 0, lostCount: 0, leastWaitMs: Infinity },
  ...{ trainBps: 0, trainCount: 0, boundBps: 0, downMs: 0 },
});

const rowOf = (step: Step, atMs: number): LinkTraceRow => {
  const { bits, arrivedCount, lostCount, leastWaitMs, trainBps, trainCount, boundBps, downMs } = step;
  const arrivedBps = (1_000 * bits) / LINK_TRACE_STEP_MS;
  const lossRatio = lostCount / Math.max(1, arrivedCount + lostCount);
  if (trainCount > 0) {
    const upRatio = 1 - downMs / LINK_TRACE_STEP_MS;
    return { atMs, rateBps: Math.max(arrivedBps, (upRatio * trainBps) / trainCount), isCensored: false, lossRatio };
  }
  const isStanding = arrivedCount >= STANDING_MIN_COUNT && leastWaitMs > STANDING_MS;
  const isDown = downMs >= DOWN_MIN_RATIO * LINK_TRACE_STEP_MS || (arrivedCount === 0 && lostCount > 0);
  return isStanding || isDown
    ? { atMs, rateBps: arrivedBps, isCensored: false, lossRatio }
    : { atMs, rateBps: Math.max(arrivedBps, boundBps), isCensored: true, lossRatio };
};
