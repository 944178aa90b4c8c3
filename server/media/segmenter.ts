/**
 * Access units of one video rendition in, segments and parts out. Pure: the same units give the same parts, whether they go
 * to LL-HLS or to disk.
 *
 * Segments begin at keyframes, as near 2 s as the GOPs allow. A stray long GOP is survived: when a segment would pass
 * 2.45 s without a keyframe it is cut where it stands, and the segment that follows is marked as not independent; the next
 * keyframe begins a segment again.
 */
import type { VideoUnit } from './access-unit.ts';
import { ticksToMs } from './access-unit.ts';
import type { CutPart } from './part-cutter.ts';
import { PartCutter } from './part-cutter.ts';
import type { PartPlan } from './segment-plan.ts';
import { SEGMENT_MAX_MS, planParts } from './segment-plan.ts';
import type { Track } from './track.ts';

export type SegmentStart = {
  readonly type: 'segment-start';
  readonly msn: number;
  /** Presentation time of its first unit on the media timeline. */
  readonly startPtsMs: number;
  readonly track: Track;
  /** It does not join what came before: another encoder, other parameters, a gap in the timeline. */
  readonly isDiscontinuity: boolean;
  /** False for a segment cut inside a GOP. */
  readonly isIndependent: boolean;
};

export type SegmentPart = {
  readonly type: 'part';
  readonly msn: number;
  readonly track: Track;
} & CutPart;

export type SegmentEnd = { readonly type: 'segment-end'; readonly msn: number; readonly durationTicks: number };

/** In the order of time: a start, its parts, its end. */
export type SegmenterEvent = SegmentStart | SegmentPart | SegmentEnd;

/** Media sequence numbers and parts of one rendition; what video and audio segmenters share. */
export class SegmentWriter {
  readonly cutter: PartCutter;
  #msn: number;
  #track: Track | undefined;
  #closedTicks = 0;
  #isOpen = false;

