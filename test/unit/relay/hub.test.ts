// Broadcasts: who may take over, what the grace time keeps, how they end.
import assert from 'node:assert/strict';
import test from 'node:test';
import { ManualClock } from '../../../server/base/clock.ts';
import type { AccessUnit } from '../../../server/media/access-unit.ts';
import { Metrics } from '../../../server/observability/metrics.ts';
import { silentLog } from '../../../server/observability/log.ts';
import type { Publisher } from '../../../server/relay/broadcast.ts';
import { SOURCE_VIDEO } from '../../../server/relay/broadcast.ts';
import { Hub } from '../../../server/relay/hub.ts';
import { videoUnit } from '../../support/units.ts';

const newHub = (overrides: { reconnectGraceMs?: number; broadcastMaxCount?: number } = {}): Hub =>
  new Hub({
    settings: {
      gopCache: { cacheMaxBytes: 1e6, cacheMaxCount: 300 },
      reconnectGraceMs: 20,
      broadcastMaxCount: 2,
      ...overrides,
    },
    clock: new ManualClock(),
    log: silentLog,
    metrics: new Metrics({ collectDefaults: false }),
  });

const newPublisher = (keyed: boolean): Publisher & { closedWith: string[] } => {
  const closedWith: string[] = [];
  return { keyed, remoteAddress: '127.0.0.1', closedWith, close: (reason) => closedWith.push(reason) };
};

test('the same name with its key takes over at once, and the old feed goes nowhere', () => {
  const hub = newHub();
  const first = newPublisher(true);
  const outcome = hub.publish('a', first);
  assert.ok(outcome.ok);
  const units: AccessUnit[] = [];
  outcome.broadcast.addRendition(SOURCE_VIDEO).subscribe({ onUnit: (unit) => units.push(unit) });
  outcome.feed.push(videoUnit({ dtsMs: 0, isKeyframe: true }));
  const second = hub.publish('a', newPublisher(true));
  assert.ok(second.ok && second.broadcast === outcome.broadcast);
  assert.deepEqual(first.closedWith, ['replaced']);
  outcome.feed.push(videoUnit({ dtsMs: 40 }));
  assert.equal(units.length, 1);
  outcome.feed.close('late');
  assert.equal(outcome.broadcast.state, 'live', 'the replaced feed cannot end its successor');
  hub.close('test');
});

test('without a key nobody takes over a keyed publisher, but may another without', () => {
  const hub = newHub();
  assert.ok(hub.publish('a', newPublisher(true)).ok);
  const refused = hub.publish('a', newPublisher(false));
  assert.ok(!refused.ok && refused.code === 'PUBLISH_NAME_BUSY');
  assert.ok(hub.publish('b', newPublisher(false)).ok);
  assert.ok(hub.publish('b', newPublisher(false)).ok);
  const full = hub.publish('c', newPublisher(true));
  assert.ok(!full.ok && full.code === 'PUBLISH_TOO_MANY');
  hub.close('test');
});

test('a broadcast outlives its publisher by the grace time, then ends once', async () => {
  const hub = newHub();
  const outcome = hub.publish('a', newPublisher(true));
  assert.ok(outcome.ok);
  outcome.feed.push(videoUnit({ dtsMs: 0, isKeyframe: true }));
  const ended: string[] = [];
  const isOver = new Promise<void>((resolve) => {
    outcome.broadcast.renditions.get(SOURCE_VIDEO)?.subscribe({
      onUnit: () => undefined,
      onEnd: (reason) => {
        ended.push(reason);
        resolve();
      },
    });
  });
  outcome.feed.close('connection lost');
  assert.equal(outcome.broadcast.state, 'reconnecting');
  assert.equal(hub.find('a'), outcome.broadcast);
  await isOver;
  assert.deepEqual(ended, ['publisher_gone']);
  assert.equal(hub.find('a'), undefined);
  outcome.broadcast.end('again');
  assert.equal(ended.length, 1);
});

test('a publisher that returns within the grace continues the same broadcast', () => {
  const hub = newHub({ reconnectGraceMs: 60_000 });
  const outcome = hub.publish('a', newPublisher(true));
  assert.ok(outcome.ok);
  outcome.feed.push(videoUnit({ dtsMs: 0, isKeyframe: true, arrivedAtMs: 0 }));
  outcome.feed.close('connection lost');
  const units: AccessUnit[] = [];
  outcome.broadcast.addRendition(SOURCE_VIDEO).subscribe({ onUnit: (unit) => units.push(unit) });
  const again = hub.publish('a', newPublisher(true));
  assert.ok(again.ok && again.broadcast.id === outcome.broadcast.id);
  again.feed.push(videoUnit({ dtsMs: 0, isKeyframe: true, arrivedAtMs: 5_000 }));
  assert.equal(again.broadcast.state, 'live');
  assert.equal(units[0]?.dtsTicks, 5_000 * 90);
  assert.equal(units[0]?.isDiscontinuity, true);
  hub.close('test');
});

test('who subscribes while a unit is delivered gets the next one', () => {
  const hub = newHub();
  const outcome = hub.publish('a', newPublisher(true));
  assert.ok(outcome.ok);
  const rendition = outcome.broadcast.addRendition(SOURCE_VIDEO);
  const late: AccessUnit[] = [];
  let hasSubscribed = false;
  rendition.subscribe({
    onUnit: () => {
      if (!hasSubscribed) {
        hasSubscribed = true;
        rendition.subscribe({ onUnit: (unit) => late.push(unit) });
      }
    },
  });
  outcome.feed.push(videoUnit({ dtsMs: 0, isKeyframe: true }));
  assert.equal(late.length, 0);
  outcome.feed.push(videoUnit({ dtsMs: 40 }));
  assert.equal(late.length, 1);
  hub.close('test');
});
