/** The last minutes of a viewer, second by second. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TimelineLook, TimelinePoint } from '../../../../server/relay/webrtc/session-timeline.ts';
import { SessionTimeline } from '../../../../server/relay/webrtc/session-timeline.ts';

const DECISION = { estimateBps: 2_000_000, playoutDelayMs: 80, needMs: 60, queueDelayMs: 3, rttMs: 40 };

/** 125 kB a second; the player speaks from the third second on, and stands still for 200 ms in each tenth. */
const lookAt = (second: number): TimelineLook => ({
  atMs: 1_000 * second,
  decision: DECISION,
  sentBytes: 125_000 * second,
  reported: second < 3 ? undefined : { stallMs: 200 * Math.floor(second / 10), latencyMs: 130 },
  renditionId: second < 200 ? 'h480' : 'source-video',
});

const pointAt = (second: number): TimelinePoint => ({
  ...{ atMs: 1_000 * second, ...DECISION, sentBps: 1_000_000 },
  latencyMs: second < 3 ? Number.NaN : 130,
  frozenMs: second % 10 === 0 ? 200 : 0,
  renditionId: second < 200 ? 'h480' : 'source-video',
});

test('it tells the seconds in their order, each by itself, with what was not known left open', () => {
  const timeline = new SessionTimeline();
  assert.deepEqual(timeline.points(), []);
  for (let tenth = 1; tenth <= 40; tenth += 1) {
    timeline.look(tenth % 10 === 0 ? lookAt(tenth / 10) : { ...lookAt(0), atMs: 100 * tenth });
  }
  assert.deepEqual(timeline.points(), [1, 2, 3, 4].map(pointAt));
});

test('a viewer for whom no delay is decided, or whose needs nobody knows, has none in its line', () => {
  const timeline = new SessionTimeline();
  const { needMs: _needMs, ...decision } = DECISION;
  timeline.look({ ...lookAt(1), decision: { ...decision, playoutDelayMs: undefined } });
  assert.ok(Number.isNaN(timeline.points()[0]!.playoutDelayMs));
  assert.ok(Number.isNaN(timeline.points()[0]!.needMs));
});

test('it keeps the last five minutes, whatever the session lasts, and which rendition each second had', () => {
  const timeline = new SessionTimeline();
  for (let second = 1; second < 450; second += 1) {
    timeline.look(lookAt(second));
  }
  const points = timeline.points();
  assert.equal(points.length, 300);
  assert.deepEqual([points[0], points.at(-1)], [pointAt(150), pointAt(449)]);
  assert.equal(points.filter(({ renditionId }) => renditionId === 'h480').length, 50);
});
