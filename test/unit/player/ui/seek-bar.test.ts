// What the bar says of a place, to the eye and to the ear.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SeekTimeline } from '../../../../player/playout/seek-timeline.ts';
import { placeText, spokenPlace } from '../../../../player/ui/seek-bar.ts';

const live: SeekTimeline = { startMs: 0, endMs: 3_600_000, positionMs: 3_599_900, isLive: true, isAtEdge: true };
const replay: SeekTimeline = { startMs: 0, endMs: 184_000, positionMs: 65_400, isLive: false, isAtEdge: false };

test('live counts backwards from now, a replay from its beginning', () => {
  assert.equal(placeText(live, 3_568_000), '−0:32');
  assert.equal(placeText(live, 0), '−1:00:00');
  assert.equal(placeText(live, 3_600_000), 'Live');
  assert.equal(placeText(replay, 65_400), '1:05');
});

test('spoken', () => {
  assert.equal(spokenPlace(live), 'Live');
  assert.equal(spokenPlace({ ...live, isAtEdge: false, positionMs: 3_538_000 }), '1 minute 2 seconds behind live');
  assert.equal(spokenPlace(replay), '1 minute 5 seconds of 3 minutes 4 seconds');
});
