/** The target table of CONGESTION 6: what was measured, what must be, and whether it is reached, in words. */
import type { Contrast } from './contrast.ts';
import { binsByGroup } from './contrast.ts';
import { LATENCY_BIN_COUNT, latencyPercentilesMs } from './latency-bins.ts';
import { addBins, extraRatioOf } from './measures.ts';
import type { Panel } from './panel.ts';
import { GROUP_MIN_COUNT, drawingOf, partOf, recordsOf } from './panel.ts';
import { FIXED_BEST, FIXED_TOP, GCC } from './policies.ts';
import type { Estimate } from './statistics.ts';
import { holm, likelihoodOf, quantileOf, resample } from './statistics.ts';

/** `mean`: reached by what was measured, but not beyond doubt. `none`: too few recordings to say anything. */
export type Verdict = 'reached' | 'mean' | 'missed' | 'none';

/** `change`, `points` and `number` are differences, `share` and `ms` are not. */
export type Unit = 'change' | 'points' | 'number' | 'share' | 'ms';

export type TargetRow = {
  readonly name: string;
  readonly unit: Unit;
  readonly estimate: Omit<Estimate, 'draws'>;
  /** `isLess`: at most this, else at least. */
  readonly must: number;
  readonly isLess: boolean;
  readonly groupCount: number;
  readonly verdict: Verdict;
  /** Of a truth that would make it no target reached, after Holm's correction over the table; NaN: not tested. */
  readonly likelihood: number;
  readonly note: string;
};

type Asked = Pick<TargetRow, 'name' | 'unit' | 'must' | 'isLess'> & {
  readonly estimate: Estimate;
  /** What the interval must exclude: 0 of a difference, or the bound itself. */
  readonly beyond: number;
  readonly groupCount: number;
  readonly note?: string;
};

export type TargetContrasts = {
  readonly gcc: Contrast;
  readonly fixedTop: Contrast;
  readonly fixedBest: Contrast;
  /** Against the own defaults, its gap from GCC's utility; undefined where they are what is judged. */
  readonly defaults: Contrast | undefined;
};

const SIGNIFICANT = 0.05;
const JOIN_RTT_MAX_MS = 100;

export const targetTable = (panel: Panel, judged: string, contrasts: TargetContrasts): TargetRow[] => {
  const { gcc, fixedTop, fixedBest, defaults } = contrasts;
  const groupCount = panel.groups.length;
  const change = (name: string, estimate: Estimate, must: number): Asked => ({
    ...{ name, unit: 'change' as const, estimate, must, isLess: true, beyond: 0, groupCount },
  });
  const { estimates } = gcc;
  const against = `against ${GCC}`;
  const asked: Asked[] = [
    change(`stall ratio ${against}`, estimates.stallChange, -0.55),
    change('… of it what can be avoided', estimates.avoidableChange, -0.65),
    change('freezes a minute', estimates.freezesChange, -0.6),
    { ...change('median latency, of all screen time', estimates.latencyP50Change, 0), note: 'aim −20 %' },
    { ...change('… mean of the sessions’ medians', estimates.sessionMedianChange, 0), note: 'aim −20 %' },
    change('95th percentile of latency', estimates.latencyP95Change, -0.4),
    tailLatency(panel, judged),
    {
      ...{ name: 'quality', unit: 'number', estimate: estimates.qualityDifference, must: -0.02, isLess: false },
      ...{ beyond: -0.02, groupCount },
    },
    {
      ...{ name: 'stall-free sessions', unit: 'points', estimate: estimates.stallFreeDifference, must: 0.25 },
      ...{ isLess: false, beyond: 0, groupCount },
    },
    calmStallFree(panel, judged),
    gapOf('utility, share of the gap from B2 to the oracle', estimates.gapShare, 0.6, groupCount),
    joinTime(panel, judged),
    extraBytes(panel, judged),
    change(`stall ratio against ${FIXED_TOP}`, fixedTop.estimates.stallChange, -0.85),
    change(`stall ratio against ${FIXED_BEST}`, fixedBest.estimates.stallChange, -0.85),
    change('… and median latency', fixedBest.estimates.sessionMedianChange, 0),
    ...(defaults === undefined
      ? []
      : [
          change('learning: stall ratio against mechanisms only', defaults.estimates.stallChange, -0.2),
          gapOf('learning: utility, share of that gap', defaults.estimates.gapShare, 0.15, groupCount),
        ]),
  ];
  return judge(asked);
};

