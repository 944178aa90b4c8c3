/**
 * The report on what is shipped (CONGESTION 6, 7): every policy over the same sessions, what the targets ask, what learning adds, what it costs elsewhere. The
 * same bytes from the same traces, seed and code. Told how sessions are played, so that threads are somebody else's business.
 */
import type { Policy as LearnedPolicy } from '../../../server/congestion/learned/policy.ts';
import type { SplitName, Trace } from '../../sim/corpus.ts';
import { linkOf } from '../../sim/corpus.ts';
import { LADDERS, LADDER_DEFAULT } from '../../sim/ladder-source.ts';
import { playOracle } from '../../sim/oracle.ts';
import type { UtilityWeights } from '../../sim/score.ts';
import { isSynthetic } from '../synthetic.ts';
import type { Bounds, Contrast } from './contrast.ts';
import { contrast } from './contrast.ts';
import type { Measures } from './measures.ts';
import { SMOOTHNESS_RATIO, measuresOf, utilityOfRecord } from './measures.ts';
import type { Panel } from './panel.ts';
import { factsOf, makePanel, partOf, recordsOf, traceCountOf } from './panel.ts';
import type { Named } from './policies.ts';
import {
  ABLATIONS,
  BASELINES,
  FIXED_BEST,
  FIXED_CANDIDATES,
  FIXED_TOP,
  FRONTIER_ALL,
  GCC,
  MECHANISMS,
  PER_CLASS,
  SEARCHED,
  frontierName,
  frontierPolicies,
  learnedPolicies,
  oracleCandidates,
} from './policies.ts';
import type { SessionJob, SessionKey, SessionRecord } from './sessions.ts';
import { meanOf, resample } from './statistics.ts';
import type { TargetRow } from './targets.ts';
import { targetTable } from './targets.ts';
import type { Warmed } from './warm.ts';
import { warmUp } from './warm.ts';

export type ReportOptions = {
  readonly splits: readonly SplitName[];
  readonly seeds: readonly number[];
  readonly durationMs: number;
  readonly ladderName: string;
  readonly policies: readonly LearnedPolicy[];
  readonly warm: { readonly sessionCount: number; readonly durationMs: number };
  /** Each mechanism off in turn. */
  readonly hasAblations: boolean;
  /** O1: the best of all vectors for each recording. */
  readonly hasVectorOracle: boolean;
  readonly hasFrontier: boolean;
  /** Drawings of an interval; a fifth of them where it is described only. */
  readonly resampleCount: number;
};

export type Play = (jobs: readonly SessionJob[]) => Promise<readonly SessionRecord[]>;

export type Interval = { readonly low: number; readonly high: number };

export type PolicyRow = {
  readonly name: string;
  readonly measures: Measures;
  /** 95 %. */
  readonly intervals: Readonly<Record<keyof Measures, Interval>>;
};

export type ClassRows = {
  readonly name: string;
  readonly traceCount: number;
  readonly groupCount: number;
  readonly rows: readonly Pick<PolicyRow, 'name' | 'measures'>[];
};

export type FrontierPoint = {
  readonly name: string;
  readonly smoothnessRatio: number;
  readonly measures: Measures;
};

export type Report = {
  readonly options: Omit<ReportOptions, 'policies'> & { readonly policyCount: number };
  readonly isSynthetic: boolean;
  readonly traceCount: number;
  readonly groupCount: number;
  readonly infeasibleTraceCount: number;
  /** What ships. */
  readonly judged: string;
  readonly targets: readonly TargetRow[];
  readonly policies: readonly PolicyRow[];
  readonly unavoidableStallRatio: number;
  readonly oracleUtility: number;
  /** Each step of learning against the mechanisms alone; then one vector for all against one a class. */
  readonly learning: readonly Contrast[];
  readonly classes: readonly ClassRows[];
  readonly infeasible: readonly Pick<PolicyRow, 'name' | 'measures'>[];
  /** Utility over GCC's with other weights. */
  readonly weights: readonly { readonly name: string; readonly gain: number }[];
  /** Frames a second of the source. */
  readonly frameRateHz: number;
  readonly ablations: readonly Contrast[];
  readonly ablated: readonly Pick<PolicyRow, 'name' | 'measures'>[];
  /** Utility of O1, where asked for. */
  readonly vectorOracle:
    { readonly vectorCount: number; readonly utility: number; readonly stallRatio: number } | undefined;
  readonly frontier: readonly FrontierPoint[];
  readonly warm: Pick<Warmed, 'classes' | 'sessionCount'>;
  /** Arms in force at the end of judged sessions, most common first. */
  readonly arms: readonly (readonly [string, number])[];
};

