/**
 * What a player reports, against what the twin predicts. Reports are clipped and never trusted alone: they can only ask for more playout delay,
 * within bounds. Where twin and player keep disagreeing, or there is no twin, the session is run by reports (CONGESTION 3.10).
 */
import type { PlayerReport } from './controller.ts';

const FREEZE_COUNTS_MS = 100;
const RISE_MS = 80;
const FALL_MS_PER_S = 4;
const UNTWINNED_MIN_MS = 150;
const DISAGREE_SMOOTHING = 0.05;
const UNTWINNED_RATIO = 0.3;
const INTERVAL_MIN_MS = 500;
const INTERVAL_MAX_MS = 10_000;

export class ReportGuard {
  readonly #hasTwin: boolean;
  #floorMs: number;
  #disagreeRatio = 0;
  #twinFreezeMs = 0;

  constructor(hasTwin: boolean) {
    this.#hasTwin = hasTwin;
    this.#floorMs = hasTwin ? 0 : UNTWINNED_MIN_MS;
  }

  /** Playout delay is not to be less. */
  get floorMs(): number {
    return this.#floorMs;
  }

  get isTwinned(): boolean {
    return this.#hasTwin && this.#disagreeRatio < UNTWINNED_RATIO;
  }

  /** `twinFreezeMs`: all that the twin has predicted so far. */
  onReport(report: PlayerReport, twinFreezeMs: number, delayMs: number): void {
    const intervalMs = clip(report.intervalMs, INTERVAL_MIN_MS, INTERVAL_MAX_MS);
    const frozenMs = clip(report.freezeMs, 0, intervalMs);
    const predictedMs = twinFreezeMs - this.#twinFreezeMs;
    this.#twinFreezeMs = twinFreezeMs;
    const disagrees = frozenMs > FREEZE_COUNTS_MS !== predictedMs > FREEZE_COUNTS_MS;
    this.#disagreeRatio += DISAGREE_SMOOTHING * ((disagrees ? 1 : 0) - this.#disagreeRatio);
    if (this.isTwinned) {
      this.#floorMs = 0;
    } else if (frozenMs > FREEZE_COUNTS_MS) {
      this.#floorMs = Math.max(UNTWINNED_MIN_MS, delayMs + RISE_MS);
    } else {
      this.#floorMs = Math.max(UNTWINNED_MIN_MS, this.#floorMs - (FALL_MS_PER_S * intervalMs) / 1000);
    }
  }
}

const clip = (value: number, min: number, max: number): number =>
  Number.isFinite(value) ? Math.min(max, Math.max(min, value)) : min;
