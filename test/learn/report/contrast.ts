/** One policy against another over the same sessions: every difference that a target asks for, with its interval. */
import { addBins, utilityOfRecord } from './measures.ts';
import { LATENCY_BIN_COUNT, latencyPercentilesMs } from './latency-bins.ts';
import type { Panel } from './panel.ts';
import { drawingOf, recordsOf } from './panel.ts';
import type { SessionRecord } from './sessions.ts';
import type { Estimate } from './statistics.ts';
import { resample, shiftOf } from './statistics.ts';

/** Changes are ratios of means less 1; differences are mine less theirs. */
export const CONTRAST_NAMES = [
  'stallChange',
  'avoidableChange',
  'freezesChange',
  'sessionMedianChange',
  'latencyP50Change',
  'latencyP95Change',
  'stallDifference',
  'qualityDifference',
  'stallFreeDifference',
  'utilityDifference',
  'gapShare',
] as const;
export type ContrastName = (typeof CONTRAST_NAMES)[number];

export type Contrast = {
  readonly mine: string;
  readonly theirs: string;
  readonly estimates: Readonly<Record<ContrastName, Estimate>>;
  /** Hodges and Lehmann's shift of the sessions' stall ratios and utilities. */
  readonly stallShift: number;
  readonly utilityShift: number;
};

/** What nobody could have avoided or bettered, session by session. */
export type Bounds = {
  readonly unavoidableStall: readonly number[];
  readonly oracleUtility: readonly number[];
};

/** `gapFrom`: whose utility the gap to the oracle begins at; theirs when left out. Without bounds what hangs on them is NaN. */
export const contrast = (
  panel: Panel,
  { mine, theirs, gapFrom = theirs }: { mine: string; theirs: string; gapFrom?: string },
  bounds: Bounds | undefined,
): Contrast => {
  const [a, b, from] = [recordsOf(panel, mine), recordsOf(panel, theirs), recordsOf(panel, gapFrom)];
  const unavoidable = (place: number): number => bounds?.unavoidableStall[place] ?? Number.NaN;
  const oracle = (place: number): number => bounds?.oracleUtility[place] ?? Number.NaN;
  const sums = (value: (place: number) => number): number[] =>
    panel.groups.map((places) => places.reduce((sum, place) => sum + value(place), 0));
  const both = (value: (record: SessionRecord, place: number) => number): [number[], number[]] => [
    sums((place) => value(a[place]!, place)),
    sums((place) => value(b[place]!, place)),
  ];
  const count = sums(() => 1);
  const stall = both(({ stallRatio }) => stallRatio);
  const avoidable = both(({ stallRatio }, place) => Math.max(0, stallRatio - unavoidable(place)));
  const freezes = both(({ freezesPerMinute }) => freezesPerMinute);
  const medians = both(({ latencyP50Ms }) => latencyP50Ms);
  const quality = both(({ qualityRatio }) => qualityRatio);
  const stallFree = both(({ isStallFree }) => (isStallFree ? 1 : 0));
  const utility = both((record) => utilityOfRecord(record));
  const gap = sums((place) => oracle(place) - utilityOfRecord(from[place]!));
  const bins = [a, b].map((records) => binsByGroup(panel, records));
  const estimates = resample(drawingOf(panel), (groups) => {
    const total = (values: readonly number[]): number => groups.reduce((sum, group) => sum + values[group]!, 0);
    const change = ([x, y]: readonly [number[], number[]]): number => changeOf(total(x), total(y));
    const sessions = total(count);
    const difference = ([x, y]: readonly [number[], number[]]): number => (total(x) - total(y)) / sessions;
    const [p50, p95] = percentileChanges(bins, groups);
    return [
      change(stall),
      change(avoidable),
      change(freezes),
      change(medians),
      p50,
      p95,
      difference(stall),
      difference(quality),
      difference(stallFree),
      difference(utility),
      (total(utility[0]) - total(utility[1])) / total(gap),
    ];
  });
  return {
    mine,
    theirs,
    estimates: Object.fromEntries(CONTRAST_NAMES.map((name, index) => [name, estimates[index]!])) as Record<
      ContrastName,
      Estimate
    >,
    stallShift: shiftOf(a.map(({ stallRatio }, place) => stallRatio - b[place]!.stallRatio)),
    utilityShift: shiftOf(a.map((record, place) => utilityOfRecord(record) - utilityOfRecord(b[place]!))),
  };
};

/** Of two that are nothing none is more. */
const changeOf = (mine: number, theirs: number): number => (mine === theirs ? 0 : mine / theirs - 1);

export const binsByGroup = ({ groups }: Panel, records: readonly SessionRecord[]): Float64Array[] =>
  groups.map((places) => {
    const sum = new Float64Array(LATENCY_BIN_COUNT);
    for (const place of places) {
      addBins(sum, records[place]!.latencyBins);
    }
    return sum;
  });

const percentileChanges = (bins: readonly (readonly Float64Array[])[], groups: readonly number[]): [number, number] => {
  const [mine, theirs] = bins.map((byGroup) => {
    const sum = new Float64Array(LATENCY_BIN_COUNT);
    for (const group of groups) {
      addBins(sum, byGroup[group]!);
    }
    return latencyPercentilesMs(sum, [0.5, 0.95]);
  });
  return [mine![0]! / theirs![0]! - 1, mine![1]! / theirs![1]! - 1];
};
