/** From totals of a session to what was so since the last report. Pure. */
import type { ReceptionTotals } from './playback-sample.ts';

export type ReceptionOfLate = { readonly bufferDelayMs: number | null; readonly receivedBps: number | null };

const NOTHING: ReceptionOfLate = { bufferDelayMs: null, receivedBps: null };

export class ReportWindow {
  #last: { readonly totals: ReceptionTotals; readonly atMs: number } | undefined;

  /** Nulls for the first report, and when another session counts from zero. */
  take(totals: ReceptionTotals | undefined, nowMs: number): ReceptionOfLate {
    const last = this.#last;
    this.#last = totals === undefined ? undefined : { totals, atMs: nowMs };
    if (totals === undefined || last === undefined || nowMs <= last.atMs) {
      return NOTHING;
    }
    const bytes = totals.receivedBytes - last.totals.receivedBytes;
    const count = totals.bufferEmittedCount - last.totals.bufferEmittedCount;
    if (bytes < 0 || count < 0) {
      return NOTHING;
    }
    return {
      bufferDelayMs: count === 0 ? null : (totals.bufferDelayMs - last.totals.bufferDelayMs) / count,
      receivedBps: (8_000 * bytes) / (nowMs - last.atMs),
    };
  }
}
