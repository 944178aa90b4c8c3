/** What one viewer costs: time per feedback and per decision, bytes of its controller, and how fast the simulator runs. By CPU time of this machine. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { AdaptiveController } from '../../server/congestion/adaptive-controller.ts';
import type { ArrivalReport, CongestionController, Decision } from '../../server/congestion/controller.ts';
import { FEATURE_COUNT } from '../../server/congestion/learned/link-features.ts';
import { GuidedController } from '../../server/congestion/learned/guided-controller.ts';
import { Prng } from '../../server/base/prng.ts';
import { Learner } from '../../server/learning/learner.ts';
import { emptyState } from '../../server/learning/learner-state.ts';
import { SessionGuide } from '../../server/learning/session-guide.ts';
import type { Call } from './call-record.ts';
import { RecordingController } from './call-record.ts';
import { ours, optionsFor } from './policies.ts';
import { SCENARIOS } from './scenarios.ts';
import { durationOf, linkOfScenario } from './scenario-run.ts';
import { runViewer } from './viewer-run.ts';

const VIEWER_COUNT = 2_000;
/** Of controllers that have been at work: what they learn takes room too. */
const WORKED_COUNT = 400;
const WORKED_MS = 20_000;
const WARM_COUNT = 20;
const LEARNED_COUNT = 3_000;
const SPEED_SECONDS = 120;
const WARM_ROUND_COUNT = 5;
/** A session as production has many: 2.5 Mbit/s of video and sound, a feedback each 75 ms, few losses. */
const WHOLE = { seconds: 60, viewerCount: 100, capacityBps: 4_300_000, feedbackEveryMs: 75, lossRatio: 0.003 };

/** Counts calls and their time around a controller. */
class TimedController extends AdaptiveController {
  static readonly feedbackNs: number[] = [];
  static readonly decideNs: number[] = [];

  override onFeedback(report: ArrivalReport, nowMs: number): boolean {
    const from = process.hrtime.bigint();
    const isPlausible = super.onFeedback(report, nowMs);
    TimedController.feedbackNs.push(Number(process.hrtime.bigint() - from));
    return isPlausible;
  }

  override decide(nowMs: number, backlogBytes: number): Decision {
    const from = process.hrtime.bigint();
    const decision = super.decide(nowMs, backlogBytes);
    TimedController.decideNs.push(Number(process.hrtime.bigint() - from));
    return decision;
  }
}

const medianOf = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

/** After garbage collection, so that what was used on the way does not count. */
const usedBytes = (): number => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
};

const bytesOfEach = (count: number, make: (index: number) => CongestionController): number => {
  // The first ones bring what all share, and V8 is generous to the first objects of a class.
  for (let index = 0; index < WARM_COUNT; index += 1) {
    make(count + index);
  }
  const kept: CongestionController[] = Array.from({ length: count });
  const before = usedBytes();
  for (let index = 0; index < count; index += 1) {
    kept[index] = make(index);
  }
  return (usedBytes() - before) / kept.length;
};

/** The learner's choice for a session, with beliefs of some thousand sessions, and what it does when one has ended; bytes of guiding one. */
const learnerCost = (): string[] => {
  const prng = new Prng(1);
  const nextRatio = (): number => prng.nextRatio();
  const learner = new Learner({ policies: [], state: emptyState(0), nextRatio });
  const networkClass = 'stable|jittery';
  const chooseNs: number[] = [];
  const learnNs: number[] = [];
  for (let index = 0; index < LEARNED_COUNT; index += 1) {
    const features = Array.from({ length: FEATURE_COUNT }, (_, place) => (place === 0 ? 1 : 2 * nextRatio() - 1));
    let from = process.hrtime.bigint();
    const arm = learner.choose(networkClass, features);
    chooseNs.push(Number(process.hrtime.bigint() - from));
    from = process.hrtime.bigint();
    learner.learn(networkClass, arm.id, { features, utility: nextRatio(), logStall: -5, seconds: 60 });
    learnNs.push(Number(process.hrtime.bigint() - from));
  }
  const inner = new AdaptiveController(optionsFor(0.5));
  const guidedBytes = bytesOfEach(VIEWER_COUNT, () => {
    const guide = new SessionGuide({ learner, group: 'learning', smoothnessRatio: 0.5, pinned: () => undefined });
    return new GuidedController(inner, inner.twin, guide);
  });
  return [
    `a choice of an arm ${(medianOf(chooseNs) / 1000).toFixed(1)} µs, learning from a session ${(medianOf(learnNs) / 1000).toFixed(0)} µs (medians of ${LEARNED_COUNT})`,
    `guiding a session ${(guidedBytes / 1024).toFixed(2)} KiB more (of ${VIEWER_COUNT})`,
  ];
};

/**
 * Everything of the controller that a viewer costs, from the first packet to the last: estimator, twin, pacing and playout, what watches the session, what guides it
 * and what is learned from it. The calls of one session, made of a hundred in turn, so that none stays in the processor's caches.
 */
