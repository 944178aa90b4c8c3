/**
 * The target table (CONGESTION 6, 7): policies over the same links, sources and seeds, paired by trace, differences with 95 % intervals
 * from resampling files. Feasible traces and the others are kept apart.
 */
import { Prng } from '../../server/base/prng.ts';
import type { Trace } from './corpus.ts';
import { linkOf } from './corpus.ts';
import type { LadderOptions } from './ladder-source.ts';
import type { OracleResult } from './oracle.ts';
import { playOracle } from './oracle.ts';
import type { Policy } from './policies.ts';
import { B0, B1_CANDIDATES, B2, LOWEST, WIDE } from './policies.ts';
import type { Score, UtilityWeights } from './score.ts';
import { percentileOf, utilityOf } from './score.ts';
import { runViewer } from './viewer-run.ts';

export type TableOptions = {
  readonly durationMs: number;
  readonly seeds: readonly number[];
  readonly smoothnessRatio: number;
  readonly ladder: LadderOptions;
};

/** One policy over one trace: means over the seeds. */
export type Row = {
  readonly trace: Trace;
  readonly scores: readonly Score[];
  readonly stallRatio: number;
  readonly freezesPerMinute: number;
  readonly latencyP50Ms: number;
  readonly qualityRatio: number;
  readonly stallFreeRatio: number;
  readonly extraRatio: number;
  readonly utility: number;
  readonly megabytes: number;
};

const RESAMPLE_COUNT = 10_000;
const SEED = 0x51c0;
const CLASS_GROUP_MIN_COUNT = 8;

export const evaluate = (policy: Policy, traces: readonly Trace[], options: TableOptions): Row[] =>
  traces.map((trace) => {
    const runs = options.seeds.map((seed) =>
      runViewer({
        seed,
        durationMs: options.durationMs,
        ...linkOf(trace, seed),
        ladder: options.ladder,
        sender: policy.sender,
        makeController: policy.makeController,
      }),
    );
    const mean = (value: (run: (typeof runs)[number]) => number): number =>
      runs.reduce((sum, run) => sum + value(run), 0) / runs.length;
    return {
      trace,
      scores: runs.map(({ score }) => score),
      stallRatio: mean(({ score }) => score.stallRatio),
      freezesPerMinute: mean(({ score }) => score.freezesPerMinute),
      latencyP50Ms: mean(({ score }) => score.latencyP50Ms),
      qualityRatio: mean(({ score }) => score.qualityRatio),
      stallFreeRatio: mean(({ score }) => (score.isStallFree ? 1 : 0)),
      extraRatio: mean(({ bytes }) => (bytes.rtx + bytes.probe) / (bytes.video + bytes.rtx + bytes.probe)),
      utility: mean(({ score }) => utilityOf(score, options.smoothnessRatio)),
      megabytes: mean(({ bytes }) => (bytes.video + bytes.rtx + bytes.probe + bytes.audio) / 1e6),
    };
  });

/** What the oracle (O2) makes of a trace: mean of the seeds. */
export const oracleOf = (trace: Trace, { seeds, ...options }: TableOptions): OracleResult => {
  const results = seeds.map((seed) => playOracle({ seed, ...options, down: linkOf(trace, seed).down }));
  return {
    utility: meanOf(results.map(({ utility }) => utility)),
    stallRatio: meanOf(results.map(({ stallRatio }) => stallRatio)),
  };
};

const meanOf = (values: readonly number[]): number =>
  values.length === 0 ? Number.NaN : values.reduce((sum, value) => sum + value, 0) / values.length;

const medianOf = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

/** Statistic of paired rows with its interval from resampling files. */
const bootstrap = (
  count: number,
  statistic: (indices: readonly number[]) => number,
): { value: number; low: number; high: number } => {
  const prng = new Prng(SEED);
  const all = Array.from({ length: count }, (_, index) => index);
  const values = Array.from({ length: RESAMPLE_COUNT }, () =>
    statistic(Array.from({ length: count }, () => prng.nextIndex(count))),
  ).sort((a, b) => a - b);
  return {
    value: statistic(all),
    low: values[Math.floor(0.025 * RESAMPLE_COUNT)] ?? Number.NaN,
    high: values[Math.floor(0.975 * RESAMPLE_COUNT)] ?? Number.NaN,
  };
};

/** Latency of all screen time together. */
const latencyPercentileMs = (rows: readonly Row[], ratio: number): number => {
  const sum = new Float64Array(rows[0]?.scores[0]?.latencyBuckets.length ?? 0);
  for (const row of rows) {
    for (const { latencyBuckets } of row.scores) {
      latencyBuckets.forEach((weight, bucket) => {
        sum[bucket]! += weight;
      });
    }
  }
  return percentileOf(sum, ratio);
};

