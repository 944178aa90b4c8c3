/** What was sent and how it leaves: history, token bucket, queue. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Pacer } from '../../../server/congestion/pacer.ts';
import { SendQueue } from '../../../server/congestion/send-queue.ts';
import { SentHistory } from '../../../server/congestion/sent-history.ts';

test('history gives back time, size, kind and video number of what was sent, over all wraps', () => {
  const history = new SentHistory(64);
  for (let index = 0; index < 200; index += 1) {
    const packet = { bytes: 8 * (index % 100), kind: 'video' as const, videoSeqExt: 65_500 + index };
    history.add(1_000 + index, packet, 100_000 + 70.25 * index);
  }
  for (let index = 140; index < 200; index += 1) {
    assert.equal(history.sentAtMs(1_000 + index), 100_000 + 70.25 * index);
    assert.equal(history.bytes(1_000 + index), 8 * (index % 100));
    assert.equal(history.kind(1_000 + index), 'video');
    assert.equal(history.videoSeqExt(1_000 + index), 65_500 + index);
  }
});

test('feedback about what was never sent is not plausible, about what was forgotten it is', () => {
  const history = new SentHistory(8);
  assert.equal(history.isPlausible(0, 1), false);
  for (let seq = 100; seq < 120; seq += 1) {
    history.add(seq, { bytes: 100, kind: 'audio', videoSeqExt: -1 }, seq);
  }
  assert.equal(history.isPlausible(100, 20), true);
  assert.equal(history.isPlausible(100, 21), false);
  assert.equal(history.isPlausible(99, 2), false);
  assert.equal(history.has(100), false);
  assert.equal(history.has(112), true);
  assert.equal(history.videoSeqExt(119), -1);
});

test('history grows while what it would forget is under way, and no further than its most', () => {
  const history = new SentHistory(64, 16);
  const packet = { bytes: 800, kind: 'video' as const, videoSeqExt: 0 };
  for (let seq = 100; seq < 160; seq += 1) {
    history.add(seq, { ...packet, videoSeqExt: seq }, seq, 99);
  }
  for (let seq = 100; seq < 160; seq += 1) {
    assert.equal(history.has(seq), true);
    assert.equal(history.videoSeqExt(seq), seq);
    assert.equal(history.sentAtMs(seq), seq);
  }
  for (let seq = 160; seq < 200; seq += 1) {
    history.add(seq, packet, seq, 99);
  }
  assert.equal(history.has(135), false);
  assert.equal(history.has(136), true);
});

test('an arrival counts once', () => {
  const history = new SentHistory(8);
  history.add(5, { bytes: 100, kind: 'rtx', videoSeqExt: 3 }, 0);
  assert.equal(history.markArrived(5), true);
  assert.equal(history.markArrived(5), false);
});

test('the bucket lets its depth go at once and then the rate', () => {
  const pacer = new Pacer();
  pacer.set(800_000, 3_000, 0);
  let count = 0;
  while (pacer.takes(1_000, 0, true)) {
    count += 1;
  }
  assert.equal(count, 4, 'three that are saved up, and one that pays afterwards');
  let sent = 0;
  for (let nowMs = 1; nowMs <= 1_000; nowMs += 1) {
    sent += pacer.takes(1_000, nowMs, true) ? 1 : 0;
  }
  assert.ok(Math.abs(sent - 100) <= 2, `${sent} packets of 1,000 bytes at 800 kbit/s in a second`);
});

test('pictures leave two thirds of the burst to keyframes', () => {
  const burst = (isPrivileged: boolean): number => {
    const pacer = new Pacer();
    pacer.set(8_000, 9_000, 0);
    let count = 0;
    while (pacer.takes(1_000, 0, isPrivileged)) {
      count += 1;
    }
    return count;
  };
  assert.ok(burst(true) >= 9 && burst(false) <= 4, `${burst(true)} and ${burst(false)}`);
});

type Item = { name: string; packetCount: number; isKeyframe: boolean };

const makeQueue = (): SendQueue<Item, string> => {
  const queue = new SendQueue<Item, string>({ pictureBytes: () => 1_000, repairBytes: () => 1_000 });
  queue.pacer.set(1e9, 1e9, 0);
  return queue;
};

test('repairs go before pictures, probes last', () => {
  const queue = makeQueue();
  queue.setProbe(1_000);
  queue.pushPicture({ name: 'a', packetCount: 2, isKeyframe: true });
  assert.equal(queue.next(1)?.kind, 'video');
  queue.pushRepair('r');
  assert.deepEqual([queue.next(1)?.kind, queue.next(1)?.kind, queue.next(1)?.kind], ['rtx', 'video', 'probe']);
  queue.chargeProbe(1_000, 1);
  assert.equal(queue.next(1), undefined);
});

test('a cut drops what has not begun to leave, and the backlog is exact', () => {
  const queue = makeQueue();
  queue.pushPicture({ name: 'a', packetCount: 3, isKeyframe: true });
  queue.pushPicture({ name: 'b', packetCount: 2, isKeyframe: false });
  queue.pushPicture({ name: 'c', packetCount: 2, isKeyframe: false });
  queue.next(1);
  assert.equal(queue.cut(), 2);
  assert.equal(queue.backlogBytes, 2_000);
  assert.deepEqual([queue.next(1)?.kind, queue.next(1)?.kind, queue.next(1)], ['video', 'video', undefined]);
  assert.equal(queue.backlogBytes, 0);
});
