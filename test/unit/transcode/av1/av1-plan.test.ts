/** When there is an AV1 rung, how large, what its encoder is told, and how its bitrate is held. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { av1EncoderArgs, av1Outputs } from '../../../../transcode/av1/av1-args.ts';
import type { H264Ladder } from '../../../../transcode/av1/av1-plan.ts';
import { planAv1 } from '../../../../transcode/av1/av1-plan.ts';
import { BitrateCap } from '../../../../transcode/av1/bitrate-cap.ts';
import type { LadderOptions, LadderPlan, LadderSource } from '../../../../transcode/ladder-plan.ts';
import { LADDER_DEFAULTS, SPEEDS_DEFAULT, planLadder } from '../../../../transcode/ladder-plan.ts';

type Given = {
  readonly source?: Partial<LadderSource>;
  readonly options?: Partial<LadderOptions>;
  readonly coreCount?: number;
  readonly shedCount?: number;
  readonly h264?: Partial<H264Ladder>;
  readonly crfRise?: number;
};

/** Beside the H.264 ladder that is planned for the same. */
const plan = ({ source, options, coreCount = 4, shedCount = 0, h264, crfRise = 0 }: Given): LadderPlan => {
  const input = {
    source: { widthPx: 1920, heightPx: 1080, frameRateFps: 30, ...source },
    options: { ...LADDER_DEFAULTS, ...options },
    speeds: SPEEDS_DEFAULT,
    coreCount,
  };
  const { rungs, cpuCores } = planLadder({ ...input, shedCount: 0 });
  return planAv1({ ...input, shedCount, h264: { rungCount: rungs.length, cpuCores, shedCount: 0, ...h264 }, crfRise });
};

const idsOf = ({ rungs }: LadderPlan): string[] => rungs.map(({ id }) => id);

test('auto takes only what the H.264 rungs leave of the budget, a smaller size where that fits, and says why not', () => {
  assert.deepEqual(idsOf(plan({ coreCount: 2 })), []);
  assert.match(plan({ coreCount: 2 }).leftOut[0]?.why ?? '', /0\.\d cores left for AV1/);
  assert.deepEqual(idsOf(plan({ coreCount: 4 })), ['av1h480']);
  assert.deepEqual(idsOf(plan({ coreCount: 16 })), ['av1h720']);
  for (let cpuMaxCores = 0.4; cpuMaxCores < 6; cpuMaxCores += 0.1) {
    const options = { cpuMaxCores };
    const h264 = planLadder({
      source: { widthPx: 1920, heightPx: 1080, frameRateFps: 30 },
      options: { ...LADDER_DEFAULTS, ...options },
      speeds: SPEEDS_DEFAULT,
      coreCount: 16,
      shedCount: 0,
    });
    const av1 = plan({ options });
    assert.ok(h264.cpuCores + av1.cpuCores <= cpuMaxCores + 1e-9 || av1.rungs.length === 0);
  }
});

test('auto makes none of small pictures, none beside no H.264 rung, and none before those are planned', () => {
  const small = { coreCount: 16, options: { sidesPx: [240, 144] } };
  assert.deepEqual(plan(small), { rungs: [], leftOut: [], cpuCores: 0 });
  assert.deepEqual(idsOf(plan({ ...small, options: { ...small.options, av1: 'on' } })), ['av1h240']);
  assert.deepEqual(plan({ coreCount: 16, source: { widthPx: 640, heightPx: 360 } }).rungs, []);
  assert.deepEqual(plan({ coreCount: 16, h264: { rungCount: 0 } }).rungs, []);
});

test('a machine measured to be slower has room for less', () => {
  const slow = { ...SPEEDS_DEFAULT, encodeMsPerMpx: { ...SPEEDS_DEFAULT.encodeMsPerMpx, veryfast: 44 } };
  const input = {
    source: { widthPx: 1920, heightPx: 1080, frameRateFps: 30 },
    options: LADDER_DEFAULTS,
    coreCount: 8,
    shedCount: 0,
    h264: { rungCount: 3, cpuCores: 1, shedCount: 0 },
    crfRise: 0,
  };
  assert.deepEqual(idsOf(planAv1({ ...input, speeds: SPEEDS_DEFAULT })), ['av1h720']);
  assert.deepEqual(idsOf(planAv1({ ...input, speeds: slow })), ['av1h480']);
});

