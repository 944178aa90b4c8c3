/** Lets joins wait for their turn, and lets fewer in while the loop has no time: those who watch come first. */
import type { Clock } from '../../base/clock.ts';
import type { PeerSignal } from '../../base/http-exchange.ts';
import { LoopLoad } from '../../base/loop-load.ts';
import type { JoinQueueOptions } from './join-queue.ts';
import { JoinQueue } from './join-queue.ts';
import type { WebRtcOutOptions } from './options.ts';

export type Turn = { readonly ok: true } | { readonly ok: false; readonly retryAfterMs: number };

type Waiter = { readonly settle: (turn: Turn) => void };

/** A loop as busy as this takes a quarter as many. A handshake by werift holds it for up to 30 ms; on a machine that is busy with other things it looks busy too, and still takes them. */
const BUSY_RATIO = 0.85;
const BUSY_LOOK_MS = 50;
const BUSY_INTERVALS_COUNT = 4;

/** With the native back end a join costs 2.1 ms of CPU from POST to DELETE (`npm run bench -- join-storm`, 2026-11-26): two thirds of a core at this rate. */
const NATIVE_JOINS_PER_S = 300;
/** werift's handshake holds the loop for 3 to 30 ms, as the machine is. */
const PLAIN_JOINS_PER_S = 20;
/** What a player waits without asking again. */
const AUTO_WAIT_S = 5;

/** What `auto` means where handshakes cost what they cost here. */
export const joinLimits = (
  { joinsPerS, joinQueueMaxCount }: Pick<WebRtcOutOptions, 'joinsPerS' | 'joinQueueMaxCount'>,
  { isNative }: { isNative: boolean },
): JoinQueueOptions => {
  const usual = isNative ? NATIVE_JOINS_PER_S : PLAIN_JOINS_PER_S;
  const perS = joinsPerS === 'auto' ? usual : joinsPerS;
  return {
    joinsPerS: perS,
    queueMaxCount: joinQueueMaxCount === 'auto' ? Math.ceil(perS * AUTO_WAIT_S) : joinQueueMaxCount,
  };
};

export class JoinTurns {
  readonly #queue: JoinQueue<Waiter>;
  readonly #clock: Clock;
  readonly #load = new LoopLoad();
  readonly #busyEveryMs: number;
  #timer: NodeJS.Timeout | undefined;
  #lastAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: JoinQueueOptions, clock: Clock) {
    this.#queue = new JoinQueue(options);
    this.#clock = clock;
    this.#busyEveryMs = (BUSY_INTERVALS_COUNT * 1000) / options.joinsPerS;
  }

  get waitingCount(): number {
    return this.#queue.count;
  }

  /** Resolves when it is this one's turn, at once when there is no room to wait, and when `signal` says that it left. */
  async turn(address: string, signal: PeerSignal): Promise<Turn> {
    const { promise, resolve } = Promise.withResolvers<Turn>();
    const waiter: Waiter = { settle: resolve };
    const entered = this.#queue.enter(waiter, address, this.#clock.nowMs());
    if (!entered.isIn) {
      return { ok: false, retryAfterMs: entered.retryAfterMs };
    }
    entered.evicted?.waiter.settle({ ok: false, retryAfterMs: entered.evicted.retryAfterMs });
    const leave = (): void => {
      this.#queue.leave(waiter, address);
      resolve({ ok: true });
    };
    signal.addEventListener('abort', leave, { once: true });
    this.#letIn();
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  #letIn(): void {
    const nowMs = this.#clock.nowMs();
    if (!this.#isBusy(nowMs)) {
      const next = this.#queue.take(nowMs);
      if (next !== undefined) {
        this.#lastAtMs = nowMs;
        next.settle({ ok: true });
      }
    }
    this.#schedule(nowMs);
  }

  #isBusy(nowMs: number): boolean {
    return this.#load.ratio(nowMs) > BUSY_RATIO && nowMs - this.#lastAtMs < this.#busyEveryMs;
  }

  #schedule(nowMs: number): void {
    const { dueAtMs } = this.#queue;
    if (dueAtMs === undefined || this.#timer !== undefined) {
      return;
    }
    const waitMs = this.#isBusy(nowMs) ? Math.min(BUSY_LOOK_MS, this.#busyEveryMs) : Math.max(0, dueAtMs - nowMs);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#letIn();
    }, waitMs);
  }
}
