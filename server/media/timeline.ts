/**
 * The media timeline of one broadcast. Publishers come, drop, return, and stamp their media as they like; the timeline
 * never goes back, and over a gap it advances by the time that really passed. RTP timestamps, program date time, replay
 * positions and cues are all read off it.
 */
import type { AccessUnit, SourceUnit } from './access-unit.ts';
import { dtsMsOf, msToTicks, ptsMsOf, ticksToMs } from './access-unit.ts';
import { CaptureClock } from './capture-clock.ts';
import type { TrackKind } from './track.ts';

export type TimelineOptions = {
  /** A source timestamp that disagrees with the arrival clock by more than this has jumped; less is jitter and is kept. */
  readonly jumpMinMs: number;
};

const DEFAULTS: TimelineOptions = { jumpMinMs: 3_000 };

type LastUnit = {
  readonly sourceMs: number;
  readonly arrivedAtMs: number;
  readonly dtsTicks: number;
  readonly timescaleHz: number;
};

export class Timeline {
  readonly #options: TimelineOptions;
  readonly #captureClock = new CaptureClock();
  readonly #lastByKind = new Map<TrackKind, LastUnit>();
  /** Which kinds still owe a discontinuity mark on their next unit. */
  readonly #pendingMarks = new Set<TrackKind>();
  #offsetMs: number | undefined;
  #offsetBeforeJumpMs: number | undefined;
  #lastMediaMs = 0;
  #lastArrivedAtMs = 0;
  #bentCount = 0;
  /** Where each publisher's media, but the first one's, begins: behind all that came before it. */
  readonly #epochBordersMs: number[] = [];

  constructor(options: Partial<TimelineOptions> = {}) {
    this.#options = { ...DEFAULTS, ...options };
  }

  /** The latest decoding time placed so far, in milliseconds. */
  get lastMediaMs(): number {
    return this.#lastMediaMs;
  }

  /** Units whose source stamp did not rise and had to be moved. */
  get bentCount(): number {
    return this.#bentCount;
  }

  /** Unix milliseconds at which media time `mediaMs` was captured, as far as this server can know (the arrival of the promptest unit). */
  wallMsAt(mediaMs: number): number {
    return this.#captureClock.wallMsAt(mediaMs);
  }

  /**
   * How many breaks lie before this media time: equal for what one publisher sent in one go, in all tracks and in what is made of them. The
   * marks on units tell the same of a track by itself; this tells it of one track against another.
   */
  epochAt(mediaMs: number): number {
    return this.#epochBordersMs.findLastIndex((borderMs) => borderMs < mediaMs) + 1;
  }

  /** A new publisher's stamps begin: they have nothing to do with those of the one before. */
  beginEpoch(): void {
    this.#offsetMs = undefined;
    this.#offsetBeforeJumpMs = undefined;
  }

  /** Gives the unit its place. Units of a kind must come in decoding order. */
  place<U extends SourceUnit>(unit: U): U & AccessUnit {
    const offsetMs = this.#offsetFor(unit);
    const { timescaleHz, kind } = unit.track;
    const last = this.#lastByKind.get(kind);
    const offsetTicks = msToTicks(offsetMs, timescaleHz);
    let dtsTicks = unit.dtsTicks + offsetTicks;
    let ptsTicks = unit.ptsTicks + offsetTicks;
    const floorTicks = last === undefined ? 0 : Math.round((last.dtsTicks * timescaleHz) / last.timescaleHz) + 1;
    if (dtsTicks < floorTicks) {
      ptsTicks += Math.max(0, Math.min(floorTicks - dtsTicks, floorTicks - ptsTicks));
      dtsTicks = floorTicks;
      this.#bentCount += 1;
    }
    const isDiscontinuity = this.#pendingMarks.delete(kind);
    this.#lastByKind.set(kind, { sourceMs: dtsMsOf(unit), arrivedAtMs: unit.arrivedAtMs, dtsTicks, timescaleHz });
    this.#lastMediaMs = Math.max(this.#lastMediaMs, ticksToMs(dtsTicks, timescaleHz));
    this.#lastArrivedAtMs = unit.arrivedAtMs;
    const placed = { ...unit, dtsTicks, ptsTicks, isDiscontinuity };
    this.#captureClock.observe(ptsMsOf(placed), unit.arrivedAtWallMs);
    return placed;
  }

  #offsetFor(unit: SourceUnit): number {
    const sourceMs = dtsMsOf(unit);
    if (this.#offsetMs === undefined) {
      return this.#rebase(unit, undefined);
    }
    const last = this.#lastByKind.get(unit.track.kind);
    if (last === undefined || !this.#hasJumped(unit, last, this.#offsetMs)) {
      return this.#offsetMs;
    }
    // After one kind jumped, a straggler of the other may still carry the old stamps: those are placed by the old offset.
    const before = this.#offsetBeforeJumpMs;
    if (before !== undefined && Math.abs(sourceMs + before - this.#expectedMs(unit)) < this.#options.jumpMinMs) {
      return before;
    }
    return this.#rebase(unit, this.#offsetMs);
  }

  #hasJumped(unit: SourceUnit, last: LastUnit, offsetMs: number): boolean {
    const placedMs = dtsMsOf(unit) + offsetMs;
    const lastMs = ticksToMs(last.dtsTicks, last.timescaleHz);
    const passedMs = unit.arrivedAtMs - last.arrivedAtMs;
    const advanceMs = placedMs - lastMs;
    return advanceMs < -this.#options.jumpMinMs || advanceMs - passedMs > this.#options.jumpMinMs;
  }

  #expectedMs(unit: SourceUnit): number {
    return this.#lastMediaMs + Math.max(0, unit.arrivedAtMs - this.#lastArrivedAtMs);
  }

  #rebase(unit: SourceUnit, oldOffsetMs: number | undefined): number {
    const isFirstEver = this.#lastByKind.size === 0;
    const targetMs = isFirstEver ? 0 : this.#expectedMs(unit);
    this.#offsetBeforeJumpMs = oldOffsetMs;
    this.#offsetMs = targetMs - dtsMsOf(unit);
    if (!isFirstEver) {
      this.#captureClock.beginEpoch();
      this.#epochBordersMs.push(this.#lastMediaMs);
      this.#pendingMarks.add('video');
      this.#pendingMarks.add('audio');
    }
    return this.#offsetMs;
  }
}
