/** The pure parts of WebRTC out: which rendition, which picture next, what is sent again, what is believed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccessUnitSource, StreamFacts } from '../../../../server/media/stream-source.ts';
import { FixedController } from '../../../../server/relay/webrtc/fixed-controller.ts';
import { AddressLimiter } from '../../../../server/base/address-limiter.ts';
import { JoinQueue } from '../../../../server/relay/webrtc/join-queue.ts';
import { isNearViewer } from '../../../../server/relay/webrtc/playout-delay-rule.ts';
import { selectVideo } from '../../../../server/relay/webrtc/rendition-selector.ts';
import { RetransmissionLimits } from '../../../../server/relay/webrtc/retransmission-limits.ts';
import { RetransmissionRing } from '../../../../server/relay/webrtc/retransmission-ring.ts';
import { RtpClock } from '../../../../server/relay/webrtc/rtp-clock.ts';

const sourceWith = (id: string, codec: 'h264' | 'hevc', facts: Partial<StreamFacts>): AccessUnitSource => ({
  id,
  track: {
    kind: 'video',
    codec,
    timescaleHz: 90_000,
    decoderConfig: new Uint8Array(0),
    codecString: '',
    widthPx: 2,
    heightPx: 2,
  },
  facts: { hasReordering: false, gopMaxMs: 0, isGopKnown: false, frameRateFps: 30, bitrateBps: 0, ...facts },
  cachedGop: () => [],
  subscribe: () => () => undefined,
});

test('the rendition for WebRTC never has B-frames, and the source is taken when it is known to be safe or alone', () => {
  const safe = { isGopKnown: true, gopMaxMs: 1_000 };
  const select = (...sources: AccessUnitSource[]): string | undefined =>
    selectVideo(new Map(sources.map((source) => [source.id, source])))?.id;
  const repaired = sourceWith('repaired-video', 'h264', safe);
  assert.equal(select(sourceWith('source-video', 'h264', safe), repaired), 'source-video');
  assert.equal(select(sourceWith('source-video', 'h264', {})), 'source-video');
  assert.equal(select(sourceWith('source-video', 'h264', {}), repaired), 'repaired-video');
  assert.equal(
    select(sourceWith('source-video', 'h264', { isGopKnown: true, gopMaxMs: 8_000 }), repaired),
    'repaired-video',
  );
  assert.equal(select(sourceWith('source-video', 'h264', { ...safe, hasReordering: true })), undefined);
  assert.equal(select(sourceWith('source-video', 'hevc', safe)), undefined);
  const source = sourceWith('source-video', 'h264', safe);
  const manyColours = { ...source, track: { ...source.track!, codecString: 'avc1.f4001f' } };
  assert.equal(select(manyColours, repaired), 'repaired-video');
});

test('stamps rise by 45 ticks at least, bent or not, and wrap at 32 bits', () => {
  const clock = new RtpClock(90_000, 2 ** 32 - 90);
  assert.equal(clock.stamp(0), 2 ** 32 - 90);
  assert.equal(clock.stamp(1), 0);
  assert.equal(clock.stamp(1), 45);
  assert.equal(clock.stamp(0), 90);
  assert.equal(clock.stamp(10), 810);
});

const PACKET_COUNT = 3;

test('every packet of the last second is found, of 1,024 pictures at most, however many were sent', () => {
  const ring = new RetransmissionRing(1_000);
  const firstSeqExt = 2 ** 33 - 700;
  const pictures: (readonly Uint8Array[])[] = [];
  const firstOf = (index: number): { seqExt: number; payloadType: number; timestampTs32: number } => ({
    seqExt: firstSeqExt + PACKET_COUNT * index,
    ...{ payloadType: 96 + (index % 8), timestampTs32: (2 ** 32 - 50 + index) % 2 ** 32 },
  });
  /** Of everything sent so far: of how many pictures packets are found, each with what was sent. */
  const send = (count: number, everyMs: number, fromMs: number): { nowMs: number; foundCount: number } => {
    let nowMs = fromMs;
    for (const endIndex = pictures.length + count; pictures.length < endIndex; nowMs += everyMs) {
      const payloads = Array.from({ length: PACKET_COUNT }, () => Uint8Array.of(pictures.length & 0xff));
      ring.begin(payloads, firstOf(pictures.length), nowMs);
      payloads.forEach(() => ring.noteSent(nowMs));
      pictures.push(payloads);
    }
    const sent = pictures.flatMap((payloads, index) => payloads.map((payload, place) => ({ payload, place, index })));
    const found = sent.flatMap((_, at) => ring.find(firstSeqExt + at, nowMs) ?? []);
    const expected = sent.slice(sent.length - found.length).map(({ payload, place, index }) => ({
      ...firstOf(index),
      ...{ seqExt: firstOf(index).seqExt + place, payload, isMarked: place === PACKET_COUNT - 1 },
    }));
    assert.deepEqual(found, expected);
    return { nowMs, foundCount: found.length / PACKET_COUNT };
  };
  const slow = send(100, 20, 5_000);
  assert.equal(slow.foundCount, 50);
  const usual = send(700, 4, slow.nowMs);
  assert.equal(usual.foundCount, 250);
  const burst = send(2_000, 0.1, usual.nowMs);
  assert.equal(burst.foundCount, 1_024);
  assert.equal(send(50, 100, burst.nowMs).foundCount, 10);
});

