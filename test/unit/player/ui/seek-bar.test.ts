// What the bar says of a place, to the eye and to the ear.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SeekTimeline } from '../../../../player/playout/seek-timeline.ts';
import { placeText, spokenPlace } from '../../../../player/ui/seek-bar.ts';
import { CHINESE } from '../../../../player/ui/texts-chinese.ts';
import { ENGLISH } from '../../../../player/ui/texts.ts';

const live: SeekTimeline = { startMs: 0, endMs: 3_600_000, positionMs: 3_599_900, isLive: true, isAtEdge: true };
const replay: SeekTimeline = { startMs: 0, endMs: 184_000, positionMs: 65_400, isLive: false, isAtEdge: false };

test('live counts backwards from now, a replay from its beginning', () => {
  assert.equal(placeText(live, 3_568_000, ENGLISH), '−0:32');
  assert.equal(placeText(live, 0, ENGLISH), '−1:00:00');
  assert.equal(placeText(live, 3_600_000, ENGLISH), 'Live');
  assert.equal(placeText(replay, 65_400, ENGLISH), '1:05');
});

test('spoken', () => {
  assert.equal(spokenPlace(live, ENGLISH), 'Live');
  assert.equal(
    spokenPlace({ ...live, isAtEdge: false, positionMs: 3_538_000 }, ENGLISH),
    '1 minute 2 seconds behind live',
  );
  assert.equal(spokenPlace(replay, ENGLISH), '1 minute 5 seconds of 3 minutes 4 seconds');
  assert.equal(spokenPlace(replay, CHINESE), '1分5秒，共3分4秒');
});
