/** What the process that runs the load and the processes that hold its viewers tell each other. */
import type { DelayBuckets } from '../../support/delay-histogram.ts';

export type LoadTarget = {
  readonly kind: 'whep' | 'hls';
  readonly url: string;
  /** Sent as `Authorization: Bearer …`. */
  readonly bearer?: string;
  /** WHEP: of the media that comes, so much is dropped unread, as a lossy way would. */
  readonly lossRatio?: number;
};

export type ToWorker =
  | { readonly type: 'join'; readonly viewerId: number }
  /** Nobody waits for it: a viewer that vanishes says nothing. */
  | { readonly type: 'leave'; readonly viewerId: number; readonly isVanishing: boolean }
  /** The window that is counted begins. */
  | { readonly type: 'count' }
  /** The window is over: the tally is sent, then all leave, then the process ends. */
  | { readonly type: 'finish' };

export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'joined'; readonly viewerId: number }
  | { readonly type: 'failed'; readonly viewerId: number; readonly code: string; readonly detail: string }
  | { readonly type: 'ended'; readonly viewerId: number; readonly code: string }
  | { readonly type: 'progress'; readonly packetCount: number; readonly byteCount: number }
  | { readonly type: 'tally'; readonly tally: WorkerTally };

/** Joins of all viewers that came, in ms from the first request, one histogram a stage. */
export type StageBuckets = Readonly<Record<string, DelayBuckets>>;

/** Of one process, over the window; joins over its whole life. */
export type WorkerTally = {
  readonly stages: StageBuckets;
  /** Sums by name; which names there are is the kind's business. */
  readonly counts: Readonly<Record<string, number>>;
  readonly delays: Readonly<Record<string, DelayBuckets>>;
  readonly self: WorkerHealth;
};

export type WorkerHealth = {
  readonly windowMs: number;
  readonly cpuMs: number;
  /** CPU until the window began, all of it. */
  readonly joiningCpuMs: number;
  /** How late timers fired, p99: while joining, and in the window. */
  readonly joiningLoopDelayMs: number;
  readonly loopDelayMs: number;
  /** Datagrams that the kernel dropped because we did not read them in time. */
  readonly socketDropCount: number;
};
