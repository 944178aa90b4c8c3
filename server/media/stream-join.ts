/**
 * One stream of pictures out of several that follow each other: of encoders, where the next starts while the one before still runs; of renditions,
 * where a viewer goes from one to the other. The change is at a keyframe that both have: no picture is lost, none comes twice. Pure.
 */

/** Of a stream; each that follows has a higher one. */
export type StreamNumber = number;

export type JoinOptions<T> = {
  /** Of presentation; the same picture has the same in all streams. */
  readonly timeOf: (picture: T) => number;
  readonly isKeyframe: (picture: T) => boolean;
  /** So many pictures of the next stream wait for the current one to come so far; 120 (two seconds at 60 a second) when left out. */
  readonly nextHeldMaxCount?: number;
  /** A stream that has been given out already, up to this time. */
  readonly from?: { readonly stream: StreamNumber; readonly time: number };
  /** So many pictures of the current one wait for the next one's keyframe; a few milliseconds' worth where nothing is said. */
  readonly currentHeldMaxCount?: number;
};

/** A stream that is so far ahead of the other takes over at once. */
const NEXT_HELD_DEFAULT_MAX_COUNT = 120;
/** An encoder that takes over is a few milliseconds behind. */
const CURRENT_HELD_MAX_COUNT = 6;

export class StreamJoin<T> {
  readonly #options: JoinOptions<T>;
  #current: StreamNumber | undefined;
  #next: StreamNumber | undefined;
  /** Of the next one, from a keyframe on that the current one has not reached. */
  #held: T[] = [];
  /** Of the current one, from a keyframe on that the next one has not reached. */
  #currentHeld: T[] = [];
  #isNextWarm = false;
  #lastTime: number;

  constructor(options: JoinOptions<T>) {
    this.#options = options;
    this.#current = options.from?.stream;
    this.#lastTime = options.from?.time ?? Number.NEGATIVE_INFINITY;
  }

  /** Whether this stream is what is given out. */
  isCurrent(stream: StreamNumber): boolean {
    return this.#current === stream;
  }

  /** Answers what may be given out. */
  push(stream: StreamNumber, picture: T): T[] {
    this.#current ??= stream;
    if (stream === this.#current) {
      return this.#pushCurrent(picture);
    }
    if (stream < this.#current) {
      return [];
    }
    return this.#pushNext(stream, picture);
  }

  /** The stream is gone: the one that waits, or the next to come, takes over at its first keyframe. */
  leave(stream: StreamNumber): T[] {
    if (stream === this.#next) {
      this.#forgetNext();
      return this.#giveOutHeld();
    }
    if (stream !== this.#current) {
      return [];
    }
    const own = this.#giveOutHeld();
    if (this.#next === undefined) {
      this.#current = undefined;
      return own;
    }
    return [...own, ...this.#takeOver()];
  }

  #pushCurrent(picture: T): T[] {
    const firstHeld = this.#held[0];
    if (firstHeld !== undefined && this.#timeOf(picture) >= this.#timeOf(firstHeld)) {
      return this.#takeOver();
    }
    if (
      this.#currentHeld.length > 0 ||
      (this.#isNextWarm && this.#options.isKeyframe(picture) && firstHeld === undefined)
    ) {
      this.#currentHeld.push(picture);
      const { currentHeldMaxCount = CURRENT_HELD_MAX_COUNT } = this.#options;
      return this.#currentHeld.length > currentHeldMaxCount ? this.#giveOutHeld() : [];
    }
    return this.#giveOut([picture]);
  }

  #pushNext(stream: StreamNumber, picture: T): T[] {
    if (stream !== this.#next) {
      this.#forgetNext();
      this.#next = stream;
    }
    this.#isNextWarm = true;
    const isBeginning = this.#held.length === 0;
    if (isBeginning && !(this.#options.isKeyframe(picture) && this.#timeOf(picture) > this.#lastTime)) {
      return [];
    }
    this.#held.push(picture);
    const awaited = this.#currentHeld[0];
    const isAwaited = awaited !== undefined && this.#timeOf(awaited) <= this.#timeOf(picture);
    return isAwaited || this.#held.length >= (this.#options.nextHeldMaxCount ?? NEXT_HELD_DEFAULT_MAX_COUNT)
      ? this.#takeOver()
      : [];
  }

  #takeOver(): T[] {
    const held = this.#held;
    const firstTime = held[0] === undefined ? Number.POSITIVE_INFINITY : this.#timeOf(held[0]);
    const before = this.#currentHeld.filter((picture) => this.#timeOf(picture) < firstTime);
    this.#current = this.#next;
    this.#currentHeld = [];
    this.#forgetNext();
    return this.#giveOut([...before, ...held]);
  }

  #forgetNext(): void {
    this.#next = undefined;
    this.#held = [];
    this.#isNextWarm = false;
  }

  #giveOutHeld(): T[] {
    return this.#giveOut(this.#currentHeld.splice(0));
  }

  #giveOut(pictures: readonly T[]): T[] {
    return pictures.filter((picture) => {
      const time = this.#timeOf(picture);
      const isNew = time > this.#lastTime;
      this.#lastTime = isNew ? time : this.#lastTime;
      return isNew;
    });
  }

  #timeOf(picture: T): number {
    return this.#options.timeOf(picture);
  }
}
