/** Whatever feedback comes (reordered, doubled, lying, empty), each decision stays inside its safe range (CONGESTION 4.6). */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Prng } from '../../../server/base/prng.ts';
import { AdaptiveController } from '../../../server/congestion/adaptive-controller.ts';
import type { CongestionController, Decision, GopOffer } from '../../../server/congestion/controller.ts';
import { PRIOR_DEFAULT } from '../../../server/congestion/controller.ts';
import { GccController } from '../../../server/congestion/gcc/gcc-controller.ts';
import { PARAMETER_RANGES } from '../../../server/congestion/parameters.ts';

const OFFER: GopOffer = {
  renditions: [600_000, 1_200_000, 2_500_000, 4_500_000].map((bitrateBps) => ({
    bitrateBps,
    keyframeBytes: bitrateBps / 48,
    qualityRatio: 0.5,
  })),
  gopMs: 1_000,
  frameIntervalMs: 1000 / 30,
};
const OPTIONS = { smoothnessRatio: 0.5, prior: PRIOR_DEFAULT, hasTransportFeedback: true, hasPlayoutDelay: true };
const RUN_COUNT = 24;
const STEP_COUNT = 1_000;
const RISE_MAX_MS = 160;

const assertSafe = (decision: Decision, lastDelayMs: number | undefined, where: string): void => {
  const { renditionIndex, paceBps, burstBytes, playoutDelayMs, estimateBps, nextAtMs, rttMs, queueDelayMs } = decision;
  assert.ok(
    Number.isInteger(renditionIndex) && renditionIndex >= 0 && renditionIndex < 4,
    `${where}: ${renditionIndex}`,
  );
  for (const value of [paceBps, burstBytes, estimateBps, nextAtMs, rttMs, queueDelayMs]) {
    assert.ok(Number.isFinite(value), `${where}: ${JSON.stringify(decision)}`);
  }
  assert.ok(paceBps > 0 && burstBytes >= 0 && estimateBps >= 50_000, where);
  if (playoutDelayMs !== undefined) {
    assert.ok(playoutDelayMs >= PARAMETER_RANGES.playoutMinMs.min, where);
    assert.ok(playoutDelayMs <= PARAMETER_RANGES.playoutMaxMs.max, where);
    assert.ok(playoutDelayMs - (lastDelayMs ?? playoutDelayMs) <= RISE_MAX_MS, `${where}: leapt to ${playoutDelayMs}`);
  }
};

/** A sender that sends, and a network that says whatever it likes. */
const torture = (controller: CongestionController, seed: number): void => {
  const prng = new Prng(seed);
  let nowMs = 1_000;
  let transportSeq = 40_000;
  let videoSeq = 100;
  let lastDelayMs: number | undefined;
  controller.join({ ...OFFER, keyframeAgeMs: prng.nextIndex(1_000) }, nowMs);
  for (let step = 0; step < STEP_COUNT; step += 1) {
    nowMs += prng.nextRatio() < 0.02 ? prng.nextIndex(20_000) : prng.nextIndex(30);
    const packetCount = 1 + prng.nextIndex(20);
    if (step % 30 === 0) {
      controller.onGop(OFFER, nowMs);
    }
    controller.onPicture(
      {
        firstSeqExt: videoSeq,
        packetCount,
        isKeyframe: step % 30 === 0,
        stampMs: nowMs,
        arrivedAtMs: nowMs,
        renditionIndex: 0,
      },
      nowMs,
    );
    for (let index = 0; index < packetCount; index += 1) {
      const kind = (['video', 'video', 'video', 'rtx', 'audio', 'probe'] as const)[prng.nextIndex(6)]!;
      const videoSeqExt = kind === 'audio' ? -1 : videoSeq + index;
      controller.onPacketSent(
        { transportSeqExt: transportSeq, bytes: 60 + prng.nextIndex(1_400), kind, videoSeqExt },
        nowMs,
      );
      transportSeq += 1;
    }
    videoSeq += packetCount;
    say(controller, prng, { nowMs, transportSeq, videoSeq });
    const decision = controller.decide(nowMs, prng.nextIndex(1_000_000));
    assertSafe(decision, lastDelayMs, `seed ${seed}, step ${step}`);
    lastDelayMs = decision.playoutDelayMs;
  }
};

