/**
 * The clock of one ffmpeg run and the way back from it. The child is given times near zero, shifted by whole seconds (so
 * that keyframes on its whole seconds lie on those of the media timeline); what it returns is matched with the unit it was
 * made from, so that times come back exact, whatever the container between rounds to. Pure.
 */
import type { AccessUnit } from '../server/media/access-unit.ts';
import { dtsMsOf, msToTicks, ptsMsOf, ticksToMs } from '../server/media/access-unit.ts';
import { CHILD_CLOCK_LEAD_MS } from './ffmpeg-args.ts';

const PENDING_MAX_COUNT = 2_000;

/** When the source unit of a made unit arrived. */
export type Origin = {
  readonly ptsTicks: number;
  readonly timescaleHz: number;
  readonly arrivedAtMs: number;
  readonly arrivedAtWallMs: number;
};

type Pending = Origin & { readonly childMs: number; readonly endMs: number };

export class ChildClock {
  readonly #baseMs: number;
  #pending: Pending[] = [];

  /** `firstMs`: presentation time of the run's first unit on the media timeline. */
  constructor(firstMs: number) {
    this.#baseMs = Math.floor(firstMs / 1000) * 1000 - CHILD_CLOCK_LEAD_MS;
  }

  /** A media time on the child's clock; never below 0 for units near or after the first. */
  toChildMs(mediaMs: number): number {
    return mediaMs - this.#baseMs;
  }

  toChildTicks(ticks: number, timescaleHz: number): number {
    return ticks - msToTicks(this.#baseMs, timescaleHz);
  }

  toMediaTicks(childTicks: number, timescaleHz: number): number {
    return childTicks + msToTicks(this.#baseMs, timescaleHz);
  }

  /** Times for a container of whole milliseconds. */
  wholeMsOf(unit: AccessUnit): { dtsMs: number; ptsMs: number } {
    return {
      dtsMs: Math.max(0, Math.round(this.toChildMs(dtsMsOf(unit)))),
      ptsMs: Math.max(0, Math.round(this.toChildMs(ptsMsOf(unit)))),
    };
  }

  /** A unit from which output is expected was given to the child. At most 2,000 are remembered. */
  remember(unit: AccessUnit): void {
    const { track, ptsTicks, arrivedAtMs, arrivedAtWallMs } = unit;
    const childMs = this.toChildMs(ptsMsOf(unit));
    const durationMs = track.kind === 'audio' ? ticksToMs(track.samplesPerUnit, track.timescaleHz) : 0;
    const origin = { ptsTicks, timescaleHz: track.timescaleHz, arrivedAtMs, arrivedAtWallMs };
    this.#pending.push({ ...origin, childMs, endMs: childMs + durationMs });
    if (this.#pending.length > PENDING_MAX_COUNT) {
      this.#pending.shift();
    }
  }

  /** The unit whose picture is shown at `childMs`; it and those shown earlier are forgotten. */
  takePicture(childMs: number): Origin | undefined {
    const found = this.#pending.find((pending) => Math.abs(pending.childMs - childMs) < 1);
    this.#pending = this.#pending.filter((pending) => pending.childMs > childMs + 0.9);
    return found;
  }

  /** The unit that brought the last of the sound up to `untilMs`: before it came, the output could not be made. */
  takeSound(untilMs: number): Origin | undefined {
    const found = this.#pending.find((pending) => pending.endMs >= untilMs - 1) ?? this.#pending.at(-1);
    this.#pending = this.#pending.filter((pending) => pending.endMs >= untilMs - 1 || pending === found);
    return found;
  }

  /** Units given that have not come out. */
  get pendingCount(): number {
    return this.#pending.length;
  }
}
