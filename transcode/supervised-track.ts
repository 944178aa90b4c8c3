/** Keeps what is made of one source track alive: runs follow each other, with back-off after failures, and what each output makes is one stream. */
import type { Clock } from '../server/base/clock.ts';
import type { Prng } from '../server/base/prng.ts';
import type { AccessUnit } from '../server/media/access-unit.ts';
import { dtsMsOf } from '../server/media/access-unit.ts';
import type { AccessUnitSource } from '../server/media/stream-source.ts';
import type { Track } from '../server/media/track.ts';
import type { Log } from '../server/observability/log.ts';
import type { BackoffOptions } from '../server/base/backoff.ts';
import { Backoff } from '../server/base/backoff.ts';
import type { FfmpegJob, StartFfmpeg } from './ffmpeg-process.ts';
import type { RunEnd, RunOptions } from './track-run.ts';
import { TrackRun } from './track-run.ts';

/** `waiting`: for the source's next keyframe (video) or frame (audio). `missing`: ffmpeg cannot be run; tried again. */
export type SupervisedState = 'waiting' | 'starting' | 'running' | 'restarting' | 'missing' | 'closed';

export type SupervisedSetup = {
  /** For the log. */
  readonly name: string;
  readonly outputCount: number;
  readonly source: AccessUnitSource;
  readonly opusFrameMs: number;
  readonly runOptions: RunOptions;
  readonly backoffOptions: BackoffOptions;
  readonly prng: Prng;
  readonly clock: Clock;
  readonly log: Log;
  readonly startFfmpeg: StartFfmpeg;
  readonly jobFor: (track: Track, encodeFromMs: number) => FfmpegJob;
  readonly onUnit: (unit: AccessUnit, outputIndex: number) => void;
  readonly onRestart: () => void;
};

export class SupervisedTrack {
  readonly #setup: SupervisedSetup;
  readonly #backoff: Backoff;
  #run: TrackRun | undefined;
  #state: SupervisedState = 'waiting';
  #retryTimer: NodeJS.Timeout | undefined;
  #stopWaiting: (() => void) | undefined;
  readonly #made: { last: AccessUnit | undefined; owesDiscontinuity: boolean }[];
  #restartCount = 0;
  #droppedBeforeCount = 0;

  constructor(setup: SupervisedSetup) {
    this.#setup = setup;
    this.#backoff = new Backoff(setup.backoffOptions, setup.prng);
    this.#made = Array.from({ length: setup.outputCount }, () => ({ last: undefined, owesDiscontinuity: false }));
    this.#begin([]);
  }

  get state(): SupervisedState {
    return this.#state;
  }

  get restartCount(): number {
    return this.#restartCount;
  }

  get droppedCount(): number {
    return this.#droppedBeforeCount + (this.#run?.droppedCount ?? 0);
  }

  /** ffmpeg's process id, while it runs. */
  get pid(): number | undefined {
    return this.#run?.pid;
  }

  /** Media that went into ffmpeg and has not come out. */
  get lagMs(): number {
    return this.#run?.lagMs ?? 0;
  }

  tick(nowMs: number): void {
    this.#run?.tick(nowMs);
  }

  close(): void {
    this.#state = 'closed';
    clearTimeout(this.#retryTimer);
    this.#stopWaiting?.();
    this.#run?.close();
  }

  /** Video starts from the cached GOP so that there is a picture at once; sound has no past worth playing. */
  #begin(unused: readonly AccessUnit[]): void {
    const cached = this.#setup.source.cachedGop();
    const backlog = sinceLastTrack(cached.length > 0 ? cached : unused);
    if (backlog[0]?.isKeyframe === true) {
      this.#start(backlog);
      return;
    }
    this.#state = this.#state === 'missing' ? 'missing' : 'waiting';
    this.#stopWaiting = this.#setup.source.subscribe({
      onUnit: (unit) => {
        if (unit.isKeyframe) {
          this.#stopWaiting?.();
          this.#stopWaiting = undefined;
          this.#start([unit]);
        }
      },
    });
  }

  #start(backlog: readonly AccessUnit[]): void {
    const { source, opusFrameMs, clock, startFfmpeg, jobFor, runOptions } = this.#setup;
    const first = backlog[0];
    for (const made of this.#made) {
      const isBehind = made.last !== undefined && first !== undefined && dtsMsOf(first) > dtsMsOf(made.last);
      made.owesDiscontinuity ||= isBehind && first.isDiscontinuity;
    }
    this.#state = this.#state === 'missing' ? 'missing' : 'starting';
    this.#run = new TrackRun({
      source,
      backlog,
      tracksBefore: this.#made.map(({ last }) => last?.track),
      opusFrameMs,
      options: runOptions,
      clock,
      startFfmpeg,
      jobFor,
      onUnit: (unit, outputIndex) => this.#onMade(unit, outputIndex),
      onEnd: (end) => this.#onRunEnd(end),
    });
  }

  #onMade(unit: AccessUnit, outputIndex: number): void {
    this.#state = 'running';
    const made = this.#made[outputIndex];
    if (made === undefined || (made.last !== undefined && unit.dtsTicks <= made.last.dtsTicks)) {
      return;
    }
    const placed = { ...unit, isDiscontinuity: made.owesDiscontinuity };
    made.owesDiscontinuity = false;
    made.last = placed;
    this.#setup.onUnit(placed, outputIndex);
  }

  #onRunEnd(end: RunEnd): void {
    const ranMs = this.#setup.clock.nowMs() - (this.#run?.startedAtMs ?? this.#setup.clock.nowMs());
    this.#droppedBeforeCount += this.#run?.droppedCount ?? 0;
    this.#run = undefined;
    if (end.reason === 'closed' || this.#state === 'closed') {
      return;
    }
    if (end.reason === 'source_changed') {
      this.#begin(end.unused);
      return;
    }
    this.#retryLater(end, ranMs);
  }

  #retryLater(end: RunEnd, ranMs: number): void {
    const { log, name } = this.#setup;
    const delayMs = this.#backoff.nextDelayMs(ranMs);
    const wasMissing = this.#state === 'missing';
    this.#state = end.error?.code === 'FFMPEG_MISSING' ? 'missing' : 'restarting';
    this.#restartCount += 1;
    this.#setup.onRestart();
    if (!(wasMissing && this.#state === 'missing')) {
      const fields = { child: name, reason: end.reason, code: end.error?.code, detail: end.detail };
      log.warn('transcode.child.ended', { ...fields, ranMs: Math.round(ranMs), retryInMs: Math.round(delayMs) });
    }
    this.#retryTimer = setTimeout(() => this.#begin([]), delayMs);
  }
}

/** The units that share the last one's parameters: what came before them cannot go into the same run. */
const sinceLastTrack = (units: readonly AccessUnit[]): readonly AccessUnit[] => {
  const track = units.at(-1)?.track;
  return units.slice(units.findLastIndex((unit) => unit.track !== track) + 1);
};
