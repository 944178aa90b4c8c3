/** What the server thinks a session was worth, against what the simulated viewer saw; and the class of a network by its first seconds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AdaptiveController } from '../../../server/congestion/adaptive-controller.ts';
import type { Guide, Watched } from '../../../server/congestion/learned/guided-controller.ts';
import { GuidedController } from '../../../server/congestion/learned/guided-controller.ts';
import type { NetworkClass } from '../../../server/congestion/learned/link-features.ts';
import { FEATURE_MAX, LinkFeatures } from '../../../server/congestion/learned/link-features.ts';
import type { Outcome } from '../../../server/congestion/learned/session-meter.ts';
import { utilityOf } from '../../../server/congestion/learned/session-meter.ts';
import { parametersWith } from '../../../server/congestion/parameters.ts';
import type { LinkModelOptions } from '../../latency/link/link-model.ts';
import { optionsFor } from '../../sim/policies.ts';
import { utilityOf as utilitySeen } from '../../sim/score.ts';
import { runViewer } from '../../sim/viewer-run.ts';

const way = (changes: Partial<LinkModelOptions> = {}): LinkModelOptions => ({
  capacity: undefined,
  queueMaxBytes: 150_000,
  delayMs: 20,
  jitterMs: 2,
  lossRatio: 0,
  lossBurstCount: undefined,
  reorderRatio: 0,
  reorderMaxCount: 3,
  ...changes,
});
const rate = (steps: readonly (readonly [number, number])[]): LinkModelOptions['capacity'] => ({
  steps: steps.map(([durationMs, rateBps]) => ({ durationMs, rateBps })),
  isLooped: true,
});

type Told = {
  run: ReturnType<typeof runViewer>;
  outcome: Outcome;
  reported: Outcome;
  isContradicted: boolean;
  networkClass: NetworkClass;
  features: readonly number[];
};

const play = (down: Partial<LinkModelOptions>, up: Partial<LinkModelOptions> = {}): Told => {
  const told: Partial<Told> = {};
  const guide: Guide = {
    onJoined: () => undefined,
    onSmoothness: () => undefined,
    onLook: ({ meter, link }: Watched, nowMs) => {
      if (nowMs >= 2_000 && told.outcome === undefined) {
        told.outcome = {} as Outcome;
        meter.begin(nowMs);
      }
      if (nowMs >= 10_000 && told.networkClass === undefined) {
        told.networkClass = link.networkClass(meter.lowestBps)!;
        told.features = link.features(0.5)!;
      }
      return undefined;
    },
    onEnded: ({ meter }, nowMs) => {
      told.outcome = meter.outcome(nowMs)!;
      told.reported = meter.reportedOutcome(nowMs)!;
      told.isContradicted = meter.isContradicted;
    },
  };
  const controller = new AdaptiveController(optionsFor(0.5));
  const guided = new GuidedController(controller, controller.twin, guide);
  told.run = runViewer({
    seed: 5,
    durationMs: 40_000,
    down: way(down),
    up: way(up),
    sender: { hasMatchedStamps: true, hasTransportFeedback: true },
    makeController: () => guided,
  });
  guided.close();
  return told as Told;
};

const near = (value: number, wanted: number, tolerance: number, what: string): void =>
  assert.ok(Math.abs(value - wanted) <= tolerance, `${what}: ${value}, seen ${wanted}`);

test('quality, stalls and latency are near what the viewer saw, on a calm link and on one that breaks off', () => {
  const calm = { capacity: rate([[1_000, 4_000_000]]) };
  const broken = {
    capacity: rate([
      [15_000, 3_000_000],
      [1_500, 0],
    ]),
  };
  for (const down of [calm, broken]) {
    const { run, outcome, reported, isContradicted } = play(down);
    near(outcome.qualityRatio, run.score.qualityRatio, 0.05, 'quality');
    near(outcome.stallRatio, run.score.stallRatio, 0.012, 'stall');
    near(reported.stallRatio, run.score.stallRatio, 0.012, 'stall as reported');
    near(outcome.latencyMs, run.score.latencyMeanMs, 60, 'latency');
    near(utilityOf(outcome, 0.5), utilitySeen(run.score, 0.5), 0.2, 'utility');
    assert.equal(isContradicted, false);
  }
});

test('networks are told apart by their first ten seconds', () => {
  assert.equal(play({}).networkClass, 'stable|jittery');
  assert.equal(play({ capacity: rate([[1_000, 700_000]]) }).networkClass, 'constrained|outage');
  assert.equal(play({ lossRatio: 0.03 }).networkClass, 'lossy|long|volatile');
  assert.equal(play({ delayMs: 120 }, { delayMs: 120 }).networkClass, 'lossy|long|volatile');
  assert.equal(
    play({
      capacity: rate([
        [4_000, 4_000_000],
        [1_000, 0],
      ]),
    }).networkClass,
    'constrained|outage',
  );
  const { features } = play({ lossRatio: 0.4 });
  assert.ok(features.every((value) => Math.abs(value) <= FEATURE_MAX));
});

test('of a network of which too little was heard nothing is said', () => {
  const link = new LinkFeatures();
  assert.equal(link.features(0.5), undefined);
  assert.equal(link.networkClass(600_000), undefined);
});

test('a controller that is tuned otherwise on the way decides otherwise, within the safe ranges', () => {
  const offer = {
    renditions: [{ bitrateBps: 600_000, keyframeBytes: 12_000, qualityRatio: 0.45 }],
    gopMs: 1_000,
    frameIntervalMs: 1000 / 30,
    keyframeAgeMs: 200,
  };
  const controller = new AdaptiveController(optionsFor(0.5));
  controller.join(offer, 0);
  for (let nowMs = 0; nowMs < 20_000; nowMs += 50) {
    controller.decide(nowMs, 0);
  }
  const before = controller.decide(20_000, 0).playoutDelayMs!;
  controller.retune(parametersWith({ playoutMinMs: 1e9 }));
  assert.ok(before < 150);
  assert.equal(controller.decide(20_050, 0).playoutDelayMs, 150);
  controller.retune({ ...parametersWith(), playoutMinMs: Number.NaN, playoutMaxMs: Number.NEGATIVE_INFINITY });
  assert.ok(Number.isFinite(controller.decide(20_100, 0).playoutDelayMs));
});
