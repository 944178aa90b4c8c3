/**
 * The essentials of one broadcast: the Opus track, the AAC track and the repaired video, made by one ffmpeg child each for as long as the
 * plan wants them. A child per track, so that none can ever wait for another (README).
 */
import { randomInt } from 'node:crypto';
import type { Clock } from '../server/base/clock.ts';
import { Prng } from '../server/base/prng.ts';
import type { AccessUnit } from '../server/media/access-unit.ts';
import type { AccessUnitSource } from '../server/media/stream-source.ts';
import type { Track } from '../server/media/track.ts';
import type { Log } from '../server/observability/log.ts';
import type { Metrics } from '../server/observability/metrics.ts';
import type { BackoffOptions } from '../server/base/backoff.ts';
import { BACKOFF_DEFAULTS } from '../server/base/backoff.ts';
import type { EssentialsPlan, TrackPlan } from './essentials-plan.ts';
import { NO_PLAN, isSamePlan, planEssentials } from './essentials-plan.ts';
import type { OpusOptions, RepairOptions } from './ffmpeg-args.ts';
import { OPUS_DEFAULTS, REPAIR_DEFAULTS, aacArgs, inputArgs, opusArgs, repairArgs } from './ffmpeg-args.ts';
import type { FfmpegJob, StartFfmpeg } from './ffmpeg-process.ts';
import { startFfmpeg as startRealFfmpeg } from './ffmpeg-process.ts';
import type { SupervisedState } from './supervised-track.ts';
import { SupervisedTrack } from './supervised-track.ts';
import type { RunOptions } from './track-run.ts';

/** Ids of the renditions made here. */
export const REPAIRED_VIDEO = 'repaired-video';
export const OPUS_AUDIO = 'opus-audio';
export const AAC_AUDIO = 'aac-audio';
export type EssentialId = typeof REPAIRED_VIDEO | typeof OPUS_AUDIO | typeof AAC_AUDIO;

export type EssentialsOptions = {
  /** A path, or a name to be found in PATH. */
  readonly ffmpegPath: string;
  readonly opus: OpusOptions;
  readonly repair: RepairOptions;
  readonly run: RunOptions;
  readonly backoff: BackoffOptions;
};

export const ESSENTIALS_DEFAULTS: EssentialsOptions = {
  ffmpegPath: 'ffmpeg',
  opus: OPUS_DEFAULTS,
  repair: REPAIR_DEFAULTS,
  run: {
    queueMaxBytes: 4 * 1024 * 1024,
    queueMaxCount: 300,
    lagMaxMs: 1_000,
    firstOutputMaxMs: 5_000,
    outputGapMaxMs: 2_000,
  },
  backoff: BACKOFF_DEFAULTS,
};

/** What the owner is told. Called synchronously; must not throw. */
export type EssentialsOutput = {
  onUnit(id: EssentialId, unit: AccessUnit): void;
  /** No unit of this rendition follows, unless it is needed again. */
  onEnd(id: EssentialId, reason: string): void;
  /** What is needed has changed: outputs may now choose otherwise, even before the first unit is there. */
  onPlanChanged?(plan: EssentialsPlan): void;
};

export type EssentialStatus = TrackPlan & {
  readonly state: 'not_needed' | SupervisedState;
  readonly restartCount: number;
  readonly droppedCount: number;
  readonly lagMs: number;
  /** What viewers lack just now and why, in plain words; undefined when nothing is lacking. */
  readonly lack: string | undefined;
};

export type EssentialsStatus = Readonly<Record<EssentialId, EssentialStatus>>;

const TICK_MS = 250;
/** Units after an attach or a gap at which the plan is looked at at once: B-frames show within the first few. */
const EAGER_UNIT_COUNT = 12;
/** After a gap a repair is taken away only once this much of the new publisher was seen. */
const SETTLE_AFTER_GAP_MS = 5_000;

