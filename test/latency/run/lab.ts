/** The whole experiment, run by run, each written down as it comes. Ends early when told to, with what there is. */
import { randomBytes } from 'node:crypto';
import type { LabConfig, LabScenario, LabTarget } from './lab-config.ts';
import type { MachineFacts } from './machine.ts';
import { awayRatioOf, runOnce, type Instruments } from './one-run.ts';
import { planRuns, type PlannedRun } from './plan.ts';
import { RESULTS_FORMAT, isDoubtful, type LabResults, type RunResult } from './results.ts';

export type LabOptions = {
  readonly config: LabConfig;
  readonly machine: MachineFacts;
  readonly instruments: Instruments;
  /** Results of an earlier go at the same config: its good runs are kept. */
  readonly previous?: LabResults;
  /** Told after each run and once at the end. */
  readonly onResults: (results: LabResults) => void;
  readonly progress: Progress;
  /** Ends the lab: the run under way is thrown away. */
  readonly signal: AbortSignal;
};

export type Progress = {
  /** Before each run; `doneCount` counts runs, `leftCount` includes this one. */
  runStarts(run: PlannedRun, place: { readonly doneCount: number; readonly leftCount: number }): void;
  runEnded(result: RunResult, isRepeated: boolean): void;
};

export const runLab = async (options: LabOptions): Promise<LabResults> => {
  const { config } = options;
  const plan = planRuns({
    seed: config.seed,
    repeats: config.repeats,
    scenarioNames: config.scenarios.map(({ name }) => name),
    targetNames: config.targets.map(({ name }) => name),
  });
  const runs = (options.previous?.runs ?? []).filter((run) => run.error === null);
  const known = new Set(runs.map(keyOf));
  const todo = plan.filter((run) => !known.has(keyOf(run)));
  const startedAtWallMs = options.previous?.startedAtWallMs ?? Date.now();
  const results = (): LabResults => ({
    format: RESULTS_FORMAT,
    config,
    machine: options.machine,
    startedAtWallMs,
    endedAtWallMs: Date.now(),
    plannedCount: plan.length,
    runs: [...runs],
  });
  for (const [index, planned] of todo.entries()) {
    if (options.signal.aborted) {
      break;
    }
    options.progress.runStarts(planned, { doneCount: index, leftCount: todo.length - index });
    const result = await runPatiently(planned, options);
    if (result !== undefined) {
      runs.push(result);
      options.onResults(results());
    }
  }
  const final = results();
  options.onResults(final);
  return final;
};

/** Once more, up to `retryMaxCount` times, when source or viewer lacked CPU; the least doubtful attempt counts. */
const runPatiently = async (planned: PlannedRun, options: LabOptions): Promise<RunResult | undefined> => {
  const { config } = options;
  let best: RunResult | undefined;
  for (let attempt = 0; attempt <= config.retryMaxCount; attempt += 1) {
    const order = {
      planned,
      lab: config,
      scenario: named<LabScenario>(config.scenarios, planned.scenarioName),
      target: named<LabTarget>(config.targets, planned.targetName),
      signal: options.signal,
      streamName: `lab-${randomBytes(4).toString('hex')}`,
    };
    const result = { ...(await runOnce(order, options.instruments)), attemptCount: attempt + 1 };
    if (options.signal.aborted) {
      return undefined;
    }
    const isBest = best === undefined || doubtOf(result, config) < doubtOf(best, config);
    best = isBest ? result : { ...(best ?? result), attemptCount: attempt + 1 };
    const isRepeated = isDoubtful(result) && attempt < config.retryMaxCount;
    options.progress.runEnded(result, isRepeated);
    if (!isRepeated) {
      break;
    }
  }
  return best;
};

/** Lateness of the source and absence of the viewer's script, each as 1 where it is just allowed. */
const doubtOf = (run: RunResult, { sourceLateMaxMs }: LabConfig): number =>
  (run.sourceLateMaxMs ?? Infinity) / Math.max(1, sourceLateMaxMs) + 20 * awayRatioOf(run.viewer);

const keyOf = (run: PlannedRun): string => JSON.stringify([run.repeatIndex, run.scenarioName, run.targetName]);

const named = <T extends { readonly name: string }>(list: readonly T[], name: string): T => {
  const found = list.find((entry) => entry.name === name);
  if (found === undefined) {
    throw new TypeError(`expected "${name}" among ${list.map((entry) => entry.name).join(', ')}`);
  }
  return found;
};
