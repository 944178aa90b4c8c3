/** Narrowband HD with real ffmpeg: a real probe, another CRF in every rung, a cut and the way back; no picture lost, twice or moved. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadQualityModel } from '../../config/load.ts';
import { systemClock } from '../../server/base/clock.ts';
import type { AccessUnit, VideoUnit } from '../../server/media/access-unit.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import { Rendition } from '../../server/relay/rendition.ts';
import { ESSENTIALS_DEFAULTS } from '../../transcode/essentials.ts';
import { LADDER_DEFAULTS, SPEEDS_DEFAULT } from '../../transcode/ladder-plan.ts';
import { Ladder, ladderRunOptions } from '../../transcode/ladder.ts';
import type { QualityModel } from '../../transcode/narrowband/quality-model.ts';
import { ffmpegMissing, makeElementaryStreams } from '../support/ffmpeg-media.ts';
import { feedLive } from '../support/live-feed.ts';
import { within } from '../support/wait.ts';

const FRAME_TICKS = 3_000;

/** Knows nothing but the CRF: the target is at 28, so that what a test picture needs does not matter. */
const MODEL: QualityModel = {
  ...loadQualityModel(),
  features: [{ name: 'crf', unit: 'CRF', mean: 28, scale: 1, weight: -1 }],
  ...{ offsetVmaf: 93, vmafPerCrfMin: 1, vmafPerCrfMax: 1, safe: { crf: 22, targetVmaf: 93 } },
};

test(
  'CRF up after a probe and down after a cut: every picture is there once, in its place, in every rung',
  { skip: ffmpegMissing(), timeout: 150_000 },
  async (t) => {
    const media = { durationS: 70, bFrames: 0, gopFrames: 30 };
    const talk = makeElementaryStreams(media).video;
    const other = makeElementaryStreams({ ...media, durationS: 20, picture: 'mandelbrot' }).video;
    const source = new Rendition('source-video', { cacheMaxBytes: 2 ** 24, cacheMaxCount: 900 });
    const made = new Map<string, AccessUnit[]>();
    const ended: string[] = [];
    const ladder = new Ladder({
      // Whether every picture is there is asked here; a busy machine may take its time, and sheds nothing for it.
      options: { ...LADDER_DEFAULTS, sidesPx: [144, 120], bitsPerPxMax: 1, shedLagMs: 60_000, shedLeftOutRatio: 1 },
      ffmpegPath: 'ffmpeg',
      run: ladderRunOptions({ lagMaxMs: 10_000 }),
      ...{ backoff: ESSENTIALS_DEFAULTS.backoff, speeds: SPEEDS_DEFAULT, coreCount: 2, qualityModel: MODEL },
      ...{ clock: systemClock, log: silentLog, metrics: new Metrics({ collectDefaults: false }) },
      output: {
        onRung: ({ id }) => made.set(id, []),
        onUnit: (id, unit) => made.get(id)?.push(unit),
        onEnd: (id) => ended.push(id),
      },
    });
    ladder.attach(source);
    const fed: VideoUnit[] = [];
    let stop = feedLive(talk, (unit) => {
      fed.push(unit as VideoUnit);
      source.push(unit);
    });
    t.after(() => {
      stop();
      ladder.close('test_over');
    });
    const crfs = (): number[] => ladder.status().rungs.map(({ crf }) => crf);
    const lastTicks = (): number => Math.min(...[...made.values()].map((units) => units.at(-1)?.ptsTicks ?? 0));
    const playOn = async (seconds: number): Promise<void> => {
      const until = lastTicks() + seconds * 90_000;
      await within(30_000, `${seconds} s more in both rungs`, () => lastTicks() > until);
    };

    await within(20_000, 'both rungs play', () => crfs().length === 2 && lastTicks() > 0);
    const firstPid = ladder.pid;
    assert.deepEqual(crfs(), [22, 22]);
    await within(60_000, 'the CRFs have risen', () => crfs().every((crf) => crf === 28));
    const { narrowband } = ladder.status();
    assert.equal(narrowband?.lastChange, 'follows_content');
    assert.ok(narrowband.probedAgoMs !== undefined);
    assert.deepEqual(
      narrowband.rungs.map(({ vmaf }) => vmaf),
      [93, 93],
    );
    await playOn(2);
    assert.notEqual(ladder.pid, firstPid, 'another encoder took over');

    stop();
    const shiftTicks = fed.at(-1)!.ptsTicks + FRAME_TICKS - other[0]!.ptsTicks;
    const { track } = fed[0]!;
    stop = feedLive(other, (unit) => {
      const [dtsTicks, ptsTicks] = [unit.dtsTicks + shiftTicks, unit.ptsTicks + shiftTicks];
      const shifted = { ...unit, track, dtsTicks, ptsTicks } as VideoUnit;
      fed.push(shifted);
      source.push(shifted);
    });
    await within(10_000, 'the cut was noticed', () => crfs().every((crf) => crf === 22));
    assert.equal(ladder.status().narrowband?.lastChange, 'scene_changed');
    await playOn(3);

    assert.deepEqual(ended, []);
    const times = fed.map(({ ptsTicks }) => ptsTicks);
    for (const [id, units] of made) {
      const own = units.map(({ ptsTicks }) => ptsTicks);
      const from = times.indexOf(own[0]!);
      assert.deepEqual(own, times.slice(from, from + own.length), `${id}: a picture is missing, twice or moved`);
      assert.equal(new Set(units.map((unit) => unit.track)).size, 1, `${id}: viewers would have to begin anew`);
    }
    const sourceKeys = fed.filter(({ isKeyframe }) => isKeyframe).map(({ ptsTicks }) => ptsTicks);
    for (const [id, units] of made) {
      const [first, last] = [units[0]!.ptsTicks, units.at(-1)!.ptsTicks];
      const keys = new Set(units.filter(({ isKeyframe }) => isKeyframe).map(({ ptsTicks }) => ptsTicks));
      const missing = sourceKeys.filter((ticks) => ticks >= first && ticks <= last && !keys.has(ticks));
      assert.deepEqual(missing, [], `${id}: no keyframe where the source has one`);
    }
  },
);
