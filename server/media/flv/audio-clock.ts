/**
 * Sample-exact times for audio that was stamped in whole milliseconds.
 *
 * RTMP stamps round a frame of 21.33 ms to 21 or 22, which would reach outputs as jitter. An audio encoder counts samples, so
 * the next frame begins where the last one ended: the stamp is not used as long as it agrees with that within three quarters
 * of a frame (a lost frame is more, mobile encoders' jitter is less). When it disagrees by more, the stamp is right: audio was
 * lost, or time jumped. Sound card and stamp clock drift apart by tens of parts per million: an average disagreement beyond
 * what rounding can make (1 ms) is followed by one sample a frame.
 */
import { msToTicks } from '../access-unit.ts';

const TOLERANCE_FRAME_RATIO = 0.75;
const TOLERANCE_MIN_MS = 5;
/** Rounding gives at most 1 ms either way; half as much again for safety. */
const DRIFT_MIN_MS = 1.5;
const DRIFT_AVERAGE_COUNT = 50;

export class AudioClock {
  readonly #timescaleHz: number;
  #nextTicks: number | undefined;
  #driftTicks = 0;
  #followedCount = 0;

  constructor(timescaleHz: number) {
    this.#timescaleHz = timescaleHz;
  }

  /** How often the stamp was followed against the sample count, the first one not counted. */
  get followedCount(): number {
    return this.#followedCount;
  }

  /** Where the frame stamped `stampMs`, of `samples` samples, begins. */
  place(stampMs: number, samples: number): number {
    const stampTicks = msToTicks(stampMs, this.#timescaleHz);
    const ticks = this.#nextTicks === undefined ? stampTicks : this.#choose(stampTicks, this.#nextTicks, samples);
    this.#nextTicks = ticks + samples;
    return ticks;
  }

  #choose(stampTicks: number, expectedTicks: number, samples: number): number {
    const offTicks = stampTicks - expectedTicks;
    const toleranceTicks = Math.max(samples * TOLERANCE_FRAME_RATIO, msToTicks(TOLERANCE_MIN_MS, this.#timescaleHz));
    if (Math.abs(offTicks) > toleranceTicks) {
      this.#driftTicks = 0;
      this.#followedCount += 1;
      return stampTicks;
    }
    this.#driftTicks += (offTicks - this.#driftTicks) / DRIFT_AVERAGE_COUNT;
    const isDrifting = Math.abs(this.#driftTicks) > msToTicks(DRIFT_MIN_MS, this.#timescaleHz);
    return isDrifting ? expectedTicks + Math.sign(this.#driftTicks) : expectedTicks;
  }
}
