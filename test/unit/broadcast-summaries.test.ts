/** What the API says of a ladder, and what viewers may choose among. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { systemClock } from '../../server/base/clock.ts';
import { BroadcastSummaries } from '../../server/broadcast-summaries.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import { Hub } from '../../server/relay/hub.ts';
import { LADDER_DEFAULTS, SPEEDS_DEFAULT, planLadder } from '../../transcode/ladder-plan.ts';
import { syntheticVideo, testVideoTrack } from '../support/synthetic-media.ts';

const summariesOf = (t: TestContext, source: { widthPx: number; heightPx: number }): BroadcastSummaries => {
  const parts = { clock: systemClock, log: silentLog, metrics: new Metrics({ collectDefaults: false }) };
  const gopCache = { cacheMaxBytes: 1e6, cacheMaxCount: 100 };
  const hub = new Hub({ settings: { gopCache, reconnectGraceMs: 1, broadcastMaxCount: 1 }, ...parts });
  const plan = planLadder({
    source: { ...source, frameRateFps: 30 },
    options: LADDER_DEFAULTS,
    speeds: SPEEDS_DEFAULT,
    coreCount: 8,
    shedCount: 0,
  });
  const summaries = new BroadcastSummaries({
    hub,
    viewerCountOf: () => 0,
    findingsOf: () => [],
    recordingOf: () => null,
    ladderOf: () => ({
      ...{ ...plan, state: 'running', lagMs: 0, restartCount: 0, droppedCount: 0, shedCount: 0 },
      narrowband: undefined,
    }),
    encoder: () => ({ name: 'software', why: 'none was looked for' }),
  });
  const outcome = hub.publish('demo', { keyed: true, remoteAddress: '::1', close: () => undefined });
  assert.ok(outcome.ok);
  const units = syntheticVideo({ frameRateFps: 30, durationS: 1, gopFrames: 30, track: testVideoTrack(source) });
  units.forEach((unit) => outcome.feed.push(unit));
  // Of the planned rungs one has begun.
  const [rung] = plan.rungs;
  units.forEach((unit) => (rung === undefined ? undefined : outcome.broadcast.addRendition(rung.id).push(unit)));
  t.after(() => {
    summaries.close();
    hub.close('test_over');
  });
  return summaries;
};

test('a source too small for any rung is told why there is none', (t) => {
  const summaries = summariesOf(t, { widthPx: 16, heightPx: 16 });
  const ladder = summaries.find('demo')?.ladder;
  assert.deepEqual(ladder?.rungs, []);
  assert.match(ladder?.leftOut[0]?.why ?? '', /the source has 16 lines itself/);
  assert.deepEqual(
    summaries.renditionsOf('demo').map(({ id }) => id),
    ['main'],
  );
});

test('viewers may choose what has begun, and nobody what is only planned', (t) => {
  const summaries = summariesOf(t, { widthPx: 1280, heightPx: 720 });
  assert.equal(summaries.find('demo')?.ladder?.rungs.length, 2);
  assert.deepEqual(
    summaries.renditionsOf('demo').map(({ id, heightPx }) => `${id} ${heightPx}`),
    ['main 720', 'h480 480'],
  );
  assert.deepEqual(summaries.renditionsOf('other'), []);
});
