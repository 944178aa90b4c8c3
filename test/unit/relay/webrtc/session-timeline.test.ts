/** The last minutes of a viewer, second by second. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TimelinePoint } from '../../../../server/relay/webrtc/session-timeline.ts';
import { SessionTimeline } from '../../../../server/relay/webrtc/session-timeline.ts';

const pointAt = (second: number): TimelinePoint => ({
  ...{ atMs: 1_000 * second, estimateBps: 2_000_000, sentBps: 1_500_000, playoutDelayMs: 80 },
  ...{ queueDelayMs: 3, rttMs: 40, latencyMs: second === 0 ? Number.NaN : 130, frozenMs: 0 },
  renditionId: second < 200 ? 'h480' : 'source-video',
});

test('it tells the seconds in their order, with what was not known left open', () => {
  const timeline = new SessionTimeline();
  assert.deepEqual(timeline.points(), []);
  timeline.add(pointAt(0));
  timeline.add(pointAt(1));
  assert.deepEqual(timeline.points(), [pointAt(0), pointAt(1)]);
});

test('it keeps the last five minutes, whatever the session lasts, and which rendition each second had', () => {
  const timeline = new SessionTimeline();
  for (let second = 0; second < 450; second += 1) {
    timeline.add(pointAt(second));
  }
  const points = timeline.points();
  assert.equal(points.length, 300);
  assert.deepEqual([points[0], points.at(-1)], [pointAt(150), pointAt(449)]);
  assert.equal(points.filter(({ renditionId }) => renditionId === 'h480').length, 50);
});
