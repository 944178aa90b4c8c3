/**
 * What the search gives on sources that it has not seen (CONGESTION 7.2): for each data set of the corpus a search without it, judged on that data set
 * alone. Told how to search and to play.
 */
import type { Parameters } from '../../../server/congestion/parameters.ts';
import type { Trace } from '../../sim/corpus.ts';
import { isSynthetic } from '../synthetic.ts';
import type { Contrast } from './contrast.ts';
import { contrast } from './contrast.ts';
import type { Measures } from './measures.ts';
import { SMOOTHNESS_RATIO, measuresOf } from './measures.ts';
import type { Panel } from './panel.ts';
import { GROUP_MIN_COUNT, makePanel, traceCountOf } from './panel.ts';
import { MECHANISMS } from './policies.ts';
import type { Play } from './report.ts';
import type { PolicySpec, SessionKey, SessionRecord } from './sessions.ts';
import type { Unit } from './targets.ts';
import { format, gainInWords, percent } from './tell.ts';

export const UNSEEN = 'search without the source';

export type LeaveOutOptions = {
  readonly seeds: readonly number[];
  readonly durationMs: number;
  readonly ladderName: string;
  readonly resampleCount: number;
};

/** The vector that a search over these finds; undefined: none better than the defaults. */
export type Search = (traces: readonly Trace[], name: string) => Promise<Partial<Parameters> | undefined>;

export type SourceRow = {
  readonly source: string;
  readonly traceCount: number;
  readonly groupCount: number;
  /** Of this source's recordings that a search would else have seen. */
  readonly searchedCount: number;
  readonly parameters: Partial<Parameters> | undefined;
  readonly defaults: Measures;
  readonly unseen: Measures;
  readonly contrast: Contrast;
};

export type LeaveOut = {
  readonly sources: readonly SourceRow[];
  /** All sources' sessions together, each with the vector of the search that had not seen it. */
  readonly all: { readonly traceCount: number; readonly groupCount: number; readonly contrast: Contrast };
};

/** The data set a recording comes from: in the corpus every id begins with it. */
export const sourceNameOf = ({ id }: Trace): string => id.split(/[-/]/)[0] ?? id;

export const leaveSourcesOut = async (
  traces: readonly Trace[],
  options: LeaveOutOptions,
  { search, play, tell }: { search: Search; play: Play; tell: (line: string) => void },
): Promise<LeaveOut> => {
  const judged = traces.filter((trace) => !isSynthetic(trace) && !trace.isInfeasible);
  const names = [...new Set(judged.map(sourceNameOf))].sort();
  if (names.length === 0) {
    throw new TypeError('report: no recordings to leave out');
  }
  const played = async (name: string, keys: readonly SessionKey[], parameters: Partial<Parameters>) => {
    tell(`${name}: ${keys.length} sessions …`);
    const { durationMs, ladderName } = options;
    const policy: PolicySpec = { kind: 'own', parameters };
    return play(keys.map((key) => ({ ...key, durationMs, ladderName, smoothnessRatio: SMOOTHNESS_RATIO, policy })));
  };
  const sources: SourceRow[] = [];
  const all: Judged[] = [];
  for (const source of names) {
    tell(`a search without ${source} …`);
    const others = traces.filter((trace) => sourceNameOf(trace) !== source);
    const parameters = await search(others, source);
    const own = judged.filter((trace) => sourceNameOf(trace) === source);
    const keys = own.flatMap((trace) =>
      options.seeds.map((seed): SessionKey => ({ traceIndex: traces.indexOf(trace), seed })),
    );
    const defaults = await played(MECHANISMS, keys, {});
    const unseen = parameters === undefined ? defaults : await played(UNSEEN, keys, parameters);
    all.push({ keys, defaults, unseen });
    const panel = panelOf([{ keys, defaults, unseen }], traces, options);
    const row: SourceRow = {
      ...{ source, traceCount: traceCountOf(panel), groupCount: panel.groups.length },
      searchedCount: own.filter(({ split }) => split === 'search').length,
      parameters,
      defaults: measuresOf(defaults),
      unseen: measuresOf(unseen),
      contrast: contrastOf(panel),
    };
    sources.push(row);
    // Hours may lie between the first and the last.
    tellSource(row).forEach(tell);
  }
  const panel = panelOf(all, traces, options);
  return {
    sources,
    all: { traceCount: traceCountOf(panel), groupCount: panel.groups.length, contrast: contrastOf(panel) },
  };
};

type Judged = {
  readonly keys: readonly SessionKey[];
  readonly defaults: readonly SessionRecord[];
  readonly unseen: readonly SessionRecord[];
};

const panelOf = (
  parts: readonly Judged[],
  traces: readonly Trace[],
  { resampleCount }: Pick<LeaveOutOptions, 'resampleCount'>,
): Panel => {
  const records = new Map([
    [MECHANISMS, parts.flatMap(({ defaults }) => defaults)],
    [UNSEEN, parts.flatMap(({ unseen }) => unseen)],
  ]);
  return makePanel(
    parts.flatMap(({ keys }) => keys),
    traces,
    { records, resampleCount },
  );
};

const contrastOf = (panel: Panel): Contrast => contrast(panel, { mine: UNSEEN, theirs: MECHANISMS }, undefined);

export const tellLeaveOut = ({ sources, all }: LeaveOut): string[] => [
  'What the search gives on sources it has not seen: for each data set a search without it, class all, λ = 0.5, judged on its recordings alone (search and validation parts)',
  'against the own defaults; semi-real, paired, 95 % from resampling recordings.',
  ...sources.flatMap(tellSource),
  `  all ${all.traceCount} traces of ${all.groupCount} recordings together: ${differences(all.contrast)}`,
  `  On networks like none it was made on, what is searched ${gainInWords(all.contrast)}.`,
];

const tellSource = (row: SourceRow): string[] => {
  const few = row.groupCount < GROUP_MIN_COUNT ? '; too few for a claim' : '';
  const none = row.parameters === undefined ? ': the search found nothing better than the defaults' : '';
  return [
    `  ${row.source}: ${row.traceCount} traces, ${row.groupCount} recordings (${row.searchedCount} traces that a search would else have seen${few})${none}`,
    `    stall ${percent(row.defaults.stallRatio, 2)} → ${percent(row.unseen.stallRatio, 2)}, 95th percentile ${row.defaults.latencyP95Ms.toFixed(0)} → ${row.unseen.latencyP95Ms.toFixed(0)} ms, ` +
      `quality ${row.defaults.qualityRatio.toFixed(3)} → ${row.unseen.qualityRatio.toFixed(3)}`,
    `    ${differences(row.contrast)}`,
  ];
};

const differences = ({ estimates }: Contrast): string => {
  const { utilityDifference, stallDifference, sessionMedianChange, qualityDifference } = estimates;
  return [
    `utility ${interval('number', utilityDifference)}`,
    `stall ${interval('points', stallDifference, 2)}`,
    `median ${interval('change', sessionMedianChange)}`,
    `quality ${interval('number', qualityDifference)}`,
  ].join(', ');
};

const interval = (unit: Unit, { value, low, high }: Contrast['estimates']['stallChange'], digits?: number): string =>
  `${format(unit, value, digits)} [${format(unit, low, digits)}, ${format(unit, high, digits)}]`;
