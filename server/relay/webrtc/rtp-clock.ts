/**
 * The RTP timestamps of one viewer's stream: media time plus a random offset, bent while a backlog is sent (CONGESTION 3.8). Bent
 * ("matched") stamps advance with the sending, so that the receiver's clock fit sees no fast-forward.
 */
import { msToTicks } from '../../media/access-unit.ts';

/** Chrome takes two pictures with equal stamps for one. */
const STEP_MIN_TICKS = 45;

export class RtpClock {
  readonly #clockHz: number;
  readonly #offsetTicks: number;
  #lastTicks: number | undefined;

  /** `offsetTicks`: random, so that stamps tell nothing (RFC 3550 5.1). */
  constructor(clockHz: number, offsetTicks: number) {
    this.#clockHz = clockHz;
    this.#offsetTicks = offsetTicks;
  }

  /** The last stamp given, unwrapped and without its random offset. */
  get lastStampMs(): number {
    return (((this.#lastTicks ?? this.#offsetTicks) - this.#offsetTicks) * 1000) / this.#clockHz;
  }

  /** The stamp at which media time `mediaMs` is shown, on the wire. For sender reports: it moves nothing. */
  at(mediaMs: number): number {
    return wrap(this.#offsetTicks + msToTicks(mediaMs, this.#clockHz));
  }

  /** The stamp of a picture whose media time is given: exact, but always past the one before. */
  stamp(mediaMs: number): number {
    const wantedTicks = this.#offsetTicks + msToTicks(mediaMs, this.#clockHz);
    const ticks = this.#lastTicks === undefined ? wantedTicks : Math.max(wantedTicks, this.#lastTicks + STEP_MIN_TICKS);
    this.#lastTicks = ticks;
    return wrap(ticks);
  }
}

const wrap = (ticks: number): number => ((ticks % 2 ** 32) + 2 ** 32) % 2 ** 32;
