/**
 * The only place that reads the machine's clocks. Everything else is handed a `Clock`, or told `nowMs`.
 */
export type Clock = {
  /** Monotonic milliseconds with a fraction; its zero means nothing. Use it for every duration and deadline. */
  nowMs(): number;
  /** Unix milliseconds with a fraction. Use it only for what leaves the process: logs, sender reports, program date time. */
  wallMs(): number;
};

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => performance.timeOrigin + performance.now() + wallCorrectionMs(),
};

/**
 * `performance.timeOrigin` is fixed at start, while the system's clock is disciplined afterwards. The correction follows
 * `Date.now()` but only when both differ by more than its own resolution, so that wall time keeps its fraction.
 */
let correctionMs = 0;
const wallCorrectionMs = (): number => {
  const offMs = Date.now() - (performance.timeOrigin + performance.now() + correctionMs);
  if (Math.abs(offMs) > 2) {
    correctionMs += offMs;
  }
  return correctionMs;
};

/** Where this thread's monotonic clock has its zero on the machine's: threads of one process have different ones. */
export const clockZeroMs = (): number => Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** For a thread that is told instants of another one, whose zero this is: `nowMs` is the same in both. */
export const clockWithZero = (zeroMs: number): Clock => {
  const shiftMs = clockZeroMs() - zeroMs;
  return { nowMs: () => performance.now() + shiftMs, wallMs: () => systemClock.wallMs() };
};

/** A clock for tests: it stands still until told to move. */
export class ManualClock implements Clock {
  #nowMs: number;
  readonly #wallAtZeroMs: number;

  constructor(options: { nowMs?: number; wallAtZeroMs?: number } = {}) {
    this.#nowMs = options.nowMs ?? 0;
    this.#wallAtZeroMs = options.wallAtZeroMs ?? 1_700_000_000_000;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#wallAtZeroMs + this.#nowMs;
  }

  advanceMs(durationMs: number): void {
    this.#nowMs += durationMs;
  }
}
