/** Worker threads that do their jobs, die at them, and are replaced. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Pool } from '../../learn/pool.ts';

/** Answers with the square; what it does at −1 and who it is, is the test's. */
const WORKER = `
  const { parentPort, workerData } = require('node:worker_threads');
  parentPort.on('message', ({ id, job }) => {
    if (job < 0 && workerData.dies) {
      workerData.how === 'exit' ? process.exit(3) : (() => { throw new Error('broken at ' + job); })();
    }
    parentPort.postMessage({ id, result: job * job });
  });
`;

type Rig = { pool: Pool<number, number>; lines: string[]; started: () => number };

/** The first `dyingCount` workers die at negative jobs. */
const rigOf = (options: { workerCount: number; dyingCount?: number; how?: 'exit' | 'throw' }): Rig => {
  const lines: string[] = [];
  let startedCount = 0;
  const pool = new Pool<number, number>({
    workerCount: options.workerCount,
    createWorker: () => {
      startedCount += 1;
      const workerData = { dies: startedCount <= (options.dyingCount ?? 0), how: options.how ?? 'throw' };
      return new Worker(WORKER, { eval: true, workerData });
    },
    tell: (line) => lines.push(line),
  });
  return { pool, lines, started: () => startedCount };
};

describe('the pool of the search', () => {
  test('gives results in the order of the jobs and starts no more workers than it may', async () => {
    const { pool, started } = rigOf({ workerCount: 2 });
    const jobs = Array.from({ length: 50 }, (_, index) => index);
    assert.deepEqual(
      await pool.run(jobs),
      jobs.map((job) => job * job),
    );
    assert.deepEqual(await pool.run([7, 8]), [49, 64]);
    assert.deepEqual(await pool.run([]), []);
    assert.equal(started(), 2);
    await pool.close();
  });

  for (const how of ['throw', 'exit'] as const) {
    test(`a worker that dies (${how}) is told, and its job is done by another`, async () => {
      const { pool, lines, started } = rigOf({ workerCount: 1, dyingCount: 2, how });
      assert.deepEqual(await pool.run([1, -2, 3]), [1, 4, 9]);
      assert.equal(started(), 3);
      assert.equal(lines.length, 2);
      assert.match(lines[0]!, how === 'throw' ? /broken at -2.*job 1 is done again/ : /job 1 is done again/);
      await pool.close();
    });
  }

  test('a job that ends three workers ends the run aloud', async () => {
    const { pool } = rigOf({ workerCount: 1, dyingCount: 99 });
    await assert.rejects(pool.run([1, -2, 3]), { code: 'LEARN_WORKERS_DIED' });
    await pool.close();
  });

  test('closing refuses what is not done, and what comes later', async () => {
    const { pool } = rigOf({ workerCount: 1 });
    const running = assert.rejects(pool.run([1, 2, 3]), { code: 'LEARN_POOL_CLOSED' });
    await pool.close();
    await running;
    await assert.rejects(pool.run([1]), { code: 'LEARN_POOL_CLOSED' });
    await pool.close();
  });
});