const DESCRIBED_RATIO = 0.2;
/** They take five times as long to play, and nothing is claimed of them. */
const INFEASIBLE_SEED_MAX_COUNT = 2;
const WEIGHTS: Readonly<Record<string, UtilityWeights>> = {
  'as they are': {},
  'quality ÷ 2': { quality: 0.5 },
  'quality × 2': { quality: 2 },
  'stall ÷ 2': { stall: 0.5 },
  'stall × 2': { stall: 2 },
  'freezes ÷ 2': { freezes: 0.5 },
  'freezes × 2': { freezes: 2 },
  'latency ÷ 2': { latency: 0.5 },
  'latency × 2': { latency: 2 },
  'switches ÷ 2': { switches: 0.5 },
  'switches × 2': { switches: 2 },
  'start ÷ 2': { join: 0.5 },
  'start × 2': { join: 2 },
};

export const makeReport = async (
  traces: readonly Trace[],
  options: ReportOptions,
  { play, seed, tell }: { play: Play; seed: number; tell: (line: string) => void },
): Promise<Report> => {
  const { policies: learned, splits, seeds, warm } = options;
  const ofSplits = traces.filter(({ split }) => splits.includes(split));
  const real = ofSplits.filter((trace) => !isSynthetic(trace));
  const shown = real.length > 0 ? real : ofSplits;
  const keysOf = (isInfeasible: boolean): SessionKey[] =>
    shown
      .filter((trace) => trace.isInfeasible === isInfeasible)
      .flatMap((trace) =>
        seeds
          .slice(0, isInfeasible ? INFEASIBLE_SEED_MAX_COUNT : Infinity)
          .map((luck) => ({ traceIndex: traces.indexOf(trace), seed: luck })),
      );
  tell(`${warm.sessionCount} sessions teach the learner …`);
  const warmed = warmUp(traces, { policies: learned, ...warm, seed });
  const ours = learnedPolicies(warmed.knowledge);
  const judged = ours.at(-1)!.name;
  const main = [...BASELINES, ...FIXED_CANDIDATES, ...ours];
  const extra = [
    ...(options.hasAblations ? ABLATIONS : []),
    ...(options.hasVectorOracle ? oracleCandidates(learned) : []),
    ...(options.hasFrontier ? frontierPolicies(learned) : []),
  ];
  const stage = new Stage(traces, options, { play, tell });
  const panel = withBestFixed(await stage.panelOf(keysOf(false), [...main, ...extra]));
  if (panel.keys.length === 0) {
    throw new TypeError(`report: no links of ${splits.join(', ')} that carry the lowest rendition`);
  }
  const infeasible = withBestFixed(await stage.panelOf(keysOf(true), main));
  const ladder = LADDERS[options.ladderName] ?? LADDER_DEFAULT;
  tell('what nobody could have bettered …');
  const bounds = boundsOf(panel, options);
  const names = [
    ...ours.toReversed().map(({ name }) => name),
    GCC,
    FIXED_BEST,
    FIXED_TOP,
    'lowest rung',
    'GCC, D = 2 s',
  ];
  tell('intervals …');
  const against = (mine: string, theirs: string): Contrast => contrast(panel, { mine, theirs, gapFrom: GCC }, bounds);
  const { policies: _policies, ...rest } = options;
  return {
    options: { ...rest, policyCount: learned.length },
    isSynthetic: real.length === 0,
    traceCount: traceCountOf(panel),
    groupCount: panel.groups.length,
    infeasibleTraceCount: traceCountOf(infeasible),
    judged,
    targets: targetTable(panel, judged, {
      gcc: against(judged, GCC),
      fixedTop: against(judged, FIXED_TOP),
      fixedBest: against(judged, FIXED_BEST),
      defaults: against(judged, MECHANISMS),
    }),
    policies: names.map((name) => policyRow(panel, name)),
    unavoidableStallRatio: meanOf(bounds.unavoidableStall),
    oracleUtility: meanOf(bounds.oracleUtility),
    learning: [
      ...ours.slice(1).map(({ name }) => against(name, MECHANISMS)),
      ...(panel.records.has(PER_CLASS) && panel.records.has(SEARCHED) ? [against(PER_CLASS, SEARCHED)] : []),
    ],
    classes: classRows(panel, [judged, MECHANISMS, GCC]),
    infeasible:
      infeasible.keys.length === 0
        ? []
        : names.map((name) => ({ name, measures: measuresOf(recordsOf(infeasible, name)) })),
    weights: weightRows(panel, judged),
    frameRateHz: ladder.frameRateHz,
    ablations: options.hasAblations ? ABLATIONS.map(({ name }) => against(name, MECHANISMS)) : [],
    ablated: options.hasAblations
      ? ABLATIONS.map(({ name }) => ({ name, measures: measuresOf(recordsOf(panel, name)) }))
      : [],
    vectorOracle: options.hasVectorOracle ? vectorOracle(panel, oracleCandidates(learned)) : undefined,
    frontier: options.hasFrontier ? frontierOf(panel) : [],
    warm: { classes: warmed.classes, sessionCount: warmed.sessionCount },
    arms: countArms(recordsOf(panel, judged)),
  };
};

