/**
 * Audio frames of one rendition in, segments and parts out. Audio follows the video's segments, so that both playlists have
 * the same media sequence numbers at the same times: a frame is held until the video's decoding time has passed it, because
 * only then it is known whether a segment begins before it. It is held for a second at most: a stalled video must not mute
 * the sound. Audio alone cuts segments of 2 s by itself.
 *
 * Publishers stamp audio in whole milliseconds; in the file frames follow each other without gap, and are moved only when
 * the stamps disagree by more than that.
 */
import type { AudioUnit } from './access-unit.ts';
import { ptsMsOf, ticksToMs } from './access-unit.ts';
import type { SegmentBoundary } from './boundary-queue.ts';
import { BoundaryQueue } from './boundary-queue.ts';
import { HeldUnits } from './held-units.ts';
import { PartCutter } from './part-cutter.ts';
import type { PartPlan } from './segment-plan.ts';
import { TARGET_DURATION_S, planParts } from './segment-plan.ts';
import type { SegmenterEvent } from './segmenter.ts';
import { SegmentWriter, isSameTrack } from './segmenter.ts';
import type { AudioTrack } from './track.ts';

export type AudioSegmenterOptions = {
  /** 200…1000. */
  readonly partTargetMs: number;
  readonly track: AudioTrack;
  readonly firstMsn: number;
  /** False: there is no video, segments are cut by length. */
  readonly followsVideo: boolean;
  /** `Timeline.epochAt`: sound never goes into a segment of the video that another publisher sent. */
  readonly epochAt: (mediaMs: number) => number;
};

/** After a gap of its own, audio waits for the video's next segment this long before it goes on alone. */
const BREAK_WAIT_MAX_MS = 3_000;
/** Stamps within this of the running sample count are jitter. */
const JITTER_MAX_MS = 10;
/** Beyond this it is a hole (or a burst), not a drift. */
const HOLE_MIN_MS = 60;
/** Longer than any segment of the video (2.45 s), and still rounding to 2. */
const FOLLOWING_MAX_MS = 2_490;
/** A publisher's sample clock may drift against its stamps: followed at most this fast, far below what can be heard. */
const DRIFT_RATIO = 0.004;
/** Stamps that fell behind what was already given out by more than this are dropped. */
const OVERLAP_MAX_MS = 500;

export class AudioSegmenter {
  readonly plan: PartPlan;
  readonly #writer: SegmentWriter;
  readonly #boundaries: BoundaryQueue;
  readonly #timescaleHz: number;
  readonly #unitTicks: number;
  #followsVideo: boolean;
  readonly #held = new HeldUnits<AudioUnit>();
  #fileEndTicks: number | undefined;
  /** Since when (media time) units wait for a segment of the video to begin after a break. */
  #brokenAtMs: number | undefined;
  #droppedCount = 0;

  constructor(options: AudioSegmenterOptions) {
    const { track } = options;
    this.#boundaries = new BoundaryQueue(options.epochAt);
    this.#timescaleHz = track.timescaleHz;
    this.#unitTicks = track.samplesPerUnit;
    this.#followsVideo = options.followsVideo;
    this.plan = planParts({ ...options, unitNominalTicks: track.samplesPerUnit, timescaleHz: track.timescaleHz });
    const cutter = PartCutter.forSound(this.plan);
    this.#writer = new SegmentWriter({ cutter, firstMsn: options.firstMsn });
  }

  get droppedCount(): number {
    return this.#droppedCount;
  }

  /** Of the open segment, or of the last one; `firstMsn − 1` before the first. */
  get msn(): number {
    return this.#writer.msn;
  }

  get heldCount(): number {
    return this.#held.count;
  }

  push(unit: AudioUnit): SegmenterEvent[] {
    this.#held.push(unit);
    return this.#followsVideo ? this.#release() : this.#held.takeAll().flatMap((each) => this.#take(each));
  }

  /** The video of this broadcast has reached `dtsMs`: no segment will begin before it any more. */
  onVideoTime(dtsMs: number): SegmenterEvent[] {
    this.#held.reach(dtsMs);
    return this.#release();
  }

  /** Call before `onVideoTime` of the unit that began the segment. */
  onBoundary(boundary: SegmentBoundary): void {
    this.#followsVideo = true;
    this.#boundaries.push(boundary);
  }

