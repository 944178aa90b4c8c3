// What a wish for a place comes to, on a bar that grows and on one that does not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  behindMs,
  isSeekable,
  playedRatio,
  positionAt,
  ratioOf,
  seekBy,
  seekTo,
  seekToRatio,
  type SeekTimeline,
} from '../../../../player/playout/seek-timeline.ts';

const live: SeekTimeline = { startMs: 10_000, endMs: 110_000, positionMs: 109_800, isLive: true, isAtEdge: true };
const replay: SeekTimeline = { startMs: 0, endMs: 60_000, positionMs: 30_000, isLive: false, isAtEdge: false };

test('five seconds back from live is five seconds back, and forward again is live', () => {
  assert.deepEqual(seekBy(live, -5000), { type: 'seek', positionMs: 104_800 });
  const back = { ...live, positionMs: 104_800, isAtEdge: false };
  assert.deepEqual(seekBy(back, 5000), { type: 'go-live' });
  assert.deepEqual(seekBy(back, -5000), { type: 'seek', positionMs: 99_800 });
});

test('a place less than three seconds behind now is live', () => {
  assert.deepEqual(seekTo(live, 107_001), { type: 'go-live' });
  assert.deepEqual(seekTo(live, 107_000), { type: 'seek', positionMs: 107_000 });
});

test('no place lies outside of the bar', () => {
  assert.deepEqual(seekTo(live, -5), { type: 'seek', positionMs: 10_000 });
  assert.deepEqual(seekTo(replay, 99_000), { type: 'seek', positionMs: 60_000 });
  assert.deepEqual(seekToRatio(replay, 1.7), { type: 'seek', positionMs: 60_000 });
  assert.equal(positionAt(live, -1), 10_000);
  assert.equal(ratioOf(live, 0), 0);
});

test('tenths of the bar', () => {
  assert.deepEqual(seekToRatio(live, 0.3), { type: 'seek', positionMs: 40_000 });
  assert.deepEqual(seekToRatio(live, 1), { type: 'go-live' });
});

test('at the live edge the bar is full whatever the latency', () => {
  assert.equal(playedRatio(live), 1);
  assert.equal(playedRatio({ ...live, isAtEdge: false, positionMs: 60_000 }), 0.5);
  assert.equal(behindMs({ ...live, positionMs: 60_000 }), 50_000);
});

test('a broadcast too young has no bar', () => {
  assert.equal(isSeekable({ ...live, startMs: 107_000 }), false);
  assert.equal(isSeekable(null), false);
  assert.equal(isSeekable(live), true);
  assert.equal(isSeekable({ ...replay, endMs: 1500 }), true);
});