/** Plays policy by policy, which is also how far it has come. */
class Stage {
  readonly #traces: readonly Trace[];
  readonly #options: ReportOptions;
  readonly #shell: { readonly play: Play; readonly tell: (line: string) => void };

  constructor(traces: readonly Trace[], options: ReportOptions, shell: { play: Play; tell: (line: string) => void }) {
    this.#traces = traces;
    this.#options = options;
    this.#shell = shell;
  }

  async panelOf(keys: readonly SessionKey[], policies: readonly Named[]): Promise<Panel> {
    const records = new Map<string, readonly SessionRecord[]>();
    const links = keys.map(({ traceIndex, seed }) => factsOf(this.#traces[traceIndex]!, seed));
    for (const { name, smoothnessRatio, specFor } of keys.length === 0 ? [] : policies) {
      const { durationMs, ladderName } = this.#options;
      this.#shell.tell(`${name}: ${keys.length} sessions …`);
      const jobs = keys.map((key, place) => ({
        ...{ ...key, durationMs, ladderName, smoothnessRatio },
        policy: specFor(links[place]!),
      }));
      records.set(name, await this.#shell.play(jobs));
    }
    return makePanel(keys, this.#traces, { records, resampleCount: this.#options.resampleCount });
  }
}

/** B1: in each class of recordings the fixed rendition of the highest utility in hindsight. */
const withBestFixed = (panel: Panel): Panel => {
  if (panel.keys.length === 0) {
    return panel;
  }
  const candidates = FIXED_CANDIDATES.map(({ name }) => recordsOf(panel, name));
  const bestOf = new Map<string, number>();
  for (const name of new Set(panel.links.map(({ networkClass }) => networkClass))) {
    const places = panel.links.flatMap(({ networkClass }, place) => (networkClass === name ? [place] : []));
    const utilities = candidates.map((records) => meanOf(places.map((place) => utilityOfRecord(records[place]!))));
    bestOf.set(name, utilities.indexOf(Math.max(...utilities)));
  }
  const best = panel.links.map(({ networkClass }, place) => candidates[bestOf.get(networkClass) ?? 0]![place]!);
  return { ...panel, records: new Map([...panel.records, [FIXED_BEST, best]]) };
};

/** What the oracle makes of each session. */
const boundsOf = ({ keys, traces }: Panel, { durationMs, ladderName }: ReportOptions): Bounds => {
  const ladder = LADDERS[ladderName] ?? LADDER_DEFAULT;
  const options = { durationMs, ladder, smoothnessRatio: SMOOTHNESS_RATIO };
  const results = keys.map(({ traceIndex, seed }) =>
    playOracle({ ...options, seed, down: linkOf(traces[traceIndex]!, seed).down }),
  );
  return {
    unavoidableStall: results.map(({ stallRatio }) => stallRatio),
    oracleUtility: results.map(({ utility }) => utility),
  };
};

const policyRow = (panel: Panel, name: string): PolicyRow => {
  const records = recordsOf(panel, name);
  const measures = measuresOf(records);
  const fields = Object.keys(measures) as (keyof Measures)[];
  const resampleCount = DESCRIBED_RATIO * panel.resampleCount;
  const estimates = resample({ groupCount: panel.groups.length, resampleCount }, (groups) => {
    const drawn = measuresOf(groups.flatMap((group) => panel.groups[group]!.map((place) => records[place]!)));
    return fields.map((field) => drawn[field]);
  });
  const intervals = Object.fromEntries(
    fields.map((field, index) => [field, { low: estimates[index]!.low, high: estimates[index]!.high }]),
  ) as PolicyRow['intervals'];
  return { name, measures, intervals };
};

const classRows = (panel: Panel, names: readonly string[]): ClassRows[] => {
  const rowsOf = (name: string, part: Panel): ClassRows => ({
    name,
    traceCount: traceCountOf(part),
    groupCount: part.groups.length,
    rows: names.map((policy) => ({ name: policy, measures: measuresOf(recordsOf(part, policy)) })),
  });
  const recorded = [...new Set(panel.links.map(({ networkClass }) => networkClass))].sort();
  const merged = [...new Set(panel.links.map(({ mergedClass }) => mergedClass))].sort();
  return [
    ...recorded.map((name) =>
      rowsOf(
        name,
        partOf(panel, (_trace, { networkClass }) => networkClass === name),
      ),
    ),
    ...merged.map((name) =>
      rowsOf(
        name,
        partOf(panel, (_trace, { mergedClass }) => mergedClass === name),
      ),
    ),
  ];
};

const weightRows = (panel: Panel, judged: string): Report['weights'] =>
  Object.entries(WEIGHTS).map(([name, weights]) => {
    const utility = (policy: string): number =>
      meanOf(recordsOf(panel, policy).map((record) => utilityOfRecord(record, weights)));
    return { name, gain: utility(judged) - utility(GCC) };
  });

const vectorOracle = (panel: Panel, candidates: readonly Named[]): Report['vectorOracle'] => {
  const records = candidates.map(({ name }) => recordsOf(panel, name));
  const placesOf = new Map<number, number[]>();
  panel.keys.forEach(({ traceIndex }, place) => {
    placesOf.set(traceIndex, [...(placesOf.get(traceIndex) ?? []), place]);
  });
  const best = [...placesOf.values()].flatMap((places) => {
    const utilities = records.map((some) => meanOf(places.map((place) => utilityOfRecord(some[place]!))));
    const index = utilities.indexOf(Math.max(...utilities));
    return places.map((place) => records[index]![place]!);
  });
  const { utility, stallRatio } = measuresOf(best);
  return { vectorCount: candidates.length, utility, stallRatio };
};

const frontierOf = (panel: Panel): FrontierPoint[] =>
  [MECHANISMS, SEARCHED].flatMap((name) =>
    FRONTIER_ALL.filter((ratio) => panel.records.has(frontierName(name, ratio))).map((smoothnessRatio) => ({
      name,
      smoothnessRatio,
      measures: measuresOf(recordsOf(panel, frontierName(name, smoothnessRatio))),
    })),
  );

const countArms = (records: readonly SessionRecord[]): [string, number][] => {
  const counts = new Map<string, number>();
  for (const { armName = 'network never known' } of records) {
    counts.set(armName, (counts.get(armName) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a);
};
