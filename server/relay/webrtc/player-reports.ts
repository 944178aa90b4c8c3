/**
 * What a player says of itself, made into what a controller may hear: differences over the server's own time, clipped to what can be, at most
 * one a second. A viewer may say what it likes; nothing it says is trusted against what transport-cc shows. Pure.
 */
import type { PlayerReport } from '../../congestion/controller.ts';

/** Totals since the player began, as of now. */
export type PlayerTotals = {
  readonly stallCount: number;
  readonly stallMs: number;
  readonly framesDecoded: number;
  readonly framesDropped: number;
  /** Of the time since the report before. */
  readonly bufferDelayMs: number | undefined;
  readonly receivedBps: number | undefined;
  /** From camera to glass; null where the player cannot tell. */
  readonly latencyMs?: number | null;
};

const INTERVAL_MIN_MS = 1_000;
/** What is older says nothing of now. */
const INTERVAL_MAX_MS = 10_000;
const FRAME_RATE_MAX_FPS = 240;
/** A freeze lasts 150 ms at least (CONGESTION 2.1). */
const FREEZE_MIN_MS = 150;
const BUFFER_MAX_MS = 10_000;
const RECEIVED_MAX_BPS = 1e9;

export class PlayerReports {
  #last: PlayerTotals | undefined;
  #lastAtMs = 0;

  /** Undefined: the first one, too soon after the last, or after too long a silence. */
  take(totals: PlayerTotals, nowMs: number): PlayerReport | undefined {
    const last = this.#last;
    const intervalMs = nowMs - this.#lastAtMs;
    if (last !== undefined && intervalMs < INTERVAL_MIN_MS) {
      return undefined;
    }
    this.#last = totals;
    this.#lastAtMs = nowMs;
    if (last === undefined || intervalMs > INTERVAL_MAX_MS) {
      return undefined;
    }
    const frameMaxCount = (intervalMs * FRAME_RATE_MAX_FPS) / 1000;
    const { bufferDelayMs, receivedBps } = totals;
    return {
      intervalMs,
      freezeCount: clip(totals.stallCount - last.stallCount, Math.ceil(intervalMs / FREEZE_MIN_MS)),
      freezeMs: clip(totals.stallMs - last.stallMs, intervalMs),
      framesDecoded: clip(totals.framesDecoded - last.framesDecoded, frameMaxCount),
      framesDropped: clip(totals.framesDropped - last.framesDropped, frameMaxCount),
      bufferDelayMs: bufferDelayMs === undefined ? undefined : clip(bufferDelayMs, BUFFER_MAX_MS),
      receivedBps: clip(receivedBps ?? 0, RECEIVED_MAX_BPS),
    };
  }
}

const clip = (value: number, max: number): number => Math.min(max, Math.max(0, value));
