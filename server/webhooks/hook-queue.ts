/**
 * What one receiver is still to be told, in order: the first one until it is taken or has been tried for too long, then the next. Bounded: a receiver that
 * is away loses the oldest that wait. Pure: told what time it is.
 */
export type HookQueueOptions = {
  readonly queueMaxCount: number;
  /** Pauses between attempts double from the first to the longest. */
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
  /** An event that was not taken for so long since its first attempt is given up. */
  readonly giveUpAfterMs: number;
};

export class HookQueue<Event> {
  readonly #options: HookQueueOptions;
  readonly #events: Event[] = [];
  #firstAttemptAtMs: number | undefined;
  #attemptCount = 0;
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(options: HookQueueOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#events.length;
  }

  /** Whether the first one has failed and waits for another attempt. */
  get isRetrying(): boolean {
    return this.#attemptCount > 0;
  }

  /** When the first one is to be tried; undefined: there is none. */
  get dueAtMs(): number | undefined {
    return this.#events.length === 0 ? undefined : this.#notBeforeMs;
  }

  /** What had to make room for it, if anything: never the first, which may be on its way. */
  add(event: Event): Event | undefined {
    this.#events.push(event);
    return this.#events.length > Math.max(2, this.#options.queueMaxCount) ? this.#events.splice(1, 1)[0] : undefined;
  }

  /** The first one is tried now. */
  attempt(nowMs: number): Event | undefined {
    this.#firstAttemptAtMs ??= nowMs;
    return this.#events[0];
  }

  /** It was taken. */
  succeed(): void {
    this.#next();
  }

  /**
   * It was not. `jitterRatio`: a random number from 0 to 1; the pause is half to all of its step, and no shorter than the receiver asked for, up to the longest
   * step. True when it is given up.
   */
  fail(nowMs: number, { jitterRatio, askedMs = 0 }: { jitterRatio: number; askedMs?: number | undefined }): boolean {
    const { retryFirstMs, retryMaxMs, giveUpAfterMs } = this.#options;
    const stepMs = Math.min(retryMaxMs, retryFirstMs * 2 ** Math.min(this.#attemptCount, 30));
    this.#attemptCount += 1;
    this.#notBeforeMs = nowMs + Math.max(stepMs * (0.5 + 0.5 * jitterRatio), Math.min(askedMs, retryMaxMs));
    if (this.#notBeforeMs - (this.#firstAttemptAtMs ?? nowMs) <= giveUpAfterMs) {
      return false;
    }
    // The next one is not tried sooner than this one would have been: the receiver is as absent for it.
    const notBeforeMs = this.#notBeforeMs;
    this.#next();
    this.#notBeforeMs = notBeforeMs;
    return true;
  }

  #next(): void {
    this.#events.shift();
    this.#firstAttemptAtMs = undefined;
    this.#attemptCount = 0;
    this.#notBeforeMs = Number.NEGATIVE_INFINITY;
  }
}
