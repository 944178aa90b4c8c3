/** The rungs' CRFs over a broadcast, with a made-up source and probes: what is asked of ffmpeg, and what comes of its answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadQualityModel } from '../../../../config/load.ts';
import type { AccessUnit } from '../../../../server/media/access-unit.ts';
import { silentLog } from '../../../../server/observability/log.ts';
import { Metrics } from '../../../../server/observability/metrics.ts';
import type { Rung } from '../../../../transcode/ladder-plan.ts';
import { LADDER_DEFAULTS, SPEEDS_DEFAULT, planLadder } from '../../../../transcode/ladder-plan.ts';
import { Narrowband } from '../../../../transcode/narrowband/narrowband.ts';
import type { QualityModel } from '../../../../transcode/narrowband/quality-model.ts';
import type { Probe, ProbeJob } from '../../../../transcode/narrowband/quality-probe.ts';
import { readRows } from '../../../quality/calibration-rows.ts';
import { TEST_VIDEO_TRACK } from '../../../support/units.ts';

/** Quality is what SSIM says, so that the made-up probes can say what they like. */
const MODEL: QualityModel = {
  ...loadQualityModel(),
  features: [{ name: 'ssimDb', unit: 'dB', mean: 0, scale: 1, weight: 1 }],
  ...{ offsetVmaf: 70, vmafPerCrfMin: 0.2, vmafPerCrfMax: 3, safe: { crf: 22, targetVmaf: 93 } },
};
const [{ point: ANY_POINT }] = readRows() as [ReturnType<typeof readRows>[number]];
const SOURCE = { widthPx: 1280, heightPx: 720, frameRateFps: 30 };
const { rungs: RUNGS } = planLadder({
  source: SOURCE,
  options: LADDER_DEFAULTS,
  speeds: SPEEDS_DEFAULT,
  coreCount: 4,
  shedCount: 0,
});

class Show {
  readonly jobs: ProbeJob[] = [];
  readonly narrowband: Narrowband;
  nowMs = 0;
  /** The CRF at which each rung reaches 93. */
  neededCrf = 27.2;
  isSteady = true;
  fails = false;
  #index = 0;

  constructor() {
    this.narrowband = new Narrowband({
      options: { targetVmaf: 93, crfSafe: 22, probeCpuMaxRatio: 0.05 },
      ...{ model: MODEL, ffmpegPath: 'ffmpeg', log: silentLog, metrics: new Metrics({ collectDefaults: false }) },
      clock: { nowMs: () => this.nowMs, wallMs: () => this.nowMs },
      probe: async (job) => this.#probe(job),
    });
  }

  get crfs(): number[] {
    return RUNGS.map(({ id }) => this.narrowband.crfOf(id));
  }

  async pass(seconds: number, keyframeBytes = 50_000): Promise<void> {
    for (const end = this.#index + seconds * 30; this.#index < end; this.#index += 1) {
      this.nowMs = (this.#index * 1000) / 30;
      this.show(keyframeBytes);
      if (this.#index % 8 === 0) {
        this.tick();
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }

  /** One picture of the source, and of each rung. */
  show(keyframeBytes: number, isCut = false): boolean {
    const isKeyframe = this.#index % 30 === 0;
    const ticks = this.#index * 3_000;
    const unit: AccessUnit = {
      ...{ track: TEST_VIDEO_TRACK, dtsTicks: ticks, ptsTicks: ticks, isKeyframe, isDiscontinuity: false },
      ...{ payload: new Uint8Array(isKeyframe || isCut ? keyframeBytes : 2_000), arrivedAtMs: 0, arrivedAtWallMs: 0 },
    };
    this.narrowband.onSourceUnit(unit);
    return RUNGS.map(({ id }) => this.narrowband.onRungUnit({ rungId: id, encoder: this.crfs[0]!, unit })).includes(
      true,
    );
  }

  tick(): void {
    this.narrowband.tick({
      ...{ nowMs: this.nowMs, rungs: RUNGS, keyframes: 'as-source', isSteady: this.isSteady },
      ...{ sourceFrameRateFps: 30, hasReordering: false, lagMs: 40, droppedCount: 0 },
    });
  }

  async #probe(job: ProbeJob): Promise<Probe> {
    this.jobs.push(job);
    if (this.fails) {
      throw new Error('no answer');
    }
    const reportOf = ({ crf }: Rung): Probe['reports'][number] => {
      const vmaf = 93 - (crf - this.neededCrf);
      return { ...ANY_POINT.report, ssimRatio: 1 - 10 ** ((70 - vmaf) / 10) };
    };
    return { reports: job.rungs.map(reportOf), content: ANY_POINT.content, cpuMs: 900 };
  }
}

test('the first sample is probed, each rung at the CRF it has and at a second one, and the CRFs follow', async () => {
  const show = new Show();
  await show.pass(12);
  assert.equal(show.jobs.length, 1);
  const [job] = show.jobs;
  assert.deepEqual(
    job!.rungs.map(({ id, crf }) => `${id} ${crf}`),
    RUNGS.flatMap(({ id }) => [`${id} 22`, `${id} 27`]),
  );
  assert.ok(job!.sample[0]!.isKeyframe && job!.sample.length > 30);
  assert.deepEqual(show.crfs, [27, 27]);
  const status = show.narrowband.status(show.nowMs);
  assert.equal(status.lastChange, 'follows_content');
  assert.ok(status.probedAgoMs! < 12_000);
  assert.deepEqual(
    status.rungs.map(({ crf, vmaf }) => `${crf} ${vmaf?.toFixed(1)}`),
    ['27 93.2', '27 93.2'],
  );
});

test('a cut gives the safe CRF with that very picture, and the new scene is probed by itself', async () => {
  const show = new Show();
  await show.pass(40);
  assert.deepEqual(show.crfs, [27, 27]);
  const probeCount = show.jobs.length;
  show.neededCrf = 24.2;
  await show.pass(0.5);
  assert.ok(show.show(50_000, true), 'the ladder is told at once');
  assert.deepEqual(show.crfs, [22, 22]);
  assert.equal(show.narrowband.status(show.nowMs).rungs[0]?.vmaf, undefined, 'nobody has seen this scene');
  await show.pass(90);
  assert.ok(show.jobs.length > probeCount);
  assert.ok(
    show.jobs.slice(probeCount).every(({ sample }) => sample[0]!.ptsTicks > 40 * 90_000),
    'no probe of the old scene',
  );
  assert.deepEqual(show.crfs, [24, 24]);
});

test('a scene that only drifts keeps its CRF and is looked at again', async () => {
  const show = new Show();
  await show.pass(15);
  assert.equal(show.jobs.length, 1);
  await show.pass(12, 78_000);
  assert.equal(show.jobs.length, 2, 'the next one would have come after half a minute');
  assert.deepEqual(show.crfs, [27, 27]);
});

test('nothing is probed or changed while the ladder has other worries', async () => {
  const show = new Show();
  show.isSteady = false;
  await show.pass(40);
  assert.equal(show.jobs.length, 0);
  assert.deepEqual(show.crfs, [22, 22]);
});

test('a probe that fails changes nothing, and is tried again later', async () => {
  const show = new Show();
  show.fails = true;
  await show.pass(12);
  assert.equal(show.jobs.length, 1);
  assert.deepEqual(show.crfs, [22, 22]);
  show.fails = false;
  await show.pass(20);
  assert.deepEqual(show.crfs, [27, 27]);
});

test('probes of a scene that does not change come every half minute, at 900 ms of CPU each', async () => {
  const show = new Show();
  await show.pass(181);
  assert.equal(show.jobs.length, 6);
});
