/** What the load says of arrivals, read back by the server's own parser. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { buildTransportCc, parseRtcp } from '../../../server/media/rtp/rtcp.ts';
import {
  buildTransportFeedback,
  parseTransportFeedback,
  type TransportFeedback,
} from '../../../server/media/rtp/transport-cc.ts';
import { TransportFeedbackRecorder } from '../../../server/media/rtp/feedback-recorder.ts';

/** Over the wire and back. */
const told = (recorder: TransportFeedbackRecorder): TransportFeedback => {
  const feedback = recorder.build();
  assert.ok(feedback !== undefined);
  const [item] = parseRtcp(buildTransportCc(1, 2, buildTransportFeedback(feedback)));
  assert.ok(item?.type === 'transport-cc');
  return parseTransportFeedback(item.body);
};

test('the server reads which packets came, and when', () => {
  const recorder = new TransportFeedbackRecorder();
  recorder.take(10, 1_000);
  recorder.take(11, 1_000.5);
  recorder.take(13, 1_090);
  const feedback = told(recorder);
  assert.equal(feedback.baseSeq16, 10);
  assert.equal(feedback.arrivedMs[2], undefined);
  const [first = 0, second = 0, , fourth = 0] = feedback.arrivedMs;
  assert.equal(second - first, 0.5);
  assert.equal(fourth - first, 90);
});

test('what is lost between two feedbacks is told by the second', () => {
  const recorder = new TransportFeedbackRecorder();
  recorder.take(10, 1_000);
  told(recorder);
  recorder.take(13, 1_100);
  const feedback = told(recorder);
  assert.equal(feedback.baseSeq16, 11);
  assert.deepEqual(
    feedback.arrivedMs.map((atMs) => atMs !== undefined),
    [false, false, true],
  );
  assert.equal(feedback.feedbackCount, 1);
});

test('order does not matter, numbers wrap, twice is once, and late ones are told', () => {
  const recorder = new TransportFeedbackRecorder();
  for (const [seq16, atMs] of [
    [0, 1_003],
    [65_534, 1_001],
    [65_535, 1_002],
    [0, 1_050],
  ] as const) {
    recorder.take(seq16, atMs);
  }
  const feedback = told(recorder);
  assert.equal(feedback.baseSeq16, 65_534);
  assert.deepEqual(
    feedback.arrivedMs.map((atMs) => Math.round(atMs ?? Number.NaN)),
    [1_001, 1_002, 1_003],
  );
  recorder.take(2, 1_100);
  told(recorder);
  recorder.take(1, 1_160);
  assert.equal(told(recorder).baseSeq16, 1);
});

test('silence says nothing, a jump starts anew, and a flood is cut and counted', () => {
  const recorder = new TransportFeedbackRecorder();
  assert.equal(recorder.build(), undefined);
  recorder.take(5, 1_000);
  told(recorder);
  recorder.take(20_005, 1_010);
  assert.deepEqual(told(recorder).arrivedMs.length, 1);
  for (let seq16 = 0; seq16 < 3_000; seq16 += 1) {
    recorder.take((20_006 + seq16) & 0xffff, 1_020);
  }
  assert.equal(told(recorder).arrivedMs.length, 2_000);
  assert.equal(recorder.droppedCount, 1_000);
});
