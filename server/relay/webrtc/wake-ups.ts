/**
 * One timer for all who wait: each says when it next wants to be woken. A walk over those who wait costs less than a heap kept in order for
 * them, since most change their minds with every picture. The only timer of the packet path.
 */
import type { Clock } from '../../base/clock.ts';

/** `setTimeout` knows whole milliseconds. */
const TIMER_STEP_MS = 1;

export class WakeUps<Sleeper> {
  readonly #clock: Clock;
  readonly #wake: (sleeper: Sleeper, nowMs: number) => void;
  readonly #onAllWoken: () => void;
  readonly #wakeAtMs = new Map<Sleeper, number>();
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  /** Of those who wait, while some are being woken. */
  #soonestMs = Number.POSITIVE_INFINITY;

  constructor(options: {
    clock: Clock;
    wake: (sleeper: Sleeper, nowMs: number) => void;
    /** Those who were due have been woken. */
    onAllWoken: () => void;
  }) {
    this.#clock = options.clock;
    this.#wake = options.wake;
    this.#onAllWoken = options.onAllWoken;
  }

  /** Not before then; `Infinity`: not at all, and it is let go. What was said before no longer holds. */
  set(sleeper: Sleeper, atMs: number): void {
    if (atMs === Number.POSITIVE_INFINITY) {
      this.#wakeAtMs.delete(sleeper);
      return;
    }
    this.#wakeAtMs.set(sleeper, atMs);
    this.#soonestMs = Math.min(this.#soonestMs, atMs);
    if (atMs < this.#timerAtMs - TIMER_STEP_MS) {
      this.#arm(atMs);
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#wakeAtMs.clear();
  }

  #arm(atMs: number): void {
    clearTimeout(this.#timer);
    const waitMs = Math.max(TIMER_STEP_MS, Math.ceil(atMs - this.#clock.nowMs()));
    this.#timerAtMs = this.#clock.nowMs() + waitMs;
    this.#timer = setTimeout(() => this.#ring(), waitMs);
  }

  #ring(): void {
    const nowMs = this.#clock.nowMs();
    const due: Sleeper[] = [];
    this.#soonestMs = Number.POSITIVE_INFINITY;
    // Not `for … of`, which makes a pair for each of them, some hundred times a second.
    this.#wakeAtMs.forEach((atMs, sleeper) => {
      if (atMs <= nowMs + TIMER_STEP_MS) {
        due.push(sleeper);
        this.#wakeAtMs.set(sleeper, Number.POSITIVE_INFINITY);
      } else {
        this.#soonestMs = Math.min(this.#soonestMs, atMs);
      }
    });
    // Armed once, after all have said when they want to be woken again.
    this.#timerAtMs = Number.NEGATIVE_INFINITY;
    for (const sleeper of due) {
      this.#wake(sleeper, nowMs);
    }
    this.#onAllWoken();
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    if (this.#soonestMs < Number.POSITIVE_INFINITY) {
      this.#arm(this.#soonestMs);
    }
  }
}
