/** Decides from lag and from what had to be left out whether a rung must go, and when it may come back: pure, told the time. */

import type { LadderOptions } from './ladder-plan.ts';

export type OverloadLook = {
  readonly nowMs: number;
  /** Media that went into the encoder and has not come out. */
  readonly lagMs: number;
  /** Pictures left out so far; begins again with each encoder. */
  readonly droppedCount: number;
  readonly frameRateFps: number;
  /** Its pictures are given out. */
  readonly isRunning: boolean;
  /** None was given out yet, though it is there to make them. When neither holds, nothing it says counts. */
  readonly isStarting: boolean;
};

export type OverloadChange = 'none' | 'shed' | 'restored';

export type OverloadOptions = Pick<LadderOptions, 'shedLagMs' | 'shedLeftOutRatio'>;

/** Over this time the share of left-out pictures is taken: leaving out the tail of one GOP is no reason to shed. */
const DROP_WINDOW_MS = 3_000;
/** Somewhat above what leaves out pictures: a stray peak that cost none is no lack of time. */
const CALM_LAG_MS = 300;
/** A rung comes back after this much calm; twice as much each time it had to go again soon, at most so much. */
const CALM_MIN_MS = 10_000;
const CALM_MAX_MS = 160_000;
const SOON_MS = 30_000;
/** After a change nothing is decided for this long: an encoder that starts is late by itself. */
const SETTLE_MS = 4_000;
/** And one that has given out nothing after this long, because all it makes is too old, is judged like any other: it may never come to run. */
const START_MAX_MS = 3_000;

export class Overload {
  readonly #options: OverloadOptions;
  #shedCount = 0;
  #changedAtMs = Number.NEGATIVE_INFINITY;
  #restoredAtMs = Number.NEGATIVE_INFINITY;
  #calmMs = CALM_MIN_MS;
  #calmSinceMs: number | undefined;
  #startingSinceMs: number | undefined;
  #window: { readonly atMs: number; readonly droppedCount: number }[] = [];

  constructor(options: OverloadOptions) {
    this.#options = options;
  }

  /** Rungs to be left out, from the top. */
  get shedCount(): number {
    return this.#shedCount;
  }

  look(given: OverloadLook): OverloadChange {
    const { nowMs, isRunning, isStarting } = given;
    this.#startingSinceMs = isStarting ? (this.#startingSinceMs ?? nowMs) : undefined;
    const isStuck = this.#startingSinceMs !== undefined && nowMs - this.#startingSinceMs >= START_MAX_MS;
    if (!(isRunning || isStuck) || nowMs - this.#changedAtMs < SETTLE_MS) {
      this.#window = [];
      this.#calmSinceMs = undefined;
      return 'none';
    }
    const droppedRatio = this.#droppedRatio(given);
    if (given.lagMs > this.#options.shedLagMs || droppedRatio > this.#options.shedLeftOutRatio) {
      return this.#shed(nowMs);
    }
    const isCalm = isRunning && given.lagMs < CALM_LAG_MS && droppedRatio === 0;
    this.#calmSinceMs = isCalm ? (this.#calmSinceMs ?? nowMs) : undefined;
    const isLongCalm = this.#calmSinceMs !== undefined && nowMs - this.#calmSinceMs >= this.#calmMs;
    return isLongCalm && this.#shedCount > 0 ? this.#restore(nowMs) : 'none';
  }

  /** Of the last seconds; 0 until there were as many. */
  #droppedRatio({ nowMs, droppedCount, frameRateFps }: OverloadLook): number {
    this.#window.push({ atMs: nowMs, droppedCount });
    while ((this.#window[1]?.atMs ?? nowMs) <= nowMs - DROP_WINDOW_MS) {
      this.#window.shift();
    }
    const oldest = this.#window[0];
    const spanMs = nowMs - (oldest?.atMs ?? nowMs);
    const dropped = Math.max(0, droppedCount - (oldest?.droppedCount ?? droppedCount));
    // What was held is left out at once: more than the window's own pictures, but a share is never over 1.
    return spanMs < DROP_WINDOW_MS * 0.9 ? 0 : Math.min(1, (dropped * 1000) / (spanMs * frameRateFps));
  }

  #shed(nowMs: number): OverloadChange {
    this.#calmMs = nowMs - this.#restoredAtMs < SOON_MS ? Math.min(CALM_MAX_MS, this.#calmMs * 2) : CALM_MIN_MS;
    this.#shedCount += 1;
    return this.#change(nowMs, 'shed');
  }

  #restore(nowMs: number): OverloadChange {
    this.#shedCount -= 1;
    this.#restoredAtMs = nowMs;
    return this.#change(nowMs, 'restored');
  }

  #change(nowMs: number, change: OverloadChange): OverloadChange {
    this.#changedAtMs = nowMs;
    this.#calmSinceMs = undefined;
    this.#window = [];
    return change;
  }
}
