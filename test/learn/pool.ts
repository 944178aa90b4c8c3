/**
 * A bounded set of worker threads. Each has one job at a time; a worker that dies is told, another takes its place and the job is done
 * again, until the same job has ended too many workers: then everything ends aloud. Results come in the order of the jobs.
 */
import type { Worker } from 'node:worker_threads';
import { WorldError, messageOf } from '../../server/base/errors.ts';

export type PoolOptions = {
  readonly workerCount: number;
  /** Answers `{ id, job }` with `{ id, result }`. */
  readonly createWorker: () => Worker;
  /** A line for whoever watches. */
  readonly tell: (line: string) => void;
};

type Task<Job, Result> = {
  readonly id: number;
  readonly job: Job;
  deathCount: number;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
};

const DEATH_MAX_COUNT = 3;

export class Pool<Job, Result> {
  readonly #options: PoolOptions;
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Task<Job, Result>>();
  readonly #waiting: Task<Job, Result>[] = [];
  #nextId = 0;
  #isClosed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Rejects with `WorldError` `LEARN_WORKERS_DIED` or `LEARN_POOL_CLOSED`. */
  async run(jobs: readonly Job[]): Promise<Result[]> {
    if (this.#isClosed) {
      throw new WorldError('LEARN_POOL_CLOSED', 'asked for work after its end');
    }
    const results = jobs.map(
      (job) =>
        new Promise<Result>((resolve, reject) => {
          this.#waiting.push({ id: this.#nextId, job, deathCount: 0, resolve, reject });
          this.#nextId += 1;
        }),
    );
    this.#assign();
    return Promise.all(results);
  }

  /** What has not been answered is refused; may be called twice. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const workers = [...this.#idle, ...this.#busy.keys()];
    for (const task of [...this.#waiting, ...this.#busy.values()]) {
      task.reject(new WorldError('LEARN_POOL_CLOSED', 'ended before this was done'));
    }
    this.#idle.length = 0;
    this.#waiting.length = 0;
    this.#busy.clear();
    await Promise.all(workers.map(async (worker) => worker.terminate()));
  }

  #assign(): void {
    while (this.#waiting.length > 0 && this.#busy.size < this.#options.workerCount) {
      const task = this.#waiting.shift()!;
      const worker = this.#idle.pop() ?? this.#start();
      this.#busy.set(worker, task);
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- to a thread, which has no origin
      worker.postMessage({ id: task.id, job: task.job });
    }
  }

  #start(): Worker {
    const worker = this.#options.createWorker();
    let reason = 'it ended by itself';
    worker.on('message', ({ result }: { result: Result }) => {
      const task = this.#busy.get(worker);
      if (task !== undefined) {
        this.#busy.delete(worker);
        this.#idle.push(worker);
        task.resolve(result);
        this.#assign();
      }
    });
    worker.on('error', (error) => {
      reason = messageOf(error);
    });
    worker.on('exit', () => this.#onExit(worker, reason));
    return worker;
  }

  #onExit(worker: Worker, reason: string): void {
    const task = this.#busy.get(worker);
    this.#busy.delete(worker);
    const place = this.#idle.indexOf(worker);
    if (place >= 0) {
      this.#idle.splice(place, 1);
    }
    if (task === undefined) {
      return;
    }
    task.deathCount += 1;
    if (task.deathCount >= DEATH_MAX_COUNT) {
      task.reject(new WorldError('LEARN_WORKERS_DIED', `job ${task.id} ended ${task.deathCount} workers: ${reason}`));
    } else {
      this.#options.tell(`a worker died (${reason}); its job ${task.id} is done again`);
      this.#waiting.unshift(task);
    }
    this.#assign();
  }
}
