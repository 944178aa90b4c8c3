// From instants to media time and back, over a gap of the encoder.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mediaTimeAt, wallTimeAt, type TimedPiece } from '../../../../player/playout/wall-timeline.ts';

/** Ten seconds, twenty seconds of nothing, ten seconds. */
const pieces = [0, 2, 4, 6, 8, 10, 12, 14, 16, 18].map((startS): TimedPiece => ({
  startS,
  durationS: 2,
  startAtWallMs: 1e12 + (startS < 10 ? startS : startS + 20) * 1000,
}));
const view = { count: pieces.length, at: (index: number) => pieces[index]! };
const none = { count: 0, at: () => pieces[0]! };

test('an instant is found in its piece', () => {
  assert.equal(mediaTimeAt(view, 1e12 + 3500), 3.5);
  assert.equal(mediaTimeAt(view, 1e12 + 35_000), 15);
});

test('an instant in a gap is the first picture after it', () => {
  assert.equal(mediaTimeAt(view, 1e12 + 20_000), 10);
});

test('an instant outside is the nearest end', () => {
  assert.equal(mediaTimeAt(view, 1e12 - 5000), 0);
  assert.equal(mediaTimeAt(view, 1e12 + 90_000), 20);
  assert.equal(mediaTimeAt(none, 1e12), null);
});

test('a media time is found again', () => {
  for (const wallMs of [0, 1999, 2000, 9500, 30_000, 39_999]) {
    const timeS = mediaTimeAt(view, 1e12 + wallMs)!;
    assert.ok(Math.abs(wallTimeAt(view, timeS)! - 1e12 - wallMs) < 0.01);
  }
  assert.equal(wallTimeAt(view, 20.5), 1e12 + 40_500, 'a part that the list does not hold yet');
  assert.equal(wallTimeAt(none, 1), null);
});