test('what was sent of a picture is found by its number for a second, the rest of it not', () => {
  const ring = new RetransmissionRing(1_000);
  assert.equal(ring.find(0, 0), undefined);
  const payloads = [Uint8Array.of(1), Uint8Array.of(2)];
  ring.begin(payloads, { seqExt: 65_537, payloadType: 102, timestampTs32: 9 }, 0);
  assert.equal(ring.find(65_537, 0), undefined, 'not sent yet');
  ring.noteSent(0);
  const first = { seqExt: 65_537, payload: payloads[0], payloadType: 102, timestampTs32: 9, isMarked: false };
  assert.deepEqual(ring.find(65_537, 1_000), first);
  assert.equal(ring.find(65_538, 1_000), undefined, 'not sent yet');
  ring.noteSent(5);
  assert.deepEqual(ring.find(65_538, 1_005), { ...first, seqExt: 65_538, payload: payloads[1], isMarked: true });
  assert.deepEqual(
    [ring.find(65_537, 1_006), ring.find(65_539, 6), ring.find(65_536, 6), ring.find(-3, 6)],
    Array(4).fill(undefined),
  );
});

test('packets are sent again not twice within the round trip, at most six times, within a budget', () => {
  const limits = new RetransmissionLimits();
  const take = (seqExt: number, nowMs: number, bytes = 1_000): boolean =>
    limits.take(seqExt, { bytes, nowMs, rttMs: 50 });
  limits.onSent(1, 1_000, 0);
  assert.deepEqual(
    [take(2, 1), take(1, 1), take(1, 30)],
    [false, true, false],
    'never sent; sent; within 0.8 round trips',
  );
  assert.equal([100, 200, 300, 400, 500, 600].filter((nowMs) => take(1, nowMs)).length, 5);
  let spentBytes = 0;
  for (let seqExt = 2; seqExt < 200; seqExt += 1) {
    limits.onSent(seqExt, 0, 600);
    spentBytes += take(seqExt, 600) ? 1_000 : 0;
  }
  assert.ok(spentBytes >= 60_000 && spentBytes <= 70_000, `${spentBytes}`);
  limits.onSent(200, 4_000, 600);
  assert.equal(take(200, 600), true, 'more was sent, so more may be sent again');
});

test('without a controller feedback is believed for packets that were sent, and for no others', () => {
  const controller = new FixedController({ playoutDelayMs: 20, playoutDelayFarMs: 100 });
  for (let seqExt = 65_530; seqExt < 65_540; seqExt += 1) {
    controller.onPacketSent({ transportSeqExt: seqExt, bytes: 1_000, kind: 'audio', videoSeqExt: -1 }, 0);
  }
  const check = (baseSeqExt: number, count: number): boolean =>
    controller.onFeedback({ baseSeqExt, count, arrivedMs: Array.from({ length: count }, () => 1) }, 1);
  assert.deepEqual([check(65_530, 10), check(65_538, 2)], [true, true]);
  assert.deepEqual([check(65_529, 1), check(65_530, 11), check(65_540, 1)], [false, false, false]);
});

