/** A thread of the report: plays the sessions it is given, one after the other, at a priority of its own. */
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import type { Trace } from '../../sim/corpus.ts';
import type { SessionJob } from './sessions.ts';
import { playSession } from './sessions.ts';

const { traces, niceness } = workerData as { traces: readonly Trace[]; niceness: number };

// On Linux a nice value is a thread's own.
setPriority(niceness);

parentPort?.on('message', ({ id, job }: { id: number; job: SessionJob }) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- to a thread, which has no origin
  parentPort?.postMessage({ id, result: playSession(job, traces) });
});