const wholeCost = (): string[] => {
  const { seconds, viewerCount, capacityBps, feedbackEveryMs, lossRatio } = WHOLE;
  const durationMs = seconds * 1_000;
  const recording = new RecordingController(new AdaptiveController(optionsFor(0.5)));
  const link = linkOfScenario({
    ...{ name: 'whole', title: '', rttMs: 40, queueMs: 250, lossRatio },
    steps: [{ forMs: durationMs, rateBps: capacityBps }],
  });
  const { bytes } = runViewer({
    ...{ ...link, seed: 1, durationMs, feedbackEveryMs, sender: ours().sender },
    makeController: () => recording,
  });
  const { calls, packetCount, feedbackCount, decisionCount } = recording;
  const bare = coreRatio(calls, viewerCount, durationMs, () => new AdaptiveController(optionsFor(0.5)));
  const prng = new Prng(1);
  const learner = new Learner({ policies: [], state: emptyState(0), nextRatio: () => prng.nextRatio() });
  const whole = coreRatio(calls, viewerCount, durationMs, () => {
    const inner = new AdaptiveController(optionsFor(0.5));
    const guide = new SessionGuide({ learner, group: 'learning', smoothnessRatio: 0.5, pinned: () => undefined });
    return new GuidedController(inner, inner.twin, guide);
  });
  const mbit = (8 * (bytes.video + bytes.rtx + bytes.probe + bytes.audio)) / (1e6 * seconds);
  const perSecond = (count: number): string => (count / seconds).toFixed(0);
  return [
    `the whole controller of ${viewerCount} viewers ${(100 * whole).toFixed(2)} % of a core (at most 3 % is asked; ${(100 * bare).toFixed(2)} % without what watches, guides and learns): ` +
      `${mbit.toFixed(2)} Mbit/s each, ${perSecond(packetCount)} packets, ${perSecond(feedbackCount)} feedbacks and ${perSecond(decisionCount)} decisions a second`,
  ];
};

/** CPU time over the time that the calls were made of, all viewers together; the best of three rounds, since the first compiles. */
const coreRatio = (
  calls: readonly Call[],
  viewerCount: number,
  durationMs: number,
  make: () => CongestionController,
): number => {
  const rounds = Array.from({ length: 3 }, () => {
    const controllers = Array.from({ length: viewerCount }, make);
    const from = process.cpuUsage();
    for (const call of calls) {
      for (const controller of controllers) {
        call(controller);
      }
    }
    for (const controller of controllers) {
      controller.close?.();
    }
    const { user, system } = process.cpuUsage(from);
    return (user + system) / 1_000 / durationMs;
  });
  return Math.min(...rounds);
};

export const measureCost = (): string[] => {
  const scenario = SCENARIOS.find(({ name }) => name === 'step-down-up')!;
  const run = { seed: 1, durationMs: durationOf(scenario), ...linkOfScenario(scenario), sender: ours().sender };
  for (let round = 0; round < WARM_ROUND_COUNT; round += 1) {
    TimedController.feedbackNs.length = 0;
    TimedController.decideNs.length = 0;
    runViewer({ ...run, makeController: () => new TimedController(optionsFor(0.5)) });
  }
  // Medians: on a busy machine the mean is the neighbours'.
  const perFeedbackUs = medianOf(TimedController.feedbackNs) / 1000;
  const perDecisionUs = medianOf(TimedController.decideNs) / 1000;
  const sorted = TimedController.decideNs.toSorted((a, b) => a - b);
  const decisionTailNs = sorted[Math.floor(0.999 * sorted.length)] ?? Number.NaN;

  const freshBytes = bytesOfEach(VIEWER_COUNT, () => new AdaptiveController(optionsFor(0.5)));
  const workedBytes = bytesOfEach(WORKED_COUNT, (index) => {
    const controller = new AdaptiveController(optionsFor(0.5));
    runViewer({ ...run, seed: 1 + index, durationMs: WORKED_MS, makeController: () => controller });
    return controller;
  });

  const fixed = { ...linkOfScenario({ ...scenario, steps: [{ forMs: 1_000, rateBps: 4_000_000 }] }), seed: 1 };
  const cpuFrom = process.cpuUsage();
  runViewer({
    ...fixed,
    durationMs: SPEED_SECONDS * 1000,
    sender: ours().sender,
    makeController: () => new AdaptiveController(optionsFor(0.5)),
  });
  const cpu = process.cpuUsage(cpuFrom);
  const speed = (SPEED_SECONDS * 1e6) / (cpu.user + cpu.system);
  return [
    ...wholeCost(),
    ...learnerCost(),
    `a feedback ${perFeedbackUs.toFixed(1)} µs (median of ${TimedController.feedbackNs.length}), a decision ${perDecisionUs.toFixed(2)} µs, ` +
      `999 of 1,000 under ${(decisionTailNs / 1000).toFixed(1)} µs (at most 50 µs is asked)`,
    `a controller ${(freshBytes / 1024).toFixed(1)} KiB when made (of ${VIEWER_COUNT}, heap and buffers), ` +
      `${(workedBytes / 1024).toFixed(1)} KiB after ${WORKED_MS / 1000} s of work (of ${WORKED_COUNT})`,
    `the simulator ${speed.toFixed(0)} times real time on one core (one viewer, 4 Mbit/s, by CPU time)`,
  ];
};