const percent = (ratio: number, digits = 1): string => `${(100 * ratio).toFixed(digits)} %`;

const ratioText = ({ value, low, high }: { value: number; low: number; high: number }): string =>
  `${percent(value)} [${percent(low)}, ${percent(high)}]`;

const describe = (name: string, rows: readonly Row[]): string => {
  const scores = rows.flatMap((row) => row.scores);
  const cells = [
    name.padEnd(26),
    percent(meanOf(rows.map((row) => row.stallRatio)), 2).padStart(8),
    percent(meanOf(rows.map((row) => row.stallFreeRatio)), 0).padStart(6),
    meanOf(rows.map((row) => row.freezesPerMinute))
      .toFixed(2)
      .padStart(6),
    latencyPercentileMs(rows, 0.5).toFixed(0).padStart(7),
    latencyPercentileMs(rows, 0.95).toFixed(0).padStart(7),
    (meanOf(scores.map((score) => score.ageP95Ms)) / 1000).toFixed(2).padStart(7),
    meanOf(rows.map((row) => row.qualityRatio))
      .toFixed(3)
      .padStart(6),
    medianOf(scores.map((score) => score.joinMs))
      .toFixed(0)
      .padStart(6),
    percent(medianOf(rows.map((row) => row.extraRatio))).padStart(7),
    meanOf(rows.map((row) => row.megabytes))
      .toFixed(0)
      .padStart(5),
    meanOf(scores.map((score) => score.shownFps))
      .toFixed(1)
      .padStart(6),
    percent(meanOf(scores.map((score) => score.judderRatio)), 2).padStart(8),
    meanOf(rows.map((row) => row.utility))
      .toFixed(3)
      .padStart(7),
  ];
  return cells.join(' ');
};

const HEAD = [
  'policy'.padEnd(26),
  'stall'.padStart(8),
  'free'.padStart(6),
  'fr/min'.padStart(6),
  'p50 ms'.padStart(7),
  'p95 ms'.padStart(7),
  'age95 s'.padStart(7),
  'Q'.padStart(6),
  'join'.padStart(6),
  'rtx+pr'.padStart(7),
  'MB'.padStart(5),
  'fps'.padStart(6),
  'gap>100'.padStart(8),
  'U'.padStart(7),
].join(' ');

/** Ours against another, all at once, with intervals. */
export const compare = (
  name: string,
  mine: readonly Row[],
  theirs: readonly Row[],
  oracles: readonly OracleResult[],
): string[] => {
  const count = mine.length;
  const pick = (rows: readonly Row[], indices: readonly number[]): Row[] => indices.map((index) => rows[index]!);
  const change = (value: (row: Row, index: number) => number) =>
    bootstrap(count, (indices) => {
      const sum = (rows: readonly Row[]): number =>
        indices.reduce((total, index) => total + value(rows[index]!, index), 0);
      return sum(mine) / sum(theirs) - 1;
    });
  const difference = (value: (row: Row) => number) =>
    bootstrap(count, (indices) => meanOf(indices.map((index) => value(mine[index]!) - value(theirs[index]!))));
  const all = mine.map((_, index) => index);
  const quality = difference((row) => row.qualityRatio);
  const utility = difference((row) => row.utility);
  const gap = bootstrap(count, (indices) => {
    const mean = (value: (index: number) => number): number => meanOf(indices.map(value));
    const other = mean((index) => theirs[index]!.utility);
    return (mean((index) => mine[index]!.utility) - other) / (mean((index) => oracles[index]!.utility) - other);
  });
  const p95 = (rows: readonly Row[], indices: readonly number[]): number =>
    latencyPercentileMs(pick(rows, indices), 0.95);
  return [
    `ours against ${name} over ${count} traces:`,
    `  stall ratio           ${ratioText(change((row) => row.stallRatio))}`,
    `  avoidable stall       ${ratioText(change((row, index) => Math.max(0, row.stallRatio - oracles[index]!.stallRatio)))}`,
    `  freezes a minute      ${ratioText(change((row) => row.freezesPerMinute))}`,
    `  median latency        ${ratioText(change((row) => row.latencyP50Ms))} (mean of sessions' medians)`,
    `  p95 latency           ${percent(p95(mine, all) / p95(theirs, all) - 1)} (of all screen time)`,
    `  quality               ${quality.value.toFixed(3)} [${quality.low.toFixed(3)}, ${quality.high.toFixed(3)}]`,
    `  stall-free            ${ratioText(difference((row) => row.stallFreeRatio))} points`,
    `  utility               ${utility.value.toFixed(3)} [${utility.low.toFixed(3)}, ${utility.high.toFixed(3)}]`,
    `  of the gap to oracle  ${ratioText(gap)}`,
  ];
};

