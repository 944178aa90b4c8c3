// A hub and its mirror in another thread, without the thread: what outputs see there is what the hub has, in order, and a reader that falls behind goes on at keyframes.
import assert from 'node:assert/strict';
import test from 'node:test';
import { ManualClock } from '../../../server/base/clock.ts';
import type { AccessUnit } from '../../../server/media/access-unit.ts';
import type { PublisherFeed } from '../../../server/media/stream-source.ts';
import { HubFeed } from '../../../server/media-threads/hub-feed.ts';
import { HubMirror } from '../../../server/media-threads/hub-mirror.ts';
import type { HubMessage } from '../../../server/media-threads/hub-messages.ts';
import { RingReader } from '../../../server/media-threads/unit-ring.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { Metrics } from '../../../server/observability/metrics.ts';
import type { BroadcastView } from '../../../server/relay/broadcast-view.ts';
import type { Broadcast } from '../../../server/relay/broadcast.ts';
import { Hub } from '../../../server/relay/hub.ts';
import { TEST_AUDIO_TRACK, TEST_VIDEO_TRACK, audioUnit, videoUnit } from '../../support/units.ts';

const GOP_CACHE = { cacheMaxBytes: 1_000_000, cacheMaxCount: 500 };
const OPUS_TRACK = { ...TEST_AUDIO_TRACK, codec: 'opus', codecString: 'opus' } as const;

/** Units of one broadcast as a thread sees them, by rendition. */
class Watcher {
  readonly units: { id: string; unit: AccessUnit }[] = [];
  readonly events: string[] = [];

  constructor(broadcast: BroadcastView) {
    const watch = (rendition: BroadcastView['renditions'] extends ReadonlyMap<string, infer R> ? R : never): void => {
      this.events.push(`+${rendition.id}`);
      rendition.subscribe({ onUnit: (unit) => this.units.push({ id: rendition.id, unit }) });
    };
    broadcast.renditions.forEach(watch);
    broadcast.listen({
      onStateChanged: (state) => this.events.push(state),
      onRenditionAdded: watch,
      onRenditionRemoved: ({ id }) => this.events.push(`-${id}`),
    });
  }

  get dtsMs(): number[] {
    return this.units.map(({ unit }) => (unit.dtsTicks * 1000) / unit.track.timescaleHz);
  }
}

type Mirrored = { readonly mirror: HubMirror; readonly dropped: string[]; drain(): void };

const setUp = ({ ringBytes = 262_144 }: { ringBytes?: number } = {}) => {
  const clock = new ManualClock({ nowMs: 5_000 });
  const metrics = new Metrics({ collectDefaults: false });
  const settings = { gopCache: GOP_CACHE, reconnectGraceMs: 30_000, broadcastMaxCount: 8 };
  const hub = new Hub({ settings, clock, log: silentLog, metrics });
  const feed = new HubFeed({ hub, ringBytes, clock, metrics });
  const publish = (name: string): { broadcast: Broadcast; publisher: PublisherFeed } => {
    const outcome = hub.publish(name, { keyed: true, remoteAddress: '127.0.0.1', close: () => undefined });
    assert.ok(outcome.ok);
    return { broadcast: outcome.broadcast, publisher: outcome.feed };
  };
  /** A thread that hears its messages, cloned as they would be, when it drains. */
  const mirrorNow = (): Mirrored => {
    const waiting: HubMessage[] = [];
    feed.attach((message) => waiting.push(structuredClone(message)));
    const reader = new RingReader(feed.memory, feed.position);
    const dropped: string[] = [];
    const mirror = new HubMirror({
      gopCache: GOP_CACHE,
      clock,
      onDropped: (count, why) => dropped.push(`${count} ${why}`),
    });
    const drain = (): void => {
      do {
        waiting.splice(0).forEach((message) => mirror.onMessage(message));
      } while (mirror.drain(reader, 3));
    };
    return { mirror, dropped, drain };
  };
  const found = ({ mirror }: Mirrored, name: string): BroadcastView => mirror.find(name) ?? assert.fail(`no ${name}`);
  return { clock, metrics, hub, feed, publish, mirrorNow, found };
};

