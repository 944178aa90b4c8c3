/** The engines one by one: trains, playout, allocator, repairs, join, headroom, reports. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Allocator } from '../../../server/congestion/allocator.ts';
import type { GopOffer } from '../../../server/congestion/controller.ts';
import { Headroom } from '../../../server/congestion/headroom.ts';
import { planJoin } from '../../../server/congestion/join.ts';
import { PARAMETER_RANGES, parametersWith, tuneFor } from '../../../server/congestion/parameters.ts';
import type { Parameters } from '../../../server/congestion/parameters.ts';
import { Playout } from '../../../server/congestion/playout.ts';
import { RepairPolicy } from '../../../server/congestion/repair-policy.ts';
import type { RepairQuestion } from '../../../server/congestion/repair-policy.ts';
import { ReportEstimator } from '../../../server/congestion/report-estimator.ts';
import { ReportGuard } from '../../../server/congestion/report-guard.ts';
import { StandingQueue } from '../../../server/congestion/standing-queue.ts';
import { TrainSampler } from '../../../server/congestion/train-sampler.ts';

const PARAMETERS = parametersWith();

const OFFER: GopOffer = {
  renditions: [600_000, 1_200_000, 2_500_000, 4_500_000].map((bitrateBps, index) => ({
    bitrateBps,
    keyframeBytes: bitrateBps / 48,
    qualityRatio: 0.4 + 0.2 * index,
  })),
  gopMs: 1_000,
  frameIntervalMs: 1000 / 30,
};

/** Forty packets sent and received at these rates, then one much later that ends the train. */
const trainOf = (sentBps: number, receivedBps: number): ReturnType<TrainSampler['take']> => {
  const sampler = new TrainSampler();
  const packetMs = (bps: number): number => (1_200 * 8_000) / bps;
  for (let index = 0; index < 40; index += 1) {
    sampler.onPacket({
      seqExt: index,
      sentAtMs: index * packetMs(sentBps),
      arrivedAtMs: 20 + index * packetMs(receivedBps),
      bytes: 1_200,
    });
  }
  sampler.onPacket({ seqExt: 40, sentAtMs: 2_000, arrivedAtMs: 2_020, bytes: 1_200 });
  return sampler.take();
};

test('a train that arrives more slowly than it was sent has measured the link', () => {
  const sample = trainOf(6_000_000, 3_000_000);
  assert.equal(sample?.isSaturated, true);
  assert.ok(Math.abs((sample?.bps ?? 0) / 3_000_000 - 1) < 0.05);
});

test('a train that arrives as it was sent is a lower bound', () => {
  const sample = trainOf(5_000_000, 5_000_000);
  assert.equal(sample?.isSaturated, false);
  assert.ok(Math.abs((sample?.bps ?? 0) / 5_000_000 - 1) < 0.05);
});

test('a train that a channel let go in one bunch says nothing', () => {
  assert.equal(trainOf(3_000_000, 9_000_000), undefined);
});

/** Mean playout delay over blocks with these needs, a second each; the last is in `playout`. */
const playoutWith = (smoothnessRatio: number, needs: readonly number[]): { delayMs: number; meanMs: number } => {
  const tuned = { ...PARAMETERS };
  tuneFor(tuned, PARAMETERS, smoothnessRatio);
  const playout = new Playout({ parameters: tuned, isConformal: true, priorMs: 150, smoothnessRatio });
  let sumMs = 0;
  needs.forEach((needMs, index) => {
    playout.onBlock(needMs);
    for (let part = 1; part <= 10; part += 1) {
      playout.tick(0, 1_000 * index + 100 * part);
    }
    sumMs += playout.delayMs;
  });
  return { delayMs: playout.delayMs, meanMs: sumMs / needs.length };
};

const alternating = (count: number, usualMs: number, rareMs: number, every: number): number[] =>
  Array.from({ length: count }, (_, index) => (index % every === 0 ? rareMs : usualMs));

test('playout delay settles just above the usual need, less what is not seen', () => {
  const { playoutGraceMs } = PARAMETERS;
  const delayMs = playoutWith(0.5, alternating(120, 150, 150, 2)).delayMs;
  assert.ok(delayMs >= 150 - playoutGraceMs && delayMs <= 160, `${delayMs} ms`);
});

test('needs that come often are covered, seldom ones the more the smoother it is to be', () => {
  const seldom = alternating(240, 80, 300, 60);
  assert.ok(playoutWith(0.5, alternating(200, 80, 300, 5)).delayMs >= 300 - PARAMETERS.playoutGraceMs);
  const [react, usual, smooth] = [0, 0.5, 1].map((smoothnessRatio) => playoutWith(smoothnessRatio, seldom).meanMs);
  assert.ok(react! < 0.6 * usual! && usual! < smooth!, `${react} ${usual} ${smooth}`);
});

