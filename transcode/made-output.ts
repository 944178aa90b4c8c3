/** What one output of a run makes, brought back onto the media timeline: bytes of NUT in, access units out. Pure. */
import type { AccessUnit } from '../server/media/access-unit.ts';
import { ticksToMs } from '../server/media/access-unit.ts';
import type { NutFrame } from '../server/media/nut/nut-reader.ts';
import { NutReader } from '../server/media/nut/nut-reader.ts';
import type { Track } from '../server/media/track.ts';
import { ChildClock } from './child-clock.ts';
import { isMadeInAnnexB, keepTrack, madePayload, madeTrack } from './made-tracks.ts';

/** When something without a known origin is said to have arrived. */
export type Now = { readonly nowMs: number; readonly wallMs: number };

export class MadeOutput {
  readonly #childClock: ChildClock;
  readonly #opusFrameMs: number;
  readonly #reader = new NutReader();
  #track: Track | undefined;
  #isAnnexB = false;
  #madeCount = 0;
  #keptBackCount = 0;
  #staleBeforeMs = Number.NEGATIVE_INFINITY;
  #isKeptBack = false;

  /** `firstMs`: presentation time of the run's first unit. `trackBefore`: what the run before made here. */
  constructor(options: { firstMs: number; trackBefore: Track | undefined; opusFrameMs: number }) {
    this.#childClock = new ChildClock(options.firstMs);
    this.#track = options.trackBefore;
    this.#opusFrameMs = options.opusFrameMs;
  }

  get madeCount(): number {
    return this.#madeCount;
  }

  get keptBackCount(): number {
    return this.#keptBackCount;
  }

  /** Units fed that have not come out. */
  get pendingCount(): number {
    return this.#childClock.pendingCount;
  }

  /** A unit from which output is expected was given to the child. */
  remember(unit: AccessUnit): void {
    this.#childClock.remember(unit);
  }

  /** Pictures shown before this child time would come out as old as the gap that was left out is long; kept back with what needs them. */
  keepBackBefore(childMs: number): void {
    this.#staleBeforeMs = Math.max(this.#staleBeforeMs, childMs);
  }

  /** Throws `ProtocolError` for what is no NUT or no codec that was asked for. */
  push(bytes: Uint8Array, now: Now): AccessUnit[] {
    return this.#reader.push(bytes).flatMap((frame) => this.#toUnit(frame, now) ?? []);
  }

  #toUnit(frame: NutFrame, now: Now): AccessUnit | undefined {
    const track = this.#trackOf(frame);
    const { num, den } = frame.stream.timeBase;
    const childTicks = Math.round((frame.ptsTicks * num * track.timescaleHz) / den);
    const childMs = ticksToMs(childTicks, track.timescaleHz);
    const origin =
      track.kind === 'video'
        ? this.#childClock.takePicture(childMs)
        : this.#childClock.takeSound(childMs + ticksToMs(track.samplesPerUnit, track.timescaleHz));
    const isExact = track.kind === 'video' && origin?.timescaleHz === track.timescaleHz;
    const ptsTicks = isExact ? origin.ptsTicks : this.#childClock.toMediaTicks(childTicks, track.timescaleHz);
    if (ptsTicks < 0) {
      // What an encoder puts before its first sound lies before the broadcast where that has just begun.
      return undefined;
    }
    if (track.kind === 'video' && this.#isStale(frame, childMs)) {
      this.#keptBackCount += 1;
      return undefined;
    }
    this.#madeCount += 1;
    return {
      track,
      dtsTicks: ptsTicks,
      ptsTicks,
      isKeyframe: frame.isKeyframe || track.kind === 'audio',
      payload: madePayload(track, frame.payload, this.#isAnnexB),
      arrivedAtMs: origin?.arrivedAtMs ?? now.nowMs,
      arrivedAtWallMs: origin?.arrivedAtWallMs ?? now.wallMs,
      isDiscontinuity: false,
    };
  }

  /** Once something was kept back, nothing can be decoded before the next keyframe. */
  #isStale(frame: NutFrame, childMs: number): boolean {
    const isOld = childMs < this.#staleBeforeMs;
    this.#isKeptBack = isOld || (this.#isKeptBack && !frame.isKeyframe);
    return this.#isKeptBack;
  }

  #trackOf(frame: NutFrame): Track {
    if (this.#madeCount === 0 || this.#track === undefined) {
      this.#isAnnexB = isMadeInAnnexB(frame.stream, frame.payload);
      this.#track = keepTrack(this.#track, madeTrack(frame.stream, frame.payload, this.#opusFrameMs));
    }
    return this.#track;
  }
}