test('two broadcasts in one ring: each thread sees the units of each, with tracks, times and the capture clock', () => {
  const { clock, publish, mirrorNow, found } = setUp();
  const [one, other] = [mirrorNow(), mirrorNow()];
  const [a, b] = [publish('a'), publish('b')];
  const all = [one, other];
  all.forEach((each) => each.drain());
  const watchers = all.flatMap((each) => [new Watcher(found(each, 'a')), new Watcher(found(each, 'b'))]);
  for (let index = 0; index < 10; index += 1) {
    a.publisher.push(videoUnit({ dtsMs: index * 40, isKeyframe: index === 0, payloadBytes: 100 + index }));
    b.publisher.push(videoUnit({ dtsMs: index * 20, isKeyframe: index === 0, arrivedAtMs: 9_000 + index * 20 }));
    b.publisher.push(audioUnit({ dtsMs: index * 20, arrivedAtMs: 9_000 + index * 20 }));
    clock.advanceMs(20);
  }
  all.forEach((each) => each.drain());
  const [first, second] = watchers;
  assert.deepEqual(first?.dtsMs, [0, 40, 80, 120, 160, 200, 240, 280, 320, 360]);
  assert.equal(second?.units.length, 20);
  assert.deepEqual(watchers[2]?.units, first?.units);
  const sent = a.broadcast.renditions
    .get('source-video')
    ?.cachedGop()
    .map((unit) => ({ ...unit, payload: Buffer.from(unit.payload) }));
  assert.deepEqual(
    first?.units.map(({ unit }) => unit),
    sent,
  );
  const mirrored = found(one, 'a');
  assert.equal(mirrored.timeline.wallMsAt(123), a.broadcast.timeline.wallMsAt(123));
  assert.deepEqual(mirrored.renditions.get('source-video')?.facts, a.broadcast.renditions.get('source-video')?.facts);
  assert.equal(mirrored.renditions.get('source-video')?.cachedGop().length, 10);
  assert.deepEqual([...found(one, 'b').renditions.keys()], ['source-video', 'source-audio']);
});

test('renditions that come and go do so in every thread; what no viewer can be fed from stays out of the ring', () => {
  const { publish, feed, mirrorNow, found } = setUp();
  const thread = mirrorNow();
  const { broadcast, publisher } = publish('a');
  thread.drain();
  const watcher = new Watcher(found(thread, 'a'));
  publisher.push(videoUnit({ dtsMs: 0, isKeyframe: true }));
  const rung = broadcast.addRendition('h480');
  rung.push(videoUnit({ dtsMs: 0, isKeyframe: true }));
  const before = feed.position.totalBytes;
  broadcast.addRendition('aac-audio').push(audioUnit({ dtsMs: 0 }));
  assert.equal(feed.position.totalBytes, before);
  broadcast.addRendition('opus-audio').push(audioUnit({ dtsMs: 0 }, OPUS_TRACK));
  thread.drain();
  broadcast.removeRendition('h480', 'shed');
  thread.drain();
  broadcast.addRendition('h480').push(videoUnit({ dtsMs: 40, isKeyframe: true }));
  thread.drain();
  broadcast.end('over');
  thread.drain();
  assert.deepEqual(watcher.events, [
    ...['+source-video', 'live', '+h480', '+opus-audio', '-h480', '+h480', 'ended'],
    ...['-source-video', '-opus-audio', '-h480'],
  ]);
  assert.deepEqual(
    watcher.units.map(({ id }) => id),
    ['source-video', 'h480', 'opus-audio', 'h480'],
  );
  assert.equal(thread.mirror.find('a'), undefined);
});

test('a broadcast of a name that has ended and begun again is another one', () => {
  const { publish, mirrorNow, found } = setUp();
  const thread = mirrorNow();
  const first = publish('a');
  first.broadcast.end('over');
  const second = publish('a');
  thread.drain();
  assert.equal(found(thread, 'a').id, second.broadcast.id);
});

