/**
 * The search on the command line (CONGESTION 4.3):
 *
 *     npm run learn -- --minutes 15 [--class all|'stable|jittery'|…] [--smoothness 0.5] [--traces DIR] [--synthetic 8] [--seed 1] [--width 1]
 *     npm run learn -- --resume [the same options]
 *     npm run learn -- --generations 5 --restarts 1      # as long as it takes, the same on every machine
 *     npm run learn -- --from data/links                 # also from what a server captured of its own sessions
 *     npm run learn -- --leave-out starlink              # without a data set of the corpus; what it finds is for looking at, never for the server
 *     npm run learn -- --sensitivity
 *     npm run learn -- --verify config/policy/FILE       # what shipped, against the defaults of today's controller
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { messageOf } from '../../server/base/errors.ts';
import { POLICY_CLASSES, parametersFor, readPolicy } from '../../server/congestion/learned/policy.ts';
import { RandomStream } from '../latency/link/random-streams.ts';
import type { SplitName, Trace } from '../sim/corpus.ts';
import { loadCorpus } from '../sim/corpus.ts';
import { ACTIVE_PARAMETERS } from './active-parameters.ts';
import { loadCaptured } from './captured.ts';
import { fail, numberOf } from './command-line.ts';
import { isShippable, tellComparison } from './comparison.ts';
import { drawEpisodes, sourceOf } from './episode-source.ts';
import { RUNGS, widened } from './halving.ts';
import type { RunOptions, RunResult } from './learn-run.ts';
import { LearnRun, SEARCH_SEEDS, TABLE_SEEDS } from './learn-run.ts';
import { policyFileName, toPolicyFile } from './policy-file.ts';
import { progressLine } from './progress.ts';
import { sourceNameOf } from './report/leave-out.ts';
import { codeSha256Of, dataSha256Of, loadRun, saveRun, sha256Of } from './run-state.ts';
import { sensitivities, tellSensitivity } from './sensitivity.ts';
import { isSynthetic, syntheticTraces } from './synthetic.ts';
import type { SearchState } from './search.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Test A and test B are not opened here. */
const SPLITS: readonly SplitName[] = ['search', 'validation'];
/** What a result hangs on besides traces and seeds. */
const CODE_FOLDERS = ['server/congestion', 'test/sim', 'test/latency/link', 'test/learn'];
const SIGMA_START = 0.25;
const SIGMA_MIN = 0.01;
const PATIENCE_COUNT = 12;
const SYNTHETIC_RATIO = 1 / 3;
const FINAL = { episodeCount: 48, durationMs: 300_000 };
const NICE_MOST = 19;
const SENSITIVITY = { count: 48, durationMs: 60_000 };
const STOPPED_EXIT_CODE = 130;

const { values } = parseArgs({
  options: {
    traces: { type: 'string', default: path.join(ROOT, '../shared/corpus/traces') },
    from: { type: 'string' },
    'leave-out': { type: 'string' },
    class: { type: 'string', default: 'all' },
    smoothness: { type: 'string', default: '0.5' },
    minutes: { type: 'string' },
    generations: { type: 'string', default: '40' },
    restarts: { type: 'string', default: '3' },
    workers: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    width: { type: 'string', default: '1' },
    synthetic: { type: 'string', default: '8' },
    'table-seconds': { type: 'string', default: '300' },
    state: { type: 'string', default: path.join(ROOT, 'data/learn') },
    out: { type: 'string', default: path.join(ROOT, 'config/policy') },
    resume: { type: 'boolean', default: false },
    sensitivity: { type: 'boolean', default: false },
    verify: { type: 'string' },
  },
});

const networkClass =
  POLICY_CLASSES.find((name) => name === values.class) ??
  fail(`--class: expected one of ${POLICY_CLASSES.join(', ')}, got ${values.class}`);
const seed = numberOf('seed', values.seed, [0, 2 ** 31]);