  /** No unit follows: what is held goes out, the open segment ends as it is. */
  end(): SegmenterEvent[] {
    this.#followsVideo = false;
    const events = this.#held.takeAll().flatMap((unit) => this.#take(unit));
    return [...events, ...this.#writer.end(this.#writer.cutter.flushPredicted())];
  }

  #release(): SegmenterEvent[] {
    const events: SegmenterEvent[] = [];
    for (let unit = this.#held.take(); unit !== undefined; unit = this.#held.take()) {
      events.push(...this.#take(unit));
    }
    return events;
  }

  #take(unit: AudioUnit): SegmenterEvent[] {
    const { track } = this.#writer;
    const ptsMs = ptsMsOf(unit);
    if (this.#writer.isOpen && (unit.isDiscontinuity || (track !== undefined && !isSameTrack(unit.track, track)))) {
      this.#brokenAtMs = unit.isDiscontinuity ? ptsMs : (this.#brokenAtMs ?? ptsMs);
    }
    const boundary = this.#boundaries.takeBefore(ptsMs, ticksToMs(this.#unitTicks, this.#timescaleHz) / 2);
    const hasNextBoundary = this.#boundaries.hasNext;
    const isLost = this.#brokenAtMs !== undefined && ptsMs - this.#brokenAtMs > BREAK_WAIT_MAX_MS && !hasNextBoundary;
    const isAlone = !this.#followsVideo || isLost;
    const mustWait = this.#followsVideo && boundary === undefined && (!this.#writer.isOpen || !!this.#brokenAtMs);
    if (mustWait && !isLost) {
      this.#droppedCount += 1;
      return [];
    }
    const isBreak = boundary?.isDiscontinuity === true || (this.#brokenAtMs !== undefined && isAlone);
    if (isBreak) {
      this.#fileEndTicks = undefined;
    }
    const dtsTicks = this.#fileTimeOf(unit, isBreak);
    if (dtsTicks === undefined) {
      this.#droppedCount += 1;
      return [];
    }
    if (boundary === undefined && hasNextBoundary && this.#writer.isOpen && this.#isFull(dtsTicks)) {
      // The pictures are in their next segment already, so that no number is left for sound that outlasted the one before.
      this.#droppedCount += 1;
      return [];
    }
    const events = this.#cutIfDue({ unit, dtsTicks, boundary, isBreak });
    const placed = { unit, dtsTicks, ptsTicks: dtsTicks };
    return [...events, ...this.#writer.addParts(this.#writer.cutter.add(placed))];
  }

  /** Where the frame lies in the file: behind the one before, unless the stamps really say otherwise. Undefined: too late. */
  #fileTimeOf(unit: AudioUnit, isBreak: boolean): number | undefined {
    const expected = this.#fileEndTicks;
    const floor = this.#writer.cutter.endTicks ?? 0;
    let dtsTicks = unit.dtsTicks;
    if (expected !== undefined && !isBreak) {
      const errorTicks = unit.dtsTicks - expected;
      const errorMs = ticksToMs(errorTicks, this.#timescaleHz);
      if (errorMs < -OVERLAP_MAX_MS) {
        return undefined;
      }
      if (errorMs <= HOLE_MIN_MS) {
        const driftTicks = Math.round(this.#unitTicks * DRIFT_RATIO) * Math.sign(errorTicks);
        dtsTicks = Math.abs(errorMs) <= JITTER_MAX_MS ? expected : expected + driftTicks;
      }
    }
    const placedTicks = Math.max(dtsTicks, floor);
    this.#fileEndTicks = placedTicks + this.#unitTicks;
    return placedTicks;
  }

  #cutIfDue(options: {
    unit: AudioUnit;
    dtsTicks: number;
    boundary: SegmentBoundary | undefined;
    isBreak: boolean;
  }): SegmenterEvent[] {
    const { unit, dtsTicks, boundary, isBreak } = options;
    if (boundary === undefined && !isBreak && !this.#isFull(dtsTicks)) {
      return [];
    }
    const { cutter } = this.#writer;
    const hadSegments = this.#writer.track !== undefined;
    const ended = this.#writer.end(cutter.flushPredicted());
    this.#brokenAtMs = undefined;
    const started = this.#writer.start({
      startPtsMs: ticksToMs(dtsTicks, this.#timescaleHz),
      track: unit.track,
      isDiscontinuity: isBreak && hadSegments,
      isIndependent: true,
      ...(boundary === undefined ? {} : { msn: boundary.msn }),
    });
    return [...ended, started];
  }

  /** Alone: nearest 2 s. Behind a video that stalls: at the latest moment that keeps `EXTINF` legal. */
  #isFull(dtsTicks: number): boolean {
    if (!this.#writer.isOpen) {
      return true;
    }
    const limitMs = this.#followsVideo ? FOLLOWING_MAX_MS : TARGET_DURATION_S * 1000;
    const limitTicks = (limitMs * this.#timescaleHz) / 1000;
    const marginTicks = this.#followsVideo ? this.#unitTicks : this.#unitTicks / 2;
    return this.#writer.durationTicksUntil(dtsTicks) + marginTicks > limitTicks;
  }
}
