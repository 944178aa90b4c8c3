/** What one viewer costs: time per feedback and per decision, bytes of its controller, and how fast the simulator runs. By CPU time of this machine. */
import { AdaptiveController } from '../../server/congestion/adaptive-controller.ts';
import type { ArrivalReport, CongestionController, Decision } from '../../server/congestion/controller.ts';
import { ours, optionsFor } from './policies.ts';
import { SCENARIOS } from './scenarios.ts';
import { durationOf, linkOfScenario } from './scenario-run.ts';
import { runViewer } from './viewer-run.ts';

const VIEWER_COUNT = 2_000;
const SPEED_SECONDS = 120;
const WARM_ROUND_COUNT = 5;

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

  const kept: CongestionController[] = [];
  const before = process.memoryUsage();
  for (let index = 0; index < VIEWER_COUNT; index += 1) {
    kept.push(new AdaptiveController(optionsFor(0.5)));
  }
  const after = process.memoryUsage();
  const bytes = (after.heapUsed - before.heapUsed + after.arrayBuffers - before.arrayBuffers) / kept.length;

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
    `a feedback ${perFeedbackUs.toFixed(1)} µs (median of ${TimedController.feedbackNs.length}), a decision ${perDecisionUs.toFixed(2)} µs`,
    `a controller ${(bytes / 1024).toFixed(1)} KiB (of ${VIEWER_COUNT}, heap and buffers)`,
    `the simulator ${speed.toFixed(0)} times real time on one core (one viewer, 4 Mbit/s, by CPU time)`,
  ];
};
