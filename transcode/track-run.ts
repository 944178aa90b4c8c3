/**
 * One run of one ffmpeg child: feeds it one source track with back-pressure and a bounded lag, and hands on what its outputs make.
 * Ends once, with a reason; `supervised-track.ts` starts the next.
 */
import type { Clock } from '../server/base/clock.ts';
import type { WorldError } from '../server/base/errors.ts';
import { messageOf } from '../server/base/errors.ts';
import type { AccessUnit } from '../server/media/access-unit.ts';
import { dtsMsOf, ptsMsOf, ticksToMs } from '../server/media/access-unit.ts';
import { flvHeader, flvTag } from '../server/media/flv/flv-writer.ts';
import { NutWriter } from '../server/media/nut/nut-writer.ts';
import type { AccessUnitSource } from '../server/media/stream-source.ts';
import { Subscriber } from '../server/media/subscriber.ts';
import type { Track } from '../server/media/track.ts';
import { ChildClock } from './child-clock.ts';
import type { FfmpegJob, FfmpegRun, StartFfmpeg } from './ffmpeg-process.ts';
import { inputFormatOf } from './ffmpeg-args.ts';
import { MadeOutput } from './made-output.ts';

/** `source_changed`: new parameters or a discontinuity; the next run begins with that unit, at once. */
export type RunEndReason = 'source_changed' | 'exited' | 'stalled' | 'bad_output' | 'closed';

export type RunEnd = {
  readonly reason: RunEndReason;
  readonly error: WorldError | undefined;
  readonly detail: string;
  /** Units taken from the source that the next run should have first: those from the change on. */
  readonly unused: readonly AccessUnit[];
};

export type RunOptions = {
  readonly queueMaxBytes: number;
  readonly queueMaxCount: number;
  /** Above this lag the tail of the GOP is left out. */
  readonly lagMaxMs: number;
  /** The same before the first output, which takes its time; left out: whatever comes until then is encoded. */
  readonly startLagMaxMs?: number;
  /** A picture that comes out further behind the source than this is kept back, with what needs it; left out: better late than never. */
  readonly behindMaxMs?: number;
  /** Silence after which a run that has input is given up: before its first output, and after. */
  readonly firstOutputMaxMs: number;
  readonly outputGapMaxMs: number;
};

export type RunSetup = {
  readonly source: AccessUnitSource;
  /** Not empty; the first is a keyframe. Video: what comes before the last is decoded only. */
  readonly backlog: readonly AccessUnit[];
  /** What the run before made, output by output; as many as there are outputs. */
  readonly tracksBefore: readonly (Track | undefined)[];
  readonly opusFrameMs: number;
  readonly options: RunOptions;
  readonly clock: Clock;
  readonly startFfmpeg: StartFfmpeg;
  /** `encodeFromMs` is on the child's clock. */
  readonly jobFor: (track: Track, encodeFromMs: number) => FfmpegJob;
  readonly onUnit: (unit: AccessUnit, outputIndex: number) => void;
  readonly onEnd: (end: RunEnd) => void;
};

const FRAME_RATE_GUESS_FPS = 30;
/** Fewer units than any decoder may hold for reordering are no lag and no stall. */
const LAG_CHECK_MIN_COUNT = 8;
const STALL_INPUT_MIN_COUNT = 20;
const INPUT_RECENT_MS = 1_000;
/** Across a gap of this length there is a keyframe in what is made: one begins each whole second. */
const STALE_MIN_MS = 1_000;

export class TrackRun {
  readonly #setup: RunSetup;
  readonly #sourceTrack: Track;
  readonly #childClock: ChildClock;
  readonly #encodeFromMs: number;
  readonly #subscriber: Subscriber;
  readonly #outputs: readonly MadeOutput[];
  readonly #nutWriter: NutWriter | undefined;
  readonly #process: FfmpegRun;
  readonly #startedAtMs: number;
  #backlog: AccessUnit[];
  #unsubscribe: () => void;
  #isBlocked = false;
  #hasEnded = false;
  #isLeavingOut = false;
  #hasWritten = false;
  #lastOutputAtMs: number | undefined;
  #lastInputAtMs = 0;
  #inputSinceOutputCount = 0;
  #lastFedMs = Number.NEGATIVE_INFINITY;
  #fedEdgeMs = Number.NEGATIVE_INFINITY;
  /** The newest picture that the source has given, in media time. */
  #sourceEdgeMs: number;
  #leftOutCount = 0;

