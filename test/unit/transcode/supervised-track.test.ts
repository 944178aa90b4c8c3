/** Runs follow each other as they should, shown with a child that only counts what it is given. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { ManualClock } from '../../../server/base/clock.ts';
import { Prng } from '../../../server/base/prng.ts';
import type { AccessUnit } from '../../../server/media/access-unit.ts';
import type { VideoTrack } from '../../../server/media/track.ts';
import { joinNalUnits } from '../../../server/media/h264/nal-units.ts';
import { NutWriter } from '../../../server/media/nut/nut-writer.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { Rendition } from '../../../server/relay/rendition.ts';
import { ESSENTIALS_DEFAULTS } from '../../../transcode/essentials.ts';
import type { FfmpegListener } from '../../../transcode/ffmpeg-process.ts';
import { SupervisedTrack } from '../../../transcode/supervised-track.ts';
import type { RunOptions } from '../../../transcode/track-run.ts';
import { TEST_VIDEO_TRACK } from '../../support/units.ts';

type Child = { writeCount: number; isKilled: boolean; listener: FfmpegListener };

const scene = (t: TestContext, run: Partial<RunOptions> = {}) => {
  const clock = new ManualClock();
  const source = new Rendition('source-video', { cacheMaxBytes: 1e6, cacheMaxCount: 100 });
  const children: Child[] = [];
  const made: AccessUnit[] = [];
  const supervised = new SupervisedTrack({
    name: 'repaired-video',
    outputCount: 1,
    source,
    opusFrameMs: 20,
    runOptions: { ...ESSENTIALS_DEFAULTS.run, ...run },
    backoffOptions: ESSENTIALS_DEFAULTS.backoff,
    prng: new Prng(1),
    clock,
    log: silentLog,
    jobFor: () => ({ ffmpegPath: 'ffmpeg', inputArgs: [], outputs: [[]] }),
    startFfmpeg: (_job, listener) => {
      const child: Child = { writeCount: 0, isKilled: false, listener };
      children.push(child);
      return {
        pid: undefined,
        write: () => {
          child.writeCount += 1;
          return true;
        },
        kill: () => {
          child.isKilled = true;
        },
      };
    },
    onUnit: (unit) => made.push(unit),
    onRestart: () => undefined,
  });
  t.after(() => supervised.close());
  let index = 0;
  const push = (given: Partial<AccessUnit> = {}): void => {
    const unit = {
      track: TEST_VIDEO_TRACK,
      dtsTicks: index * 3_000,
      ptsTicks: index * 3_000,
      isKeyframe: false,
      payload: new Uint8Array(4),
      arrivedAtMs: clock.nowMs(),
      arrivedAtWallMs: 0,
      isDiscontinuity: false,
    };
    source.push({ ...unit, ...given });
    index += 1;
    clock.advanceMs(33);
  };
  return { clock, children, made, supervised, push };
};

test('nothing is started before a keyframe, and each unit is given once although the cache holds it too', (t) => {
  const { children, push, supervised } = scene(t);
  push();
  assert.equal(children.length, 0);
  assert.equal(supervised.state, 'waiting');
  push({ isKeyframe: true });
  push();
  // The header, the keyframe, the picture after it.
  assert.equal(children[0]?.writeCount, 3);
});

test('new parameters and a discontinuity start a new child at that unit; the old one is killed', (t) => {
  const { children, push } = scene(t);
  push({ isKeyframe: true });
  const track: VideoTrack = { ...TEST_VIDEO_TRACK, widthPx: 320 };
  push({ isKeyframe: true, track });
  assert.deepEqual(
    children.map((child) => child.isKilled),
    [true, false],
  );
  assert.equal(children[1]?.writeCount, 2);
  push({ isKeyframe: true, track, isDiscontinuity: true });
  assert.equal(children.length, 3);
});

test('a child that is fed and makes nothing is given up; one that is not fed is left alone', (t) => {
  const { clock, children, push, supervised } = scene(t);
  push({ isKeyframe: true });
  clock.advanceMs(10_000);
  supervised.tick(clock.nowMs());
  assert.equal(children[0]?.isKilled, false);
  for (let count = 0; count < 30; count += 1) {
    push();
  }
  supervised.tick(clock.nowMs());
  assert.equal(children[0]?.isKilled, true);
  assert.equal(supervised.state, 'restarting');
  assert.equal(supervised.restartCount, 1);
});

test('bytes that are no NUT end the run as any failure does', (t) => {
  const { children, push, supervised } = scene(t);
  push({ isKeyframe: true });
  children[0]?.listener.onOutput(Buffer.from('x'.repeat(100)), 0);
  assert.equal(children[0]?.isKilled, true);
  assert.equal(supervised.state, 'restarting');
});

/** Gives picture `index` back as the child would: its clock begins 10 s before the first. */
const giverOf = (children: readonly Child[]): ((index: number, isKeyframe?: boolean) => void) => {
  const decoderConfig = joinNalUnits([Uint8Array.of(0x67, 0x42, 0xe0, 0x1f, 1, 2), Uint8Array.of(0x68, 1, 2)]);
  const nut = new NutWriter({ track: { ...TEST_VIDEO_TRACK, decoderConfig }, reorderMaxCount: 0 });
  let isFirst = true;
  return (index, isKeyframe = false) => {
    const header = isFirst ? [nut.header()] : [];
    const frame = nut.frame({
      ptsTicks: 900_000 + index * 3_000,
      isKeyframe,
      payload: Uint8Array.of(0, 0, 0, 1, 0x41),
    });
    children[0]?.listener.onOutput(Buffer.concat([...header, frame]), 0);
    isFirst = false;
  };
};

