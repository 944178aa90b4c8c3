/** CPU and memory of a server while a viewer watched: the process, everything below it, and the children that ended. */
import { cpuMs, descendants, rssBytes } from '../../support/process-usage.ts';
import type { ServerUsage } from './results.ts';

const SAMPLE_EVERY_MS = 250;

/** Runs from its making until `stop`, which its owner calls. */
export class UsageMeter {
  readonly #rootPid: number | undefined;
  readonly #cpuBeforeMs: number;
  readonly #startedAtMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  #rssBytes = 0;
  #rssPeakBytes = 0;

  /** undefined: a server of another machine, of which nothing is known. */
  constructor(rootPid: number | undefined) {
    this.#rootPid = rootPid;
    this.#cpuBeforeMs = this.#cpuMs();
    this.#sample();
    this.#timer = setInterval(() => this.#sample(), SAMPLE_EVERY_MS);
  }

  /** Null when there was nothing to measure, or when it is gone. */
  stop(): ServerUsage | null {
    clearInterval(this.#timer);
    this.#sample();
    if (this.#rssBytes === 0) {
      return null;
    }
    const passedMs = Math.max(1, performance.now() - this.#startedAtMs);
    return {
      cpuRatio: Math.max(0, this.#cpuMs() - this.#cpuBeforeMs) / passedMs,
      rssBytes: this.#rssBytes,
      rssPeakBytes: this.#rssPeakBytes,
    };
  }

  #cpuMs(): number {
    return this.#rootPid === undefined ? 0 : cpuMs(this.#rootPid, { withChildren: true });
  }

  #sample(): void {
    const pids = this.#rootPid === undefined ? [] : [this.#rootPid, ...descendants(this.#rootPid)];
    this.#rssBytes = pids.reduce((sum, pid) => sum + (rssBytes(pid) || 0), 0);
    this.#rssPeakBytes = Math.max(this.#rssPeakBytes, this.#rssBytes);
  }
}
