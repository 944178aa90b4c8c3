/**
 * Access units of a rung in, segments and parts out. The main video leads: a segment begins at the rung's keyframe of the same picture, under the
 * same number, so that players change between them without a seam. What a rung misses is missing; it never gets numbers of its own. Pure.
 */
import type { VideoUnit } from './access-unit.ts';
import { ptsMsOf, ticksToMs } from './access-unit.ts';
import type { SegmentBoundary } from './boundary-queue.ts';
import { BoundaryQueue } from './boundary-queue.ts';
import { HeldUnits } from './held-units.ts';
import { PartCutter } from './part-cutter.ts';
import type { PartPlan } from './segment-plan.ts';
import { SEGMENT_MAX_MS, planParts } from './segment-plan.ts';
import type { SegmenterEvent } from './segmenter.ts';
import { SegmentWriter, isSameTrack } from './segmenter.ts';

export type LedSegmenterOptions = {
  /** 200…1000. */
  readonly partTargetMs: number;
  readonly frameRateFps: number;
  readonly timescaleHz: number;
  readonly epochAt: (mediaMs: number) => number;
};

export class LedSegmenter {
  readonly plan: PartPlan;
  readonly #writer: SegmentWriter;
  readonly #boundaries: BoundaryQueue;
  readonly #timescaleHz: number;
  readonly #segmentMaxTicks: number;
  /** Nothing can be decoded before a keyframe that begins a segment. */
  #isWaiting = true;
  #droppedCount = 0;
  readonly #held = new HeldUnits<VideoUnit>();

  constructor(options: LedSegmenterOptions) {
    const { timescaleHz } = options;
    this.plan = planParts({ ...options, unitNominalTicks: timescaleHz / options.frameRateFps });
    this.#timescaleHz = timescaleHz;
    this.#segmentMaxTicks = (SEGMENT_MAX_MS * timescaleHz) / 1000;
    this.#boundaries = new BoundaryQueue(options.epochAt);
    const cutter = PartCutter.forVideo(this.plan, timescaleHz);
    this.#writer = new SegmentWriter({ cutter, firstMsn: 0 });
  }

  get droppedCount(): number {
    return this.#droppedCount;
  }

  /** Call before `onMainTime` of the unit that began the segment. */
  onBoundary(boundary: SegmentBoundary): void {
    this.#boundaries.push(boundary);
  }

  /** The main video has reached this decoding time: no segment will begin before it any more. */
  onMainTime(dtsMs: number): SegmenterEvent[] {
    this.#held.reach(dtsMs);
    return this.#release();
  }

  /** A main video that is itself made by an encoder may be behind its rungs: they wait for it. */
  push(unit: VideoUnit): SegmenterEvent[] {
    this.#held.push(unit);
    return this.#release();
  }

  #release(): SegmenterEvent[] {
    const events: SegmenterEvent[] = [];
    for (let unit = this.#held.take(); unit !== undefined; unit = this.#held.take()) {
      events.push(...this.#take(unit));
    }
    return events;
  }

  #take(unit: VideoUnit): SegmenterEvent[] {
    const { track } = this.#writer;
    if (unit.isDiscontinuity || (track !== undefined && !isSameTrack(unit.track, track))) {
      this.#isWaiting = true;
    }
    const boundary = unit.isKeyframe ? this.#boundaryAt(unit) : undefined;
    if (boundary !== undefined) {
      return [...this.#startSegment(unit, boundary), ...this.#add(unit)];
    }
    const isFull = this.#writer.isOpen && this.#isOverlong(unit.dtsTicks);
    if (this.#isWaiting || isFull) {
      this.#isWaiting = true;
      this.#droppedCount += 1;
      return isFull ? this.#writer.end(this.#writer.cutter.flushPredicted()) : [];
    }
    return this.#add(unit);
  }

  /** No unit follows for now: what is held goes out, the open segment ends as it is. */
  end(): SegmenterEvent[] {
    const events = this.#held.takeAll().flatMap((unit) => this.#take(unit));
    this.#isWaiting = true;
    return [...events, ...this.#writer.end(this.#writer.cutter.flushPredicted())];
  }

  #add(unit: VideoUnit): SegmenterEvent[] {
    const { dtsTicks, ptsTicks } = unit;
    return this.#writer.addParts(this.#writer.cutter.add({ unit, dtsTicks, ptsTicks }));
  }

  #boundaryAt(unit: VideoUnit): SegmentBoundary | undefined {
    const { endTicks, unitTicks } = this.#writer.cutter;
    const canStart = endTicks === undefined || unit.dtsTicks >= endTicks - this.plan.partMaxTicks;
    return canStart
      ? this.#boundaries.takeBefore(ptsMsOf(unit), ticksToMs(unitTicks, this.#timescaleHz) / 2)
      : undefined;
  }

  #isOverlong(dtsTicks: number): boolean {
    return this.#writer.durationTicksUntil(dtsTicks) + this.#writer.cutter.unitTicks > this.#segmentMaxTicks;
  }

  #startSegment(unit: VideoUnit, boundary: SegmentBoundary): SegmenterEvent[] {
    const { cutter } = this.#writer;
    const hadSegments = this.#writer.track !== undefined;
    const isBreak = boundary.isDiscontinuity || this.#isWaiting;
    const ended = this.#writer.end(isBreak ? cutter.flushPredicted() : cutter.flush(unit.dtsTicks));
    if (isBreak) {
      cutter.breakTimeline();
    }
    this.#isWaiting = false;
    const started = this.#writer.start({
      startPtsMs: ticksToMs(unit.ptsTicks, this.#timescaleHz),
      track: unit.track,
      isDiscontinuity: boundary.isDiscontinuity && hadSegments,
      isIndependent: true,
      msn: boundary.msn,
    });
    return [...ended, started];
  }
}