/** B1: in each class the fixed rung that does best in hindsight. */
const bestFixed = (candidates: readonly (readonly Row[])[], traces: readonly Trace[]): Row[] => {
  const bestOf = new Map<string, number>();
  for (const networkClass of new Set(traces.map((trace) => trace.networkClass))) {
    const utilities = candidates.map((rows) =>
      meanOf(rows.filter((row) => row.trace.networkClass === networkClass).map((row) => row.utility)),
    );
    bestOf.set(networkClass, utilities.indexOf(Math.max(...utilities)));
  }
  return traces.map((trace, index) => candidates[bestOf.get(trace.networkClass) ?? 0]![index]!);
};

export const makeTable = (
  mine: Policy,
  ablations: readonly Policy[],
  traces: readonly Trace[],
  options: TableOptions,
): string[] => {
  const lines: string[] = [];
  for (const isInfeasible of [false, true]) {
    const some = traces.filter((trace) => trace.isInfeasible === isInfeasible);
    if (some.length === 0) {
      continue;
    }
    const run = (policy: Policy): Row[] => evaluate(policy, some, options);
    const rows = run(mine);
    const gcc = run(B2);
    const fixed = run(B0);
    const oracles = some.map((trace) => oracleOf(trace, options));
    const groups = new Set(some.map((trace) => trace.group)).size;
    lines.push(
      '',
      `${isInfeasible ? 'Links too slow for the lowest rendition' : 'Links that carry the lowest rendition'}: ${some.length} traces, ` +
        `${groups} groups, ${options.seeds.length} seed(s), ${options.durationMs / 1000} s each; the oracle stalls ${percent(
          meanOf(oracles.map(({ stallRatio }) => stallRatio)),
          2,
        )}, its utility ${meanOf(oracles.map(({ utility }) => utility)).toFixed(3)}`,
      HEAD,
      describe('ours', rows),
      describe('B2 (GCC, picker)', gcc),
      describe('B1 (best fixed, D = 400)', bestFixed(B1_CANDIDATES.map(run), some)),
      describe('B0 (fixed top)', fixed),
      describe('lowest rung', run(LOWEST)),
      describe('GCC, D = 2 s', run(WIDE)),
    );
    if (isInfeasible) {
      continue;
    }
    lines.push('', ...compare('B2', rows, gcc, oracles), '', ...compare('B0', rows, fixed, oracles), '');
    lines.push(...perClass(some, rows, gcc));
    lines.push(...perturbedWeights(rows, gcc));
    if (ablations.length > 0) {
      lines.push('', 'Without one mechanism each:', HEAD, describe('ours', rows));
      lines.push(...ablations.map((policy) => describe(policy.name, run(policy))));
    }
  }
  return lines;
};

const perClass = (traces: readonly Trace[], rows: readonly Row[], gcc: readonly Row[]): string[] => {
  const classes = [...new Set(traces.map((trace) => trace.networkClass))].sort();
  return classes.flatMap((networkClass) => {
    const indices = traces.flatMap((trace, index) => (trace.networkClass === networkClass ? [index] : []));
    const groups = new Set(indices.map((index) => traces[index]!.group)).size;
    const few = groups < CLASS_GROUP_MIN_COUNT ? ' (too few groups for a claim)' : '';
    return [
      `${networkClass}: ${indices.length} traces, ${groups} groups${few}`,
      describe(
        '  ours',
        indices.map((index) => rows[index]!),
      ),
      describe(
        '  B2',
        indices.map((index) => gcc[index]!),
      ),
    ];
  });
};

/** CONGESTION 7.5: the ranking must not hang on the weights. */
const perturbedWeights = (rows: readonly Row[], gcc: readonly Row[]): string[] => {
  const gain = (weights: UtilityWeights): string => {
    const utility = (some: readonly Row[]): number =>
      meanOf(some.flatMap((row) => row.scores.map((score) => utilityOf(score, 0.5, weights))));
    return (utility(rows) - utility(gcc)).toFixed(3);
  };
  return [
    `utility over B2 with other weights: stalls half ${gain({ stall: 0.5 })}, stalls double ${gain({ stall: 2 })}, ` +
      `latency half ${gain({ latency: 0.5 })}, latency double ${gain({ latency: 2 })}`,
  ];
};