/** Verdicts, with what is likely corrected for asking so much at once. */
export const judge = (asked: readonly Asked[]): TargetRow[] => {
  const raw = asked.map(({ estimate, beyond, groupCount }) =>
    groupCount < GROUP_MIN_COUNT || Number.isNaN(estimate.value) ? Number.NaN : likelihoodOf(estimate, beyond),
  );
  const adjusted = holm(raw);
  return asked.map(({ estimate, beyond, note = '', ...row }, index) => {
    const { draws: _draws, ...shown } = estimate;
    return {
      ...row,
      estimate: shown,
      likelihood: adjusted[index]!,
      note,
      verdict: verdictOf({ ...row, estimate, beyond }, adjusted[index]!),
    };
  });
};

const verdictOf = ({ estimate, must, isLess, beyond, groupCount }: Asked, likelihood: number): Verdict => {
  const { value } = estimate;
  if (groupCount < GROUP_MIN_COUNT || Number.isNaN(value)) {
    return 'none';
  }
  if (isLess ? value > must : value < must) {
    return 'missed';
  }
  const isBeyond = isLess ? value < beyond : value > beyond;
  return isBeyond && likelihood < SIGNIFICANT ? 'reached' : 'mean';
};

const gapOf = (name: string, estimate: Estimate, must: number, groupCount: number): Asked => ({
  ...{ name, unit: 'share' as const, estimate, must, isLess: false, beyond: 0, groupCount },
});

/** Under a second in every class with recordings enough; links that break off apart (`outage`). */
const tailLatency = (panel: Panel, judged: string): Asked => {
  const calm = partOf(panel, (_trace, { hasOutages }) => !hasOutages);
  const classes = [...new Set(calm.links.map(({ networkClass }) => networkClass))].sort();
  const parts = classes.map((name) => partOf(calm, (_trace, { networkClass }) => networkClass === name));
  const enough = parts.filter(({ groups }) => groups.length >= GROUP_MIN_COUNT);
  const claimed = enough.length === 0 ? [calm] : enough;
  const perClass = claimed.map((part) => {
    const bins = binsByGroup(part, recordsOf(part, judged));
    const [estimate] = resample(drawingOf(part), (groups) => {
      const sum = new Float64Array(LATENCY_BIN_COUNT);
      for (const group of groups) {
        addBins(sum, bins[group]!);
      }
      return latencyPercentilesMs(sum, [0.95]);
    });
    return { part, estimate: estimate! };
  });
  const worst = perClass.reduce((most, one) => (one.estimate.value > most.estimate.value ? one : most));
  const names = enough.length === 0 ? 'all classes together' : claimed.map((part) => part.links[0]!.networkClass);
  return {
    ...{ name: '95th percentile, worst class without outages', unit: 'ms', estimate: worst.estimate, must: 1_000 },
    ...{ isLess: true, beyond: 1_000, groupCount: worst.part.groups.length },
    note: `of ${String(names).replaceAll(',', ', ')}`,
  };
};

const calmStallFree = (panel: Panel, judged: string): Asked => {
  const calm = partOf(panel, (_trace, { mergedClass }) => mergedClass === 'stable|jittery');
  const records = recordsOf(calm, judged);
  const [estimate] = resample(drawingOf(calm), (groups) => {
    const places = groups.flatMap((group) => calm.groups[group]!);
    return [places.filter((place) => records[place]!.isStallFree).length / places.length];
  });
  return {
    ...{ name: 'stall-free sessions on stable and jittery links', unit: 'share', estimate: estimate!, must: 0.98 },
    ...{ isLess: false, beyond: 0.98, groupCount: calm.groups.length },
  };
};

const joinTime = (panel: Panel, judged: string): Asked => {
  const near = partOf(panel, (_trace, { rttMs }) => rttMs <= JOIN_RTT_MAX_MS);
  const estimate = quantileByGroup(near, 0.95, (place) => recordsOf(near, judged)[place]!.joinMs);
  return {
    ...{ name: 'start, 95th percentile, round trips to 100 ms', unit: 'ms', estimate, must: 1_000, isLess: true },
    ...{ beyond: 1_000, groupCount: near.groups.length, note: 'from connected to first picture; no signalling in it' },
  };
};

const extraBytes = (panel: Panel, judged: string): Asked => ({
  ...{ name: 'sent again or to probe, median', unit: 'share', must: 0.12, isLess: true, beyond: 0.12 },
  estimate: quantileByGroup(panel, 0.5, (place) => extraRatioOf(recordsOf(panel, judged)[place]!)),
  groupCount: panel.groups.length,
});

const quantileByGroup = (panel: Panel, ratio: number, value: (place: number) => number): Estimate => {
  const values = panel.groups.map((places) => places.map(value));
  const [estimate] = resample(drawingOf(panel), (groups) => [
    quantileOf(
      groups.flatMap((group) => values[group]!),
      ratio,
    ),
  ]);
  return estimate!;
};