const options: RunOptions = {
  networkClass,
  search: {
    seed,
    smoothnessRatio: numberOf('smoothness', values.smoothness, [0, 1]),
    names: ACTIVE_PARAMETERS,
    rungs: widened(RUNGS, numberOf('width', values.width, [1, 100])),
    sigmaStart: SIGMA_START,
    sigmaMin: SIGMA_MIN,
    generationMaxCount: numberOf('generations', values.generations, [1, 1_000]),
    patienceCount: PATIENCE_COUNT,
    restartMaxCount: numberOf('restarts', values.restarts, [1, 20]),
    syntheticRatio: SYNTHETIC_RATIO,
  },
  runMaxMs: values.minutes === undefined ? Infinity : 60_000 * numberOf('minutes', values.minutes, [0.1, 10_000]),
  final: FINAL,
  tableSessionMs: 1_000 * numberOf('table-seconds', values['table-seconds'], [10, 3_600]),
  workerCount: numberOf('workers', values.workers, [1, 64]),
  workerNiceness: NICE_MOST,
};

const loadCapturedTraces = async (folder: string): Promise<readonly Trace[]> => {
  const { traces: found, leftOut } = await loadCaptured(folder, SPLITS);
  const inAll = `${found.length} captured links to learn from`;
  console.error(`learn: ${inAll}${leftOut.length === 0 ? '' : `; left out:\n  ${leftOut.join('\n  ')}`}`);
  return found;
};

const loadTraces = async (): Promise<Trace[]> => {
  const corpus = await loadCorpus(values.traces, SPLITS);
  const real = corpus?.filter((trace) => sourceNameOf(trace) !== values['leave-out']);
  if (corpus !== undefined && values['leave-out'] !== undefined && corpus.length === real?.length) {
    fail(
      `--leave-out: expected one of ${[...new Set(corpus.map(sourceNameOf))].join(', ')}, got ${values['leave-out']}`,
    );
  }
  if (real === undefined) {
    console.error(`learn: no corpus at ${values.traces} (--traces DIR): synthetic traces alone`);
  }
  const captured = values.from === undefined ? [] : await loadCapturedTraces(values.from);
  const isEmpty = real === undefined && captured.length === 0;
  const count = numberOf('synthetic', values.synthetic, [isEmpty ? 1 : 0, 1_000]);
  return [
    ...(real ?? []),
    ...captured,
    ...syntheticTraces('search', count, seed),
    ...syntheticTraces('validation', Math.ceil(count / 2), seed),
  ];
};

const tellSensitivities = async (run: LearnRun, traces: readonly Trace[]): Promise<void> => {
  const source = sourceOf(traces, { networkClass, split: 'search', seeds: SEARCH_SEEDS, isRandomised: true });
  const stream = new RandomStream(seed, 'episodes/sensitivity');
  const episodes = drawEpisodes(source, { ...SENSITIVITY, syntheticRatio: SYNTHETIC_RATIO, stream });
  const found = await sensitivities(episodes, options.search.smoothnessRatio, async (jobs) => run.play(jobs));
  console.log(found.map(tellSensitivity).join('\n'));
};

const tellTables = (tables: RunResult['tables']): void => {
  for (const [name, comparison] of Object.entries(tables)) {
    console.log(['', ...tellComparison(`${name} (defaults, learned, difference with 95 %)`, comparison)].join('\n'));
  }
};

const verify = async (run: LearnRun, file: string): Promise<void> => {
  const { policy, fault } = readPolicy(await readFile(file, 'utf8'));
  const parameters =
    policy === undefined ? undefined : parametersFor([policy], networkClass, options.search.smoothnessRatio);
  if (parameters === undefined) {
    return fail(fault === undefined ? `${file}: no vector of the class ${networkClass}` : `${file}: ${fault.detail}`);
  }
  const judged = await run.judge(parameters);
  tellTables(judged.tables);
  console.log(`\nValidation ${isShippable(judged.tables) ? 'confirms it' : 'does not confirm it'}`);
};

