/** When a probe may run: as seldom as its measured CPU demands. Pure, told the time. */

export type ProbeScheduleOptions = {
  /** Share of one core that probes may take on average. */
  readonly cpuMaxRatio: number;
  /** The next look at a scene that was looked at. */
  readonly everyMs: number;
  /** After a probe that failed: doubled with each, at most 16 times this. */
  readonly retryMs: number;
};

const RETRY_DOUBLINGS_MAX = 4;

/**
 * A debt that each probe makes and that time pays off. Nothing is saved up, so that no longer span than that between two probes has more than its
 * share, and the first of a busy machine is followed by a pause as long as it was dear.
 */
export class ProbeSchedule {
  readonly #options: ProbeScheduleOptions;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #probedAtMs: number | undefined;
  #isRunning = false;
  #failureCount = 0;

  constructor(options: ProbeScheduleOptions) {
    this.#options = options;
  }

  /** When the last that succeeded began. */
  get probedAtMs(): number | undefined {
    return this.#probedAtMs;
  }

  /** `isNews`: there is a scene that no probe has seen. */
  isDue(nowMs: number, isNews: boolean): boolean {
    const isStale = this.#probedAtMs === undefined || nowMs - this.#probedAtMs >= this.#options.everyMs;
    return !this.#isRunning && nowMs >= this.#notBeforeMs && (isNews || isStale);
  }

  onStarted(): void {
    this.#isRunning = true;
  }

  onSucceeded(given: { startedAtMs: number; cpuMs: number }): void {
    this.#isRunning = false;
    this.#failureCount = 0;
    this.#probedAtMs = given.startedAtMs;
    this.#notBeforeMs = given.startedAtMs + given.cpuMs / this.#options.cpuMaxRatio;
  }

  /** What it cost is not known: the pause is the longest of what it may have cost (all of the time it ran) and of the growing retry. */
  onFailed(given: { startedAtMs: number; nowMs: number }): void {
    this.#isRunning = false;
    const retryMs = this.#options.retryMs * 2 ** Math.min(RETRY_DOUBLINGS_MAX, this.#failureCount);
    this.#failureCount += 1;
    const costMs = (given.nowMs - given.startedAtMs) / this.#options.cpuMaxRatio;
    this.#notBeforeMs = Math.max(given.nowMs + retryMs, given.startedAtMs + costMs);
  }
}