  constructor(options: { cutter: PartCutter; firstMsn: number }) {
    this.cutter = options.cutter;
    this.#msn = options.firstMsn - 1;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Of the open segment, or of the last one; `firstMsn − 1` before the first. */
  get msn(): number {
    return this.#msn;
  }

  get track(): Track | undefined {
    return this.#track;
  }

  /** How long the open segment would be if it ended at `dtsTicks`. */
  durationTicksUntil(dtsTicks: number): number {
    return this.#closedTicks + this.cutter.openTicksUntil(dtsTicks);
  }

  start(options: Omit<SegmentStart, 'type' | 'msn'> & { msn?: number }): SegmenterEvent {
    this.#msn = Math.max(this.#msn + 1, options.msn ?? 0);
    this.#track = options.track;
    this.#closedTicks = 0;
    this.#isOpen = true;
    return { ...options, type: 'segment-start', msn: this.#msn };
  }

  addParts(parts: readonly CutPart[]): SegmenterEvent[] {
    const track = this.#track;
    if (track === undefined) {
      return [];
    }
    return parts.map((part) => {
      this.#closedTicks += part.durationTicks;
      return { ...part, type: 'part', msn: this.#msn, track };
    });
  }

  /** Ends the open segment, if any, after its last parts. */
  end(lastParts: readonly CutPart[]): SegmenterEvent[] {
    if (!this.#isOpen) {
      return [];
    }
    const events = this.addParts(lastParts);
    this.#isOpen = false;
    return [...events, { type: 'segment-end', msn: this.#msn, durationTicks: this.#closedTicks }];
  }
}

export type VideoSegmenterOptions = {
  /** 200…1000. */
  readonly partTargetMs: number;
  readonly frameRateFps: number;
  readonly timescaleHz: number;
  /** Media sequence number of the first segment. */
  readonly firstMsn: number;
};

export class VideoSegmenter {
  readonly plan: PartPlan;
  readonly #writer: SegmentWriter;
  readonly #timescaleHz: number;
  readonly #segmentMaxTicks: number;
  /** Set at the start and after a break: nothing can be decoded before the next keyframe. */
  #isWaitingForKeyframe = true;
  #isBroken = false;
  #droppedCount = 0;
  #forcedCutCount = 0;
  #keyframeTicks: number | undefined;
  #gopTicks = 0;
  #nextMsn = 0;

  constructor(options: VideoSegmenterOptions) {
    const { timescaleHz } = options;
    this.plan = planParts({ ...options, unitNominalTicks: timescaleHz / options.frameRateFps });
    this.#timescaleHz = timescaleHz;
    this.#segmentMaxTicks = (SEGMENT_MAX_MS * timescaleHz) / 1000;
    const cutter = PartCutter.forVideo(this.plan, timescaleHz);
    this.#writer = new SegmentWriter({ cutter, firstMsn: options.firstMsn });
  }

  /** Of the open segment, or of the last one; `firstMsn − 1` before the first. */
  get msn(): number {
    return this.#writer.msn;
  }

  /** Units that no decoder could have used: before the first keyframe, or after a break. */
  get droppedCount(): number {
    return this.#droppedCount;
  }

  /** Segments that had to be cut inside a GOP. */
  get forcedCutCount(): number {
    return this.#forcedCutCount;
  }

  /** The next keyframe begins a segment marked as a discontinuity; what comes before it is left out. */
  breakStream(): void {
    this.#isBroken = this.#isBroken || this.#writer.track !== undefined;
    this.#isWaitingForKeyframe = true;
  }

  /** The next keyframe begins a segment marked as a discontinuity; what comes before it still belongs to the open one. */
  markDiscontinuity(): void {
    this.#isBroken = true;
  }

  /** The next segment has this number or a higher one: the sound has gone on alone up to the one before. */
  skipTo(msn: number): void {
    this.#nextMsn = Math.max(this.#nextMsn, msn);
  }

  push(unit: VideoUnit): SegmenterEvent[] {
    if (unit.isDiscontinuity || this.#hasNewParameters(unit)) {
      this.breakStream();
    }
    if (this.#isWaitingForKeyframe && !this.#canStartAt(unit)) {
      this.#droppedCount += 1;
      return [];
    }
    const events = this.#cutIfDue(unit);
    const { dtsTicks, ptsTicks } = unit;
    return [...events, ...this.#writer.addParts(this.#writer.cutter.add({ unit, dtsTicks, ptsTicks }))];
  }

  /** No unit follows: the open segment ends as it is. */
  end(): SegmenterEvent[] {
    this.#isWaitingForKeyframe = true;
    return this.#writer.end(this.#writer.cutter.flushPredicted());
  }

  #hasNewParameters(unit: VideoUnit): boolean {
    const { track } = this.#writer;
    return track !== undefined && unit.track !== track && !isSameTrack(unit.track, track);
  }

  /** Another rendition may lag behind what was already given out; the timeline never goes back. */
  #canStartAt(unit: VideoUnit): boolean {
    const { endTicks } = this.#writer.cutter;
    return unit.isKeyframe && (endTicks === undefined || unit.dtsTicks >= endTicks - this.plan.partMaxTicks);
  }

  #cutIfDue(unit: VideoUnit): SegmenterEvent[] {
    if (unit.isKeyframe) {
      this.#gopTicks = this.#keyframeTicks === undefined ? 0 : unit.dtsTicks - this.#keyframeTicks;
      this.#keyframeTicks = unit.dtsTicks;
      const isBreak = this.#isWaitingForKeyframe || this.#isBroken;
      const wouldBeTicks = this.#writer.durationTicksUntil(unit.dtsTicks) + this.#gopTicks;
      return isBreak || wouldBeTicks > this.#segmentMaxTicks || this.#isOverlong(unit.dtsTicks)
        ? this.#startSegment(unit)
        : [];
    }
    if (this.#isOverlong(unit.dtsTicks)) {
      this.#forcedCutCount += 1;
      return this.#startSegment(unit);
    }
    return [];
  }

  /** A slow source's part may be stretched to its legal minimum, so that room is kept. */
  #isOverlong(dtsTicks: number): boolean {
    const { unitTicks } = this.#writer.cutter;
    const stretchTicks = Math.max(0, unitTicks / 2 - (this.plan.partMaxTicks - this.plan.partMinTicks));
    return this.#writer.durationTicksUntil(dtsTicks) + unitTicks + stretchTicks > this.#segmentMaxTicks;
  }

  #startSegment(unit: VideoUnit): SegmenterEvent[] {
    const { cutter } = this.#writer;
    const isDiscontinuity = this.#isBroken && unit.isKeyframe;
    // A gap before the cut is the next segment's to bridge where this one has no room for it.
    const isTooLong = this.#writer.durationTicksUntil(unit.dtsTicks) > this.#segmentMaxTicks;
    const lastParts = isDiscontinuity || isTooLong ? cutter.flushPredicted() : cutter.flush(unit.dtsTicks);
    const ended = this.#writer.end(lastParts);
    if (isDiscontinuity) {
      cutter.breakTimeline();
      this.#isBroken = false;
      this.#keyframeTicks = unit.dtsTicks;
    }
    this.#isWaitingForKeyframe = false;
    const started = this.#writer.start({
      startPtsMs: ticksToMs(unit.ptsTicks, this.#timescaleHz),
      track: unit.track,
      isDiscontinuity,
      isIndependent: unit.isKeyframe,
      msn: this.#nextMsn,
    });
    return [...ended, started];
  }
}

/** Whether a decoder set up for one can go on with the other. */
export const isSameTrack = (a: Track, b: Track): boolean =>
  a.kind === b.kind &&
  a.codecString === b.codecString &&
  a.timescaleHz === b.timescaleHz &&
  Buffer.compare(a.decoderConfig, b.decoderConfig) === 0;
