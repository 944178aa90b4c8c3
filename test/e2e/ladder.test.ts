/** The ladder with real ffmpeg: every rung has its keyframes on the same pictures, loses none, and outlives its child, a new plan and a hog. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { systemClock } from '../../server/base/clock.ts';
import type { AccessUnit, VideoUnit } from '../../server/media/access-unit.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import { Rendition } from '../../server/relay/rendition.ts';
import { ESSENTIALS_DEFAULTS } from '../../transcode/essentials.ts';
import { LADDER_DEFAULTS, SPEEDS_DEFAULT } from '../../transcode/ladder-plan.ts';
import { LADDER_RUN_DEFAULTS, Ladder } from '../../transcode/ladder.ts';
import { ffmpegMissing, makeElementaryStreams } from '../support/ffmpeg-media.ts';
import { feedLive } from '../support/live-feed.ts';
import { within } from '../support/wait.ts';

const options = { skip: ffmpegMissing(), timeout: 90_000 };

class Scene {
  readonly made = new Map<string, AccessUnit[]>();
  readonly ended: string[] = [];
  readonly source = new Rendition('source-video', { cacheMaxBytes: 2 ** 24, cacheMaxCount: 900 });
  readonly ladder: Ladder;

  constructor(t: TestContext, units: readonly VideoUnit[]) {
    this.ladder = new Ladder({
      options: { ...LADDER_DEFAULTS, sidesPx: [144, 120] },
      ffmpegPath: 'ffmpeg',
      // Whether every picture is there is asked here; a busy machine may take its time.
      run: { ...LADDER_RUN_DEFAULTS, lagMaxMs: 10_000 },
      backoff: ESSENTIALS_DEFAULTS.backoff,
      speeds: SPEEDS_DEFAULT,
      coreCount: 2,
      clock: systemClock,
      log: silentLog,
      metrics: new Metrics({ collectDefaults: false }),
      output: {
        onRung: ({ id }) => this.made.set(id, this.made.get(id) ?? []),
        onUnit: (id, unit) => this.made.get(id)?.push(unit),
        onEnd: (id) => this.ended.push(id),
      },
    });
    this.ladder.attach(this.source);
    const stop = feedLive(units, (unit) => this.source.push(unit));
    t.after(() => {
      stop();
      this.ladder.close('test_over');
    });
  }

  timesOf(id: string, isWanted: (unit: AccessUnit) => boolean = () => true): number[] {
    return (this.made.get(id) ?? []).filter(isWanted).map(({ ptsTicks }) => ptsTicks);
  }
}

const isKey = ({ isKeyframe }: AccessUnit): boolean => isKeyframe;

for (const [what, gopFrames, bFrames] of [
  ['as the source has them', 45, 0],
  ['in whole seconds where the source has too few, with B-frames', 250, 2],
] as const) {
  test(`all pictures in every rung, keyframes on the same ones, ${what}`, options, async (t) => {
    const { video } = makeElementaryStreams({ durationS: 16, bFrames, gopFrames });
    const scene = new Scene(t, video);
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
    const tracks = new Set(scene.made.get('h120')!.map(({ track }) => track));
    assert.equal(tracks.size, 1);
  });
}

test(
  'kill -9 of the child: the rungs go on within three seconds, times rise, nothing but the pause is missing',
  options,
  async (t) => {
    const { video } = makeElementaryStreams({ durationS: 20, bFrames: 0, gopFrames: 30 });
    const scene = new Scene(t, video);
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