test('an outage that no delay would have covered does not raise it', () => {
  assert.equal(
    playoutWith(0.5, alternating(100, 80, 3_000, 4)).delayMs,
    playoutWith(0.5, alternating(100, 80, 80, 4)).delayMs,
  );
});

test('a rise is at most 150 ms at once and not sooner than 200 ms, a fall is slow, a floor holds', () => {
  const playout = new Playout({ parameters: PARAMETERS, isConformal: true, priorMs: 150, smoothnessRatio: 0.5 });
  playout.tick(400, 0);
  assert.equal(playout.delayMs, 300);
  playout.tick(400, 100);
  assert.equal(playout.delayMs, 300);
  playout.tick(400, 200);
  assert.equal(playout.delayMs, 400);
  playout.tick(0, 2_200);
  const fallen: number = playout.delayMs;
  assert.ok(fallen >= 350 && fallen < 400, `${fallen} ms after two seconds`);
});

const input = { queueMs: 0, backlogMs: 0, repairRatio: 0 };

test('the allocator begins with what fits, goes up with a margin and after a time, down at once', () => {
  const allocator = new Allocator(PARAMETERS);
  assert.equal(allocator.begin(OFFER, 1_200_000), 0);
  assert.equal(
    allocator.onGop(OFFER, { ...input, estimateBps: 20_000_000 }, 1_000),
    3,
    'at first nothing is held back',
  );
  assert.equal(allocator.onGop(OFFER, { ...input, estimateBps: 1_700_000 }, 2_000), 1);
  assert.equal(allocator.onGop(OFFER, { ...input, estimateBps: 20_000_000 }, 3_000), 1, 'just came down');
  let nowMs = 3_000;
  while (allocator.index === 1 && nowMs < 60_000) {
    nowMs += 1_000;
    allocator.onGop(OFFER, { ...input, estimateBps: 20_000_000 }, nowMs);
  }
  assert.equal(allocator.index, 3);
  assert.ok(nowMs - 2_000 > PARAMETERS.stickMs);
});

test('a standing queue takes one more rendition than the estimate does', () => {
  const allocator = new Allocator(PARAMETERS);
  allocator.begin(OFFER, 20_000_000);
  const congested = { ...input, queueMs: PARAMETERS.queueEmergencyMs + 1, estimateBps: 20_000_000 };
  assert.equal(allocator.onGop(OFFER, congested, 1_000), 2);
});

test('who goes up and soon down again waits longer each time', () => {
  const waits: number[] = [];
  const allocator = new Allocator(PARAMETERS);
  allocator.begin(OFFER, 1_500_000);
  let downAtMs = 0;
  for (let nowMs = 0; nowMs < 200_000; nowMs += 1_000) {
    const before = allocator.index;
    const index = allocator.onGop(OFFER, { ...input, estimateBps: before === 0 ? 3_000_000 : 900_000 }, nowMs);
    if (index > before) {
      waits.push(nowMs - downAtMs);
    } else if (index < before) {
      downAtMs = nowMs;
    }
  }
  assert.ok(waits.at(-1)! > 4 * waits[1]!, waits.join(' '));
});

test('a fall over several keyframes makes the next time up wait no longer than a fall over one', () => {
  const waitAfter = (falls: readonly number[]): number => {
    const allocator = new Allocator(PARAMETERS);
    allocator.begin(OFFER, 1_000_000);
    allocator.onGop(OFFER, { ...input, estimateBps: 20_000_000 }, 1_000);
    falls.forEach((estimateBps, index) => {
      allocator.onGop(OFFER, { ...input, estimateBps }, 2_000 + 1_000 * index);
    });
    return allocator.upFromMs - (1_000 + 1_000 * falls.length);
  };
  assert.equal(waitAfter([3_500_000, 2_000_000, 500_000]), waitAfter([500_000]));
});

const QUESTION: RepairQuestion = {
  videoSeqExt: 7,
  bytes: 1_200,
  isKeyframe: false,
  isWanted: true,
  slackMs: 80,
  nextKeyframeMs: 600,
  oneWayMs: 20,
  playoutDelayMs: 100,
};
const LINK = { rttMs: 40, estimateBps: 2_000_000 };

test('a useful repair goes once, twice in the second round, not while the first may still be under way', () => {
  const policy = new RepairPolicy(PARAMETERS, true);
  assert.equal(policy.copies(QUESTION, LINK, 0), 1);
  assert.equal(policy.copies(QUESTION, LINK, 20), 0);
  assert.equal(policy.copies(QUESTION, LINK, 40), 2);
});

test('what is overtaken, or comes after its keyframe, is not repaired', () => {
  const policy = new RepairPolicy(PARAMETERS, true);
  assert.equal(policy.copies({ ...QUESTION, isWanted: false }, LINK, 0), 0);
  assert.equal(policy.copies({ ...QUESTION, slackMs: -300, nextKeyframeMs: 90 }, LINK, 0), 0);
});

