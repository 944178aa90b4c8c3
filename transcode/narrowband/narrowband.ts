/**
 * Narrowband HD for the rungs of one broadcast: the CRF follows the content. Keeps the last seconds of the source, has them probed when it is time,
 * and watches what the encoder makes for a scene that the probe has not seen. The decisions are `crf-controller`'s; the ladder carries them out.
 */
import type { Clock } from '../../server/base/clock.ts';
import { messageOf } from '../../server/base/errors.ts';
import type { AccessUnit } from '../../server/media/access-unit.ts';
import { ptsMsOf } from '../../server/media/access-unit.ts';
import type { Log } from '../../server/observability/log.ts';
import type { Metrics } from '../../server/observability/metrics.ts';
import { Calm } from './calm.ts';
import type { CrfChange, RungPrediction } from './crf-controller.ts';
import { CrfController } from './crf-controller.ts';
import type { LadderKeyframes } from '../ladder-args.ts';
import type { Rung } from '../ladder-plan.ts';
import { ProbeSchedule } from './probe-schedule.ts';
import type { QualityModel } from './quality-model.ts';
import { qualityLine } from './quality-model.ts';
import type { Probe, ProbeJob } from './quality-probe.ts';
import { probeSample } from './quality-probe.ts';
import { SampleKeeper } from './sample-keeper.ts';
import { SceneGuard } from './scene-guard.ts';

export type NarrowbandOptions = {
  readonly targetVmaf: number;
  /** What nobody has looked at gets this one. */
  readonly crfSafe: number;
  /** Share of one core that probes may take on average. */
  readonly probeCpuMaxRatio: number;
};

export type NarrowbandSetup = {
  readonly options: NarrowbandOptions;
  readonly model: QualityModel;
  readonly ffmpegPath: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** How a sample is probed; tests have a machine of their own. */
  readonly probe?: (job: ProbeJob) => Promise<Probe>;
};

/** How the ladder is. */
export type NarrowbandLook = {
  readonly nowMs: number;
  /** Of the plan in force. */
  readonly rungs: readonly Rung[];
  readonly keyframes: LadderKeyframes;
  readonly sourceFrameRateFps: number;
  readonly hasReordering: boolean;
  readonly lagMs: number;
  readonly droppedCount: number;
  /** No rung is shed, an encoder runs, and no other is about to follow it. */
  readonly isSteady: boolean;
};

export type NarrowbandStatus = {
  readonly targetVmaf: number;
  readonly rungs: readonly { readonly id: string; readonly crf: number; readonly vmaf: number | undefined }[];
  /** Since the last probe of any scene. */
  readonly probedAgoMs: number | undefined;
  readonly lastChange: CrfChange | undefined;
};

const SAMPLE = { sampleMs: 1_400, sampleMaxBytes: 6 * 1024 * 1024, sampleMaxCount: 180 };
const PROBE_EVERY_MS = 30_000;
const PROBE_RETRY_MS = 15_000;
/** At the lowest priority on a busy machine. */
const PROBE_TIMEOUT_MS = 60_000;
const CHANGE_EVERY_MS = 30_000;
/** Beyond these the model has seen nothing, and the picture is either perfect or bad. */
export const CRF_RANGE = { crfMin: 17, crfMax: 34 } as const;
/** The second encoding of a probe is so far from the CRF in force, on the side where there is more room. */
const PROBE_STEP_CRF = 5;
const PROBE_MIDDLE_CRF = 26;

export class Narrowband {
  readonly #setup: NarrowbandSetup;
  readonly #controller: CrfController;
  readonly #schedule: ProbeSchedule;
  readonly #keeper = new SampleKeeper(SAMPLE);
  readonly #guard = new SceneGuard();
  readonly #calm = new Calm();
  #sceneNumber = 0;
  #probedSceneNumber: number | undefined;
  #guardedEncoder: number | undefined;
  #lastChange: CrfChange | undefined;
  #rungs: readonly Rung[] = [];
  #isClosed = false;

