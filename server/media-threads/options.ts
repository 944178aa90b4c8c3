/** What can be set about media threads, and what holds when it is not. */

export type MediaThreadOptions = {
  /** Threads that viewers' media runs in; 0: the main thread; `auto`: half of the cores, at least one, at most eight. */
  readonly threads: number | 'auto';
  /** Shared memory in which units wait for the threads. */
  readonly threadRingMaxBytes: number;
};

export const MEDIA_THREAD_DEFAULTS: MediaThreadOptions = { threads: 0, threadRingMaxBytes: 16_777_216 };

const AUTO_MAX_COUNT = 8;

export const threadCountOf = (threads: MediaThreadOptions['threads'], coreCount: number): number =>
  threads === 'auto' ? Math.min(AUTO_MAX_COUNT, Math.max(1, Math.floor(coreCount / 2))) : threads;

/** The number of the port that is `index` places after the first one; 0 stays what it means: any free one. */
export const portAfter = (firstPort: number, index: number): number => (firstPort === 0 ? 0 : firstPort + index);
