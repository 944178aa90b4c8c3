/** A whole run in small: real sessions of the simulator in a real worker thread, stopped and gone on with. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RunOptions, RunResult } from '../learn/learn-run.ts';
import { LearnRun } from '../learn/learn-run.ts';
import type { Standing } from '../learn/progress.ts';
import type { SearchState } from '../learn/search.ts';
import { syntheticTraces } from '../learn/synthetic.ts';

const TRACES = [...syntheticTraces('search', 1, 1), ...syntheticTraces('validation', 1, 1)];

const OPTIONS: RunOptions = {
  networkClass: 'all',
  search: {
    seed: 3,
    smoothnessRatio: 0.5,
    names: ['paceRatio', 'playoutMaxMs', 'playoutMinMs'],
    rungs: [
      { candidateCount: 6, episodeCount: 2, durationMs: 3_000 },
      { candidateCount: 2, episodeCount: 2, durationMs: 4_000 },
    ],
    sigmaStart: 0.25,
    sigmaMin: 0.001,
    generationMaxCount: 2,
    patienceCount: 2,
    restartMaxCount: 2,
    syntheticRatio: 0.5,
  },
  runMaxMs: Infinity,
  final: { episodeCount: 3, durationMs: 4_000 },
  tableSessionMs: 1_000,
  workerCount: 1,
  workerNiceness: 0,
};

type Told = { readonly states: SearchState[]; readonly standings: Standing[] };

/** `stopAfter` generations: stopped in the middle of the one that follows. */
const runOf = async (
  saved?: SearchState,
  { runMaxMs = Infinity, stopAfter = Infinity }: { runMaxMs?: number; stopAfter?: number } = {},
): Promise<Told & { result: RunResult | undefined; error: unknown }> => {
  const told: Told = { states: [], standings: [] };
  const run = new LearnRun(
    TRACES,
    { ...OPTIONS, runMaxMs },
    {
      tell: () => undefined,
      onProgress: (standing) => told.standings.push(standing),
      onState: async (state) => {
        told.states.push(JSON.parse(JSON.stringify(state)) as SearchState);
        if (told.states.length === stopAfter) {
          setImmediate(() => void run.stop());
        }
      },
    },
  );
  try {
    return { ...told, result: await run.run(saved), error: undefined };
  } catch (error) {
    return { ...told, result: undefined, error };
  } finally {
    await run.stop();
  }
};

describe('a run of the search', () => {
  test('stopped and gone on with, it ends as one that was not stopped', async () => {
    const straight = await runOf();
    assert.equal(straight.states.length, 4);
    assert.ok(straight.result?.state.isFinished);

    const stopped = await runOf(undefined, { stopAfter: 1 });
    assert.equal((stopped.error as { code?: string }).code, 'LEARN_POOL_CLOSED');
    assert.equal(stopped.states.length, 1);
    const goneOn = await runOf(stopped.states.at(-1));

    assert.deepEqual([...stopped.states, ...goneOn.states], straight.states);
    assert.deepEqual(goneOn.result?.winner, straight.result.winner);
    assert.deepEqual(goneOn.result?.tables, straight.result.tables);
    const { tables, winner } = straight.result;
    assert.equal(tables['validation real'], undefined);
    assert.equal(tables['validation synthetic'] === undefined, winner === undefined);
  });

  test('with no time left it stops searching and still says what it has', async () => {
    const { result, states, standings } = await runOf(undefined, { runMaxMs: 1 });
    assert.equal(states.length, standings.length);
    assert.ok(states.length <= 1);
    assert.equal(result?.state.isFinished, false);
  });
});