  constructor(setup: NarrowbandSetup) {
    this.#setup = setup;
    const { targetVmaf, crfSafe, probeCpuMaxRatio } = setup.options;
    this.#controller = new CrfController({ ...CRF_RANGE, crfSafe, targetVmaf, changeEveryMs: CHANGE_EVERY_MS });
    this.#schedule = new ProbeSchedule({
      cpuMaxRatio: probeCpuMaxRatio,
      everyMs: PROBE_EVERY_MS,
      retryMs: PROBE_RETRY_MS,
    });
  }

  /** What the rung is to be encoded with from the next plan on. */
  crfOf(rungId: string): number {
    return this.#controller.crfOf(rungId);
  }

  status(nowMs: number): NarrowbandStatus {
    const { probedAtMs } = this.#schedule;
    return {
      targetVmaf: this.#setup.options.targetVmaf,
      rungs: this.#rungs.map(({ id }) => ({ id, crf: this.crfOf(id), vmaf: this.#controller.vmafOf(id) })),
      probedAgoMs: probedAtMs === undefined ? undefined : nowMs - probedAtMs,
      lastChange: this.#lastChange,
    };
  }

  onSourceUnit(unit: AccessUnit): void {
    this.#keeper.add(unit);
  }

  /** A picture of one rung as it is given out. True: the CRFs have changed just now, and every picture counts. */
  onRungUnit({ rungId, encoder, unit }: { rungId: string; encoder: number; unit: AccessUnit }): boolean {
    if (rungId !== this.#rungs[0]?.id) {
      return false;
    }
    if (encoder !== this.#guardedEncoder) {
      this.#guardedEncoder = encoder;
      this.#guard.restart();
    }
    const change = this.#guard.push({ bytes: unit.payload.byteLength, isKeyframe: unit.isKeyframe });
    if (change === 'none') {
      return false;
    }
    this.#sceneNumber += 1;
    this.#keeper.clear();
    if (change === 'cut') {
      this.#controller.onSceneChange();
    }
    this.#setup.log.debug('transcode.narrowband.scene', { change, mediaMs: Math.round(ptsMsOf(unit)) });
    return this.#decide(this.#setup.clock.nowMs(), false);
  }

  /** Some times a second. */
  tick(look: NarrowbandLook): void {
    this.#rungs = look.rungs;
    this.#decide(look.nowMs, this.#calm.look(look));
    const isNews = this.#probedSceneNumber !== this.#sceneNumber;
    if (look.isSteady && this.#keeper.sample.length > 0 && this.#schedule.isDue(look.nowMs, isNews)) {
      void this.#probe(look);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#keeper.clear();
  }

  #decide(nowMs: number, isCalm: boolean): boolean {
    const before = this.#rungs.map(({ id }) => this.crfOf(id));
    const change = this.#controller.decide({ nowMs, isCalm });
    if (change === undefined) {
      return false;
    }
    this.#lastChange = change;
    const changes = this.#setup.metrics.counter('transcode_crf_changes_total', 'Changes of the rungs\u2019 CRFs', [
      'why',
    ]);
    changes.inc({ why: change });
    this.#setup.log.info('transcode.narrowband.changed', {
      why: change,
      rungs: this.#rungs.map(({ id }, index) => ({
        id,
        crfBefore: before[index],
        crf: this.crfOf(id),
        vmafPredicted: rounded(this.#controller.vmafOf(id)),
      })),
    });
    return true;
  }

  /** Never rejects: without a result the CRFs stay. */
  async #probe(look: NarrowbandLook): Promise<void> {
    const { ffmpegPath, clock, log, metrics, probe = probeSample } = this.#setup;
    const sceneNumber = this.#sceneNumber;
    const startedAtMs = look.nowMs;
    const sample = this.#keeper.sample;
    const rungs = look.rungs.flatMap((rung) => crfsToProbe(this.crfOf(rung.id)).map((crf) => ({ ...rung, crf })));
    const probes = metrics.counter('transcode_probes_total', 'Probes of what a CRF shows', ['result']);
    const cpu = metrics.counter('transcode_probe_cpu_seconds_total', 'Processor time of probes');
    this.#schedule.onStarted();
    try {
      const { keyframes, sourceFrameRateFps, hasReordering } = look;
      const what = { sample, hasReordering, rungs, keyframes, sourceFrameRateFps };
      const result = await probe({ ...what, ffmpegPath, timeoutMs: PROBE_TIMEOUT_MS });
      this.#schedule.onSucceeded({ startedAtMs, cpuMs: result.cpuMs });
      cpu.inc(result.cpuMs / 1000);
      const isOfThisScene = sceneNumber === this.#sceneNumber && !this.#isClosed;
      probes.inc({ result: isOfThisScene ? 'used' : 'scene_over' });
      if (isOfThisScene) {
        this.#probedSceneNumber = sceneNumber;
        this.#guard.rebase();
        this.#controller.onProbe(this.#predict(rungs, result));
      }
    } catch (error) {
      this.#schedule.onFailed({ startedAtMs, nowMs: clock.nowMs() });
      probes.inc({ result: 'failed' });
      log.warn('transcode.narrowband.probe_failed', { error: messageOf(error) });
    }
  }

  #predict(rungs: readonly Rung[], { reports, content }: Probe): RungPrediction[] {
    return [...new Set(rungs.map(({ id }) => id))].flatMap((rungId) => {
      const points = rungs.flatMap(({ id, crf, widthPx, heightPx }, index) => {
        const report = reports[index];
        return id === rungId && report !== undefined ? [{ crf, widthPx, heightPx, report, content }] : [];
      });
      const line = qualityLine(this.#setup.model, points);
      return line === undefined ? [] : [{ rungId, line }];
    });
  }
}

/** What a probe encodes a rung with that has this one. */
export const crfsToProbe = (crf: number): readonly [number, number] => [
  crf,
  crf < PROBE_MIDDLE_CRF ? crf + PROBE_STEP_CRF : crf - PROBE_STEP_CRF,
];

const rounded = (vmaf: number | undefined): number | undefined =>
  vmaf === undefined ? undefined : Math.round(vmaf * 10) / 10;