const say = (
  controller: CongestionController,
  prng: Prng,
  { nowMs, transportSeq, videoSeq }: { nowMs: number; transportSeq: number; videoSeq: number },
): void => {
  const dice = prng.nextIndex(10);
  if (dice < 6) {
    const count = prng.nextIndex(120);
    const arrivedMs = Float64Array.from(
      { length: count },
      () =>
        [Number.NaN, nowMs + prng.nextIndex(400), prng.nextIndex(2 ** 30), -prng.nextIndex(2 ** 30), nowMs][
          prng.nextIndex(5)
        ]!,
    );
    const baseSeqExt = transportSeq - prng.nextIndex(2_000) + 20;
    const isPlausible = controller.onFeedback({ baseSeqExt, count, arrivedMs }, nowMs);
    assert.equal(isPlausible && baseSeqExt + count > transportSeq, false, 'packets never sent are not believed');
    controller.onFeedback({ baseSeqExt, count, arrivedMs }, nowMs);
  } else if (dice < 8) {
    const copies = controller.onNack(videoSeq - prng.nextIndex(3_000), prng.nextIndex(1_500), nowMs);
    assert.ok(copies >= 0 && copies <= 2);
  } else if (dice === 8) {
    const wild = [Number.NaN, -5, 0, 0.5, 7, Infinity];
    controller.onReception({ lostRatio: wild[prng.nextIndex(6)]!, rttMs: wild[prng.nextIndex(6)]! }, nowMs);
  } else {
    const wild = (): number => [Number.NaN, -1e9, 0, 1e12, Infinity, 100][prng.nextIndex(6)]!;
    controller.onPlayerReport(
      {
        intervalMs: wild(),
        freezeCount: wild(),
        freezeMs: wild(),
        framesDecoded: wild(),
        framesDropped: wild(),
        bufferDelayMs: wild(),
        receivedBps: wild(),
      },
      nowMs,
    );
    controller.setSmoothness(wild());
  }
};

test('the adaptive controller stays safe under wild feedback', () => {
  for (let seed = 1; seed <= RUN_COUNT; seed += 1) {
    torture(new AdaptiveController({ ...OPTIONS, smoothnessRatio: (seed % 11) / 10 }), seed);
  }
});

test('so does it without transport-cc or the extension', () => {
  for (let seed = 1; seed <= RUN_COUNT / 4; seed += 1) {
    torture(new AdaptiveController({ ...OPTIONS, hasTransportFeedback: false }), seed);
    torture(new AdaptiveController({ ...OPTIONS, hasPlayoutDelay: false }), seed);
  }
});

test('so does the baseline', () => {
  for (let seed = 1; seed <= RUN_COUNT / 4; seed += 1) {
    torture(new GccController(OPTIONS), seed);
  }
});

test('a join with a long backlog is sent, not cut', () => {
  const controller = new AdaptiveController(OPTIONS);
  const plan = controller.join({ ...OFFER, gopMs: 10_000, keyframeAgeMs: 3_000 }, 0);
  assert.equal(plan.isFromCache, true);
  assert.equal(controller.decide(0, 1_000_000).isGopCut, false);
});

test('two seconds without a word: the lowest rendition, and no more pictures', () => {
  const controller = new AdaptiveController({ ...OPTIONS, prior: { ...PRIOR_DEFAULT, rateBps: 20_000_000 } });
  controller.join({ ...OFFER, keyframeAgeMs: 0 }, 0);
  let transportSeq = 0;
  let decision = controller.decide(0, 0);
  for (let frame = 0; frame < 120; frame += 1) {
    const nowMs = frame * 33;
    if (frame % 30 === 0) {
      controller.onGop(OFFER, nowMs);
    }
    controller.onPicture(
      {
        firstSeqExt: frame,
        packetCount: 1,
        isKeyframe: frame % 30 === 0,
        stampMs: nowMs,
        arrivedAtMs: nowMs,
        renditionIndex: 0,
      },
      nowMs,
    );
    controller.onPacketSent({ transportSeqExt: transportSeq, bytes: 1_000, kind: 'video', videoSeqExt: frame }, nowMs);
    transportSeq += 1;
    decision = controller.decide(nowMs, 0);
  }
  assert.equal(decision.renditionIndex, 0);
  assert.equal(decision.isGopCut, true);
});
