/** How busy this process's loop is, by Node's own count: what of the last moments it was at work and did not wait. */
import { performance } from 'node:perf_hooks';

/** Shorter looks say more of single callbacks than of load. */
const LOOK_MS = 100;

export class LoopLoad {
  #last = performance.eventLoopUtilization();
  #lastAtMs = Number.NEGATIVE_INFINITY;
  #ratio = 0;

  /** 0 idle … 1 never waiting; of the last tenth of a second or more. */
  ratio(nowMs: number): number {
    if (nowMs - this.#lastAtMs >= LOOK_MS) {
      const now = performance.eventLoopUtilization();
      this.#ratio = performance.eventLoopUtilization(now, this.#last).utilization;
      this.#last = now;
      this.#lastAtMs = nowMs;
    }
    return this.#ratio;
  }
}
