/** What the players of one broadcast report, as one reading: latency in the middle and at the far end, and the share of time stood still. Pure. */

export type ReportingViewer = {
  /** From camera to glass; null where the player cannot tell. */
  readonly latencyMs: number | null;
  /** Since the session began. */
  readonly stallMs: number;
};

export type ViewerReading = {
  readonly latencyMedianMs: number | undefined;
  readonly latencyP95Ms: number | undefined;
  /** 0 … 1; undefined while nobody reports. */
  readonly stallRatio: number | undefined;
};

export class ViewerMeter {
  /** Stalls told of so far, by who told of them; who has gone is not kept. */
  #stallMs = new Map<number, number>();
  #takenAtMs: number;

  constructor(options: { readonly startedAtMs: number }) {
    this.#takenAtMs = options.startedAtMs;
  }

  /** `viewers`: those who report now, by their numbers. */
  take(viewers: ReadonlyMap<number, ReportingViewer>, nowMs: number): ViewerReading {
    const passedMs = Math.max(1, nowMs - this.#takenAtMs);
    const latenciesMs = [...viewers.values()]
      .flatMap(({ latencyMs }) => (latencyMs === null || latencyMs < 0 ? [] : [latencyMs]))
      .toSorted((a, b) => a - b);
    // Reports come every two seconds: what one tells of may have been a moment before, but never more than the time that passed.
    const stalledMs = [...viewers]
      .map(([viewer, { stallMs }]) => Math.min(passedMs, Math.max(0, stallMs - (this.#stallMs.get(viewer) ?? 0))))
      .reduce((sum, ms) => sum + ms, 0);
    this.#stallMs = new Map([...viewers].map(([viewer, { stallMs }]) => [viewer, stallMs]));
    this.#takenAtMs = nowMs;
    return {
      latencyMedianMs: nearestRank(latenciesMs, 0.5),
      latencyP95Ms: nearestRank(latenciesMs, 0.95),
      stallRatio: viewers.size === 0 ? undefined : stalledMs / (passedMs * viewers.size),
    };
  }
}

const nearestRank = (sorted: readonly number[], ratio: number): number | undefined =>
  sorted[Math.max(0, Math.ceil(ratio * sorted.length) - 1)];
