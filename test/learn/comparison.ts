/** A vector against the defaults on the same links with the same luck: means, differences, intervals from resampling groups of recordings. */
import { Prng } from '../../server/base/prng.ts';
import type { Trace } from '../sim/corpus.ts';
import type { Draw } from './episode-source.ts';
import type { Outcome } from './episode.ts';

export type Interval = { readonly value: number; readonly low: number; readonly high: number };

export type Means = {
  readonly utility: number;
  readonly stallRatio: number;
  readonly freezesPerMinute: number;
  readonly latencyP50Ms: number;
  readonly latencyP95Ms: number;
  readonly qualityRatio: number;
};

export type Comparison = {
  readonly traceCount: number;
  readonly groupCount: number;
  readonly sessionCount: number;
  readonly defaults: Means;
  readonly learned: Means;
  /** Learned less defaults, mean of traces, 95 %. */
  readonly difference: Readonly<Record<keyof Means, Interval>>;
};

export type TableName = 'search real' | 'search synthetic' | 'validation real' | 'validation synthetic';

/** Of those parts that have links of the class. */
export type Tables = Readonly<Partial<Record<TableName, Comparison>>>;

export const MEASURES: readonly (keyof Means)[] = [
  'utility',
  'stallRatio',
  'freezesPerMinute',
  'latencyP50Ms',
  'latencyP95Ms',
  'qualityRatio',
];

const RESAMPLE_COUNT = 10_000;
const SEED = 0x1ea4;
/** Fewer groups than this allow no claim (CONGESTION 7.2). */
const GROUP_MIN_COUNT = 8;
const QUALITY_LOSS_MAX = 0.02;

/** One entry a session in all three; undefined: no session. */
export const compareOutcomes = (
  draws: readonly Draw[],
  traces: readonly Trace[],
  { learned, defaults }: { learned: readonly Outcome[]; defaults: readonly Outcome[] },
): Comparison | undefined => {
  if (draws.length === 0) {
    return undefined;
  }
  const traceOf = draws.map(({ traceIndex }) => traceIndex);
  const groups = groupsOf(traceOf, traces);
  const difference = (measure: keyof Means): Interval => {
    const perTrace = meanByTrace(
      traceOf,
      learned.map((outcome, index) => outcome[measure] - defaults[index]![measure]),
    );
    return resample(groups.map((members) => members.map((traceIndex) => perTrace.get(traceIndex)!)));
  };
  const means = (outcomes: readonly Outcome[]): Means =>
    record((measure) => {
      const perTrace = meanByTrace(
        traceOf,
        outcomes.map((outcome) => outcome[measure]),
      );
      return meanOf([...perTrace.values()]);
    });
  return {
    traceCount: new Set(traceOf).size,
    groupCount: groups.length,
    sessionCount: draws.length,
    defaults: means(defaults),
    learned: means(learned),
    difference: record(difference),
  };
};

/** A gain that is no luck, over enough recordings, and no quality paid for it. */
export const isConfirmed = ({ groupCount, difference }: Comparison): boolean =>
  groupCount >= GROUP_MIN_COUNT && difference.utility.low > 0 && difference.qualityRatio.value >= -QUALITY_LOSS_MAX;

/**
 * What must hold before a vector is given to anybody. Real links of validation decide where there are any; what loses on any other part has
 * found the luck of one, and what stalls more for certain on any is not what anybody asked for.
 */
export const isShippable = (tables: Tables): boolean => {
  const judge = tables['validation real'] ?? tables['validation synthetic'];
  const doesNoHarm = Object.values(tables).every(
    ({ difference }) => difference.utility.value >= 0 && difference.stallRatio.low <= 0,
  );
  return judge !== undefined && isConfirmed(judge) && doesNoHarm;
};

/** Rows of a table: defaults, learned, difference with its interval. */
export const tellComparison = (title: string, comparison: Comparison | undefined): string[] => {
  if (comparison === undefined) {
    return [`${title}: no traces of this class`];
  }
  const { traceCount, groupCount, sessionCount, defaults, learned, difference } = comparison;
  const few = groupCount < GROUP_MIN_COUNT ? ' (too few groups for a claim)' : '';
  return [
    `${title}: ${traceCount} traces, ${groupCount} groups, ${sessionCount} sessions${few}`,
    ...MEASURES.map((measure) => {
      const { value, low, high } = difference[measure];
      const cells = [defaults[measure], learned[measure]].map((number) => format(measure, number).padStart(9));
      return `  ${NAMES[measure].padEnd(18)}${cells.join(' ')}   ${signed(measure, value)} [${signed(measure, low)}, ${signed(measure, high)}]`;
    }),
  ];
};

const NAMES: Readonly<Record<keyof Means, string>> = {
  utility: 'utility',
  stallRatio: 'stall %',
  freezesPerMinute: 'freezes a minute',
  latencyP50Ms: 'p50 ms',
  latencyP95Ms: 'p95 ms',
  qualityRatio: 'quality',
};

const format = (measure: keyof Means, value: number): string => {
  if (measure === 'stallRatio') {
    return (100 * value).toFixed(3);
  }
  return value.toFixed(measure.endsWith('Ms') ? 0 : 3);
};

const signed = (measure: keyof Means, value: number): string => `${value >= 0 ? '+' : ''}${format(measure, value)}`;

const record = <Value>(valueOf: (measure: keyof Means) => Value): Record<keyof Means, Value> =>
  Object.fromEntries(MEASURES.map((measure) => [measure, valueOf(measure)])) as Record<keyof Means, Value>;

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

const meanByTrace = (traceOf: readonly number[], values: readonly number[]): Map<number, number> => {
  const gathered = new Map<number, number[]>();
  traceOf.forEach((traceIndex, index) => {
    gathered.set(traceIndex, [...(gathered.get(traceIndex) ?? []), values[index]!]);
  });
  return new Map([...gathered].map(([traceIndex, some]) => [traceIndex, meanOf(some)]));
};

/** Traces of one recording share their luck, so they are drawn together. */
const groupsOf = (traceOf: readonly number[], traces: readonly Trace[]): number[][] => {
  const groups = new Map<string, Set<number>>();
  for (const traceIndex of traceOf) {
    const { group } = traces[traceIndex]!;
    groups.set(group, (groups.get(group) ?? new Set<number>()).add(traceIndex));
  }
  return [...groups.values()].map((members) => [...members]);
};

const resample = (groups: readonly (readonly number[])[]): Interval => {
  const prng = new Prng(SEED);
  const sums = groups.map((members) => members.reduce((sum, value) => sum + value, 0));
  const means = Array.from({ length: RESAMPLE_COUNT }, () => {
    let sum = 0;
    let count = 0;
    for (let drawn = 0; drawn < groups.length; drawn += 1) {
      const index = prng.nextIndex(groups.length);
      sum += sums[index]!;
      count += groups[index]!.length;
    }
    return sum / count;
  }).sort((a, b) => a - b);
  return {
    value: meanOf(groups.flat()),
    low: means[Math.floor(0.025 * RESAMPLE_COUNT)]!,
    high: means[Math.floor(0.975 * RESAMPLE_COUNT)]!,
  };
};
