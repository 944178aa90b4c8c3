// How long the encoder holds its pictures back, from what x264 says and from the order of the pictures.
import assert from 'node:assert/strict';
import test from 'node:test';
import { EncoderWatch } from '../../../server/cues/encoder-delay.ts';
import type { VideoUnit } from '../../../server/media/access-unit.ts';
import { syntheticVideo } from '../../support/synthetic-media.ts';

const withSettings = (unit: VideoUnit, settings: string): VideoUnit => {
  const text = Buffer.from(`x264 - core 164 - options: ${settings}\0`);
  const sei = Buffer.concat([Buffer.from([6, 5, 90]), Buffer.alloc(16), text]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(sei.byteLength);
  return { ...unit, payload: Buffer.concat([length, sei]) };
};

const watched = (settings: string | undefined, bFrames = 0): EncoderWatch => {
  const watch = new EncoderWatch({ encoderDelayMs: 'auto', uplinkDelayMs: 50 });
  const [first, ...rest] = syntheticVideo({ frameRateFps: 30, durationS: 2, gopFrames: 30, bFrames });
  watch.onUnit(settings === undefined ? first! : withSettings(first!, settings));
  for (const unit of rest) {
    watch.onUnit(unit);
  }
  return watch;
};

test('x264 with its defaults holds sixteen pictures, less what its promptest pictures gain by B-frames', () => {
  const settings = 'rc_lookahead=10 bframes=3 threads=3 sliced_threads=0';
  assert.deepEqual(watched(settings).delay(30), { delayMs: 583, from: 'x264' });
  // The made-up stream's pictures leave at most two frames ahead of a keyframe's.
  assert.deepEqual(watched(settings, 3).delay(30), { delayMs: 517, from: 'x264' });
  assert.deepEqual(watched(settings).delay(60), { delayMs: 317, from: 'x264' });
});

test('zerolatency holds none; an encoder that says nothing is guessed to hold two', () => {
  assert.deepEqual(watched('rc_lookahead=0 bframes=0 threads=6 sliced_threads=1').delay(30).delayMs, 50);
  assert.deepEqual(watched(undefined).delay(30), { delayMs: 117, from: 'guess' });
  assert.deepEqual(watched(undefined).delay(undefined), { delayMs: 117, from: 'guess' });
});

test('another encoder after a reconnect is looked at anew; what is configured is believed', () => {
  const watch = watched('rc_lookahead=40 bframes=0 threads=1');
  const [first] = syntheticVideo({ frameRateFps: 30, durationS: 1, gopFrames: 30, startMs: 9_000 });
  watch.onUnit({ ...first!, isDiscontinuity: true });
  assert.equal(watch.delay(30).from, 'guess');
  const told = new EncoderWatch({ encoderDelayMs: 700, uplinkDelayMs: 50 });
  assert.deepEqual(told.delay(30), { delayMs: 700, from: 'config' });
});
