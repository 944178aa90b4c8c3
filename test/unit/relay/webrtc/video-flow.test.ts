/** One viewer's pictures from the offer to the packet: what is paced, what is dropped, and what a receiver sees of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RtpClock as ViewerClock } from '../../../../player/playout/rtp-clock.ts';
import { FixedController } from '../../../../server/relay/webrtc/fixed-controller.ts';
import { viewerRig } from '../../../support/viewer-rig.ts';

test('a backlog leaves paced, its keyframe at once, and live pictures queue behind it until it is caught', () => {
  const rig = viewerRig();
  rig.begin([rig.frame(0, true), rig.frame(33), rig.frame(66)]);
  assert.deepEqual(rig.sentPictures(), [0]);
  rig.offer(rig.frame(100));
  while (rig.flow.state === 'catching-up' && rig.nowMs < 1_000) {
    rig.advanceMs(5);
  }
  assert.deepEqual(rig.sentPictures(), [0, 33, 66, 100]);
  assert.ok(rig.nowMs >= 10, 'not all at once');
  rig.offer(rig.frame(133));
  assert.deepEqual(rig.sentPictures().at(-1), 133, 'live pictures leave as they come');
});

test('stamps of a backlog advance with its sending, those of live pictures are their own', () => {
  const rig = viewerRig();
  rig.begin([rig.frame(0, true), rig.frame(33), rig.frame(66)], { edgeMs: 500 });
  while (rig.flow.state === 'catching-up') {
    rig.advanceMs(5);
  }
  rig.advanceMs(200);
  rig.offer(rig.frame(700, true));
  const stamps = rig.pictures().map(({ stampMs }) => stampMs);
  assert.equal(stamps[0], 500, 'the first is shown as if it were captured now');
  assert.ok(stamps.every((stamp, index) => index === 0 || stamp > stamps[index - 1]!));
  assert.equal(stamps.at(-1), 700);
});

test('a viewer too slow for its path loses pictures up to the next keyframe, counted', () => {
  const rig = viewerRig();
  rig.offer(rig.frame(0, true));
  rig.isCongested = true;
  rig.offer(rig.frame(33));
  rig.isCongested = false;
  rig.offer(rig.frame(66));
  rig.offer(rig.frame(100, true));
  assert.deepEqual(rig.sentPictures(), [0, 100]);
  assert.equal(rig.flow.droppedCount, 2);
});

test('a GOP that is cut ends with the picture that has begun to leave, and the numbers have no gap', () => {
  const rig = viewerRig();
  rig.offer(rig.frame(0, true));
  rig.steer({ paceBps: 800_000, burstBytes: 6_000 });
  rig.offer(rig.frame(33, false, 20_000));
  rig.offer(rig.frame(66));
  const begun = rig.sentPictures().length;
  assert.equal(begun, 2, 'the second has begun to leave');
  rig.steer({ paceBps: 800_000, burstBytes: 6_000, isGopCut: true });
  rig.offer(rig.frame(100));
  for (let count = 0; count < 200; count += 1) {
    rig.advanceMs(5);
  }
  rig.steer({ paceBps: 800_000, burstBytes: 6_000 });
  rig.offer(rig.frame(133, true));
  assert.deepEqual(rig.sentPictures(), [0, 33, 133]);
  assert.equal(rig.packets.filter(({ ptsMs }) => ptsMs === 33).length, 17, 'whole');
  assert.equal(rig.flow.droppedCount, 2);
  const seqs = rig.packets.map(({ seqExt }) => seqExt);
  assert.deepEqual(
    seqs,
    seqs.map((_, index) => seqs[0]! + index),
  );
});

test('a probe sends copies of the keyframe, one packet after the other, and nothing where no retransmission was negotiated', () => {
  for (const hasRtx of [true, false]) {
    const rig = viewerRig({ hasRtx });
    rig.offer(rig.frame(0, true, 3_600));
    rig.steer({ paceBps: 8_000_000, burstBytes: 20_000, probe: { id: 1, bytes: 6_000 } });
    rig.advanceMs(5);
    const copies = rig.sent
      .filter(({ kind }) => kind === 'probe')
      .map(({ videoSeqExt }) => videoSeqExt - rig.packets[0]!.seqExt);
    assert.deepEqual(copies, hasRtx ? [0, 1, 2, 0, 1] : []);
  }
});

test('without a link to decide by, a near viewer is told to wait little, and a backlog is paced by its rendition', () => {
  const controller = new FixedController({ playoutDelayMs: 20, playoutDelayFarMs: 100 });
  const cost = { bitrateBps: 5_000_000, keyframeBytes: 40_000, qualityRatio: 1 };
  controller.join({ renditions: [cost], gopMs: 1_000, frameIntervalMs: 33 });
  assert.equal(controller.decide(0, 0).playoutDelayMs, 100);
  controller.onReception({ lostRatio: 0, rttMs: 5 }, 1);
  assert.deepEqual(
    [controller.decide(2, 0).playoutDelayMs, controller.decide(2, 0).paceBps, controller.decide(2, 100_000).paceBps],
    [20, Number.POSITIVE_INFINITY, 20_000_000],
  );
});

test('media that comes more promptly after a return is stamped by the wall clock, and the viewer is told what the stamps mean', () => {
  const rig = viewerRig();
  for (const ptsMs of [0, 33, 66]) {
    rig.offer(rig.frame(ptsMs, ptsMs === 0));
  }
  // The first picture of the encoder that returned has waited for 100 ms; three that were made meanwhile come with it, and the next in their time.
  const arrivals = [5_000, 5_000, 5_000, 5_000, 5_033, 5_066, 5_099];
  arrivals.forEach((arrivedAtMs, index) => {
    const ptsMs = 5_000 + index * 33;
    rig.wallOffsetMs = Math.min(rig.wallOffsetMs, arrivedAtMs - ptsMs);
    rig.offer(rig.frame(ptsMs, index === 0));
  });
  const stamps = rig.pictures().map(({ stampMs }) => Math.round(stampMs));
  assert.deepEqual(stamps, [0, 33, 66, 5_000, 5_001, 5_001, 5_002, 5_033, 5_066, 5_099]);
  const clock = new ViewerClock();
  rig.mappings.forEach((mapping) => clock.note(mapping));
  // Moves of less than 2 ms are not told.
  assert.ok(Math.abs(clock.mediaMs(5_099 * 90)! - 5_198) < 2);
  assert.ok(Math.abs(clock.captureWallMs(5_099 * 90)! - 5_099) < 2);
  assert.equal(clock.mediaMs(66 * 90), 66, 'what came before means what it meant');
});
