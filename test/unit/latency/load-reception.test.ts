/** What a viewer of the load makes of packets that come, come late, or do not. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { FrameTally } from '../../latency/load/frame-tally.ts';
import { beginsKeyframe } from '../../latency/load/h264-keyframe.ts';
import { NackScheduler } from '../../../server/media/rtp/nack-scheduler.ts';
import { readTransportSeq } from '../../latency/load/rtp-peek.ts';
import { SequenceTally } from '../../../server/media/rtp/sequence-tally.ts';
import { VideoReception } from '../../latency/load/video-reception.ts';
import { writeRtpHeader } from '../../../server/media/rtp/rtp-header.ts';

const FRAME_TICKS = 3_000;
const RTT_MS = 50;

test('a missing packet is asked for at once, then once a round trip, ten times in all', () => {
  const nacks = new NackScheduler();
  nacks.noteMissing(7, 8);
  const askedAtMs: number[] = [];
  for (let nowMs = 0; nowMs < 2_000; nowMs += 20) {
    if (nacks.due(nowMs, RTT_MS).includes(8)) {
      askedAtMs.push(nowMs);
    }
  }
  assert.deepEqual(askedAtMs, [0, 60, 120, 180, 240, 300, 360, 420, 480, 540]);
  assert.deepEqual(nacks.takeGivenUp(), [7, 8]);
  assert.equal(nacks.pendingCount, 0);
});

test('what comes before it was asked for was reordered, after it recovered, else new', () => {
  const nacks = new NackScheduler();
  nacks.noteMissing(1, 2);
  assert.equal(nacks.noteArrived(1), 'reordered');
  nacks.due(0, RTT_MS);
  assert.equal(nacks.noteArrived(2), 'recovered');
  assert.equal(nacks.noteArrived(2), 'new');
  assert.deepEqual(nacks.due(1_000, RTT_MS), []);
});

test('a thousand may be missing; the oldest are given up', () => {
  const nacks = new NackScheduler();
  nacks.noteMissing(0, 999);
  nacks.noteMissing(1_000, 1_004);
  assert.equal(nacks.pendingCount, 1_000);
  assert.deepEqual(nacks.takeGivenUp(), [0, 1, 2, 3, 4]);
});

const packet = (
  seqExt: number,
  frame: number,
  isMarked: boolean,
): { seqExt: number; ts32: number; isMarked: boolean } => ({
  ...{ seqExt, isMarked },
  ts32: (frame * FRAME_TICKS) >>> 0,
});

test('a frame is whole when all its packets and all frames before it are there', () => {
  const frames = new FrameTally({ settleMs: 0 });
  frames.take(packet(1, 0, true), 0);
  frames.take(packet(2, 1, false), 33);
  frames.take(packet(4, 2, true), 67);
  assert.equal(frames.frameCount, 1);
  frames.take(packet(3, 1, true), 90);
  assert.equal(frames.frameCount, 3);
  const delaysMs = frames.delaysMs().map(Math.round);
  assert.deepEqual(delaysMs, [0, 57, 23]);
});

test('a frame with a packet given up is broken, the next is counted again', () => {
  const frames = new FrameTally({ settleMs: 0 });
  frames.take(packet(1, 0, true), 0);
  frames.take(packet(3, 1, true), 33);
  frames.take(packet(4, 2, true), 67);
  frames.giveUp(2, 300);
  assert.equal(frames.brokenCount, 1);
  assert.equal(frames.frameCount, 2);
});

test('timestamps and sequence numbers wrap without a late frame', () => {
  const frames = new FrameTally({ settleMs: 0 });
  for (let frame = 0; frame < 100; frame += 1) {
    const ts32 = (2 ** 32 - 50 * FRAME_TICKS + frame * FRAME_TICKS) % 2 ** 32;
    frames.take({ seqExt: 65_500 + frame, ts32, isMarked: true }, (frame * 1000) / 30);
  }
  assert.equal(frames.frameCount, 100);
  assert.ok(Math.max(...frames.delaysMs()) < 1);
});

test('the backlog of a join is counted but not timed', () => {
  const frames = new FrameTally({ settleMs: 1_000 });
  for (let frame = 0; frame < 30; frame += 1) {
    frames.take(packet(frame, frame, true), 5);
  }
  frames.take(packet(30, 30, true), 1_005);
  assert.equal(frames.frameCount, 31);
  assert.equal(frames.delaysMs().length, 1);
});

test('a sequence that jumps is a new one: nothing is asked for, frames go on', () => {
  const video = new VideoReception({ settleMs: 0 });
  video.take({ seq16: 10, ts32: 0, isMarked: true }, 0);
  video.take({ seq16: 5_000, ts32: FRAME_TICKS, isMarked: true }, 33);
  video.take({ seq16: 5_001, ts32: 2 * FRAME_TICKS, isMarked: true }, 67);
  assert.deepEqual(video.dueNacks(70, RTT_MS), []);
  assert.equal(video.frames.frameCount, 2);
  assert.equal(video.frames.brokenCount, 1);
});

test('a packet that comes by RTX completes its frame and is recovered, as one on the same SSRC is', () => {
  const video = new VideoReception({ settleMs: 0 });
  video.take({ seq16: 65_534, ts32: 0, isMarked: true }, 0);
  video.take({ seq16: 1, ts32: FRAME_TICKS, isMarked: true }, 33);
  assert.deepEqual(video.dueNacks(33, RTT_MS), [65_535, 0]);
  assert.equal(video.lostCount, 2);
  video.takeRetransmitted({ seq16: 65_535, ts32: FRAME_TICKS, isMarked: false }, 40);
  video.take({ seq16: 0, ts32: FRAME_TICKS, isMarked: false }, 41);
  assert.equal(video.lostCount, 0);
  assert.equal(video.recoveredCount, 2);
  assert.equal(video.frames.frameCount, 2);
});

test('receiver reports tell the highest number and the loss since the last one', () => {
  const sequence = new SequenceTally();
  [65_534, 65_535, 1, 2].forEach((seq16) => sequence.take(seq16));
  assert.equal(sequence.highestSeqExt, 65_538);
  assert.equal(sequence.lostCount, 1);
  assert.equal(sequence.takeLostRatio(), 1 / 5);
  sequence.take(3);
  assert.equal(sequence.takeLostRatio(), 0);
});

test('keyframes are known alone, aggregated and in fragments', () => {
  assert.ok(beginsKeyframe(Uint8Array.of(0x65)));
  assert.ok(beginsKeyframe(Uint8Array.of(0x78, 0, 1, 0x09, 0, 2, 0x67, 0)));
  assert.ok(beginsKeyframe(Uint8Array.of(0x7c, 0x85)));
  assert.ok(!beginsKeyframe(Uint8Array.of(0x7c, 0x05)));
  assert.ok(!beginsKeyframe(Uint8Array.of(0x41)));
  assert.ok(!beginsKeyframe(Uint8Array.of(0x78, 0, 1, 0x41)));
});

test('the transport-wide number is read as the server writes it, under whatever id the answer chose', () => {
  for (const ids of [
    { transportSeq: 3, playoutDelay: 0 },
    { transportSeq: 12, playoutDelay: 5 },
  ]) {
    const header = Buffer.alloc(64);
    const fields = {
      ...{ payloadType: 102, isMarked: false, seqExt: 5, timestampTs32: 9, ssrc: 1 },
      ...{ transportSeqExt: 70_000, playoutDelayMs: 20, playoutDelayMaxMs: 20 },
    };
    const end = writeRtpHeader(header, 0, fields, ids);
    assert.equal(readTransportSeq(header.subarray(0, end), ids.transportSeq), 70_000 & 0xffff);
    assert.equal(readTransportSeq(header.subarray(0, end), 7), undefined);
    assert.equal(readTransportSeq(header.subarray(0, end), undefined), undefined);
  }
});
