/**
 * The report on the command line (CONGESTION 6, 7):
 *
 *     npm run learn:report -- [--traces DIR] [--split validation|search,validation] [--seconds 300] [--seeds 5] [--seed 1] [--workers 1]
 *                             [--policies config/policy] [--warm 2000] [--ladder busy] [--ablate] [--oracle] [--frontier] [--json FILE] [--html FILE]
 *     npm run learn:report -- --split test-b --open 'release 0.1: the learned version'     # a test part: noted in opened.tsv, from a clean tree alone
 *     npm run learn:report -- --learned FILE [--policies …] [--warm 2000]                  # what the learner knows after so many simulated sessions, as a server keeps it
 *     npm run learn:report -- --sources …                                                  # leave-one-source-out: sources-main
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { messageOf } from '../../../server/base/errors.ts';
import { loadPolicies } from '../../../server/learning/policy-files.ts';
import type { Log } from '../../../server/observability/log.ts';
import { silentLog } from '../../../server/observability/log.ts';
import type { SplitName, Trace } from '../../sim/corpus.ts';
import { loadCorpus } from '../../sim/corpus.ts';
import { LADDERS } from '../../sim/ladder-source.ts';
import { fail, numberOf } from '../command-line.ts';
import { syntheticTraces } from '../synthetic.ts';
import { reportPage } from './page.ts';
import { makeReport } from './report.ts';
import { rounded } from './rounded.ts';
import { sessionPool } from './session-pool.ts';
import { tellReport } from './tell.ts';
import { warmUp } from './warm.ts';
import { OPENED_FILE, commitOf, noteOpening, testPartsOf } from './test-parts.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const SPLITS: readonly SplitName[] = ['search', 'validation', 'test-a', 'test-b'];
const NICE_MOST = 19;
/** As many as the search has by default. */
const SYNTHETIC_COUNT = 8;
const WARM_SESSION_MS = 120_000;
const RESAMPLE_COUNT = 10_000;

const { values } = parseArgs({
  options: {
    traces: { type: 'string', default: path.join(ROOT, '../shared/corpus/traces') },
    split: { type: 'string', default: 'validation' },
    open: { type: 'string' },
    seconds: { type: 'string', default: '300' },
    seeds: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: '1' },
    policies: { type: 'string', default: path.join(ROOT, 'config/policy') },
    warm: { type: 'string', default: '2000' },
    ladder: { type: 'string', default: 'busy' },
    ablate: { type: 'boolean', default: false },
    oracle: { type: 'boolean', default: false },
    frontier: { type: 'boolean', default: false },
    json: { type: 'string' },
    html: { type: 'string' },
    learned: { type: 'string' },
  },
});

const tell = (line: string): void => console.error(`report: ${line}`);

const splits = values.split
  .split(',')
  .map((name) => SPLITS.find((split) => split === name) ?? fail(`--split: unknown part ${name}`));
const seed = numberOf('seed', values.seed, [0, 2 ** 20]);
const seedCount = numberOf('seeds', values.seeds, [1, 20]);
const warmCount = numberOf('warm', values.warm, [0, 100_000]);
const workerCount = numberOf('workers', values.workers, [1, 64]);
const durationMs = 1_000 * numberOf('seconds', values.seconds, [10, 3_600]);
if (LADDERS[values.ladder] === undefined) {
  fail(`--ladder: unknown ${values.ladder}, they are ${Object.keys(LADDERS).join(' ')}`);
}

const openTestParts = async (parts: readonly SplitName[]): Promise<void> => {
  if (parts.length === 0) {
    return;
  }
  const why =
    values.open ??
    fail(`--split ${parts.join(',')}: a test part is opened once a release; --open 'WHY' notes it in ${OPENED_FILE}`);
  const commit = commitOf(ROOT);
  const date = new Date().toISOString().slice(0, 10);
  const before = await noteOpening(
    path.join(ROOT, OPENED_FILE),
    parts.map((split) => ({ split, why, date, commit })),
  );
  parts.forEach((split, index) => tell(`${split} opened, ${before[index]} times before; commit ${OPENED_FILE}`));
};

const loadTraces = async (): Promise<Trace[]> => {
  const wanted = [...new Set<SplitName>(['search', ...splits])];
  const real = await loadCorpus(values.traces, wanted);
  if (real === undefined) {
    tell(`no corpus at ${values.traces} (--traces DIR): made-up traces alone`);
  }
  const made = real === undefined ? wanted : (['search'] as const);
  return [...(real ?? []), ...made.flatMap((split) => syntheticTraces(split, SYNTHETIC_COUNT, seed))];
};

/** The folder is read as a server reads it; what it refuses is told. */
const policyLog: Log = {
  ...silentLog,
  warn: (event, fields) => tell(`${event} ${JSON.stringify(fields)}`),
};

try {
  setPriority(NICE_MOST);
  await openTestParts(testPartsOf(splits));
  const traces = await loadTraces();
  if (values.learned !== undefined) {
    const policies = await loadPolicies(values.policies, policyLog);
    const { knowledge } = warmUp(traces, { policies, sessionCount: warmCount, durationMs: WARM_SESSION_MS, seed });
    await writeFile(values.learned, knowledge.stateText ?? '');
    process.exit(0);
  }
  const pool = sessionPool(traces, { workerCount, niceness: NICE_MOST, tell });
  try {
    const report = await makeReport(
      traces,
      {
        ...{ splits, durationMs, ladderName: values.ladder },
        seeds: Array.from({ length: seedCount }, (_, index) => seed + index),
        policies: await loadPolicies(values.policies, policyLog),
        warm: { sessionCount: warmCount, durationMs: WARM_SESSION_MS },
        ...{ hasAblations: values.ablate, hasVectorOracle: values.oracle, hasFrontier: values.frontier },
        resampleCount: RESAMPLE_COUNT,
      },
      { play: async (jobs) => pool.run(jobs), seed, tell },
    );
    const lines = tellReport(report);
    console.log(lines.join('\n'));
    if (values.json !== undefined) {
      await writeFile(values.json, `${JSON.stringify(report, rounded, 2)}\n`);
    }
    if (values.html !== undefined) {
      await writeFile(values.html, reportPage(report, lines));
    }
  } finally {
    await pool.close();
  }
} catch (error) {
  fail(messageOf(error));
}