test('repairs keep to their share of the link', () => {
  const policy = new RepairPolicy(PARAMETERS, true);
  let bytes = 0;
  for (let nowMs = 0; nowMs < 10_000; nowMs += 1) {
    bytes += 1_200 * policy.copies({ ...QUESTION, videoSeqExt: nowMs }, LINK, nowMs);
  }
  const share = (bytes * 8) / 10 / LINK.estimateBps;
  assert.ok(share < PARAMETERS.repairShareRatio * 1.1, `${share}`);
  assert.ok(share > PARAMETERS.repairShareRatio * 0.8, `${share}`);
});

test('a join takes the cached GOP unless the next keyframe is near or the backlog too long', () => {
  const plan = (keyframeAgeMs: number, rateBps: number) => planJoin({ ...OFFER, keyframeAgeMs }, rateBps, true);
  assert.deepEqual(plan(400, 1_200_000), { renditionIndex: 0, isFromCache: true });
  assert.equal(plan(950, 1_200_000).isFromCache, false);
  assert.deepEqual(plan(400, 20_000_000), { renditionIndex: 3, isFromCache: true });
  assert.equal(plan(790, 100_000).isFromCache, false);
  const longGop = planJoin({ ...OFFER, gopMs: 10_000, keyframeAgeMs: 3_000 }, 300_000, true);
  assert.equal(longGop.isFromCache, true, 'nobody waits seven seconds for a keyframe');
  assert.equal(plan(2_500, 1_200_000).isFromCache, true, 'nor for one that is overdue');
});

test('bursts grow with the queue that was held without loss, and shrink with a loss', () => {
  const headroom = new Headroom({ burstMaxMs: 60 });
  assert.equal(headroom.burstMs, 10);
  headroom.observe(80, 0, 0);
  assert.equal(headroom.burstMs, 40);
  headroom.observe(10, 3, 100);
  assert.equal(headroom.burstMs, 20);
});

test('without transport-cc losses cut the estimate, their absence lets it grow to what is received', () => {
  const estimator = new ReportEstimator(1_000_000);
  estimator.onReceived(1_000_000);
  for (let second = 0; second < 60; second += 1) {
    estimator.onReception(0, 50, second * 1000);
  }
  assert.ok(Math.abs(estimator.estimateBps - 3_000_000) < 1, `${estimator.estimateBps}`);
  estimator.onReception(0.3, 50, 61_000);
  assert.ok(estimator.estimateBps < 2_600_000);
  estimator.onReception(Number.NaN, Number.NaN, 62_000);
  assert.ok(Number.isFinite(estimator.estimateBps));
});

test('reports raise the playout delay only where the twin is absent or keeps being wrong', () => {
  const report = {
    intervalMs: 2_000,
    freezeCount: 1,
    freezeMs: 500,
    framesDecoded: 50,
    framesDropped: 0,
    bufferDelayMs: 50,
    receivedBps: 1e6,
  };
  const blind = new ReportGuard(false);
  assert.equal(blind.floorMs, 150);
  blind.onReport(report, 0, 150);
  assert.equal(blind.floorMs, 230);
  const twinned = new ReportGuard(true);
  twinned.onReport(report, 0, 150);
  assert.equal(twinned.floorMs, 0, 'one report proves nothing');
  for (let index = 0; index < 20; index += 1) {
    twinned.onReport(report, 0, 150);
  }
  assert.equal(twinned.isTwinned, false);
  assert.ok(twinned.floorMs >= 150);
});

test('no parameter leaves its safe range, whatever is asked for and whatever λ', () => {
  for (const name of Object.keys(PARAMETER_RANGES) as (keyof Parameters)[]) {
    for (const wanted of [-1e9, 0, 1e9, Number.NaN, Infinity]) {
      for (const smoothnessRatio of [0, 0.5, 1]) {
        const base = parametersWith({ [name]: wanted });
        const tuned = { ...base };
        tuneFor(tuned, base, smoothnessRatio);
        const { min, max } = PARAMETER_RANGES[name];
        assert.ok(tuned[name] >= min && tuned[name] <= max, `${name} ${wanted} at ${smoothnessRatio}: ${tuned[name]}`);
      }
    }
  }
});

test("a queue that stays for seconds is others', one that comes and goes is not", () => {
  const watch = (queueMsAt: (atMs: number) => number): number[] => {
    const standing = new StandingQueue();
    const others: number[] = [];
    for (let atMs = 0; atMs < 9_000; atMs += 100) {
      const queueMs = queueMsAt(atMs);
      const othersMs = standing.observe(queueMs, queueMs > 40, atMs);
      if (othersMs > 0) {
        others.push(othersMs);
      }
    }
    return others;
  };
  assert.deepEqual(
    watch((atMs) => (atMs % 3_000 < 200 ? 10 : 200)),
    [],
  );
  assert.deepEqual(
    watch((atMs) => 200 + (atMs % 700) / 10),
    [200, 200],
  );
});
