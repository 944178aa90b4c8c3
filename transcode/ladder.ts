/**
 * The ladder of one broadcast: plans the rungs, keeps one ffmpeg child making them, and sheds from the top what the machine has no room for. Trouble
 * here never touches the source, the sound or the repaired picture: those are other children's.
 */
import { randomInt } from 'node:crypto';
import type { Clock } from '../server/base/clock.ts';
import { Prng } from '../server/base/prng.ts';
import type { AccessUnit } from '../server/media/access-unit.ts';
import { StreamJoin } from '../server/media/stream-join.ts';
import type { AccessUnitSource } from '../server/media/stream-source.ts';
import type { Track, VideoTrack } from '../server/media/track.ts';
import type { Log } from '../server/observability/log.ts';
import type { Metrics } from '../server/observability/metrics.ts';
import type { BackoffOptions } from '../server/base/backoff.ts';
import { GOP_SAFE_MAX_MS } from './essentials-plan.ts';
import { inputArgs, usualRateFps } from './ffmpeg-args.ts';
import type { FfmpegJob, StartFfmpeg } from './ffmpeg-process.ts';
import { startFfmpeg as startRealFfmpeg } from './ffmpeg-process.ts';
import type { LadderJob, LadderKeyframes } from './ladder-args.ts';
import type { LadderEncoder } from './hardware-args.ts';
import { deviceArgs } from './hardware-args.ts';
import { ladderGraph, ladderOutputs } from './ladder-args.ts';
import type { EncoderSpeeds, LadderOptions, LadderPlan, LadderPlanInput, LeftOut, Rung } from './ladder-plan.ts';
import { NO_LADDER, isSameLadder, planLadder } from './ladder-plan.ts';
import { keepTrack } from './made-tracks.ts';
import type { NarrowbandStatus } from './narrowband/narrowband.ts';
import { Narrowband } from './narrowband/narrowband.ts';
import { Overload } from './overload.ts';
import type { QualityModel } from './narrowband/quality-model.ts';
import { safeCrf } from './narrowband/quality-model.ts';
import type { SupervisedState } from './supervised-track.ts';
import { SupervisedTrack } from './supervised-track.ts';
import type { RunOptions } from './track-run.ts';

/** What the owner is told. Called synchronously; must not throw. */
export type LadderOutput = {
  /** Before its first unit, so that outputs know what is to come. */
  onRung(rung: Rung): void;
  onUnit(rungId: string, unit: AccessUnit): void;
  /** No unit of this rung follows, unless it is planned again. */
  onEnd(rungId: string, reason: string): void;
};

/** What makes one ladder another than the next: H.264 in one child, AV1 in another. */
export type LadderRecipe = {
  /** Of its child, in the log and in metrics. */
  readonly name: string;
  /** Sound, the repaired picture and this server come first: a ladder that gets too little sheds a rung. */
  readonly niceness: number;
  plan(input: LadderPlanInput): LadderPlan;
  /** Of each rung, in their order. */
  outputs(job: LadderJob): string[][];
};

export const H264_LADDER: LadderRecipe = { name: 'ladder', niceness: 10, plan: planLadder, outputs: ladderOutputs };

export type LadderSetup = {
  /** `H264_LADDER` when left out. */
  readonly recipe?: LadderRecipe;
  readonly options: LadderOptions;
  readonly ffmpegPath: string;
  readonly run: RunOptions;
  readonly backoff: BackoffOptions;
  readonly speeds: EncoderSpeeds;
  /** That which the rungs are to be made with now; `software` when left out. */
  readonly encoder?: () => LadderEncoder;
  /** A child ended by itself and is started again. */
  readonly onRestart?: () => void;
  readonly coreCount: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly output: LadderOutput;
  readonly startFfmpeg?: StartFfmpeg;
  /** Without one all CRFs stay as configured. */
  readonly qualityModel?: QualityModel | undefined;
};

