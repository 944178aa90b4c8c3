/** `npm run latency -- --config lab.yaml`: reads, runs, writes results and report; Ctrl-C ends it with what there is. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { WorldError } from '../../../server/base/errors.ts';
import { closeBrowser } from '../../support/browser.ts';
import { renderReport } from '../report/report-html.ts';
import { realInstruments } from './instruments.ts';
import { readLabConfig, type LabConfig } from './lab-config.ts';
import { runLab } from './lab.ts';
import { readMachineFacts } from './machine.ts';
import { tellProgress } from './progress.ts';
import { readResults, writeResults, type LabResults } from './results.ts';

export type LabCommand = {
  readonly configFile: string;
  readonly outDir: string | undefined;
  readonly tracesDir: string | undefined;
  /** Goes on with the results of `outDir`; failed runs are made again. */
  readonly isResumed: boolean;
  /** Only these, when any are named. */
  readonly targetNames: readonly string[];
  readonly scenarioNames: readonly string[];
  readonly repeats: number | undefined;
  /** Of every scenario, in place of its own. */
  readonly durationMs: number | undefined;
};

const RESULTS_FILE = 'results.json';
const REPORT_FILE = 'report.html';
/** A terminal's Ctrl-C may arrive twice, from it and from npm. */
const SECOND_SIGNAL_MIN_MS = 1_000;

/** Resolves with the exit code: 0, 1 when no run gave a measurement, 130 after Ctrl-C. */
export const runLabCommand = async (command: LabCommand): Promise<number> => {
  const config = narrowed(readLabConfig(command.configFile), command);
  const here = path.dirname(path.resolve(command.configFile));
  const outDir = command.outDir ?? path.join('data', 'lab', new Date().toISOString().slice(0, 16).replaceAll(':', '-'));
  mkdirSync(outDir, { recursive: true });
  const resultsFile = path.join(outDir, RESULTS_FILE);
  const previous = command.isResumed ? previousResults(resultsFile, config) : undefined;
  if (!command.isResumed && existsSync(resultsFile)) {
    throw new WorldError(
      'LAB_OUT_TAKEN',
      `${resultsFile} is there already: name another --out, or go on with --resume`,
    );
  }
  const interrupt = onInterrupt();
  try {
    const results = await runLab({
      config,
      machine: readMachineFacts(),
      instruments: realInstruments({ here, tracesDir: command.tracesDir ?? resolved(here, config.tracesDir), outDir }),
      ...(previous === undefined ? {} : { previous }),
      onResults: (soFar) => writeResults(resultsFile, soFar),
      progress: tellProgress(
        (line) => process.stderr.write(`${line}\n`),
        () => performance.now(),
      ),
      signal: interrupt.signal,
    });
    const reportFile = writeReport(results, outDir);
    process.stdout.write(`${reportFile}\n${resultsFile}\n`);
    return interrupt.signal.aborted ? 130 : results.runs.some((run) => run.viewer !== null) ? 0 : 1;
  } finally {
    interrupt.forget();
    await closeBrowser();
  }
};

/** `--report results.json`: draws it again, beside the results or into `outDir`. */
export const drawAgain = (resultsFile: string, outDir: string | undefined): string =>
  writeReport(readResults(resultsFile), outDir ?? path.dirname(resultsFile));

const writeReport = (results: LabResults, outDir: string): string => {
  mkdirSync(outDir, { recursive: true });
  const file = path.join(outDir, REPORT_FILE);
  writeFileSync(file, renderReport(results));
  return file;
};

const narrowed = (config: LabConfig, command: LabCommand): LabConfig => ({
  ...config,
  durationMs: command.durationMs ?? config.durationMs,
  repeats: command.repeats ?? config.repeats,
  targets: chosen(config.targets, command.targetNames, 'target'),
  scenarios: chosen(config.scenarios, command.scenarioNames, 'scenario').map((scenario) =>
    command.durationMs === undefined ? scenario : { ...scenario, durationMs: command.durationMs },
  ),
});

const chosen = <T extends { readonly name: string }>(
  all: readonly T[],
  names: readonly string[],
  what: string,
): T[] => {
  const unknown = names.filter((name) => !all.some((each) => each.name === name));
  if (unknown.length > 0) {
    const known = all.map(({ name }) => `"${name}"`).join(', ');
    throw new TypeError(`--${what} "${unknown[0]}": expected one of ${known}`);
  }
  return names.length === 0 ? [...all] : all.filter(({ name }) => names.includes(name));
};

const resolved = (here: string, folder: string | undefined): string | undefined =>
  folder === undefined ? undefined : path.resolve(here, folder);

/** Results of the same experiment: same config, in the same order. */
const previousResults = (file: string, config: LabConfig): LabResults | undefined => {
  if (!existsSync(file)) {
    return undefined;
  }
  const results = readResults(file);
  if (!isDeepStrictEqual(results.config, JSON.parse(JSON.stringify(config)))) {
    throw new WorldError('LAB_RESUME_OTHER', `${file} is of another configuration: expected the one it was begun with`);
  }
  return results;
};

/** First Ctrl-C: the run under way is given up, the rest is written. Second: at once. */
const onInterrupt = (): { readonly signal: AbortSignal; forget(): void } => {
  const controller = new AbortController();
  let firstAtMs: number | undefined;
  const interrupt = (): void => {
    if (firstAtMs === undefined) {
      firstAtMs = performance.now();
      process.stderr.write('ending: writing what there is (again to end at once)\n');
      controller.abort();
      // Whoever measures in it stops waiting.
      void closeBrowser();
    } else if (performance.now() - firstAtMs > SECOND_SIGNAL_MIN_MS) {
      process.exit(130);
    }
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  return {
    signal: controller.signal,
    forget: () => {
      process.off('SIGINT', interrupt);
      process.off('SIGTERM', interrupt);
    },
  };
};
