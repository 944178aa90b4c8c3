/**
 * The end of an object's life, exactly once, with a reason. What it started is given to `own` and is stopped in reverse order.
 */
export type CloseReason = string;

export class Closer {
  readonly #owned: ((reason: CloseReason) => void)[] = [];
  #reason: CloseReason | undefined;

  get isClosed(): boolean {
    return this.#reason !== undefined;
  }

  /** Why it ended, once it has. */
  get reason(): CloseReason | undefined {
    return this.#reason;
  }

  /** Registers what must be stopped at the end. If the end has been, it is stopped at once. */
  own(stop: (reason: CloseReason) => void): void {
    if (this.#reason === undefined) {
      this.#owned.push(stop);
    } else {
      stop(this.#reason);
    }
  }

  /** Ends it. True the first time, false (and nothing happens) after that. */
  close(reason: CloseReason): boolean {
    if (this.#reason !== undefined) {
      return false;
    }
    this.#reason = reason;
    for (const stop of this.#owned.splice(0).toReversed()) {
      stop(reason);
    }
    return true;
  }
}