test('on makes the largest whatever it costs; off and no ladder make none and say nothing', () => {
  assert.deepEqual(idsOf(plan({ coreCount: 1, options: { av1: 'on' } })), ['av1h720']);
  for (const options of [{ av1: 'off' }, { enabled: false }] as const) {
    assert.deepEqual(plan({ coreCount: 16, options }), { rungs: [], leftOut: [], cpuCores: 0 });
  }
});

test('it may be as large as the source, never larger, and is upright where the source is', () => {
  const same = plan({ source: { widthPx: 1280, heightPx: 720 }, options: { av1: 'on' } }).rungs[0];
  assert.deepEqual([same?.id, same?.widthPx, same?.heightPx], ['av1h720', 1280, 720]);
  const upright = plan({ source: { widthPx: 540, heightPx: 960 }, options: { av1: 'on' } }).rungs[0];
  assert.deepEqual([upright?.id, upright?.widthPx, upright?.heightPx], ['av1h480', 480, 854]);
  assert.deepEqual(idsOf(plan({ source: { widthPx: 320, heightPx: 180 }, options: { av1: 'on' } })), []);
});

test('it goes while it, or an H.264 rung, is shed', () => {
  for (const given of [{ shedCount: 1 }, { h264: { shedCount: 1 } }]) {
    const { rungs, leftOut } = plan({ coreCount: 16, options: { av1: 'on' }, ...given });
    assert.deepEqual(rungs, []);
    assert.match(leftOut[0]?.why ?? '', /too slow/);
  }
});

test('the encoder looks nowhere ahead, keeps its quality, and has keyframes where it is told', () => {
  const { rungs } = plan({ coreCount: 16, crfRise: 8 });
  const [args] = av1Outputs({ rungs, keyframes: 'as-source', sourceFrameRateFps: 30, encodeFromMs: 0 });
  const valueOf = (name: string): string | undefined => args![args!.indexOf(name) + 1];
  assert.equal(valueOf('-c:v'), 'libaom-av1');
  assert.equal(valueOf('-lag-in-frames'), '0');
  assert.equal(valueOf('-crf'), String(LADDER_DEFAULTS.av1Crf + 8));
  assert.equal(valueOf('-b:v'), '0');
  assert.equal(valueOf('-force_key_frames'), 'source');
  assert.equal(valueOf('-tile-columns'), '1');
  const single = av1EncoderArgs({ crf: 36, sliceCount: 1 });
  assert.equal(single[single.indexOf('-tile-columns') + 1], '0');
});

test('above its cap less quality is asked for, step by step; well below it, after a while, more again', () => {
  const cap = new BitrateCap();
  let changeCount = 0;
  let nowMs = 0;
  const play = (seconds: number, bitrateBps: number): number => {
    for (const untilMs = nowMs + seconds * 1000; nowMs < untilMs; nowMs += 1000) {
      const before = cap.crfRise;
      cap.add(bitrateBps / 8, { nowMs, bitrateMaxBps: 1e6 });
      changeCount += cap.crfRise === before ? 0 : 1;
    }
    return cap.crfRise;
  };
  assert.equal(play(10, 900_000), 0);
  assert.equal(play(4, 1_500_000), 4);
  assert.equal(play(12, 800_000), 4, 'between: as it is');
  assert.equal(play(200, 2_000_000), 24, 'no further');
  assert.equal(play(16, 300_000), 24, 'not at once');
  assert.equal(play(30, 300_000), 20);
  assert.equal(play(300, 300_000), 0);
  assert.equal(changeCount, 12, 'each step is a new encoder');
});
