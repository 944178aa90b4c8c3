/**
 * Leave-one-source-out on the command line (CONGESTION 7.2): a short search for each data set of the corpus, without it.
 *
 *     npm run learn:report -- --sources [--traces DIR] [--generations 8] [--minutes 3] [--seconds 300] [--seed 1] [--workers 1] [--json FILE]
 *
 * `--minutes`: at most so long for each search; without it the result is the same on every machine.
 */
import { writeFile } from 'node:fs/promises';
import { setPriority } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { messageOf } from '../../../server/base/errors.ts';
import { loadCorpus } from '../../sim/corpus.ts';
import { ACTIVE_PARAMETERS } from '../active-parameters.ts';
import { fail, numberOf } from '../command-line.ts';
import { RUNGS } from '../halving.ts';
import type { RunOptions } from '../learn-run.ts';
import { LearnRun, TABLE_SEEDS } from '../learn-run.ts';
import { progressLine } from '../progress.ts';
import { syntheticTraces } from '../synthetic.ts';
import type { Search } from './leave-out.ts';
import { leaveSourcesOut, tellLeaveOut } from './leave-out.ts';
import { SMOOTHNESS_RATIO } from './measures.ts';
import { sessionPool } from './session-pool.ts';
import { rounded } from './rounded.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const NICE_MOST = 19;
const SYNTHETIC_COUNT = 8;
const FINAL = { episodeCount: 24, durationMs: 300_000 };
const RESAMPLE_COUNT = 10_000;

const { values } = parseArgs({
  options: {
    sources: { type: 'boolean', default: false },
    traces: { type: 'string', default: path.join(ROOT, '../shared/corpus/traces') },
    generations: { type: 'string', default: '8' },
    minutes: { type: 'string' },
    seconds: { type: 'string', default: '300' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: '1' },
    json: { type: 'string' },
  },
});

const tell = (line: string): void => console.error(`report: ${line}`);
const seed = numberOf('seed', values.seed, [0, 2 ** 20]);
const workerCount = numberOf('workers', values.workers, [1, 64]);

const options: RunOptions = {
  networkClass: 'all',
  search: {
    ...{ seed, smoothnessRatio: SMOOTHNESS_RATIO, names: ACTIVE_PARAMETERS, rungs: RUNGS },
    ...{ sigmaStart: 0.25, sigmaMin: 0.01, patienceCount: 12, restartMaxCount: 1, syntheticRatio: 1 / 3 },
    generationMaxCount: numberOf('generations', values.generations, [1, 1_000]),
  },
  runMaxMs: values.minutes === undefined ? Infinity : 60_000 * numberOf('minutes', values.minutes, [0.1, 10_000]),
  final: FINAL,
  tableSessionMs: 0,
  workerCount,
  workerNiceness: NICE_MOST,
};

const search: Search = async (traces) => {
  const run = new LearnRun(traces, options, {
    tell,
    onProgress: (standing) => process.stderr.write(`${progressLine(standing)}\n`),
    onState: async () => undefined,
  });
  try {
    const { winner, parameters } = await run.find(undefined);
    return winner === undefined ? undefined : parameters;
  } finally {
    await run.stop();
  }
};

try {
  setPriority(NICE_MOST);
  const real = await loadCorpus(values.traces, ['search', 'validation']);
  if (real === undefined) {
    tell(`no corpus at ${values.traces} (--traces DIR): skipped`);
  } else {
    const traces = [...real, ...syntheticTraces('search', SYNTHETIC_COUNT, seed)];
    const pool = sessionPool(traces, { workerCount, niceness: NICE_MOST, tell });
    try {
      const found = await leaveSourcesOut(
        traces,
        {
          ...{ seeds: TABLE_SEEDS, ladderName: 'busy', resampleCount: RESAMPLE_COUNT },
          durationMs: 1_000 * numberOf('seconds', values.seconds, [10, 3_600]),
        },
        { search, play: async (jobs) => pool.run(jobs), tell },
      );
      console.log(tellLeaveOut(found).join('\n'));
      if (values.json !== undefined) {
        await writeFile(values.json, `${JSON.stringify(found, rounded, 2)}\n`);
      }
    } finally {
      await pool.close();
    }
  }
} catch (error) {
  fail(messageOf(error));
}
