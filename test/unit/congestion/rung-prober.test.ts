/** Rung probes: when and how fast a higher rendition's rate is tried, what a probe is made of, what its answer is worth. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { ProbeCopies } from '../../../server/congestion/probe-copies.ts';
import { ProbeMeter } from '../../../server/congestion/probe-meter.ts';
import { RungProber } from '../../../server/congestion/rung-prober.ts';

const TOP_BPS = 3_000_000;

/** Climbs over a link that carries this, for so long; the times of its probes. */
const climb = (options: { linkBps: number; forMs: number; sentBps: number }): { atMs: number[]; bytes: number } => {
  const prober = new RungProber();
  const atMs: number[] = [];
  let bytes = 0;
  let estimateBps = 160_000;
  for (let nowMs = 0; nowMs < options.forMs; nowMs += 25) {
    prober.onSent((options.sentBps * 25) / 8_000);
    const request = prober.plan({ topBps: TOP_BPS, estimateBps, jitterMs: 1 }, nowMs);
    if (request !== undefined) {
      atMs.push(nowMs);
      bytes += request.bytes;
      prober.onProbeSent(request.bytes);
      estimateBps = Math.max(estimateBps, Math.min(request.totalBps, options.linkBps));
      prober.onAnswer(Math.min(request.totalBps, options.linkBps), nowMs + 100);
    }
  }
  return { atMs, bytes };
};

test('where all comes through it climbs step by step within a few seconds, and then leaves it', () => {
  const { atMs } = climb({ linkBps: 20_000_000, forMs: 60_000, sentBps: 160_000 });
  assert.ok(atMs.length > 3 && atMs.at(-1)! < 4_000, atMs.join(' '));
});

test('what does not come through is tried again after longer and longer, up to half a minute', () => {
  const { atMs } = climb({ linkBps: 500_000, forMs: 300_000, sentBps: 600_000 });
  const waitsMs = atMs.slice(-4).map((at, index) => at - atMs[atMs.length - 5 + index]!);
  assert.ok(
    waitsMs.every((waitMs) => waitMs >= 20_000 && waitMs <= 31_000),
    waitsMs.join(' '),
  );
});

test('probes keep to their share of what is sent, whatever they answer', () => {
  const prober = new RungProber();
  let bytes = 0;
  for (let nowMs = 0; nowMs < 600_000; nowMs += 25) {
    prober.onSent(1_000);
    const request = prober.plan({ topBps: 90e6, estimateBps: 10e6, jitterMs: 1 }, nowMs);
    if (request !== undefined) {
      bytes += request.bytes;
      prober.onProbeSent(request.bytes);
      prober.onAnswer(90e6, nowMs);
    }
  }
  assert.ok(bytes < 0.06 * 24_000_000 && bytes > 0.03 * 24_000_000, `${bytes} of 24,000,000`);
});

const copiesOf = (sizes: readonly number[], packetMaxBytes: number, count: number): (number | undefined)[] => {
  const copies = new ProbeCopies();
  copies.onKeyframe(0, 3);
  const bytesOf = (seqExt: number): number | undefined => sizes[seqExt];
  return Array.from({ length: count }, () => copies.next({ lastSeqExt: sizes.length - 1, packetMaxBytes, bytesOf }));
};

test('a probe is made of the keyframe’s packets in turn, of small pictures where those are too large, of nothing where nothing is left', () => {
  const sizes = [1_200, 1_200, 300, 200, 210, 220];
  assert.deepEqual(copiesOf(sizes, Infinity, 4), [0, 1, 2, 0]);
  assert.deepEqual(copiesOf(sizes, 250, 3), [5, 4, 3]);
  assert.deepEqual(copiesOf([1_200, 1_200, 1_200, 900], 250, 1), [3], 'better a large one than none');
  assert.deepEqual(copiesOf([], Infinity, 1), [undefined]);
});

/** Ten packets of 1,000 bytes, each so long after the one before when sent, and when received; the first is a picture's, sent before the probe. */
const answerOf = (sentEveryMs: number, receivedEveryMs: number, lostCount = 0): ReturnType<ProbeMeter['result']> => {
  const meter = new ProbeMeter();
  meter.begin({ id: 1, totalBps: 1, bytes: 9_000, packetMaxBytes: Infinity, endsAtMs: 1_000 });
  meter.onSent(100, 1_000, false, -500);
  for (let index = 1; index < 10; index += 1) {
    meter.onSent(100 + index, 1_000, true, index * sentEveryMs);
  }
  for (let index = 1; index < 10 - lostCount; index += 1) {
    const [sentAtMs, arrivedAtMs] = [index * sentEveryMs, 30 + index * receivedEveryMs];
    meter.onArrived({ seqExt: 100 + index, sentAtMs, arrivedAtMs, bytes: 1_000 });
  }
  return meter.result(109, 500);
};

test('a probe counts from its first copy on: what came through, and by how much it was stretched', () => {
  assert.ok(Math.abs(answerOf(4, 4)!.bps / 2_000_000 - 1) < 0.01);
  assert.equal(answerOf(4, 4)!.stretchMs, 0);
  assert.ok(Math.abs(answerOf(4, 8)!.bps / 950_000 - 1) < 0.01);
  assert.equal(answerOf(4, 8)!.stretchMs, 32);
  assert.ok(Number.isNaN(answerOf(4, 4, 4)!.bps), 'with so much lost nothing is told');
});
