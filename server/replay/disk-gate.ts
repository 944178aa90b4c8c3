/**
 * Lets few writers at the disk at a time. A disk that hangs holds a thread of Node's pool for each call, and the pool (4) also
 * serves name look-ups and the files of the player's pages.
 */
export class DiskGate {
  readonly #maxCount: number;
  readonly #waiting: (() => void)[] = [];
  #runningCount = 0;

  constructor(options: { maxCount: number }) {
    this.#maxCount = options.maxCount;
  }

  /** In order of asking; one per recording asks at a time. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#runningCount >= this.#maxCount) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#runningCount += 1;
    }
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) {
        this.#runningCount -= 1;
      } else {
        next();
      }
    }
  }
}
