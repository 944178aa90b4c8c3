/** A name's health over the lives of its broadcasts, on a made-up clock. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BroadcastHealth } from '../../server/broadcast-health.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import { Hub } from '../../server/relay/hub.ts';
import type { ListedViewer } from '../../server/viewer-list.ts';
import { ViewerList } from '../../server/viewer-list.ts';
import { syntheticVideo, testVideoTrack } from '../support/synthetic-media.ts';

const NAME = 'demo';
const POINT_MS = 2_000;

const viewerOf = (
  facts: Pick<ReturnType<ListedViewer['facts']>, 'transport' | 'path' | 'latencyMs'>,
): ListedViewer => ({
  facts: () => ({
    ...{ broadcast: NAME, endReason: null, renditionId: null, estimateBps: null, networkClass: null },
    ...{ playoutDelayMs: null, targetLatencyMs: null, rttMs: null, stallCount: 0, stallMs: 0, smoothnessRatio: null },
    ...facts,
  }),
  timeline: () => ({
    ...{ atMs: [], estimateBps: [], sentBps: [], playoutDelayMs: [], needMs: [], targetLatencyMs: [] },
    ...{ queueDelayMs: [], rttMs: [], latencyMs: [], frozenMs: [], renditionId: [] },
  }),
});

test('points are taken while it is live, kept after it, go on with the next, and are told once', (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
  let nowMs = 1_000;
  const clock = { nowMs: () => nowMs, wallMs: () => 1e12 + nowMs };
  const pass = (ms: number): void => {
    for (let left = ms; left > 0; left -= POINT_MS) {
      nowMs += POINT_MS;
      t.mock.timers.tick(POINT_MS);
    }
  };
  const hub = new Hub({
    settings: { gopCache: { cacheMaxBytes: 1e6, cacheMaxCount: 100 }, reconnectGraceMs: 1, broadcastMaxCount: 9 },
    ...{ clock, log: silentLog, metrics: new Metrics({ collectDefaults: false }) },
  });
  const viewers = new ViewerList(clock);
  const health = new BroadcastHealth({
    ...{ hub, viewers, clock, hlsCountOf: () => 2, findingsOf: () => [] },
  });
  t.after(() => {
    hub.close('test_over');
    health.close();
  });
  const publish = (): void => {
    const outcome = hub.publish(NAME, { keyed: true, remoteAddress: '::1', close: () => undefined });
    assert.ok(outcome.ok);
    syntheticVideo({ frameRateFps: 30, durationS: 2, gopFrames: 30, track: testVideoTrack() }).forEach((unit) =>
      outcome.feed.push(unit),
    );
  };

  assert.deepEqual(health.healthOf(NAME, 0).history.atWallMs, []);
  health.noteRefusal(NAME, '10.1.2.3');
  assert.match(
    health.healthOf(NAME, 0).findings[0]?.advice ?? '',
    /10\.1\.2\.3 .*refused/,
    'also while nobody is live',
  );
  assert.deepEqual(health.healthOf('other', 0).findings, []);
  publish();
  assert.deepEqual(health.healthOf(NAME, 0).findings, [], 'the right key has come');
  const leaves = viewers.add(viewerOf({ transport: 'whep', path: 'tcp', latencyMs: 140.4 }));
  viewers.add(viewerOf({ transport: 'll-hls', path: 'http', latencyMs: 1_200 }))(true);
  pass(2 * POINT_MS);
  const first = health.healthOf(NAME, 0);
  assert.equal(first.state, 'live');
  assert.deepEqual(first.viewers, { udpCount: 0, tcpCount: 1, hlsCount: 2 });
  assert.deepEqual(first.history.atWallMs, [1e12 + 3_000, 1e12 + 5_000]);
  assert.deepEqual(first.history.viewerCount, [3, 3]);
  assert.deepEqual(first.history.latencyP95Ms, [140, 140]);
  assert.deepEqual(first.history.keyframeIntervalMs, [1_000, null]);
  assert.ok((first.history.bitrateBps[0] ?? 0) > 0);
  assert.deepEqual(health.healthOf(NAME, 1e12 + 3_000).history.viewerCount, [3], 'only what is newer');

  leaves(true);
  hub.end(NAME, 'test');
  pass(60_000);
  assert.equal(health.healthOf(NAME, 0).state, 'absent');
  assert.deepEqual(health.healthOf(NAME, 0).findings, [], 'a refusal is no news for ever');
  assert.equal(health.healthOf(NAME, 0).history.atWallMs.length, 2, 'what was stays');
  publish();
  pass(POINT_MS);
  assert.deepEqual(health.healthOf(NAME, 0).history.viewerCount, [3, 3, 2]);
  assert.deepEqual(health.healthOf(NAME, 0).history.stallRatio, [0, 0, null]);

  hub.end(NAME, 'test');
  pass(POINT_MS * 452);
  assert.deepEqual(health.healthOf(NAME, 0).history.atWallMs, [], 'and goes when it is older than all it covers');
});
