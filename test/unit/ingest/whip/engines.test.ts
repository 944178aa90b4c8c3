/** The small engines of WHIP, each by itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ntpFromWallMs } from '../../../../server/media/rtp/ntp.ts';
import { JitterBuffer } from '../../../../server/ingest/whip/jitter-buffer.ts';
import type { JitterEvent } from '../../../../server/ingest/whip/jitter-buffer.ts';
import { KeyframeAsker } from '../../../../server/ingest/whip/keyframe-asker.ts';
import { RepairedArrivals } from '../../../../server/ingest/whip/repaired-arrivals.ts';
import { SenderClock } from '../../../../server/ingest/whip/sender-clock.ts';
import { UplinkLoss } from '../../../../server/ingest/whip/uplink-loss.ts';
import { SoundUnits } from '../../../../server/ingest/whip/sound-units.ts';
import { OPUS_PACKET } from '../../../support/flv-samples.ts';

type TestPacket = { readonly seqExt: number; readonly bytes: number };
const packet = (seqExt: number, bytes = 100): TestPacket => ({ seqExt, bytes });
const OPTIONS = { waitMaxMs: 200, bufferMaxCount: 50, bufferMaxBytes: 10_000 };
/** Numbers of packets, losses as negative counts. */
const told = (events: readonly JitterEvent<TestPacket>[]): number[] =>
  events.map((event) => (event.type === 'packet' ? event.packet.seqExt : -event.count));

test('jitter buffer: packets out of order come out in order, at once where nothing is missing', () => {
  const buffer = new JitterBuffer<TestPacket>(OPTIONS);
  buffer.push(packet(10), 0);
  assert.deepEqual(told(buffer.take(0)), [10]);
  buffer.push(packet(12), 1);
  buffer.push(packet(13), 2);
  assert.deepEqual(told(buffer.take(2)), []);
  buffer.push(packet(11), 3);
  assert.deepEqual(told(buffer.take(3)), [11, 12, 13]);
  assert.equal(buffer.bufferedBytes, 0);
});

test('jitter buffer: a hole is given up when its time is over, and not a moment before', () => {
  const buffer = new JitterBuffer<TestPacket>(OPTIONS);
  [packet(1), packet(4), packet(6)].forEach((each, index) => buffer.push(each, index * 10));
  assert.deepEqual(told(buffer.take(209)), [1]);
  assert.deepEqual(told(buffer.take(210)), [-2, 4]);
  assert.deepEqual(told(buffer.take(220)), [-1, 6]);
  assert.equal(buffer.lostCount, 3);
  buffer.push(packet(5), 230);
  assert.deepEqual([told(buffer.take(230)), buffer.lateCount], [[], 1]);
});

test('jitter buffer: a full one gives up the oldest hole rather than grow', () => {
  for (const bytes of [1, 600]) {
    const buffer = new JitterBuffer<TestPacket>(OPTIONS);
    buffer.push(packet(0), 0);
    buffer.take(0);
    for (let seqExt = 2; seqExt < 500; seqExt += 2) {
      buffer.push(packet(seqExt, bytes), 1);
      buffer.take(1);
      assert.ok(buffer.bufferedCount <= 50 && buffer.bufferedBytes <= 10_000);
    }
    assert.ok(buffer.lostCount > 100);
  }
});

test('jitter buffer: numbers that leap ahead again and again are not remembered without end', () => {
  const buffer = new JitterBuffer<TestPacket>({ waitMaxMs: 1e9, bufferMaxCount: 1e6, bufferMaxBytes: 1e9 });
  buffer.push(packet(0), 0);
  for (let count = 1; count <= 200; count += 1) {
    buffer.push(packet(count * 900), 0);
    buffer.take(0);
    assert.ok(buffer.bufferedCount <= 6, `${buffer.bufferedCount} wait for ${899 * buffer.bufferedCount} others`);
  }
});

test('jitter buffer: a stream that was away goes on at once, and repeats are left out', () => {
  const buffer = new JitterBuffer<TestPacket>(OPTIONS);
  buffer.push(packet(5), 0);
  buffer.push(packet(5), 0);
  buffer.push(packet(20_000), 0);
  assert.deepEqual([told(buffer.take(0)), buffer.lateCount], [[5, -19_994, 20_000], 1]);
});