  constructor(setup: RunSetup) {
    this.#setup = setup;
    const first = firstOf(setup.backlog);
    this.#sourceTrack = first.track;
    this.#startedAtMs = setup.clock.nowMs();
    const firstMs = ptsMsOf(first);
    this.#childClock = new ChildClock(firstMs);
    this.#outputs = setup.tracksBefore.map(
      (trackBefore) => new MadeOutput({ firstMs, trackBefore, opusFrameMs: setup.opusFrameMs }),
    );
    this.#sourceEdgeMs = Math.max(...setup.backlog.map(ptsMsOf));
    this.#encodeFromMs = first.track.kind === 'video' ? this.#childClock.toChildMs(this.#sourceEdgeMs) : 0;
    this.#backlog = [...setup.backlog];
    this.#nutWriter =
      inputFormatOf(first.track) === 'nut'
        ? new NutWriter({ track: first.track, reorderMaxCount: setup.source.facts.hasReordering ? 4 : 0 })
        : undefined;
    this.#subscriber = new Subscriber({ ...setup.options, onReadable: () => this.#pump() });
    this.#process = setup.startFfmpeg(setup.jobFor(first.track, this.#encodeFromMs), {
      onOutput: (bytes, outputIndex) => this.#onOutput(bytes, outputIndex),
      onDrain: () => {
        this.#isBlocked = false;
        this.#pump();
      },
      onExit: (error) => this.#end('exited', error, error?.detail ?? 'ended by itself'),
    });
    this.#unsubscribe = setup.source.subscribe({
      onUnit: (unit) => {
        this.#sourceEdgeMs = Math.max(this.#sourceEdgeMs, ptsMsOf(unit));
        this.#subscriber.onUnit(unit);
      },
      onEnd: (reason) => this.#subscriber.onEnd(reason),
    });
    this.#pump();
  }

  get startedAtMs(): number {
    return this.#startedAtMs;
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Units that never reached the encoder, because the queue was full or the lag too long. */
  get droppedCount(): number {
    const keptBackCount = this.#outputs.reduce((most, output) => Math.max(most, output.keptBackCount), 0);
    return this.#subscriber.droppedCount + this.#leftOutCount + keptBackCount;
  }

  /** Of the output that is furthest behind: how much media waits, before ffmpeg or in it. Counted in units, as a pause of the publisher is no lag. */
  get lagMs(): number {
    return this.#pendingCount * this.#unitMs;
  }

  get #pendingCount(): number {
    const waitingCount = this.#hasWritten ? this.#subscriber.queuedCount : 0;
    return this.#outputs.reduce((most, output) => Math.max(most, output.pendingCount), 0) + waitingCount;
  }

  get #unitMs(): number {
    const track = this.#sourceTrack;
    return track.kind === 'audio'
      ? ticksToMs(track.samplesPerUnit, track.timescaleHz)
      : 1000 / (this.#setup.source.facts.frameRateFps ?? FRAME_RATE_GUESS_FPS);
  }

  /** Gives up a run that is fed and makes nothing. */
  tick(nowMs: number): void {
    const { firstOutputMaxMs, outputGapMaxMs } = this.#setup.options;
    const limitMs = this.#lastOutputAtMs === undefined ? firstOutputMaxMs : outputGapMaxMs;
    const sinceMs = nowMs - (this.#lastOutputAtMs ?? this.#startedAtMs);
    const isFed = nowMs - this.#lastInputAtMs < INPUT_RECENT_MS && this.#inputSinceOutputCount >= STALL_INPUT_MIN_COUNT;
    if (sinceMs > limitMs && (isFed || this.#isBlocked)) {
      this.#end('stalled', undefined, `no output for ${Math.round(sinceMs)} ms`);
    }
  }

  close(): void {
    this.#end('closed', undefined, 'closed');
  }

  #pump(): void {
    while (!this.#isBlocked && !this.#hasEnded) {
      const unit = this.#backlog.shift() ?? this.#subscriber.take();
      if (unit === undefined) {
        return;
      }
      this.#feed(unit);
    }
  }

  #feed(unit: AccessUnit): void {
    if (dtsMsOf(unit) <= this.#lastFedMs) {
      // A run that starts while the source hands out a unit finds it in the cache and is then handed it as well.
      return;
    }
    if (this.#hasWritten && (unit.track !== this.#sourceTrack || (unit.isDiscontinuity && unit.isKeyframe))) {
      this.#endWithUnused(unit);
      return;
    }
    this.#lastFedMs = dtsMsOf(unit);
    const wasLeavingOut = this.#isLeavingOut;
    if (this.#mustLeaveOut(unit)) {
      this.#leftOutCount += 1;
      return;
    }
    this.#noteEdge(unit, wasLeavingOut);
    if (this.#childClock.toChildMs(ptsMsOf(unit)) >= this.#encodeFromMs - 0.5) {
      this.#outputs.forEach((output) => output.remember(unit));
    }
    this.#write(unit);
  }

  /** The start-up is excused, at least for a while: its lag goes away by itself, as pictures before the live edge are only decoded. */
  #mustLeaveOut(unit: AccessUnit): boolean {
    if (unit.track.kind === 'audio') {
      return false;
    }
    const { firstOutputMaxMs, lagMaxMs, startLagMaxMs = Number.POSITIVE_INFINITY } = this.#setup.options;
    const isStarting = this.#setup.clock.nowMs() - this.#startedAtMs < firstOutputMaxMs;
    const limitMs = isStarting ? startLagMaxMs : lagMaxMs;
    const isLate = this.#pendingCount > LAG_CHECK_MIN_COUNT && this.lagMs > limitMs;
    this.#isLeavingOut = unit.isKeyframe ? false : this.#isLeavingOut || isLate;
    return this.#isLeavingOut;
  }

  /**
   * A decoder that reorders keeps its last pictures until it is fed again: after a tail was left out they would come out as old as the
   * gap is long, in the middle of live ones.
   */
  #noteEdge(unit: AccessUnit, wasLeavingOut: boolean): void {
    const ptsMs = ptsMsOf(unit);
    if (wasLeavingOut && ptsMs - this.#fedEdgeMs >= STALE_MIN_MS) {
      const childMs = this.#childClock.toChildMs(ptsMs) - 0.5;
      this.#outputs.forEach((output) => output.keepBackBefore(childMs));
    }
    this.#fedEdgeMs = Math.max(this.#fedEdgeMs, ptsMs);
  }

  #write(unit: AccessUnit): void {
    if (!this.#hasWritten) {
      this.#hasWritten = true;
      this.#process.write(this.#nutWriter?.header() ?? flvHeader(unit.track, this.#childClock.wholeMsOf(unit).dtsMs));
    }
    this.#isBlocked = !this.#process.write(this.#toContainer(unit));
    this.#lastInputAtMs = this.#setup.clock.nowMs();
    this.#inputSinceOutputCount += 1;
  }

  #toContainer(unit: AccessUnit): Uint8Array {
    if (this.#nutWriter === undefined) {
      return flvTag(unit, this.#childClock.wholeMsOf(unit));
    }
    const ptsTicks = Math.max(0, this.#childClock.toChildTicks(unit.ptsTicks, unit.track.timescaleHz));
    return this.#nutWriter.frame({ ptsTicks, isKeyframe: unit.isKeyframe, payload: unit.payload });
  }

  #endWithUnused(unit: AccessUnit): void {
    const unused = [unit, ...this.#backlog];
    for (let queued = this.#subscriber.take(); queued !== undefined; queued = this.#subscriber.take()) {
      unused.push(queued);
    }
    this.#end('source_changed', undefined, unit.isDiscontinuity ? 'discontinuity' : 'new parameters', unused);
  }

  #onOutput(bytes: Uint8Array, outputIndex: number): void {
    if (this.#hasEnded) {
      return;
    }
    const { clock, onUnit } = this.#setup;
    try {
      const now = { nowMs: clock.nowMs(), wallMs: clock.wallMs() };
      this.#lastOutputAtMs = now.nowMs;
      this.#inputSinceOutputCount = 0;
      this.#keepBackOld(outputIndex);
      for (const unit of this.#outputs[outputIndex]?.push(bytes, now) ?? []) {
        onUnit(unit, outputIndex);
      }
    } catch (error) {
      this.#end('bad_output', undefined, messageOf(error));
    }
  }

  #keepBackOld(outputIndex: number): void {
    const { behindMaxMs } = this.#setup.options;
    if (behindMaxMs !== undefined) {
      this.#outputs[outputIndex]?.keepBackBefore(this.#childClock.toChildMs(this.#sourceEdgeMs - behindMaxMs));
    }
  }

  #end(reason: RunEndReason, error: WorldError | undefined, detail: string, unused: readonly AccessUnit[] = []): void {
    if (this.#hasEnded) {
      return;
    }
    this.#hasEnded = true;
    this.#unsubscribe();
    this.#process.kill();
    this.#setup.onEnd({ reason, error, detail, unused });
  }
}

const firstOf = (units: readonly AccessUnit[]): AccessUnit => {
  const first = units[0];
  if (first === undefined) {
    throw new TypeError('backlog: expected at least one unit');
  }
  return first;
};
