// What is learned of a stream's structure.
import assert from 'node:assert/strict';
import test from 'node:test';
import { StreamFactsTracker } from '../../../server/media/stream-facts.ts';
import { videoUnit } from '../../support/units.ts';

test('frame rate is right although RTMP counts whole milliseconds', () => {
  const tracker = new StreamFactsTracker();
  for (let index = 0; index < 90; index += 1) {
    tracker.add(videoUnit({ dtsMs: Math.round((index * 1000) / 30), isKeyframe: index % 30 === 0 }));
  }
  assert.ok(Math.abs((tracker.facts.frameRateFps ?? 0) - 30) < 0.2, String(tracker.facts.frameRateFps));
  assert.equal(tracker.facts.gopMaxMs, 1_000);
  assert.equal(tracker.facts.isGopKnown, true);
  assert.equal(tracker.facts.hasReordering, false);
});

test('a GOP is known as long before it ends, once it is longer than 2 s', () => {
  const tracker = new StreamFactsTracker();
  tracker.add(videoUnit({ dtsMs: 0, isKeyframe: true }));
  tracker.add(videoUnit({ dtsMs: 1_900 }));
  assert.equal(tracker.facts.isGopKnown, false);
  tracker.add(videoUnit({ dtsMs: 2_040 }));
  assert.equal(tracker.facts.isGopKnown, true);
  assert.equal(tracker.facts.gopMaxMs, 2_040);
});

test('pictures shown in another order than decoded are noticed at the first', () => {
  const tracker = new StreamFactsTracker();
  tracker.add(videoUnit({ dtsMs: 0, ptsMs: 66, isKeyframe: true }));
  tracker.add(videoUnit({ dtsMs: 33, ptsMs: 165 }));
  assert.equal(tracker.facts.hasReordering, false);
  tracker.add(videoUnit({ dtsMs: 66, ptsMs: 99 }));
  assert.equal(tracker.facts.hasReordering, true);
});

test('the bitrate is that of the last five seconds', () => {
  const tracker = new StreamFactsTracker();
  for (let ms = 0; ms < 10_000; ms += 40) {
    tracker.add(videoUnit({ dtsMs: ms, payloadBytes: ms < 4_000 ? 10_000 : 5_000 }));
  }
  assert.equal(tracker.facts.bitrateBps, 1_000_000);
});

test('after a gap the structure is learned anew', () => {
  const tracker = new StreamFactsTracker();
  tracker.add(videoUnit({ dtsMs: 0, isKeyframe: true }));
  tracker.add(videoUnit({ dtsMs: 33, ptsMs: 99 }));
  tracker.add(videoUnit({ dtsMs: 66, ptsMs: 66 }));
  assert.equal(tracker.facts.hasReordering, true);
  tracker.add(videoUnit({ dtsMs: 9_000, isKeyframe: true, isDiscontinuity: true }));
  assert.equal(tracker.facts.hasReordering, false);
  assert.equal(tracker.facts.gopMaxMs, 0);
});

test('a scene cut at the start does not pass for the rhythm of keyframes', () => {
  const tracker = new StreamFactsTracker();
  tracker.add(videoUnit({ dtsMs: 0, isKeyframe: true }));
  tracker.add(videoUnit({ dtsMs: 400, isKeyframe: true }));
  assert.equal(tracker.facts.isGopKnown, false);
  tracker.add(videoUnit({ dtsMs: 2_440 }));
  assert.equal(tracker.facts.isGopKnown, true);
  assert.equal(tracker.facts.gopMaxMs, 2_040);
});

test('two short GOPs alike are a rhythm', () => {
  const tracker = new StreamFactsTracker();
  for (const dtsMs of [0, 500, 1_000]) {
    tracker.add(videoUnit({ dtsMs, isKeyframe: true }));
  }
  assert.equal(tracker.facts.isGopKnown, true);
  assert.equal(tracker.facts.gopMaxMs, 500);
});