test('a viewer is near with a short round trip and no loss for a while, and far when nothing is known', () => {
  const near = (rttMs: number | undefined, sinceLossMs: number, wasNear = false): boolean =>
    isNearViewer({ rttMs, sinceLossMs, wasNear });
  assert.deepEqual(
    [near(undefined, Infinity), near(5, Infinity), near(5, 100), near(25, Infinity)],
    [false, true, false, false],
  );
  assert.equal(near(25, Infinity, true), true, 'the edge is not crossed back at once');
});

test('joins come at their rate after a small burst', () => {
  const queue = new JoinQueue<number>({ joinsPerS: 10, queueMaxCount: 100 });
  Array.from({ length: 8 }, (_, index) => queue.enter(index, '10.0.0.1', 1_000));
  const cameAtMs: number[] = [];
  for (let nowMs = 1_000; nowMs <= 1_300; nowMs = Math.max(nowMs, queue.dueAtMs ?? Infinity)) {
    assert.equal(queue.take(nowMs), cameAtMs.length);
    cameAtMs.push(nowMs);
  }
  assert.deepEqual(cameAtMs, [...[1_000, 1_000, 1_000, 1_000, 1_000], ...[1_100, 1_200, 1_300]]);
  assert.equal(queue.take(10_000), undefined);
});

test('addresses take turns; in a full queue the one with few takes the place of the last of the one with many', () => {
  const queue = new JoinQueue<string>({ joinsPerS: 1_000, queueMaxCount: 6 });
  ['a1', 'a2', 'a3', 'a4', 'a5', 'a6'].forEach((waiter) => queue.enter(waiter, '10.0.0.1', 0));
  const entered = queue.enter('b1', '10.0.0.2', 0);
  assert.deepEqual(entered, { isIn: true, evicted: { waiter: 'a6', retryAfterMs: 1_000 } });
  assert.equal(queue.enter('b2', '10.0.0.2', 0).isIn, true);
  assert.equal(queue.enter('c1', '2001:db8::1', 0).isIn, true);
  assert.equal(queue.enter('c2', '2001:db8::2', 0).isIn, true, 'of IPv6 64 bits are one host');
  assert.equal(queue.enter('a7', '10.0.0.1', 0).isIn, false);
  assert.equal(queue.enter('b3', '10.0.0.2', 0).isIn, false, 'all have the same by now');
  queue.leave('b1', '10.0.0.2');
  const order = [1, 2, 3, 4, 5, 6].map((nowMs) => queue.take(nowMs));
  assert.deepEqual(order, ['a1', 'b2', 'c1', 'a2', 'c2', undefined]);
});

test('who is sent away from a storm is told to come back one after the other, and within half a minute', () => {
  const queue = new JoinQueue<number>({ joinsPerS: 20, queueMaxCount: 100 });
  const pausesMs = Array.from({ length: 1_000 }, (_, index) =>
    queue.enter(index, `10.0.${index >> 8}.${index & 255}`, 0),
  ).flatMap((entered) => (entered.isIn ? [] : [entered.retryAfterMs]));
  assert.equal(pausesMs.length, 900);
  assert.deepEqual(pausesMs.slice(0, 3), [5_000, 5_050, 5_100], 'the hundred that wait take five seconds');
  assert.equal(Math.max(...pausesMs), 30_000);
  assert.equal(pausesMs.filter((pauseMs) => pauseMs < 30_000).length, 500);
});

test('an address may ask so often a minute', () => {
  const addresses = new AddressLimiter(1);
  assert.deepEqual(
    [addresses.take('a', 0), addresses.take('a', 1), addresses.take('b', 1), addresses.take('a', 61_000)],
    [true, false, true, true],
  );
});
