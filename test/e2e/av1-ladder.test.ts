/** The AV1 rung with real ffmpeg: keyframes on the pictures where the H.264 rungs have theirs, nothing given out unchecked, and its death is its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { systemClock } from '../../server/base/clock.ts';
import type { AccessUnit, VideoUnit } from '../../server/media/access-unit.ts';
import { splitObus } from '../../server/media/av1/obu.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import { Rendition } from '../../server/relay/rendition.ts';
import { Av1Ladder } from '../../transcode/av1/av1-ladder.ts';
import { createDecodeCheck } from '../../transcode/av1/decode-check.ts';
import { ESSENTIALS_DEFAULTS } from '../../transcode/essentials.ts';
import { LADDER_DEFAULTS, SPEEDS_DEFAULT } from '../../transcode/ladder-plan.ts';
import type { LadderSetup } from '../../transcode/ladder.ts';
import { Ladder, ladderRunOptions } from '../../transcode/ladder.ts';
import { encodeAv1Clip } from '../support/av1-clip.ts';
import { ffmpegMissing, makeElementaryStreams } from '../support/ffmpeg-media.ts';
import { feedLive } from '../support/live-feed.ts';
import { within } from '../support/wait.ts';

const options = { skip: ffmpegMissing(), timeout: 90_000 };

/** Nothing is shed, however slow the machine. */
const CALM = { shedLagMs: 60_000, shedLeftOutRatio: 1 };

class Scene {
  readonly made = new Map<string, AccessUnit[]>();
  readonly ended: string[] = [];
  readonly source = new Rendition('source-video', { cacheMaxBytes: 2 ** 24, cacheMaxCount: 900 });
  readonly h264: Ladder;
  readonly av1: Av1Ladder;

  constructor(t: TestContext, units: readonly VideoUnit[], given: Partial<ConstructorParameters<typeof Av1Ladder>[0]>) {
    const setup: LadderSetup = {
      // The cap is far away: a new encoder in the middle is another test's.
      options: { ...LADDER_DEFAULTS, ...CALM, sidesPx: [144], av1: 'on', bitsPerPxMax: 1 },
      ffmpegPath: 'ffmpeg',
      // Whether every picture is there is asked here; a busy machine may take its time.
      run: ladderRunOptions({ lagMaxMs: 10_000 }),
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
    };
    this.h264 = new Ladder(setup);
    this.av1 = new Av1Ladder({ ...setup, h264: () => ({ rungCount: 1, cpuCores: 0, shedCount: 0 }), ...given });
    this.h264.attach(this.source);
    this.av1.attach(this.source);
    const stop = feedLive(units, (unit) => this.source.push(unit));
    t.after(() => {
      stop();
      this.h264.close('test_over');
      this.av1.close('test_over');
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
  test(`AV1 has all pictures, and its keyframes where H.264 has them, ${what}`, options, async (t) => {
    const { video } = makeElementaryStreams({ durationS: 30, bFrames, gopFrames });
    const scene = new Scene(t, video, {});
    await within(35_000, 'four seconds of both', () =>
      ['h144', 'av1h144'].every((id) => scene.timesOf(id).length > 120),
    );
    const times = scene.timesOf('av1h144');
    const sourceTimes = video.map(({ ptsTicks }) => ptsTicks).toSorted((a, b) => a - b);
    const from = sourceTimes.indexOf(times[0]!);
    assert.deepEqual(times, sourceTimes.slice(from, from + times.length), 'a picture is missing, late or moved');
    const end = Math.min(times.at(-1)!, scene.timesOf('h144').at(-1)!);
    const shared = (id: string): number[] =>
      scene
        .timesOf(id, isKey)
        .filter((ticks) => ticks > times[0]! && ticks > scene.timesOf('h144')[0]! && ticks <= end);
    assert.ok(shared('av1h144').length >= 2);
    assert.deepEqual(shared('av1h144'), shared('h144'));
    const [first] = scene.made.get('av1h144')!;
    assert.deepEqual([first!.track.codec, first!.track.codecString], ['av1', 'av01.0.00M.08']);
    assert.ok(
      splitObus(first!.payload).every(({ type, hasSize }) => type !== 2 && hasSize),
      'delimiters, or no sizes',
    );
  });
}

test('kill -9 of the AV1 child: it is back by itself, and no H.264 picture is missing', options, async (t) => {
  const { video } = makeElementaryStreams({ durationS: 60, bFrames: 0, gopFrames: 30 });
  const scene = new Scene(t, video, {});
  await within(35_000, 'both play', () => ['h144', 'av1h144'].every((id) => scene.timesOf(id).length > 60));
  const before = scene.av1.pid!;
  process.kill(before, 'SIGKILL');
  const lastTicks = scene.timesOf('av1h144').at(-1)!;
  await within(20_000, 'it plays again', () => scene.timesOf('av1h144').at(-1)! > lastTicks + 90_000);
  assert.notEqual(scene.av1.pid, before);
  const times = scene.timesOf('h144');
  assert.ok(times.every((ticks, index) => index === 0 || ticks - times[index - 1]! < 4_000));
});

test('what cannot be decoded is never given out, and the status says so', options, async (t) => {
  const { video } = makeElementaryStreams({ durationS: 40, bFrames: 0, gopFrames: 30 });
  const scene = new Scene(t, video, { checkDecodes: async () => Promise.resolve('0 of 12 pictures were decoded') });
  await within(35_000, 'it is given up', () => scene.ended.includes('av1h144'));
  assert.deepEqual(scene.made.get('av1h144'), []);
  assert.match(scene.av1.status().leftOut[0]?.why ?? '', /not shown to decode/);
  assert.equal(scene.av1.pid, undefined);
});

test('the decode check passes whole pictures and finds damaged ones', options, async () => {
  const clip = encodeAv1Clip({ widthPx: 320, heightPx: 180, durationS: 1 });
  const units = clip.frames.slice(0, 12).map((frame, index) => ({
    track: clip.track,
    ...frame,
    dtsTicks: index * 3_000,
    ptsTicks: index * 3_000,
    arrivedAtMs: 0,
    arrivedAtWallMs: 0,
    isDiscontinuity: false,
  }));
  const check = createDecodeCheck('ffmpeg');
  assert.equal(await check(units), undefined);
  const cut = units.map((unit, index) => (index === 5 ? { ...unit, payload: unit.payload.slice(0, -40) } : unit));
  assert.ok((await check(cut)) !== undefined, 'a cut picture');
  const keyless = units.slice(3);
  assert.ok((await check(keyless)) !== undefined, 'pictures without what they refer to');
  assert.match((await createDecodeCheck('/nonexistent/ffmpeg')(units)) ?? '', /cannot be run/);
});
