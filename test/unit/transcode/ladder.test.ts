/** A ladder whose children only take what they are given, in made-up time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../../server/base/clock.ts';
import type { VideoTrack } from '../../../server/media/track.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { Metrics } from '../../../server/observability/metrics.ts';
import { Rendition } from '../../../server/relay/rendition.ts';
import { ESSENTIALS_DEFAULTS } from '../../../transcode/essentials.ts';
import { LADDER_DEFAULTS, SHED, SPEEDS_DEFAULT } from '../../../transcode/ladder-plan.ts';
import { LADDER_RUN_DEFAULTS, Ladder } from '../../../transcode/ladder.ts';
import { TEST_VIDEO_TRACK } from '../../support/units.ts';

const SOURCE: VideoTrack = { ...TEST_VIDEO_TRACK, widthPx: 1920, heightPx: 1080 };
const FRAME_TICKS = 3_000;
const GOP_FRAMES = 30;

test('encoders that never come to run have too much to do: rungs go from the top, and come back one by one', (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
  const clock = new ManualClock();
  const source = new Rendition('source-video', { cacheMaxBytes: 1e6, cacheMaxCount: 100 });
  const outputCounts: number[] = [];
  const ladder = new Ladder({
    options: LADDER_DEFAULTS,
    ffmpegPath: 'ffmpeg',
    run: LADDER_RUN_DEFAULTS,
    ...{ backoff: ESSENTIALS_DEFAULTS.backoff, speeds: SPEEDS_DEFAULT, coreCount: 8 },
    ...{ clock, log: silentLog, metrics: new Metrics({ collectDefaults: false }) },
    output: { onRung: () => undefined, onUnit: () => undefined, onEnd: () => undefined },
    startFfmpeg: ({ outputs }) => {
      outputCounts.push(outputs.length);
      return { pid: undefined, write: () => true, kill: () => undefined };
    },
  });
  t.after(() => ladder.close('test_over'));
  ladder.attach(source);
  let index = 0;
  const play = (durationS: number): void => {
    for (let count = 0; count < durationS * GOP_FRAMES; count += 1, index += 1) {
      const [ticks, isKeyframe] = [index * FRAME_TICKS, index % GOP_FRAMES === 0];
      const arrived = { arrivedAtMs: clock.nowMs(), arrivedAtWallMs: 0, isDiscontinuity: false };
      source.push({
        ...{ track: SOURCE, dtsTicks: ticks, ptsTicks: ticks, isKeyframe, payload: new Uint8Array(4) },
        ...arrived,
      });
      clock.advanceMs(1000 / GOP_FRAMES);
      t.mock.timers.tick(1000 / GOP_FRAMES);
    }
  };
  play(4);
  assert.equal(ladder.status().state, 'starting');
  assert.equal(ladder.status().rungs.length, 3);
  play(12);
  assert.deepEqual(ladder.status().rungs, []);
  assert.deepEqual(
    ladder.status().leftOut.map(({ why }) => why),
    [SHED, SHED, SHED],
  );
  assert.ok(outputCounts.indexOf(2) < outputCounts.indexOf(1), outputCounts.join());
  play(12);
  assert.equal(ladder.status().rungs.length, 1);
});
