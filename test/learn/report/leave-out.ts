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
import { GROUP_MIN_COUNT, makePanel, partOf, recordsOf, traceCountOf } from './panel.ts';
import { MECHANISMS } from './policies.ts';
import type { Play } from './report.ts';
import type { PolicySpec, SessionKey } from './sessions.ts';
import type { Unit } from './targets.ts';
import { format, percent } from './tell.ts';

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
  const found = new Map<string, Partial<Parameters> | undefined>();
  for (const name of names) {
    tell(`a search without ${name} …`);
    found.set(
      name,
      await search(
        traces.filter((trace) => sourceNameOf(trace) !== name),
        name,
      ),
    );
  }
  const keys: SessionKey[] = judged.flatMap((trace) =>
    options.seeds.map((seed) => ({ traceIndex: traces.indexOf(trace), seed })),
  );
  const played = async (name: string, specFor: (trace: Trace) => PolicySpec) => {
    tell(`${name}: ${keys.length} sessions …`);
    const { durationMs, ladderName } = options;
    return play(
      keys.map((key) => ({
        ...{ ...key, durationMs, ladderName, smoothnessRatio: SMOOTHNESS_RATIO },
        policy: specFor(traces[key.traceIndex]!),
      })),
    );
  };
  const records = new Map([
    [MECHANISMS, await played(MECHANISMS, () => ({ kind: 'own', parameters: {} }))],
    [UNSEEN, await played(UNSEEN, (trace) => ({ kind: 'own', parameters: found.get(sourceNameOf(trace)) ?? {} }))],
  ]);
  const panel = makePanel(keys, traces, { records, resampleCount: options.resampleCount });
  tell('intervals …');
  return {
    sources: names.map((source) => {
      const part = partOf(panel, (trace) => sourceNameOf(trace) === source);
      return {
        ...{ source, traceCount: traceCountOf(part), groupCount: part.groups.length },
        searchedCount: judged.filter((trace) => sourceNameOf(trace) === source && trace.split === 'search').length,
        parameters: found.get(source),
        defaults: measuresOf(recordsOf(part, MECHANISMS)),
        unseen: measuresOf(recordsOf(part, UNSEEN)),
        contrast: contrastOf(part),
      };
    }),
    all: { traceCount: traceCountOf(panel), groupCount: panel.groups.length, contrast: contrastOf(panel) },
  };
};

const contrastOf = (panel: Panel): Contrast => contrast(panel, { mine: UNSEEN, theirs: MECHANISMS }, undefined);

export const tellLeaveOut = ({ sources, all }: LeaveOut): string[] => [
  'What the search gives on sources it has not seen: for each data set a search without it, class all, λ = 0.5, judged on its recordings alone (search and validation parts)',
  'against the own defaults; semi-real, paired, 95 % from resampling recordings.',
  ...sources.flatMap((row) => {
    const few = row.groupCount < GROUP_MIN_COUNT ? '; too few for a claim' : '';
    const none = row.parameters === undefined ? ': the search found nothing better than the defaults' : '';
    return [
      `  ${row.source}: ${row.traceCount} traces, ${row.groupCount} recordings (${row.searchedCount} traces that a search would else have seen${few})${none}`,
      `    stall ${percent(row.defaults.stallRatio, 2)} → ${percent(row.unseen.stallRatio, 2)}, 95th percentile ${row.defaults.latencyP95Ms.toFixed(0)} → ${row.unseen.latencyP95Ms.toFixed(0)} ms, ` +
        `quality ${row.defaults.qualityRatio.toFixed(3)} → ${row.unseen.qualityRatio.toFixed(3)}`,
      `    ${differences(row.contrast)}`,
    ];
  }),
  `  all ${all.traceCount} traces of ${all.groupCount} recordings together: ${differences(all.contrast)}`,
  verdict(all.contrast),
];

const differences = ({ estimates }: Contrast): string => {
  const { utilityDifference, stallDifference, sessionMedianChange, qualityDifference } = estimates;
  return [
    `utility ${interval('number', utilityDifference)}`,
    `stall ${interval('points', stallDifference)}`,
    `median ${interval('change', sessionMedianChange)}`,
    `quality ${interval('number', qualityDifference)}`,
  ].join(', ');
};

const interval = (unit: Unit, { value, low, high }: Contrast['estimates']['stallChange']): string =>
  `${format(unit, value)} [${format(unit, low)}, ${format(unit, high)}]`;

const verdict = ({ estimates: { utilityDifference, stallDifference } }: Contrast): string => {
  const gains =
    utilityDifference.low > 0
      ? 'gains utility'
      : utilityDifference.high < 0
        ? 'loses utility'
        : 'is not known to gain or lose utility';
  const stalls =
    stallDifference.low > 0
      ? 'stalls more'
      : stallDifference.high < 0
        ? 'stalls less'
        : 'is not known to stall more or less';
  return `  On networks like none it was made on, what is searched ${gains} and ${stalls}.`;
};