export class Essentials {
  readonly #options: EssentialsOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #output: EssentialsOutput;
  readonly #startFfmpeg: StartFfmpeg;
  readonly #prng = new Prng(randomInt(2 ** 32));
  readonly #ticker: NodeJS.Timeout;
  readonly #sources = new Map<Track['kind'], { source: AccessUnitSource; detach: () => void }>();
  readonly #made = new Map<EssentialId, SupervisedTrack>();
  #plan: EssentialsPlan = NO_PLAN;
  #eagerCount = EAGER_UNIT_COUNT;
  #gapAtMs: number | undefined;
  #isClosed = false;

  constructor(setup: {
    options: EssentialsOptions;
    clock: Clock;
    log: Log;
    metrics: Metrics;
    output: EssentialsOutput;
    startFfmpeg?: StartFfmpeg;
  }) {
    this.#options = setup.options;
    this.#clock = setup.clock;
    this.#log = setup.log;
    this.#metrics = setup.metrics;
    this.#output = setup.output;
    this.#startFfmpeg = setup.startFfmpeg ?? startRealFfmpeg;
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
  }

  get plan(): EssentialsPlan {
    return this.#plan;
  }

  /** The publisher's video or audio. Renditions of a kind attached before are let go. */
  attach(kind: Track['kind'], source: AccessUnitSource): void {
    if (this.#isClosed) {
      return;
    }
    this.#sources.get(kind)?.detach();
    const detach = source.subscribe({ onUnit: (unit) => this.#onSourceUnit(unit) });
    this.#sources.set(kind, { source, detach });
    this.#eagerCount = EAGER_UNIT_COUNT;
    this.#replan();
  }

  status(): EssentialsStatus {
    return {
      [OPUS_AUDIO]: this.#statusOf(OPUS_AUDIO, this.#plan.opus),
      [AAC_AUDIO]: this.#statusOf(AAC_AUDIO, this.#plan.aac),
      [REPAIRED_VIDEO]: this.#statusOf(REPAIRED_VIDEO, this.#plan.repaired),
    };
  }

  /** Process ids of the children now running; for tests and the log. */
  pids(): Readonly<Partial<Record<EssentialId, number | undefined>>> {
    return Object.fromEntries([...this.#made].map(([id, supervised]) => [id, supervised.pid]));
  }

  /** Stops all children. May be called twice. */
  close(reason: string): void {
    if (this.#isClosed) {
      return;
    }
    this.#isClosed = true;
    clearInterval(this.#ticker);
    for (const { detach } of this.#sources.values()) {
      detach();
    }
    for (const id of [...this.#made.keys()]) {
      this.#stop(id, reason);
    }
  }

  #onSourceUnit(unit: AccessUnit): void {
    if (unit.isDiscontinuity) {
      this.#eagerCount = EAGER_UNIT_COUNT;
      this.#gapAtMs = this.#clock.nowMs();
    }
    if (this.#eagerCount > 0) {
      this.#eagerCount -= 1;
      this.#replan();
    }
  }

  #tick(): void {
    this.#replan();
    const nowMs = this.#clock.nowMs();
    for (const supervised of this.#made.values()) {
      supervised.tick(nowMs);
    }
  }

  #replan(): void {
    const nowMs = this.#clock.nowMs();
    const hasSettled = this.#gapAtMs !== undefined && nowMs - this.#gapAtMs > SETTLE_AFTER_GAP_MS;
    const video = this.#sources.get('video')?.source;
    const mayStopRepair = hasSettled && video?.facts.isGopKnown === true;
    const before = this.#plan;
    this.#plan = planEssentials({ ...this.#planSources(), before, mayStopRepair });
    if (mayStopRepair) {
      this.#gapAtMs = undefined;
    }
    this.#apply(OPUS_AUDIO, this.#plan.opus);
    this.#apply(AAC_AUDIO, this.#plan.aac);
    this.#apply(REPAIRED_VIDEO, this.#plan.repaired);
    if (!isSamePlan(before, this.#plan)) {
      this.#log.info('transcode.plan.changed', this.#plan);
      this.#output.onPlanChanged?.(this.#plan);
    }
  }

  #planSources(): Pick<Parameters<typeof planEssentials>[0], 'video' | 'audio'> {
    const video = this.#sources.get('video')?.source;
    const videoTrack = video?.track;
    const audioTrack = this.#sources.get('audio')?.source.track;
    return {
      video: video && videoTrack?.kind === 'video' ? { track: videoTrack, facts: video.facts } : undefined,
      audio: audioTrack?.kind === 'audio' ? { track: audioTrack } : undefined,
    };
  }

  #apply(id: EssentialId, wanted: TrackPlan): void {
    if (wanted.isNeeded && !this.#made.has(id)) {
      this.#start(id);
    } else if (!wanted.isNeeded && this.#made.has(id)) {
      this.#stop(id, 'not_needed');
    }
  }

  #start(id: EssentialId): void {
    const source = this.#sources.get(id === REPAIRED_VIDEO ? 'video' : 'audio')?.source;
    if (source === undefined) {
      return;
    }
    const restarts = this.#metrics.counter('transcode_restarts_total', 'Restarts of ffmpeg children', ['rendition']);
    const supervised = new SupervisedTrack({
      name: id,
      outputCount: 1,
      source,
      opusFrameMs: this.#options.opus.frameMs,
      runOptions: this.#options.run,
      backoffOptions: this.#options.backoff,
      prng: this.#prng,
      clock: this.#clock,
      log: this.#log,
      startFfmpeg: this.#startFfmpeg,
      jobFor: (track, encodeFromMs) => this.#jobFor(id, { track, source, encodeFromMs }),
      onUnit: (unit) => this.#output.onUnit(id, unit),
      onRestart: () => restarts.inc({ rendition: id }),
    });
    this.#made.set(id, supervised);
  }

  #stop(id: EssentialId, reason: string): void {
    this.#made.get(id)?.close();
    this.#made.delete(id);
    this.#output.onEnd(id, reason);
  }

