/**
 * The RTP timestamps of one viewer's stream: media time plus a random offset, bent while a backlog is sent (CONGESTION 3.8). Bent
 * ("matched") stamps advance with the sending, so that the receiver's clock fit sees no fast-forward. Where media time moves against the wall clock, as
 * after an encoder's return, stamps stay with the wall clock for the same reason: a receiver waits as much longer as stamps are ahead, for many seconds.
 */
import { msToTicks } from '../../media/access-unit.ts';

/** Chrome takes two pictures with equal stamps for one. */
const STEP_MIN_TICKS = 45;

export class RtpClock {
  readonly #clockHz: number;
  readonly #offsetTicks: number;
  #lastTicks: number | undefined;
  #firstWallOffsetMs: number | undefined;
  /** Added to media time. */
  #shiftMs = 0;

  /** `offsetTicks`: random, so that stamps tell nothing (RFC 3550 5.1). */
  constructor(clockHz: number, offsetTicks: number) {
    this.#clockHz = clockHz;
    this.#offsetTicks = offsetTicks;
  }

  /** The last stamp given, unwrapped and without its random offset. */
  get lastStampMs(): number {
    return (((this.#lastTicks ?? this.#offsetTicks) - this.#offsetTicks) * 1000) / this.#clockHz;
  }

  /** What is added to media time for the wall clock, from the next stamp on; the first that is told counts as none. */
  follow(wallOffsetMs: number): void {
    this.#firstWallOffsetMs ??= wallOffsetMs;
    this.#shiftMs = wallOffsetMs - this.#firstWallOffsetMs;
  }

  /** The stamp at which media time `mediaMs` is shown, on the wire. For sender reports: it moves nothing. */
  at(mediaMs: number): number {
    return wrap(this.#ticksOf(mediaMs));
  }

  /** The stamp of a picture whose media time is given: exact, but always past the one before. */
  stamp(mediaMs: number): number {
    const wantedTicks = this.#ticksOf(mediaMs);
    const ticks = this.#lastTicks === undefined ? wantedTicks : Math.max(wantedTicks, this.#lastTicks + STEP_MIN_TICKS);
    this.#lastTicks = ticks;
    return wrap(ticks);
  }

  #ticksOf(mediaMs: number): number {
    return this.#offsetTicks + msToTicks(mediaMs + this.#shiftMs, this.#clockHz);
  }
}

const wrap = (ticks: number): number => ((ticks % 2 ** 32) + 2 ** 32) % 2 ** 32;
