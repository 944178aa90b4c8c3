/**
 * Joins get their turn at a rate, the addresses one after the other, so that who comes with hundreds from one place delays his own. Few wait; who finds no
 * room is told when to come again, each a little later than the one before, so that a storm comes back as a queue. Pure: told what time it is.
 */
import { hostOf } from '../../base/ip-address.ts';

export type JoinQueueOptions = {
  readonly joinsPerS: number;
  readonly queueMaxCount: number;
};

/** So many may come at once after a pause. */
const BURST_COUNT = 4;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 30_000;

export type Entered<Waiter> =
  | {
      readonly isIn: true;
      /** Had to give up its place, and when it may try again. */ readonly evicted?: {
        readonly waiter: Waiter;
        readonly retryAfterMs: number;
      };
    }
  | { readonly isIn: false; readonly retryAfterMs: number };

export class JoinQueue<Waiter> {
  readonly #intervalMs: number;
  readonly #queueMaxCount: number;
  /** By address; the first address is the next to get a turn. */
  readonly #waiting = new Map<string, Waiter[]>();
  #count = 0;
  #nextAtMs = Number.NEGATIVE_INFINITY;
  /** When the one who was sent away last is to come. */
  #returnAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: JoinQueueOptions) {
    this.#intervalMs = 1000 / options.joinsPerS;
    this.#queueMaxCount = options.queueMaxCount;
  }

  get count(): number {
    return this.#count;
  }

  /** When the next turn is; undefined: nobody waits. */
  get dueAtMs(): number | undefined {
    return this.#count === 0 ? undefined : this.#nextAtMs;
  }

  /** In a full queue an address that has fewer waiting takes the place of the last one of the address that has most. */
  enter(waiter: Waiter, address: string, nowMs: number): Entered<Waiter> {
    const host = hostOf(address);
    if (this.#count < this.#queueMaxCount) {
      this.#push(host, waiter);
      return { isIn: true };
    }
    const [greediest, most] = this.#greediest();
    if (greediest === undefined || most - 1 <= (this.#waiting.get(host)?.length ?? 0)) {
      return { isIn: false, retryAfterMs: this.#retryAfterMs(nowMs) };
    }
    const evicted = this.#waiting.get(greediest)?.at(-1);
    this.#push(host, waiter);
    if (evicted === undefined) {
      return { isIn: true };
    }
    this.#remove(greediest, evicted);
    return { isIn: true, evicted: { waiter: evicted, retryAfterMs: this.#retryAfterMs(nowMs) } };
  }

  /** Whoever's turn it is now. */
  take(nowMs: number): Waiter | undefined {
    const next = this.#waiting.entries().next();
    if (next.done === true || nowMs < this.#nextAtMs) {
      return undefined;
    }
    this.#nextAtMs = Math.max(this.#nextAtMs, nowMs - BURST_COUNT * this.#intervalMs) + this.#intervalMs;
    const [host, waiters] = next.value;
    const waiter = waiters[0];
    if (waiter !== undefined) {
      this.#remove(host, waiter);
      const rest = this.#waiting.get(host);
      if (rest !== undefined) {
        this.#waiting.delete(host);
        this.#waiting.set(host, rest);
      }
    }
    return waiter;
  }

  /** It waits no longer. */
  leave(waiter: Waiter, address: string): void {
    this.#remove(hostOf(address), waiter);
  }

  #push(host: string, waiter: Waiter): void {
    const waiters = this.#waiting.get(host) ?? [];
    waiters.push(waiter);
    this.#waiting.set(host, waiters);
    this.#count += 1;
  }

  #remove(host: string, waiter: Waiter): void {
    const waiters = this.#waiting.get(host);
    const index = waiters?.indexOf(waiter) ?? -1;
    if (waiters === undefined || index < 0) {
      return;
    }
    waiters.splice(index, 1);
    this.#count -= 1;
    if (waiters.length === 0) {
      this.#waiting.delete(host);
    }
  }

  #greediest(): [string | undefined, number] {
    let found: [string | undefined, number] = [undefined, 0];
    for (const [host, { length }] of this.#waiting) {
      if (length > found[1]) {
        found = [host, length];
      }
    }
    return found;
  }

  /** When those who wait, and those who were sent away before, have had their turn. */
  #retryAfterMs(nowMs: number): number {
    const clearAtMs = nowMs + Math.max(RETRY_MIN_MS, this.#count * this.#intervalMs);
    this.#returnAtMs = Math.min(nowMs + RETRY_MAX_MS, Math.max(clearAtMs, this.#returnAtMs + this.#intervalMs));
    // Of instants with fractions the difference may fall short of the sum by its last digit.
    return Math.max(RETRY_MIN_MS, this.#returnAtMs - nowMs);
  }
}