  #jobFor(
    id: EssentialId,
    { track, source, encodeFromMs }: { track: Track; source: AccessUnitSource; encodeFromMs: number },
  ): FfmpegJob {
    const { ffmpegPath, opus, repair } = this.#options;
    const soundArgs = id === AAC_AUDIO ? aacArgs : opusArgs;
    return {
      ffmpegPath,
      inputArgs: inputArgs(track),
      outputs: [
        track.kind === 'audio'
          ? soundArgs(track, opus)
          : repairArgs({ track, options: repair, ...measuredRates(source), encodeFromMs }),
      ],
    };
  }

  #statusOf(id: EssentialId, plan: TrackPlan): EssentialStatus {
    const supervised = this.#made.get(id);
    const state = plan.isNeeded ? (supervised?.state ?? 'waiting') : 'not_needed';
    return {
      ...plan,
      state,
      restartCount: supervised?.restartCount ?? 0,
      droppedCount: supervised?.droppedCount ?? 0,
      lagMs: supervised?.lagMs ?? 0,
      lack: lackOf(id, state),
    };
  }
}

/** A bitrate taken over less than a second is that of one keyframe. */
const measuredRates = (
  source: AccessUnitSource,
): { sourceBitrateBps: number | undefined; frameRateFps: number | undefined } => {
  const { gopMaxMs, bitrateBps, frameRateFps } = source.facts;
  return { sourceBitrateBps: gopMaxMs >= 1_000 ? bitrateBps : undefined, frameRateFps };
};

const LACKS: Readonly<Record<EssentialId, string>> = {
  [OPUS_AUDIO]: 'no sound over WebRTC',
  [AAC_AUDIO]: 'no AAC in LL-HLS and recordings',
  [REPAIRED_VIDEO]: 'no picture over WebRTC',
};

const lackOf = (id: EssentialId, state: EssentialStatus['state']): string | undefined => {
  if (state === 'not_needed' || state === 'running') {
    return undefined;
  }
  const what = LACKS[id];
  if (state === 'missing') {
    return `${what} because ffmpeg is missing on the server: apt-get install ffmpeg`;
  }
  return state === 'restarting'
    ? `${what} until ffmpeg, which failed, has restarted`
    : `${what} yet: ffmpeg is starting`;
};