const describeMade = ({ state }: RunResult, traces: readonly Trace[]): object => {
  const count = (split: SplitName, isMadeUp: boolean): number =>
    traces.filter((trace) => trace.split === split && isSynthetic(trace) === isMadeUp).length;
  return {
    codeSha256,
    seed,
    searchSeeds: SEARCH_SEEDS,
    tableSeeds: TABLE_SEEDS,
    tableSessionS: options.tableSessionMs / 1000,
    syntheticRatio: SYNTHETIC_RATIO,
    traceCounts: Object.fromEntries(
      SPLITS.map((split) => [split, { real: count(split, false), synthetic: count(split, true) }]),
    ),
    restartsEnded: state.restartIndex,
    generationsOfLast: state.cma.generation,
    rungs: options.search.rungs,
  };
};

const conclude = async (result: RunResult, traces: readonly Trace[], dataSha256: string): Promise<void> => {
  if (result.winner === undefined) {
    console.log('No vector is better than the defaults on the links it was searched on; nothing is written.');
    return;
  }
  const { tables, parameters } = result;
  const { smoothnessRatio } = options.search;
  console.log(
    `Objective in the final ${result.winner.value.toFixed(4)}; λ = ${smoothnessRatio}, class ${networkClass}`,
  );
  console.log(JSON.stringify(parameters, undefined, 2));
  tellTables(tables);
  const isGood = isShippable(tables);
  const leftOut = values['leave-out'];
  const folder = isGood && leftOut === undefined ? values.out : values.state;
  const name = policyFileName(networkClass, smoothnessRatio);
  const prefix = leftOut === undefined ? (isGood ? '' : 'unconfirmed-') : `without-${leftOut}-`;
  const file = path.join(folder, `${prefix}${name}`);
  const made = describeMade(result, traces);
  const { outcomes } = result;
  await mkdir(folder, { recursive: true });
  await writeFile(
    file,
    toPolicyFile({ networkClass, smoothnessRatio, parameters, outcomes, dataSha256, made, reached: tables }),
  );
  const verdict = isGood ? 'Validation confirms it' : 'Validation does not confirm it, so the server gets none';
  console.log(`\n${verdict}: ${file}`);
};

const traces = await loadTraces();
const dataSha256 = dataSha256Of(traces);
const stateFile = path.join(values.state, `state-${policyFileName(networkClass, options.search.smoothnessRatio)}`);
const codeSha256 = await codeSha256Of(ROOT, CODE_FOLDERS);
const key = sha256Of([options.networkClass, options.search, dataSha256, codeSha256]);

const events = {
  tell: (line: string) => console.error(`learn: ${line}`),
  onProgress: (standing: Parameters<typeof progressLine>[0]) => {
    const line = progressLine(standing);
    process.stderr.write(process.stderr.isTTY ? `\r\u001B[K${line}` : `${line}\n`);
  },
  onState: async (search: SearchState) => saveRun(stateFile, { key, search }),
};

try {
  const saved = values.resume ? await loadRun(stateFile, key) : undefined;
  const run = new LearnRun(traces, options, events);
  let isStopped = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // A terminal and npm may both send it: what counts is that the state on disk is whole, which it always is.
    process.on(signal, () => {
      isStopped = true;
      void run.stop();
    });
  }
  try {
    if (values.sensitivity) {
      await tellSensitivities(run, traces);
    } else if (values.verify !== undefined) {
      await verify(run, values.verify);
    } else {
      await conclude(await run.run(saved), traces, dataSha256);
    }
  } catch (error) {
    if (!isStopped) {
      throw error;
    }
    console.error(
      `\nlearn: stopped; the same command with --resume goes on after the last whole generation (${stateFile})`,
    );
    process.exitCode = STOPPED_EXIT_CODE;
  } finally {
    await run.stop();
  }
} catch (error) {
  fail(messageOf(error));
}
