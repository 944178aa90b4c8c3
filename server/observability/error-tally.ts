/** Folds a flood of equal faults into one line a second, and keeps the absolute total. */
import type { Clock } from '../base/clock.ts';
import type { Log } from './log.ts';

const LINE_EVERY_MS = 1_000;
const CODE_MAX_COUNT = 200;

export class ErrorTally {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #event: string;
  readonly #totalByCode = new Map<string, number>();
  readonly #unreportedByCode = new Map<string, number>();
  #lastLineAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: { log: Log; clock: Clock; event: string }) {
    this.#log = options.log;
    this.#clock = options.clock;
    this.#event = options.event;
  }

  /** Counts one fault. Codes beyond the cap are counted together as `OTHER`. */
  add(code: string): void {
    const counted = this.#totalByCode.has(code) || this.#totalByCode.size < CODE_MAX_COUNT ? code : 'OTHER';
    this.#totalByCode.set(counted, (this.#totalByCode.get(counted) ?? 0) + 1);
    this.#unreportedByCode.set(counted, (this.#unreportedByCode.get(counted) ?? 0) + 1);
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#lastLineAtMs >= LINE_EVERY_MS) {
      this.#lastLineAtMs = nowMs;
      this.#log.warn(this.#event, { counts: Object.fromEntries(this.#unreportedByCode) });
      this.#unreportedByCode.clear();
    }
  }

  /** How often each code came, since the start. */
  get totals(): ReadonlyMap<string, number> {
    return this.#totalByCode;
  }
}
