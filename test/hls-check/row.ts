/** What a row of the table is: a rule, and a judgement of an observation with its evidence in a few words. */
import type { Observation } from './observe.ts';

export type Verdict = {
  readonly state: 'kept' | 'broken' | 'not-applicable' | 'cannot-tell';
  readonly evidence: string;
};

export type Row = {
  /** Of CONFORMANCE part 1: `L1`…`L29`. */
  readonly id: string;
  readonly level: 'MUST' | 'SHOULD';
  readonly title: string;
  judge(observation: Observation): Verdict;
};

export const kept = (evidence: string): Verdict => ({ state: 'kept', evidence });
export const broken = (evidence: string): Verdict => ({ state: 'broken', evidence });
export const notApplicable = (evidence: string): Verdict => ({ state: 'not-applicable', evidence });
export const cannotTell = (evidence: string): Verdict => ({ state: 'cannot-tell', evidence });

/** Kept when there is nothing to complain of. */
export const unless = (complaints: readonly string[], evidence: string): Verdict => {
  const distinct = [...new Set(complaints)];
  const more = distinct.length > 2 ? ` (and ${distinct.length - 2} more)` : '';
  return distinct.length === 0 ? kept(evidence) : broken(`${distinct.slice(0, 2).join('; ')}${more}`);
};

/** The last path segment, for evidence. */
export const nameOf = (url: string): string => new URL(url).pathname.split('/').slice(-2).join('/');
