/** The ladder with real ffmpeg: every rung has its keyframes on the same pictures, loses none, and outlives its child, a new plan and a hog. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { AccessUnit, VideoUnit } from '../../server/media/access-unit.ts';
import { ffmpegMissing, makeElementaryStreams } from '../support/ffmpeg-media.ts';
import { LadderScene } from '../support/ladder-scene.ts';
import { within } from '../support/wait.ts';

const options = { skip: ffmpegMissing(), timeout: 90_000 };

/** Whether every picture is there is asked here; a busy machine may take its time. */
const PATIENT = { lagMaxMs: 10_000, startLagMaxMs: 10_000, behindMaxMs: 60_000 };

const sceneOf = (t: TestContext, units: readonly VideoUnit[]): LadderScene =>
  new LadderScene(t, { units, ladder: { sidesPx: [144, 120] }, run: PATIENT });

const isKey = ({ isKeyframe }: AccessUnit): boolean => isKeyframe;

for (const [what, gopFrames, bFrames] of [
  ['as the source has them', 45, 0],
  ['in whole seconds where the source has too few, with B-frames', 250, 2],
] as const) {
  test(`all pictures in every rung, keyframes on the same ones, ${what}`, options, async (t) => {
    const { video } = makeElementaryStreams({ durationS: 16, bFrames, gopFrames });
    const scene = sceneOf(t, video);
    await within(15_000, 'both rungs have six seconds', () =>
      ['h144', 'h120'].every((id) => scene.timesOf(id).length > 180),
    );
    const [first, second] = [scene.timesOf('h144'), scene.timesOf('h120')];
    const count = Math.min(first.length, second.length);
    assert.deepEqual(first.slice(0, count), second.slice(0, count));
    const sourceTimes = video.map(({ ptsTicks }) => ptsTicks).toSorted((a, b) => a - b);
    const from = sourceTimes.indexOf(first[0]!);
    assert.deepEqual(first, sourceTimes.slice(from, from + first.length), 'a picture is missing, late or moved');
    const keys = scene.timesOf('h144', isKey).slice(1);
    assert.ok(keys.length >= 2);
    if (gopFrames === 45) {
      const sourceKeys = new Set(video.filter(isKey).map(({ ptsTicks }) => ptsTicks));
      assert.ok(
        keys.every((ticks) => sourceKeys.has(ticks)),
        `${keys.join(' ')} are no keyframes of the source`,
      );
    } else {
      assert.ok(
        keys.every((ticks) => ticks % 90_000 < 3_100),
        `${keys.join(' ')} do not begin seconds`,
      );
    }
    const tracks = new Set(scene.made.get('h120')!.map(({ unit }) => unit.track));
    assert.equal(tracks.size, 1);
  });
}

test(
  'kill -9 of the child: the rungs go on within three seconds, times rise, nothing but the pause is missing',
  options,
  async (t) => {
    const { video } = makeElementaryStreams({ durationS: 20, bFrames: 0, gopFrames: 30 });
    const scene = sceneOf(t, video);
    await within(10_000, 'a rung plays', () => scene.timesOf('h144').length > 60);
    const before = scene.ladder.pid!;
    process.kill(before, 'SIGKILL');
    const lastTicks = scene.timesOf('h144').at(-1)!;
    await within(5_000, 'it plays again', () => scene.timesOf('h144').at(-1)! > lastTicks + 90_000);
    assert.notEqual(scene.ladder.pid, before);
    const times = scene.timesOf('h144');
    const gaps = times.map((ticks, index) => ticks - (times[index - 1] ?? ticks - 3_000));
    assert.ok(gaps.every((gap) => gap > 0));
    assert.ok(Math.max(...gaps) < 3 * 90_000, `a pause of ${Math.max(...gaps) / 90_000} s`);
    assert.equal(gaps.filter((gap) => gap > 4_000).length, 1, 'only the pause is missing');
  },
);
