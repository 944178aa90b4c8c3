/** Any times that a timeline may hand out: parts stay within bounds, sample durations positive, time never goes back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../server/base/prng.ts';
import { AudioSegmenter } from '../../server/media/audio-segmenter.ts';
import { writeFragment } from '../../server/media/fmp4/fragment.ts';
import type { SegmenterEvent } from '../../server/media/segmenter.ts';
import { VideoSegmenter } from '../../server/media/segmenter.ts';
import { syntheticAudio, syntheticVideo } from '../support/synthetic-media.ts';

const RUN_COUNT = process.env['SLUICE_SIZE'] === 'soak' ? 5_000 : 200;

const checkEvents = (
  events: readonly SegmenterEvent[],
  options: { partMaxTicks: number; timescaleHz: number },
): void => {
  let endTicks = 0;
  let msn = -1;
  for (const event of events) {
    if (event.type === 'segment-start') {
      assert.ok(event.msn > msn);
      ({ msn } = event);
    } else if (event.type === 'segment-end') {
      assert.ok(Math.round(event.durationTicks / options.timescaleHz) <= 2, `EXTINF ${event.durationTicks}`);
    } else {
      assert.equal(event.msn, msn);
      assert.ok(event.startTicks >= endTicks, 'tfdt goes back');
      assert.ok(event.durationTicks > 0 && event.durationTicks <= options.partMaxTicks);
      assert.ok(event.samples.every((sample) => Number.isInteger(sample.durationTicks) && sample.durationTicks > 0));
      endTicks = event.startTicks + event.durationTicks;
      assert.ok(writeFragment(event, 1).byteLength > 100);
    }
  }
};

test('video with gaps, bursts, marks and keyframes anywhere', () => {
  for (let seed = 1; seed <= RUN_COUNT; seed += 1) {
    const prng = new Prng(seed);
    const frameRateFps = 10 + prng.nextIndex(110);
    const segmenter = new VideoSegmenter({ partTargetMs: 333, frameRateFps, timescaleHz: 90_000, firstMsn: 0 });
    let shiftTicks = 0;
    let lastTicks = -1;
    const events = syntheticVideo({ frameRateFps, durationS: 12, gopFrames: 7, seed }).flatMap((unit) => {
      shiftTicks += prng.nextIndex(40) === 0 ? prng.nextIndex(200_000) : 0;
      const isBurst = prng.nextIndex(10) === 0;
      const dtsTicks = isBurst ? lastTicks + 1 : Math.max(lastTicks + 1, unit.dtsTicks + shiftTicks);
      lastTicks = dtsTicks;
      const isKeyframe = prng.nextIndex(1 + (seed % 90)) === 0;
      const ptsTicks = dtsTicks + prng.nextIndex(9_000) - 3_000;
      return segmenter.push({ ...unit, dtsTicks, ptsTicks, isKeyframe, isDiscontinuity: prng.nextIndex(150) === 0 });
    });
    try {
      checkEvents([...events, ...segmenter.end()], { partMaxTicks: segmenter.plan.partMaxTicks, timescaleHz: 90_000 });
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});

test('audio with gaps, overlaps, marks and boundaries anywhere keeps its memory bounded', () => {
  for (let seed = 1; seed <= RUN_COUNT; seed += 1) {
    const prng = new Prng(seed);
    const units = syntheticAudio({ durationS: 12 });
    const segmenter = new AudioSegmenter({
      partTargetMs: 333,
      track: units[0]!.track,
      firstMsn: 0,
      followsVideo: prng.nextIndex(2) === 0,
      epochAt: () => 0,
    });
    let shiftTicks = 0;
    let msn = -1;
    const events = units.flatMap((unit) => {
      shiftTicks += prng.nextIndex(60) === 0 ? prng.nextIndex(60_000) : 0;
      const dtsTicks = Math.max(0, unit.dtsTicks + shiftTicks - (prng.nextIndex(20) === 0 ? prng.nextIndex(9_000) : 0));
      const atMs = dtsTicks / 48;
      const told: SegmenterEvent[] = [];
      if (prng.nextIndex(80) === 0) {
        msn += 1;
        segmenter.onBoundary({ atMs: atMs - prng.nextIndex(100), msn, isDiscontinuity: prng.nextIndex(5) === 0 });
      }
      if (prng.nextIndex(3) === 0) {
        told.push(...segmenter.onVideoTime(atMs - prng.nextIndex(500)));
      }
      const isDiscontinuity = prng.nextIndex(200) === 0;
      return [...told, ...segmenter.push({ ...unit, dtsTicks, ptsTicks: dtsTicks, isDiscontinuity })];
    });
    assert.ok(segmenter.heldCount < 600);
    try {
      checkEvents([...events, ...segmenter.end()], { partMaxTicks: segmenter.plan.partMaxTicks, timescaleHz: 48_000 });
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});
