/**
 * Which NACKs are answered: those whose packet can still be of use, within a share of the link. In a chain of pictures that each need the
 * one before, a lost packet holds up all until the next keyframe, so its deadline is that keyframe's, not its own (CONGESTION 3.5).
 */
import type { Parameters } from './parameters.ts';
import { RepairLog } from './repair-log.ts';

const COPY_MAX_COUNT = 6;
/** A copy that was lost cost a round trip: the next one goes twice (Hairpin, NSDI 2024). */
const SECOND_ROUND_COPIES = 2;
const BUCKET_MS = 200;
/** Keyframes may overdraw: without them nothing plays. */
const KEYFRAME_OVERDRAFT_MS = 200;
const WORTH_MIN_MS = 150;
const KEYFRAME_SLACK_MS = 100;

export type RepairQuestion = {
  readonly videoSeqExt: number;
  readonly bytes: number;
  readonly isKeyframe: boolean;
  /** False: a later keyframe is there, or it has been played. */
  readonly isWanted: boolean;
  /** Until the picture it belongs to is due at the viewer; negative: it was due. */
  readonly slackMs: number;
  /** Until the next keyframe is due there. */
  readonly nextKeyframeMs: number;
  readonly oneWayMs: number;
  readonly playoutDelayMs: number;
};

export class RepairPolicy {
  readonly #parameters: Parameters;
  readonly #hasBudget: boolean;
  readonly #log = new RepairLog();
  #creditBytes = 8_000;
  #atMs = Number.NaN;
  #refusedCount = 0;

  constructor(parameters: Parameters, hasBudget: boolean) {
    this.#parameters = parameters;
    this.#hasBudget = hasBudget;
  }

  get refusedCount(): number {
    return this.#refusedCount;
  }

  /** How many copies are to go now; charged. */
  copies(question: RepairQuestion, link: { rttMs: number; estimateBps: number }, nowMs: number): number {
    this.#refill(link.estimateBps, nowMs);
    const { videoSeqExt } = question;
    const round = this.#log.copyCount(videoSeqExt);
    if (this.#hasBudget && (!this.#isWorth(question) || round >= COPY_MAX_COUNT)) {
      this.#refusedCount += 1;
      return 0;
    }
    const overdraftBytes = question.isKeyframe ? this.#rate(link.estimateBps) * KEYFRAME_OVERDRAFT_MS : 0;
    if (this.#hasBudget && this.#creditBytes + overdraftBytes < question.bytes) {
      this.#refusedCount += 1;
      return 0;
    }
    if (!this.#log.mayRepeat(videoSeqExt, link.rttMs, nowMs)) {
      return 0;
    }
    const copies = this.#hasBudget && round > 0 ? SECOND_ROUND_COPIES : 1;
    this.#creditBytes -= copies * question.bytes;
    return copies;
  }

  #isWorth(question: RepairQuestion): boolean {
    const { isWanted, slackMs, nextKeyframeMs, oneWayMs, playoutDelayMs } = question;
    if (!isWanted) {
      return false;
    }
    const isInTime = oneWayMs + 5 < slackMs + this.#parameters.repairPatienceRatio * playoutDelayMs;
    const helpsMs = nextKeyframeMs - oneWayMs;
    return isInTime || (helpsMs > KEYFRAME_SLACK_MS && helpsMs > WORTH_MIN_MS);
  }

  #rate(estimateBps: number): number {
    return (this.#parameters.repairShareRatio * estimateBps) / 8_000;
  }

  #refill(estimateBps: number, nowMs: number): void {
    const perMs = this.#rate(estimateBps);
    const passedMs = Number.isNaN(this.#atMs) ? 0 : nowMs - this.#atMs;
    this.#atMs = nowMs;
    this.#creditBytes = Math.min(Math.max(perMs * BUCKET_MS, 4_000), this.#creditBytes + passedMs * perMs);
  }
}
