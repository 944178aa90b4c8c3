/** The pure parts of WebRTC out: which rendition, which picture next, what is sent again, what is believed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccessUnitSource, StreamFacts } from '../../../../server/media/stream-source.ts';
import { AddressLimiter, JoinLimiter } from '../../../../server/relay/webrtc/join-limiter.ts';
import type { PacketisedFrame } from '../../../../server/relay/webrtc/packetised-rendition.ts';
import { isNearViewer } from '../../../../server/relay/webrtc/playout-delay-rule.ts';
import { selectVideo } from '../../../../server/relay/webrtc/rendition-selector.ts';
import { RetransmissionBudget, RetransmissionRing } from '../../../../server/relay/webrtc/retransmission-ring.ts';
import { RtpClock } from '../../../../server/relay/webrtc/rtp-clock.ts';
import { TransportLedger } from '../../../../server/relay/webrtc/transport-ledger.ts';
import { VideoQueue } from '../../../../server/relay/webrtc/video-queue.ts';

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

const frame = (ptsMs: number, isKeyframe = false, payloadBytes = 10_000): PacketisedFrame => ({
  codec: 'h264',
  payloads: [new Uint8Array(payloadBytes)],
  payloadBytes,
  ptsTicks: ptsMs * 90,
  ptsMs,
  isKeyframe,
});

test('a backlog leaves paced, keyframe at once, and live pictures queue behind it until it is caught', () => {
  const queue = new VideoQueue();
  queue.begin([frame(0, true), frame(33), frame(66)], { bitrateBps: 1_000_000, nowMs: 0 });
  assert.deepEqual(
    queue.take(0).map(({ ptsMs }) => ptsMs),
    [0],
  );
  assert.equal(queue.offer(frame(100), false), false);
  const sent: number[] = [];
  let nowMs = 0;
  while (queue.state === 'catching-up' && nowMs < 1_000) {
    nowMs += 5;
    sent.push(...queue.take(nowMs).map(({ ptsMs }) => ptsMs));
  }
  assert.deepEqual(sent, [33, 66, 100]);
  assert.ok(nowMs >= 20, 'not all at once');
  assert.equal(queue.offer(frame(133), false), true);
});

test('a viewer too slow for its path loses pictures up to the next keyframe, counted', () => {
  const queue = new VideoQueue();
  assert.equal(queue.offer(frame(0, true), false), true);
  assert.equal(queue.offer(frame(33), true), false);
  assert.equal(queue.offer(frame(66), false), false);
  assert.equal(queue.offer(frame(100, true), false), true);
  assert.equal(queue.droppedCount, 2);
});

test('stamps rise by 45 ticks at least, bent or not, and wrap at 32 bits', () => {
  const clock = new RtpClock(90_000, 2 ** 32 - 90);
  assert.equal(clock.stamp(0), 2 ** 32 - 90);
  assert.equal(clock.stamp(1), 0);
  assert.equal(clock.stamp(1), 45);
  assert.equal(clock.stamp(0), 90);
  assert.equal(clock.stamp(10), 810);
});

test('packets are sent again within their window, not twice within the round trip, at most six times', () => {
  const ring = new RetransmissionRing(1_000);
  const payload = Uint8Array.of(1);
  ring.add({ seqExt: 65_537, payload, payloadType: 102, timestampTs32: 9, isMarked: true }, 0);
  assert.equal(ring.take(2, { nowMs: 1, rttMs: 50 }), undefined, 'never sent');
  assert.deepEqual(ring.take(1, { nowMs: 1, rttMs: 50 }), {
    payload,
    payloadType: 102,
    timestampTs32: 9,
    isMarked: true,
  });
  assert.equal(ring.take(1, { nowMs: 30, rttMs: 50 }), undefined, 'within 0.8 of the round trip');
  const copies = [100, 200, 300, 400, 500, 600].filter((nowMs) => ring.take(1, { nowMs, rttMs: 50 }) !== undefined);
  assert.equal(copies.length, 5);
  ring.add({ seqExt: 65_538, payload, payloadType: 102, timestampTs32: 9, isMarked: true }, 0);
  assert.equal(ring.take(2, { nowMs: 1_001, rttMs: 50 }), undefined, 'too old');
});

test('retransmissions stop at their budget and go on as more is sent', () => {
  const budget = new RetransmissionBudget();
  let spentBytes = 0;
  while (budget.spend(1_000, 0)) {
    spentBytes += 1_000;
  }
  assert.ok(spentBytes >= 60_000 && spentBytes <= 70_000);
  budget.earn(4_000);
  assert.equal(budget.spend(1_000, 0), true);
});

test('feedback is believed for packets that were sent, over the wrap, and for no others', () => {
  const ledger = new TransportLedger(65_530);
  for (let count = 0; count < 10; count += 1) {
    ledger.next(count);
  }
  const check = (baseSeq16: number, count: number): boolean =>
    ledger.check({ baseSeq16, feedbackCount: 0, arrivedMs: Array.from({ length: count }, () => 1) }).isPlausible;
  assert.deepEqual([check(65_530, 10), check(2, 2)], [true, true]);
  assert.deepEqual([check(65_529, 1), check(65_530, 11), check(4, 1), check(30_000, 1)], [false, false, false, false]);
  assert.deepEqual([ledger.sentAtMs(65_539), ledger.sentAtMs(65_540)], [9, undefined]);
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

test('joins come at their rate after a small burst, and are refused beyond the queue', () => {
  const limiter = new JoinLimiter({ joinsPerS: 10, queueMaxCount: 3 });
  const waits = Array.from({ length: 10 }, () => limiter.reserve(1_000));
  assert.deepEqual(waits, [0, 0, 0, 0, 0, 100, 200, 300, undefined, undefined]);
  assert.equal(limiter.reserve(10_000), 0);
  const addresses = new AddressLimiter(1);
  assert.deepEqual(
    [addresses.take('a', 0), addresses.take('a', 1), addresses.take('b', 1), addresses.take('a', 61_000)],
    [true, false, true, true],
  );
});
