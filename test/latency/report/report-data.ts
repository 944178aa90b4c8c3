/** What the report's script draws: results thinned to what a screen can show, as plain JSON. Pure. */
import type { LabResults, RunResult } from '../run/results.ts';

/** Two samples of a pixel at most, and enough to see a freeze of 200 ms. */
const SAMPLE_EVERY_MS = 100;
/** A longer run is sampled more coarsely. */
const SAMPLE_MAX_COUNT = 3_000;
/** A picture that stands this long is drawn as it ages; shorter, a line would only tremble by the frame interval. */
const STANDING_MIN_MS = 200;
const CDF_POINT_COUNT = 240;

export type Trace = {
  readonly targetIndex: number;
  /** Latency of the picture on the screen; one that stands still ages. Null where there was none. */
  readonly latencyMs: readonly (number | null)[];
  readonly freezes: readonly { readonly fromMs: number; readonly toMs: number }[];
  /** Height of the picture over the same samples. */
  readonly heightPx: readonly (number | null)[];
};

export type RepeatTraces = {
  readonly repeatIndex: number;
  readonly atMs: readonly number[];
  readonly traces: readonly Trace[];
  /** Of the link towards the viewer, over the same samples; null: no limit. */
  readonly capacityBps: readonly (number | null)[] | null;
};

export type Cdf = {
  readonly latencyMs: readonly number[];
  /** Share of viewing time with at most this latency, per target; null for targets without frames. */
  readonly shares: readonly { readonly targetIndex: number; readonly ratio: readonly number[] }[];
};

export type ScenarioData = {
  readonly repeats: readonly RepeatTraces[];
  readonly cdf: Cdf | null;
  readonly hasResolutionChange: boolean;
};

export type ReportData = { readonly targetNames: readonly string[]; readonly scenarios: readonly ScenarioData[] };

export const toReportData = (results: LabResults): ReportData => {
  const targetNames = results.config.targets.map(({ name }) => name);
  const scenarios = results.config.scenarios.map(({ name }) => {
    const runs = results.runs.filter((run) => run.scenarioName === name && hasPicture(run));
    return {
      repeats: tracesByRepeat(runs, targetNames),
      cdf: cdfOf(runs, targetNames),
      hasResolutionChange: runs.some((run) => heightsOf(run).length > 1),
    };
  });
  return { targetNames, scenarios };
};

const tracesByRepeat = (runs: readonly RunResult[], targetNames: readonly string[]): RepeatTraces[] => {
  const indices = [...new Set(runs.map((run) => run.repeatIndex))].sort((a, b) => a - b);
  return indices.map((repeatIndex) => {
    const paired = runs.filter((run) => run.repeatIndex === repeatIndex);
    const endMs = Math.max(...paired.map(endOf));
    const everyMs = Math.max(SAMPLE_EVERY_MS, Math.ceil(endMs / SAMPLE_MAX_COUNT));
    const atMs = Array.from({ length: Math.floor(endMs / everyMs) + 1 }, (_, k) => k * everyMs);
    const withLink = paired.find((run) => run.link !== null && run.link.series.length > 0);
    return {
      repeatIndex,
      atMs,
      traces: paired
        .map((run) => traceOf(run, atMs, targetNames.indexOf(run.targetName)))
        .sort((a, b) => a.targetIndex - b.targetIndex),
      capacityBps: withLink === undefined ? null : capacityOf(withLink, atMs),
    };
  });
};

/** Of the whole look, in ms since `play()`. */
const endOf = ({ viewer }: RunResult): number => (viewer === null ? 0 : viewer.observedFromMs + viewer.durationMs);

const traceOf = (run: RunResult, atMs: readonly number[], targetIndex: number): Trace => ({
  targetIndex,
  latencyMs: latencySamples(run, atMs),
  freezes: (run.viewer?.freezes ?? []).map(({ startedAtMs, durationMs }) => ({
    fromMs: Math.round(startedAtMs),
    toMs: Math.round(startedAtMs + durationMs),
  })),
  heightPx: heldSamples(
    (run.viewer?.resolution ?? []).map(({ atMs: sinceMs, heightPx }) => ({ atMs: sinceMs, value: heightPx })),
    atMs,
    endOf(run),
  ),
});