test('keyframes are asked for at once when needed, again with growing pauses, and when the last one is old', () => {
  const asker = new KeyframeAsker({ keyframeEveryMs: 1_000 });
  assert.equal(asker.isDue(0, 20), false);
  asker.onBroken(0);
  const askedAtMs: number[] = [];
  for (let nowMs = 0; nowMs < 10_000; nowMs += 10) {
    if (asker.isDue(nowMs, 20)) {
      askedAtMs.push(nowMs);
    }
  }
  const pausesMs = askedAtMs.slice(1).map((atMs, index) => atMs - (askedAtMs[index] ?? 0));
  assert.deepEqual([askedAtMs[0], askedAtMs[1]], [0, 150]);
  assert.ok(pausesMs.every((pauseMs, index) => pauseMs >= (pausesMs[index - 1] ?? 0) && pauseMs <= 2_010));
  asker.onKeyframe(20_000);
  assert.equal(asker.isDue(20_990, 20), false);
  assert.equal(asker.isDue(21_000, 20), true);
  assert.equal(asker.isDue(21_010, 20), false);
  asker.onBroken(21_010);
  assert.equal(asker.isDue(21_010, 20), true, 'what was asked for before the loss is no answer to it');
});

test('sound lies where it arrived until sender reports of both streams say where it belongs', () => {
  const clock = new SenderClock();
  clock.observe('video', { timestampExt: 90_000, clockHz: 90_000, arrivedAtMs: 5_000 });
  clock.observe('audio', { timestampExt: 48_000, clockHz: 48_000, arrivedAtMs: 5_100 });
  assert.deepEqual([clock.commonMs('video', 90_000), clock.commonMs('audio', 48_000)], [5_000, 5_100]);
  // Both were captured at the same instant.
  clock.onReport('video', { ntp: ntpFromWallMs(1_000_000), timestampExt: 90_000 });
  assert.equal(clock.commonMs('audio', 48_000), 5_100);
  clock.onReport('audio', { ntp: ntpFromWallMs(1_000_000), timestampExt: 48_000 });
  assert.ok(Math.abs((clock.commonMs('audio', 48_000) ?? 0) - 5_000) < 0.01);
  assert.equal(clock.commonMs('video', 90_000), 5_000, 'pictures stay where they are');
  clock.onReport('audio', { ntp: ntpFromWallMs(1_009_000), timestampExt: 48_000 });
  assert.ok(Math.abs((clock.commonMs('audio', 48_000) ?? 0) - 5_000) < 0.01, 'nonsense is not believed');
});

test('Opus packets follow each other without gaps; a lost one leaves its hole, and what lies before the end is left out', () => {
  const sounds = new SoundUnits();
  const at = { arrivedAtMs: 0, arrivedAtWallMs: 0 };
  const ticks = [100, 120.4, 139.8, 180, 150, 200].map(
    (startMs) => sounds.push(OPUS_PACKET, { startMs, ...at })?.dtsTicks,
  );
  assert.deepEqual(ticks, [4_800, 5_760, 6_720, 8_640, undefined, 9_600]);
  assert.equal(sounds.track?.samplesPerUnit, 960);
  const before = sounds.track;
  sounds.push(OPUS_PACKET, { startMs: 220, ...at });
  assert.equal(sounds.track, before, 'one track as long as packets last alike');
});

test('the host is told what its uplink loses: nothing below 3 %, worse where repeats came too late, and no more once it is over', () => {
  const watch = new UplinkLoss();
  const totals = { packets: 0, repaired: 0, lost: 0 };
  let nowMs = 0;
  const run = (seconds: number, perSecond: { repaired: number; lost: number }): string | undefined => {
    for (let count = 0; count < seconds; count += 1) {
      nowMs += 1_000;
      totals.packets += 100 - perSecond.lost;
      totals.repaired += perSecond.repaired;
      totals.lost += perSecond.lost;
      watch.observe(totals, { nowMs, rttMs: 40 });
    }
    return watch.finding?.severity;
  };
  assert.equal(run(12, { repaired: 1, lost: 0 }), undefined);
  assert.equal(run(12, { repaired: 5, lost: 0 }), 'info');
  assert.match(watch.finding?.advice ?? '', /^5 of 100 packets/);
  assert.equal(run(1, { repaired: 4, lost: 1 }), 'warning');
  assert.equal(run(12, { repaired: 0, lost: 0 }), undefined);
});

test('the number of a repaired packet follows from its neighbours, and is not guessed', () => {
  const arrivals = new RepairedArrivals();
  const note = (transportSeq16: number, seqExt: number | undefined, kind: 'video' | 'audio' = 'video'): void =>
    arrivals.note(transportSeq16, { kind, seqExt, atMs: transportSeq16 });
  note(65_534, 100);
  note(65_535, 500, 'audio');
  // 0 and 1 are lost: 101 and 102 of the pictures.
  note(2, 103);
  assert.deepEqual(arrivals.find('video', 101), { transportSeq16: 0, atMs: 65_534 });
  assert.deepEqual(arrivals.find('video', 102), { transportSeq16: 1, atMs: 65_534 });
  // One number is missing for two packets, and the other way round.
  note(4, 106);
  assert.equal(arrivals.find('video', 104), undefined);
  note(9, 108);
  assert.equal(arrivals.find('video', 107), undefined);
  assert.equal(arrivals.find('audio', 501), undefined, 'without a neighbour behind it');
});
