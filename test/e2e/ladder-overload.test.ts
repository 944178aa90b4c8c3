/** The ladder on a machine that has no time for it: what comes out is never old, rungs go and come back, nothing grows, the source notices nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../server/base/clock.ts';
import { hogCpu } from '../support/cpu-hog.ts';
import { ffmpegMissing } from '../support/ffmpeg-media.ts';
import { LadderScene, makeSource } from '../support/ladder-scene.ts';
import { passMs, within } from '../support/wait.ts';

const IS_SOAK = process.env['SLUICE_SIZE'] === 'soak';
const HOG_MS = IS_SOAK ? 20_000 : 6_000;
const LOOP_S = 4;
/** Issue 5: of a rung, at any time. */
const BEHIND_MAX_MS = 1_500;
const options = { skip: ffmpegMissing(), timeout: 300_000 };

const percentile = (values: readonly number[], ratio: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * ratio)] ?? 0;

/** What the hog alone costs the source: nothing is made of it any more. */
const lateWithoutLadderMs = async (scene: LadderScene, lateMs: (from: number) => number): Promise<number> => {
  scene.ladder.close('hog_alone');
  const stopHog = hogCpu();
  const fromCount = scene.sourceTicks.length;
  await passMs(HOG_MS);
  await stopHog();
  return lateMs(fromCount);
};

for (const [heightPx, frameRateFps] of [[720, 60], ...(IS_SOAK ? [[1080, 30] as const] : [])] as const) {
  test(`${heightPx}p${frameRateFps}, both cores taken for ${HOG_MS / 1000} s`, options, async (t) => {
    const widthPx = (heightPx * 16) / 9;
    const units = makeSource({ widthPx, heightPx, frameRateFps, durationS: LOOP_S, gopFrames: frameRateFps });
    const scene = new LadderScene(t, { units, loopS: LOOP_S });
    await within(60_000, 'rungs play', () => (scene.made.get('h360')?.length ?? 0) > 60);
    const calmCount = scene.sourceTicks.length;
    const rungCount = scene.made.size;
    const lags: number[] = [];
    const watch = setInterval(() => lags.push(scene.ladder.status().lagMs), 50);
    t.after(() => clearInterval(watch));
    const stopHog = hogCpu();
    t.after(stopHog);
    await passMs(HOG_MS);
    await stopHog();
    const hoggedCount = scene.sourceTicks.length;
    const shed = [...scene.ended];
    const isBack = (): boolean =>
      scene.ladder.status().rungs.length >= (IS_SOAK ? rungCount : 1) && scene.ladder.status().state === 'running';
    await within(IS_SOAK ? 200_000 : 60_000, 'what was shed comes back', isBack);
    const backAfterMs = systemClock.nowMs() - (scene.sourceAtMs[hoggedCount - 1] ?? 0);
    await within(20_000, 'and keeps up', () => scene.ladder.status().lagMs < 200);
    const worstMs = [...scene.made].map(([id, made]) => [
      id,
      Math.round(Math.max(...made.map(({ behindMs }) => behindMs))),
    ]);
    const lateMs = (from: number, to?: number): number =>
      Math.round(percentile(scene.sourceLateMs.slice(from, to), 0.99));
    const hoggedAloneMs = IS_SOAK ? await lateWithoutLadderMs(scene, lateMs) : undefined;
    t.diagnostic(
      JSON.stringify({
        ...{
          shed,
          worstBehindMs: worstMs,
          lagMaxMs: Math.round(Math.max(...lags)),
          backAfterMs: Math.round(backAfterMs),
        },
        sourceLateP99Ms: {
          calm: lateMs(30, calmCount),
          hogged: lateMs(calmCount, hoggedCount),
          hoggedAlone: hoggedAloneMs,
        },
      }),
    );
    assert.ok(!IS_SOAK || shed.length > 0, 'nothing was shed');
    for (const [id, behindMs] of worstMs) {
      assert.ok(Number(behindMs) <= BEHIND_MAX_MS, `${id} was ${behindMs} ms behind`);
    }
    assert.deepEqual(
      scene.sourceTicks,
      scene.sourceTicks.map((_, index) =>
        Math.round((units[index % units.length]?.ptsTicks ?? 0) + Math.floor(index / units.length) * LOOP_S * 90_000),
      ),
      'the source lost nothing, and kept its order',
    );
  });
}
