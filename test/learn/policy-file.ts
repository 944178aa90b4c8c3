/** What a search found, as the file that ships: the vector, the priors, and everything needed to know where they came from. */
import type { PolicyClass, PolicyGain } from '../../server/congestion/learned/policy.ts';
import { NO_GAIN, POLICY_SCHEMA, POLICY_VERSION } from '../../server/congestion/learned/policy.ts';
import type { Parameters } from '../../server/congestion/parameters.ts';
import type { Comparison } from './comparison.ts';
import type { Outcome } from './episode.ts';

const RATE_PRIOR_QUANTILE = 0.3;
const DELAY_PRIOR_QUANTILE = 0.85;
/** Below this a ratio of stalls says nothing. */
const STALL_LEAST = 0.001;

export type Found = {
  readonly networkClass: PolicyClass;
  readonly smoothnessRatio: number;
  readonly parameters: Partial<Parameters>;
  /** The winner's sessions on the links it was searched on. */
  readonly outcomes: readonly Outcome[];
  readonly dataSha256: string;
  /** Counts, seeds, options: as they were. */
  readonly made: object;
  /** By part, real and synthetic apart. */
  readonly reached: Readonly<Record<string, Comparison | undefined>>;
};

export const toPolicyFile = (found: Found): string => {
  const { networkClass, smoothnessRatio, parameters, outcomes, dataSha256, made, reached } = found;
  const file = {
    schema: POLICY_SCHEMA,
    version: POLICY_VERSION,
    dataSha256,
    vectors: [{ networkClass, smoothnessRatio, parameters, gain: gainOf(reached) }],
    priors: [{ networkClass, ...priorOf(outcomes), sessionCount: outcomes.length }],
    split: 'FNV-1a of a recording’s group: search 50 %, validation 20 %; test A and test B were not opened',
    made,
    reached,
  };
  return `${JSON.stringify(file, rounded, 2)}\n`;
};

/** `stable|jittery` at 0.5: `stable-jittery-050.json`. */
export const policyFileName = (networkClass: PolicyClass, smoothnessRatio: number): string =>
  `${networkClass.replaceAll('|', '-')}-${String(Math.round(100 * smoothnessRatio)).padStart(3, '0')}.json`;

/** What is certain of the links it has not seen: utility's lower bound, and stall as if half of what it spared were luck. */
const gainOf = (reached: Found['reached']): PolicyGain => {
  const judged = reached['validation real'] ?? reached['validation synthetic'];
  if (judged === undefined) {
    return NO_GAIN;
  }
  const { difference, defaults, learned } = judged;
  return {
    utility: Math.max(0, difference.utility.low),
    logStall: Math.log(Math.max(STALL_LEAST, learned.stallRatio) / Math.max(STALL_LEAST, defaults.stallRatio)) / 2,
  };
};

/** What sessions of the class could receive and needed, of each its median. */
const priorOf = (outcomes: readonly Outcome[]): { rateBps: number; playoutDelayMs: number } => ({
  rateBps: Math.round(
    quantileOf(
      outcomes.map(({ estimateBps }) => estimateBps),
      RATE_PRIOR_QUANTILE,
    ),
  ),
  playoutDelayMs: Math.round(
    quantileOf(
      outcomes.map(({ playoutDelayMs }) => playoutDelayMs),
      DELAY_PRIOR_QUANTILE,
    ),
  ),
});

const quantileOf = (values: readonly number[], ratio: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(ratio * (values.length - 1))] ?? 0;

/** Results have no more than five digits of meaning. */
const rounded = (_name: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value;