test('an encoder that changes its parameters: each unit has the track it was made under', () => {
  const { publish, mirrorNow, found } = setUp();
  const thread = mirrorNow();
  const { publisher } = publish('a');
  thread.drain();
  const watcher = new Watcher(found(thread, 'a'));
  const wide = { ...TEST_VIDEO_TRACK, widthPx: 1_280, heightPx: 720, decoderConfig: Uint8Array.of(9, 9) };
  publisher.push(videoUnit({ dtsMs: 0, isKeyframe: true }));
  publisher.push(videoUnit({ dtsMs: 40 }));
  publisher.push(videoUnit({ dtsMs: 80, isKeyframe: true }, wide));
  publisher.push(videoUnit({ dtsMs: 120 }, wide));
  publisher.push(videoUnit({ dtsMs: 160, isKeyframe: true }));
  thread.drain();
  assert.deepEqual(
    watcher.units.map(({ unit }) => unit.track),
    [TEST_VIDEO_TRACK, TEST_VIDEO_TRACK, wide, wide, TEST_VIDEO_TRACK],
  );
  assert.equal(watcher.units[2]?.unit.track, watcher.units[3]?.unit.track);
});

test('a thread that comes later is told what is cached, and misses nothing from there on', () => {
  const { publish, mirrorNow, found } = setUp();
  const { broadcast, publisher } = publish('a');
  for (let index = 0; index < 7; index += 1) {
    publisher.push(videoUnit({ dtsMs: index * 40, isKeyframe: index % 5 === 0 }));
  }
  const thread = mirrorNow();
  publisher.push(videoUnit({ dtsMs: 280 }));
  thread.drain();
  const cached = found(thread, 'a').renditions.get('source-video')?.cachedGop() ?? [];
  assert.deepEqual(
    cached.map(({ dtsTicks }) => dtsTicks),
    broadcast.renditions
      .get('source-video')
      ?.cachedGop()
      .map(({ dtsTicks }) => dtsTicks),
  );
  assert.equal(cached.length, 3);
});

test('a thread that is overtaken goes on with the next keyframe of each rendition and at once with sound; what it lost is counted', () => {
  const { publish, mirrorNow, found } = setUp({ ringBytes: 16_384 });
  const thread = mirrorNow();
  const { publisher } = publish('a');
  thread.drain();
  const watcher = new Watcher(found(thread, 'a'));
  const video = (index: number, isKeyframe: boolean): void =>
    publisher.push(videoUnit({ dtsMs: index * 40, isKeyframe, payloadBytes: 1_000 }));
  video(0, true);
  thread.drain();
  for (let index = 1; index < 30; index += 1) {
    video(index, false);
  }
  thread.drain();
  video(30, false);
  publisher.push(audioUnit({ dtsMs: 1_200, payloadBytes: 50 }));
  video(31, false);
  video(32, true);
  video(33, false);
  thread.drain();
  assert.deepEqual(watcher.dtsMs.map(Math.round), [0, 1_200, 1_280, 1_320]);
  assert.deepEqual(thread.dropped, ['29 overtaken', '1 overtaken', '1 overtaken']);
});

test('what has waited for more than a second is dropped up to a keyframe that has not', () => {
  const { clock, publish, mirrorNow, found } = setUp();
  const thread = mirrorNow();
  const { publisher } = publish('a');
  thread.drain();
  const watcher = new Watcher(found(thread, 'a'));
  publisher.push(videoUnit({ dtsMs: 0, isKeyframe: true }));
  publisher.push(videoUnit({ dtsMs: 40 }));
  clock.advanceMs(1_001);
  publisher.push(videoUnit({ dtsMs: 80 }));
  publisher.push(videoUnit({ dtsMs: 120, isKeyframe: true }));
  thread.drain();
  assert.deepEqual(watcher.dtsMs, [120]);
  assert.deepEqual(thread.dropped, ['1 late', '1 late', '1 late']);
});

test('a picture too large for the ring is left out with all that follow up to the next keyframe, and counted', async () => {
  const { metrics, publish, mirrorNow, found } = setUp({ ringBytes: 16_384 });
  const thread = mirrorNow();
  const { publisher } = publish('a');
  thread.drain();
  const watcher = new Watcher(found(thread, 'a'));
  publisher.push(videoUnit({ dtsMs: 0, isKeyframe: true, payloadBytes: 5_000 }));
  publisher.push(videoUnit({ dtsMs: 40, payloadBytes: 100 }));
  publisher.push(videoUnit({ dtsMs: 80, isKeyframe: true, payloadBytes: 3_000 }));
  publisher.push(videoUnit({ dtsMs: 120, payloadBytes: 100 }));
  thread.drain();
  assert.deepEqual(watcher.dtsMs, [80, 120]);
  assert.match(await metrics.render(), /media_ring_units_too_large_total 1/);
});
