/** The sessions that are judged together, what is known of their links, and what every policy made of them, in the same order. */
import type { PolicyClass } from '../../../server/congestion/learned/policy.ts';
import type { Trace } from '../../sim/corpus.ts';
import { linkOf } from '../../sim/corpus.ts';
import { hasOutages, mergedClassOf } from '../link-class.ts';
import type { SessionKey, SessionRecord } from './sessions.ts';

/** What a link is, whoever is sent over it. */
export type LinkFacts = {
  /** Of the recording, as the corpus names it. */
  readonly networkClass: string;
  /** The tree of CONGESTION 4.2, merged. */
  readonly mergedClass: PolicyClass;
  /** At least one silence of 0.7 s a minute. */
  readonly hasOutages: boolean;
  readonly rttMs: number;
};

export type Panel = {
  readonly keys: readonly SessionKey[];
  readonly traces: readonly Trace[];
  readonly links: readonly LinkFacts[];
  /** Places of sessions by recording: what is resampled. */
  readonly groups: readonly (readonly number[])[];
  readonly records: ReadonlyMap<string, readonly SessionRecord[]>;
  /** How often its groups are drawn anew for an interval. */
  readonly resampleCount: number;
};

/** Fewer recordings than this allow no claim (CONGESTION 7.2). */
export const GROUP_MIN_COUNT = 8;

export const factsOf = (trace: Trace, seed: number): LinkFacts => {
  const link = linkOf(trace, seed);
  return {
    networkClass: trace.networkClass,
    mergedClass: mergedClassOf(link),
    hasOutages: hasOutages(link.down.capacity?.steps ?? []),
    rttMs: link.down.delayMs + link.up.delayMs,
  };
};

export const makePanel = (
  keys: readonly SessionKey[],
  traces: readonly Trace[],
  { records, resampleCount }: Pick<Panel, 'records' | 'resampleCount'>,
): Panel => ({
  keys,
  traces,
  links: keys.map(({ traceIndex, seed }) => factsOf(traces[traceIndex]!, seed)),
  groups: groupsOf(keys, traces),
  records,
  resampleCount,
});

/** Those sessions alone of which it is true. */
export const partOf = (panel: Panel, isIn: (trace: Trace, link: LinkFacts) => boolean): Panel => {
  const { keys, traces, links, records, resampleCount } = panel;
  const kept = keys.flatMap(({ traceIndex }, place) => (isIn(traces[traceIndex]!, links[place]!) ? [place] : []));
  const at = <Item>(items: readonly Item[]): Item[] => kept.map((place) => items[place]!);
  return {
    keys: at(keys),
    traces,
    links: at(links),
    groups: groupsOf(at(keys), traces),
    records: new Map([...records].map(([name, some]) => [name, at(some)])),
    resampleCount,
  };
};

export const recordsOf = ({ records }: Panel, name: string): readonly SessionRecord[] => {
  const found = records.get(name);
  if (found === undefined) {
    throw new TypeError(`report: nobody played ${name}`);
  }
  return found;
};

/** For `resample`. */
export const drawingOf = ({ groups, resampleCount }: Panel): { groupCount: number; resampleCount: number } => ({
  groupCount: groups.length,
  resampleCount,
});

export const traceCountOf = ({ keys }: Panel): number => new Set(keys.map(({ traceIndex }) => traceIndex)).size;

const groupsOf = (keys: readonly SessionKey[], traces: readonly Trace[]): number[][] => {
  const places = new Map<string, number[]>();
  keys.forEach(({ traceIndex }, place) => {
    const { group } = traces[traceIndex]!;
    places.set(group, [...(places.get(group) ?? []), place]);
  });
  return [...places.values()];
};