export type LadderStatus = {
  readonly state: 'not_needed' | SupervisedState;
  readonly rungs: readonly Rung[];
  readonly leftOut: readonly LeftOut[];
  /** What the rungs were planned to take. */
  readonly cpuCores: number;
  readonly shedCount: number;
  readonly lagMs: number;
  readonly restartCount: number;
  readonly droppedCount: number;
  /** Undefined when the CRFs do not follow the content. */
  readonly narrowband: NarrowbandStatus | undefined;
};

/** One ffmpeg child (and those that follow it when it dies) with one plan. */
type Encoder = {
  readonly number: number;
  readonly plan: LadderPlan;
  readonly keyframes: LadderKeyframes;
  readonly supervised: SupervisedTrack;
};

/** A picture of a rung, and which encoder it is of. */
type Made = { readonly encoder: number; readonly unit: AccessUnit };

const LADDER_START_LAG_MAX_MS = 1_000;
const LADDER_BEHIND_MAX_MS = 1_200;

/** As the essentials', but for the lag: a rung is nobody's only picture, so it may sooner leave something out, and shows nothing old. */
export const LADDER_RUN_DEFAULTS: RunOptions = {
  queueMaxBytes: 4 * 1024 * 1024,
  queueMaxCount: 300,
  lagMaxMs: 200,
  startLagMaxMs: LADDER_START_LAG_MAX_MS,
  behindMaxMs: LADDER_BEHIND_MAX_MS,
  firstOutputMaxMs: 5_000,
  outputGapMaxMs: 2_000,
};

/** With another limit at which pictures are left out; none is then left out for being late that would have been encoded. */
export const ladderRunOptions = ({ lagMaxMs }: Pick<LadderOptions, 'lagMaxMs'>): RunOptions => ({
  ...LADDER_RUN_DEFAULTS,
  lagMaxMs,
  startLagMaxMs: Math.max(LADDER_START_LAG_MAX_MS, lagMaxMs),
  behindMaxMs: Math.max(LADDER_BEHIND_MAX_MS, lagMaxMs),
});

const TICK_MS = 250;
/** An encoder that was to be followed goes on no longer than this. */
const HANDOVER_MAX_MS = 10_000;
/** As the essentials': nobody's only picture, but somebody's. */
const HANDOVER_LAG_MAX_MS = 1_000;

export class Ladder {
  readonly #setup: LadderSetup;
  readonly #recipe: LadderRecipe;
  readonly #prng = new Prng(randomInt(2 ** 32));
  readonly #ticker: NodeJS.Timeout;
  readonly #overload: Overload;
  /** Of each rung, so that an encoder with the same parameters looks like no change to outputs. */
  readonly #tracks = new Map<string, Track>();
  readonly #joins = new Map<string, StreamJoin<Made>>();
  readonly #narrowband: Narrowband | undefined;
  #source: AccessUnitSource | undefined;
  #detach: () => void = () => undefined;
  #plan: LadderPlan = NO_LADDER;
  #encoder: Encoder | undefined;
  #retiring: { readonly encoder: Encoder; readonly untilMs: number } | undefined;
  #encoderCount = 0;
  #isClosed = false;

  constructor(setup: LadderSetup) {
    this.#setup = setup;
    this.#recipe = setup.recipe ?? H264_LADDER;
    this.#overload = new Overload(setup.options);
    this.#narrowband = startNarrowband(setup);
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
  }

  /** The publisher's video; one attached before is let go. */
  attach(source: AccessUnitSource): void {
    if (this.#isClosed) {
      return;
    }
    this.#detach();
    this.#source = source;
    this.#detach = source.subscribe({ onUnit: (unit) => this.#onSourceUnit(unit) });
  }

  status(): LadderStatus {
    const supervised = this.#encoder?.supervised;
    return {
      state: supervised?.state ?? 'not_needed',
      rungs: this.#plan.rungs,
      leftOut: this.#plan.leftOut,
      cpuCores: this.#plan.cpuCores,
      shedCount: this.#overload.shedCount,
      lagMs: supervised?.lagMs ?? 0,
      restartCount: supervised?.restartCount ?? 0,
      droppedCount: supervised?.droppedCount ?? 0,
      narrowband: this.#narrowband?.status(this.#setup.clock.nowMs()),
    };
  }

