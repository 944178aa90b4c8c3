/**
 * From single runs to statements: for each scenario and target the means over repeats with their intervals, and which target may
 * honestly be called best. Pure.
 */
import type { LabResults, RunResult } from '../run/results.ts';
import { areApart, ellipseOfMean, estimateMean, type Ellipse, type Estimate } from './bootstrap.ts';

/** All are better when smaller. `Ms` and so on as in the viewer's report; CPU in shares of one core. */
export const MEASURE_KEYS = [
  'latencyP50Ms',
  'latencyP95Ms',
  'latencyP99Ms',
  'ageP95Ms',
  'stallRatio',
  'freezesPerMin',
  'joinMs',
  'lipErrorMs',
  'cpuRatio',
  'rssPeakBytes',
] as const;
export type MeasureKey = (typeof MEASURE_KEYS)[number];

/** One run in the numbers of the table; null: not measured in this run. */
export type RunNumbers = { readonly [Key in MeasureKey]: number | null };

export type Cell = {
  readonly targetName: string;
  readonly runs: readonly RunResult[];
  /** Runs with a viewer's report. */
  readonly measuredCount: number;
  readonly failedCount: number;
  /** Measured runs that never showed a picture. */
  readonly pictureLessCount: number;
  readonly sourceLateCount: number;
  readonly viewerStarvedCount: number;
  readonly estimates: { readonly [Key in MeasureKey]: Estimate | null };
  /** Its interval lies below those of all other targets of the scenario. */
  readonly isBest: { readonly [Key in MeasureKey]: boolean };
  /** In log10 of the median latency in ms, and `stallAxis` of the stall ratio. */
  readonly points: readonly { readonly x: number; readonly y: number }[];
  readonly ellipse: Ellipse | null;
};

export type ScenarioSummary = { readonly scenarioName: string; readonly cells: readonly Cell[] };

/** In the config's order; scenarios and targets without any run are there, empty. */
export const summarise = (results: LabResults): ScenarioSummary[] =>
  results.config.scenarios.map(({ name }) => {
    const cells = results.config.targets.map((target) =>
      cellOf(
        target.name,
        results.runs.filter((run) => run.scenarioName === name && run.targetName === target.name),
      ),
    );
    return { scenarioName: name, cells: cells.map((cell) => ({ ...cell, isBest: bestMarks(cell, cells) })) };
  });

/** Percent on a root scale: 0 has a place, and small shares are told apart. */
export const stallAxis = (stallRatio: number): number => Math.sqrt(stallRatio * 100);

export const numbersOf = (run: RunResult): RunNumbers => {
  const { viewer, server } = run;
  const hasPicture = viewer !== null && viewer.joinMs !== null;
  const minutes = (viewer?.durationMs ?? 0) / 60_000;
  return {
    latencyP50Ms: finite(viewer?.latencyMs?.p50),
    latencyP95Ms: finite(viewer?.latencyMs?.p95),
    latencyP99Ms: finite(viewer?.latencyMs?.p99),
    ageP95Ms: finite(viewer?.ageMs?.p95),
    stallRatio: finite(viewer?.stallRatio),
    freezesPerMin: hasPicture && minutes > 0 ? viewer.freezes.length / minutes : null,
    joinMs: finite(viewer?.joinMs),
    lipErrorMs: viewer?.avOffsetMs ? Math.abs(viewer.avOffsetMs.p50) : null,
    cpuRatio: finite(server?.cpuRatio),
    rssPeakBytes: finite(server?.rssPeakBytes),
  };
};

const cellOf = (targetName: string, runs: readonly RunResult[]): Omit<Cell, 'isBest'> => {
  const numbers = runs.map(numbersOf);
  const estimateOf = (key: MeasureKey): Estimate | null =>
    estimateMean(numbers.map((each) => each[key]).filter((value) => value !== null));
  const points = numbers.flatMap(({ latencyP50Ms, stallRatio }) =>
    latencyP50Ms === null || stallRatio === null
      ? []
      : [{ x: Math.log10(Math.max(1, latencyP50Ms)), y: stallAxis(stallRatio) }],
  );
  const measured = runs.filter((run) => run.viewer !== null);
  return {
    targetName,
    runs,
    measuredCount: measured.length,
    failedCount: runs.filter((run) => run.error !== null).length,
    pictureLessCount: measured.filter((run) => run.viewer?.joinMs === null).length,
    sourceLateCount: runs.filter((run) => run.isSourceLate).length,
    viewerStarvedCount: runs.filter((run) => run.isViewerStarved).length,
    estimates: byKey(estimateOf),
    points,
    ellipse: ellipseOfMean(points),
  };
};

type Unmarked = Omit<Cell, 'isBest'>;

/** A target that failed or stayed without a picture in some runs has flattering means: it is never marked. */
const bestMarks = (cell: Unmarked, cells: readonly Unmarked[]): Cell['isBest'] =>
  byKey((key) => {
    const own = cell.estimates[key];
    const others = cells.filter((other) => other !== cell).map((other) => other.estimates[key]);
    const rivals = others.filter((other) => other !== null);
    return (
      own !== null &&
      cell.pictureLessCount === 0 &&
      cell.failedCount === 0 &&
      rivals.length > 0 &&
      rivals.every((rival) => own.mean < rival.mean && areApart(own, rival))
    );
  });

const byKey = <T>(value: (key: MeasureKey) => T): { readonly [Key in MeasureKey]: T } =>
  Object.fromEntries(MEASURE_KEYS.map((key) => [key, value(key)])) as { [Key in MeasureKey]: T };

const finite = (value: number | null | undefined): number | null =>
  value === null || value === undefined || !Number.isFinite(value) ? null : value;
