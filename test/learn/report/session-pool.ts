/** Threads that play the report's sessions, at the lowest priority if so wished. */
import { Worker } from 'node:worker_threads';
import type { Trace } from '../../sim/corpus.ts';
import { Pool } from '../pool.ts';
import type { SessionJob, SessionRecord } from './sessions.ts';

const WORKER = new URL('./worker.ts', import.meta.url);

/** To be closed by whoever made it. */
export const sessionPool = (
  traces: readonly Trace[],
  { workerCount, niceness, tell }: { workerCount: number; niceness: number; tell: (line: string) => void },
): Pool<SessionJob, SessionRecord> =>
  new Pool<SessionJob, SessionRecord>({
    workerCount,
    createWorker: () =>
      new Worker(WORKER, { workerData: { traces, niceness }, execArgv: ['--disable-warning=ExperimentalWarning'] }),
    tell,
  });