/** Unreadable frames take the latency of the one before: only their time on screen is known. */
const latencySamples = (run: RunResult, atMs: readonly number[]): (number | null)[] => {
  const { shownAtMs = [], latencyMs = [] } = run.viewer?.frames ?? {};
  const endMs = endOf(run);
  let frame = -1;
  let latency: number | null = null;
  return atMs.map((nowMs) => {
    while (frame + 1 < shownAtMs.length && (shownAtMs[frame + 1] ?? Infinity) <= nowMs) {
      frame += 1;
      latency = latencyMs[frame] ?? latency;
    }
    if (frame < 0 || latency === null || nowMs > endMs) {
      return null;
    }
    const stoodMs = nowMs - (shownAtMs[frame] ?? nowMs);
    return Math.round(latency + (stoodMs >= STANDING_MIN_MS ? stoodMs : 0));
  });
};

/** Steps, each held until the next. */
const heldSamples = (
  steps: readonly { readonly atMs: number; readonly value: number }[],
  atMs: readonly number[],
  endMs: number,
): (number | null)[] => {
  let next = 0;
  let value: number | null = null;
  return atMs.map((nowMs) => {
    while (next < steps.length && (steps[next]?.atMs ?? Infinity) <= nowMs) {
      value = steps[next]?.value ?? null;
      next += 1;
    }
    return nowMs > endMs ? null : value;
  });
};

const capacityOf = ({ link }: RunResult, atMs: readonly number[]): (number | null)[] | null => {
  if (link === null) {
    return null;
  }
  const steps = link.series.map((sample) => ({
    atMs: sample.atMs + link.startsAtMs,
    value: sample.down.capacityBps,
  }));
  const limited = steps.flatMap((step) =>
    Number.isFinite(step.value) ? [{ atMs: step.atMs, value: step.value ?? 0 }] : [],
  );
  return limited.length === 0 ? null : heldSamples(limited, atMs, Infinity);
};

/** All repeats of a target together; each frame by its time on screen, as in the table. */
const cdfOf = (runs: readonly RunResult[], targetNames: readonly string[]): Cdf | null => {
  const weighed = targetNames.map((name) =>
    runs
      .filter((run) => run.targetName === name)
      .flatMap(shownLatencies)
      .sort((a, b) => a.latencyMs - b.latencyMs),
  );
  const all = weighed.flat().map((frame) => frame.latencyMs);
  if (all.length === 0) {
    return null;
  }
  const low = all.reduce((least, value) => Math.min(least, value), Infinity) / 1.1;
  const high = all.reduce((most, value) => Math.max(most, value), 0) * 1.1;
  const latencyMs = Array.from(
    { length: CDF_POINT_COUNT },
    (_, k) => low * (high / low) ** (k / (CDF_POINT_COUNT - 1)),
  );
  const shares = weighed.flatMap((frames, targetIndex) =>
    frames.length === 0 ? [] : [{ targetIndex, ratio: sharesBelow(frames, latencyMs) }],
  );
  return { latencyMs: latencyMs.map((value) => Math.round(value * 10) / 10), shares };
};

type ShownFrame = { readonly latencyMs: number; readonly onScreenMs: number };

const shownLatencies = (run: RunResult): ShownFrame[] => {
  const { shownAtMs = [], latencyMs = [] } = run.viewer?.frames ?? {};
  const fromMs = run.viewer?.observedFromMs ?? 0;
  return shownAtMs.flatMap((atMs, k) => {
    const latency = latencyMs[k];
    const onScreenMs = Math.min(shownAtMs[k + 1] ?? endOf(run), endOf(run)) - Math.max(atMs, fromMs);
    // A logarithmic axis has no place below 1 ms, and nor has light.
    return latency === null || latency === undefined || onScreenMs <= 0
      ? []
      : [{ latencyMs: Math.max(1, latency), onScreenMs }];
  });
};

const sharesBelow = (sorted: readonly ShownFrame[], limitsMs: readonly number[]): number[] => {
  const total = sorted.reduce((sum, frame) => sum + frame.onScreenMs, 0);
  let index = 0;
  let sum = 0;
  return limitsMs.map((limitMs) => {
    while (index < sorted.length && (sorted[index]?.latencyMs ?? Infinity) <= limitMs) {
      sum += sorted[index]?.onScreenMs ?? 0;
      index += 1;
    }
    return Math.round((sum / total) * 10_000) / 10_000;
  });
};

const hasPicture = ({ viewer }: RunResult): boolean => viewer !== null && viewer.joinMs !== null;

const heightsOf = (run: RunResult): number[] => [
  ...new Set((run.viewer?.resolution ?? []).map(({ heightPx }) => heightPx)),
];
