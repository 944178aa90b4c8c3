/** What one viewer costs: time per feedback and per decision, bytes of its controller, and how fast the simulator runs. By CPU time of this machine. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { AdaptiveController } from '../../server/congestion/adaptive-controller.ts';
import type { ArrivalReport, CongestionController, Decision } from '../../server/congestion/controller.ts';
import { ours, optionsFor } from './policies.ts';
import { SCENARIOS } from './scenarios.ts';
import { durationOf, linkOfScenario } from './scenario-run.ts';
import { runViewer } from './viewer-run.ts';

const VIEWER_COUNT = 2_000;
/** Of controllers that have been at work: what they learn takes room too. */
const WORKED_COUNT = 400;
const WORKED_MS = 20_000;
const WARM_COUNT = 20;
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
    `a feedback ${perFeedbackUs.toFixed(1)} µs (median of ${TimedController.feedbackNs.length}), a decision ${perDecisionUs.toFixed(2)} µs`,
    `a controller ${(freshBytes / 1024).toFixed(1)} KiB when made (of ${VIEWER_COUNT}, heap and buffers), ` +
      `${(workedBytes / 1024).toFixed(1)} KiB after ${WORKED_MS / 1000} s of work (of ${WORKED_COUNT})`,
    `the simulator ${speed.toFixed(0)} times real time on one core (one viewer, 4 Mbit/s, by CPU time)`,
  ];
};