  /** Of the child that runs now; for tests and the log. */
  get pid(): number | undefined {
    return this.#encoder?.supervised.pid;
  }

  /** May be called twice. */
  close(reason: string): void {
    if (this.#isClosed) {
      return;
    }
    this.#isClosed = true;
    clearInterval(this.#ticker);
    this.#narrowband?.close();
    this.#detach();
    this.#retire();
    this.#encoder?.supervised.close();
    this.#encoder = undefined;
    for (const id of [...this.#joins.keys()]) {
      this.#endRung(id, reason);
    }
  }

  /** Another size is another ladder, at once: what the child makes of it would be neither. */
  #onSourceUnit(unit: AccessUnit): void {
    this.#narrowband?.onSourceUnit(unit);
    const known = this.#encoder?.plan;
    if (
      known !== undefined &&
      unit.track.kind === 'video' &&
      unit.isKeyframe &&
      !isSameLadder(known, this.#planFor(unit.track))
    ) {
      this.#replan(unit.track);
    }
  }

  #tick(): void {
    const nowMs = this.#setup.clock.nowMs();
    const encoder = this.#encoder;
    encoder?.supervised.tick(nowMs);
    this.#retiring?.encoder.supervised.tick(nowMs);
    if (this.#retiring !== undefined && nowMs > this.#retiring.untilMs) {
      this.#retire();
    }
    // With every rung shed nothing runs that could be late: calm, until the first may come back.
    const isIdle = encoder === undefined && this.#overload.shedCount > 0;
    if ((encoder !== undefined || isIdle) && this.#retiring === undefined) {
      const { lagMs, droppedCount, state } = this.status();
      const change = this.#overload.look({
        ...{ nowMs, lagMs, droppedCount, frameRateFps: this.#frameRateFps },
        isRunning: isIdle || state === 'running',
        isStarting: state === 'starting',
      });
      if (change !== 'none') {
        this.#setup.log.warn(`transcode.ladder.${change}`, {
          ladder: this.#recipe.name,
          lagMs: Math.round(lagMs),
          shedCount: this.#overload.shedCount,
        });
      }
    }
    this.#lookAtContent(nowMs);
    this.#replan(this.#source?.track);
  }

  #lookAtContent(nowMs: number): void {
    const encoder = this.#encoder;
    if (encoder?.plan.rungs.every((rung) => rung.encoder === 'software') !== true) {
      return;
    }
    const { lagMs, droppedCount, state } = this.status();
    this.#narrowband?.tick({
      nowMs,
      rungs: encoder.plan.rungs,
      keyframes: encoder.keyframes,
      sourceFrameRateFps: this.#frameRateFps,
      hasReordering: this.#source?.facts.hasReordering ?? false,
      lagMs,
      droppedCount,
      isSteady: state === 'running' && this.#retiring === undefined && this.#overload.shedCount === 0,
    });
  }

  #replan(track: Track | undefined): void {
    const facts = this.#source?.facts;
    if (this.#isClosed || track?.kind !== 'video' || facts === undefined || this.#retiring !== undefined) {
      return;
    }
    const isKnown = facts.isGopKnown && facts.frameRateFps !== undefined;
    if (!isKnown && this.#encoder === undefined) {
      return;
    }
    const plan = this.#planFor(track);
    const keyframes = isKnown
      ? facts.gopMaxMs <= GOP_SAFE_MAX_MS
        ? 'as-source'
        : 'whole-seconds'
      : (this.#encoder?.keyframes ?? 'as-source');
    const isSame = isSameLadder(plan, this.#plan) && (this.#encoder?.keyframes ?? keyframes) === keyframes;
    this.#plan = plan;
    if (!isSame) {
      this.#follow(plan, keyframes);
    }
  }

  /** The usual rate nearest to what was measured: one that wanders must not change the plan. */
  get #frameRateFps(): number {
    return usualRateFps(this.#source?.facts.frameRateFps);
  }

  #planFor(track: VideoTrack): LadderPlan {
    const { options, speeds, coreCount } = this.#setup;
    const encoder = this.#setup.encoder?.() ?? 'software';
    const source = { widthPx: track.widthPx, heightPx: track.heightPx, frameRateFps: this.#frameRateFps };
    const narrowband = this.#narrowband;
    const crfOf = narrowband === undefined ? {} : { crfOf: (rungId: string) => narrowband.crfOf(rungId) };
    const { shedCount } = this.#overload;
    return this.#recipe.plan({ source, options, speeds, coreCount, encoder, shedCount, ...crfOf });
  }

  /** More of the same is begun before what there is ends; with less, or with something else, the old one is in the way. */
  #follow(plan: LadderPlan, keyframes: LadderKeyframes): void {
    const before = this.#encoder;
    const nowMs = this.#setup.clock.nowMs();
    const mayOverlap =
      before !== undefined && plan.rungs.length >= before.plan.rungs.length && sharesShapes(before.plan, plan);
    if (before !== undefined && !mayOverlap) {
      before.supervised.close();
      this.#leave(before);
    }
    for (const { id } of before?.plan.rungs ?? []) {
      if (!plan.rungs.some((rung) => rung.id === id)) {
        this.#endRung(id, 'no_longer_planned');
      }
    }
    for (const rung of plan.rungs) {
      if (!this.#joins.has(rung.id)) {
        this.#joins.set(rung.id, new StreamJoin(JOIN));
        this.#setup.output.onRung(rung);
      }
    }
    this.#setup.log.info('transcode.ladder.planned', {
      ladder: this.#recipe.name,
      rungs: plan.rungs.map(({ id, encoder, preset, crf }) => `${id} ${encoder} ${preset} ${crf}`),
      leftOut: plan.leftOut,
      cpuCores: Number(plan.cpuCores.toFixed(2)),
      keyframes,
    });
    this.#encoder = plan.rungs.length === 0 ? undefined : this.#start(plan, keyframes);
    if (before !== undefined && mayOverlap) {
      this.#retiring = { encoder: before, untilMs: nowMs + HANDOVER_MAX_MS };
    }
  }

  #start(plan: LadderPlan, keyframes: LadderKeyframes): Encoder | undefined {
    const source = this.#source;
    if (source === undefined) {
      return undefined;
    }
    this.#encoderCount += 1;
    const number = this.#encoderCount;
    const { backoff, clock, log, metrics, startFfmpeg } = this.#setup;
    const restarts = metrics.counter('transcode_restarts_total', 'Restarts of ffmpeg children', ['rendition']);
    const supervised = new SupervisedTrack({
      name: this.#recipe.name,
      outputCount: plan.rungs.length,
      source,
      opusFrameMs: 0,
      runOptions: this.#runOptions,
      backoffOptions: backoff,
      prng: this.#prng,
      clock,
      log,
      startFfmpeg: startFfmpeg ?? startRealFfmpeg,
      jobFor: (track, encodeFromMs) => this.#jobFor(track, { plan, keyframes, encodeFromMs }),
      onUnit: (unit, outputIndex) => this.#onMade({ number, rung: plan.rungs[outputIndex], unit }),
      onRestart: () => {
        restarts.inc({ rendition: this.#recipe.name });
        this.#setup.onRestart?.();
      },
    });
    return { number, plan, keyframes, supervised };
  }

  /** Two encoders at once are late for a moment: what they left out then would be missing in the middle of a change. */
  get #runOptions(): RunOptions {
    const { run } = this.#setup;
    const lagMaxMs = (): number =>
      this.#retiring === undefined ? run.lagMaxMs : Math.max(run.lagMaxMs, HANDOVER_LAG_MAX_MS);
    return {
      ...run,
      get lagMaxMs(): number {
        return lagMaxMs();
      },
    };
  }

  #jobFor(
    track: Track,
    { plan, keyframes, encodeFromMs }: { plan: LadderPlan; keyframes: LadderKeyframes; encodeFromMs: number },
  ): FfmpegJob {
    const job = { rungs: plan.rungs, keyframes, sourceFrameRateFps: this.#frameRateFps, encodeFromMs };
    return {
      ffmpegPath: this.#setup.ffmpegPath,
      inputArgs: [...deviceArgs(plan.rungs[0]?.encoder ?? 'software'), ...inputArgs(track)],
      niceness: this.#recipe.niceness,
      filterGraph: ladderGraph(job),
      outputs: this.#recipe.outputs(job),
    };
  }

  #onMade({ number, rung, unit }: { number: number; rung: Rung | undefined; unit: AccessUnit }): void {
    const join = rung === undefined ? undefined : this.#joins.get(rung.id);
    if (join === undefined || rung === undefined) {
      return;
    }
    const given = join.push(number, { encoder: number, unit: this.#withKnownTrack(rung.id, unit) });
    this.#giveOut(rung.id, given);
    const retiring = this.#retiring?.encoder;
    if (
      retiring !== undefined &&
      retiring.plan.rungs.every(({ id }) => this.#joins.get(id)?.isCurrent(retiring.number) !== true)
    ) {
      this.#retire();
    }
    const changes = given.map((made) => this.#narrowband?.onRungUnit({ rungId: rung.id, ...made }));
    if (changes.includes(true)) {
      this.#replan(this.#source?.track);
    }
  }

  #withKnownTrack(rungId: string, unit: AccessUnit): AccessUnit {
    const track = keepTrack(this.#tracks.get(rungId), unit.track);
    this.#tracks.set(rungId, track);
    return track === unit.track ? unit : { ...unit, track };
  }

  #giveOut(rungId: string, pictures: readonly Made[]): void {
    for (const { unit } of pictures) {
      this.#setup.output.onUnit(rungId, unit);
    }
  }

  #retire(): void {
    const retiring = this.#retiring?.encoder;
    this.#retiring = undefined;
    if (retiring !== undefined) {
      retiring.supervised.close();
      this.#leave(retiring);
    }
  }

  #leave(encoder: Encoder): void {
    for (const [id, join] of this.#joins) {
      this.#giveOut(id, join.leave(encoder.number));
    }
  }

  #endRung(id: string, reason: string): void {
    this.#joins.delete(id);
    this.#tracks.delete(id);
    this.#setup.output.onEnd(id, reason);
  }
}

const startNarrowband = (setup: LadderSetup): Narrowband | undefined => {
  const { options, qualityModel: model, ffmpegPath, clock, log, metrics } = setup;
  const { targetVmaf, probeCpuMaxRatio } = options;
  const isX264 = setup.recipe === undefined || setup.recipe === H264_LADDER;
  if (options.narrowband === 'off' || model === undefined || !isX264) {
    return undefined;
  }
  const crfSafe = safeCrf(model, options);
  return new Narrowband({ options: { targetVmaf, crfSafe, probeCpuMaxRatio }, model, ffmpegPath, clock, log, metrics });
};

const JOIN = {
  timeOf: ({ unit }: Made): number => unit.dtsTicks,
  isKeyframe: ({ unit }: Made): boolean => unit.isKeyframe,
  // The new encoder does not wait longer for the old one than a rung may be behind.
  nextHeldMaxCount: 30,
};

/** Whether pictures of one may follow those of the other without a break: rungs in both have the same sizes. */
const sharesShapes = (a: LadderPlan, b: LadderPlan): boolean =>
  a.rungs.every((rung) => {
    const other = b.rungs.find(({ id }) => id === rung.id);
    return other === undefined || (other.widthPx === rung.widthPx && other.heightPx === rung.heightPx);
  });