test('pictures that the decoder kept while a tail was left out do not appear among live ones', (t) => {
  const { children, made, push } = scene(t);
  const give = giverOf(children);
  // Longer than the start-up is excused; the child gives back all but the last two.
  for (let index = 0; index < 200; index += 1) {
    push({ isKeyframe: index === 0 });
    if (index >= 2) {
      give(index - 2, index === 2);
    }
  }
  // It falls over a second behind: the tail of the GOP is left out, some seconds long.
  for (let index = 200; index < 400; index += 1) {
    push();
  }
  const writtenCount = children[0]!.writeCount;
  assert.ok(writtenCount < 260, `${writtenCount} were still fed`);
  push({ isKeyframe: true });
  assert.equal(made.length, 198);
  made.length = 0;
  give(198);
  give(199);
  assert.equal(made.length, 0, 'over six seconds old');
  give(400, true);
  give(401);
  assert.deepEqual(
    made.map((unit) => unit.ptsTicks),
    [1_200_000, 1_203_000],
  );
});

test('what comes out further behind the source than is allowed is kept back up to a keyframe that is not', (t) => {
  const { children, made, push, supervised } = scene(t, { behindMaxMs: 1_200, startLagMaxMs: 60_000 });
  const give = giverOf(children);
  for (let index = 0; index < 90; index += 1) {
    push({ isKeyframe: index % 30 === 0 });
  }
  // A child that was starved gives its first pictures three seconds late.
  give(0, true);
  give(1);
  give(30, true);
  give(53);
  give(54);
  assert.equal(made.length, 0);
  assert.equal(supervised.droppedCount, 5);
  give(60, true);
  give(61);
  assert.deepEqual(
    made.map((unit) => unit.ptsTicks),
    [180_000, 183_000],
  );
});

test('a child that is slow to start gets no more than it may be behind, then whole GOPs again', (t) => {
  const { children, push, supervised } = scene(t, { startLagMaxMs: 1_000 });
  const writes = (): number => children[0]!.writeCount;
  for (let index = 0; index < 60; index += 1) {
    push({ isKeyframe: index === 0 });
  }
  const early = writes();
  assert.ok(early > 28 && early < 36, `${early} of 60`);
  push({ isKeyframe: true });
  assert.equal(writes(), early + 1, 'a keyframe always');
  assert.ok(supervised.lagMs <= 1_200, `${supervised.lagMs} ms wait`);
});
