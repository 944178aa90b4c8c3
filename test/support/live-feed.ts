/** Made-up media in real time: a past that is pushed at once, then units as their time comes. */
import { systemClock } from '../../server/base/clock.ts';
import type { AccessUnit } from '../../server/media/access-unit.ts';

const TICK_MS = 4;

export type LiveFeedOptions = {
  /** So much of the media is pushed before the feed returns. */
  readonly pastS?: number;
  /** After so many seconds the media begins again, its times going on; a whole number of frames of every track, pictures from a keyframe on. */
  readonly loopS?: number;
};

/** The returned function stops it. `units` in the order of their arrival. */
export const feedLive = (
  units: readonly AccessUnit[],
  push: (unit: AccessUnit) => void,
  options: LiveFeedOptions = {},
): (() => void) => {
  const { pastS = 0, loopS } = options;
  const zeroAtMs = systemClock.nowMs() - pastS * 1000;
  const zeroAtWallMs = systemClock.wallMs() - pastS * 1000;
  const looped = loopS === undefined ? units : units.filter((unit) => unit.arrivedAtMs < loopS * 1000);
  let index = 0;
  let shiftS = 0;
  const pushDue = (): void => {
    const passedMs = systemClock.nowMs() - zeroAtMs;
    let unit = looped[index];
    while (unit !== undefined && unit.arrivedAtMs + shiftS * 1000 <= passedMs) {
      push(shifted(unit, { shiftS, zeroAtMs, zeroAtWallMs }));
      index += 1;
      if (index === looped.length && loopS !== undefined) {
        index = 0;
        shiftS += loopS;
      }
      unit = looped[index];
    }
  };
  pushDue();
  const timer = setInterval(pushDue, TICK_MS);
  return () => clearInterval(timer);
};

const shifted = (unit: AccessUnit, by: { shiftS: number; zeroAtMs: number; zeroAtWallMs: number }): AccessUnit => {
  const shiftTicks = by.shiftS * unit.track.timescaleHz;
  const arrivedMs = unit.arrivedAtMs + by.shiftS * 1000;
  return {
    ...unit,
    dtsTicks: unit.dtsTicks + shiftTicks,
    ptsTicks: unit.ptsTicks + shiftTicks,
    arrivedAtMs: by.zeroAtMs + arrivedMs,
    arrivedAtWallMs: by.zeroAtWallMs + arrivedMs,
  };
};
