/**
 * The holdout: viewers who never get anything that was learned, by a number that their players keep, half of them with GCC and half with the own
 * defaults. And the comparison with them, by what players report, the same instrument on both sides. Pure.
 */
import type { Features } from '../congestion/learned/link-features.ts';
import type { Outcome } from '../congestion/learned/session-meter.ts';
import { utilityOf } from '../congestion/learned/session-meter.ts';
import type { ArmSums, Target } from './arm-sums.ts';
import { addLesson, addSums, emptySums, logStallOf } from './arm-sums.ts';
import { groupEffect } from './group-effect.ts';

export type Group = 'gcc' | 'defaults' | 'learning';
export const GROUPS: readonly Group[] = ['gcc', 'defaults', 'learning'];

/** Per session. */
export const MEASURES = ['utility', 'stallRatio', 'stallFree', 'latencyMs', 'qualityRatio'] as const;
export type Measure = (typeof MEASURES)[number];

/** Sums and sums of squares of each measure: they add, and give means with their errors. */
export type MomentSums = { sessionCount: number } & Record<Measure, { sum: number; squares: number }>;

/** `sums`: the same sessions with what their networks were before anything was chosen. */
export type GroupSums = { readonly moments: MomentSums; readonly sums: ArmSums };

/** Learning less the holdout, 95 %. */
export type Difference = {
  readonly measure: Measure;
  readonly learning: number;
  readonly holdout: number;
  /** Of each mean by itself, half of its 95 % interval. */
  readonly learningHalf: number;
  readonly holdoutHalf: number;
  readonly difference: number;
  readonly low: number;
  readonly high: number;
  /** In words, for whoever would else read too much into a number. */
  readonly words: string;
};

export type Comparison = {
  readonly against: Exclude<Group, 'learning'>;
  readonly learningSessionCount: number;
  readonly holdoutSessionCount: number;
  readonly differences: readonly Difference[];
  /**
   * What is left when the networks of both groups are set level, by what was known of them before an arm was chosen: a narrower interval. Only
   * against the defaults, since only these begin as the learning sessions do.
   */
  readonly adjusted: Adjusted | undefined;
};

export type Adjusted = {
  /** Learning less the holdout. */
  readonly utility: Estimate;
  /** Stall of the learning sessions over the holdout's; of its logarithm with a floor of 0.2 %. */
  readonly stallFactor: Estimate;
};

export type Estimate = { readonly value: number; readonly low: number; readonly high: number; readonly words: string };

/** Fewer say nothing whatever their interval. */
const SESSION_MIN_COUNT = 30;
const NORMAL_95 = 1.96;
/** What is better when it is more. */
const RISING: ReadonlySet<Measure> = new Set<Measure>(['utility', 'stallFree', 'qualityRatio']);

/** The same viewer falls into the same group, on every node and after every restart. */
export const groupOf = (viewerId: string, holdoutRatio: number): Group => {
  const place = placeOf(viewerId);
  if (place < holdoutRatio / 2) {
    return 'gcc';
  }
  return place < holdoutRatio ? 'defaults' : 'learning';
};

/** FNV-1a, mixed, in [0, 1). */
const placeOf = (text: string): number => {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  }
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
};

export const emptyMoments = (): MomentSums => ({
  sessionCount: 0,
  utility: { sum: 0, squares: 0 },
  stallRatio: { sum: 0, squares: 0 },
  stallFree: { sum: 0, squares: 0 },
  latencyMs: { sum: 0, squares: 0 },
  qualityRatio: { sum: 0, squares: 0 },
});

/** `features`: where the network was known before an arm was chosen. */
export const addSession = (
  { moments, sums }: GroupSums,
  { outcome, features, smoothnessRatio }: { outcome: Outcome; features: Features | undefined; smoothnessRatio: number },
): void => {
  moments.sessionCount += 1;
  const utility = utilityOf(outcome, smoothnessRatio);
  const { seconds, stallRatio } = outcome;
  if (features !== undefined) {
    addLesson(sums, { features, utility, logStall: logStallOf(stallRatio), seconds });
  }
  const values: Readonly<Record<Measure, number>> = {
    utility,
    stallRatio,
    stallFree: stallRatio === 0 ? 1 : 0,
    latencyMs: outcome.latencyMs,
    qualityRatio: outcome.qualityRatio,
  };
  for (const measure of MEASURES) {
    moments[measure].sum += values[measure];
    moments[measure].squares += values[measure] ** 2;
  }
};

export const emptyGroup = (): GroupSums => ({ moments: emptyMoments(), sums: emptySums() });

export const addGroup = (to: GroupSums, from: GroupSums): void => {
  addMoments(to.moments, from.moments);
  addSums(to.sums, from.sums);
};

const addMoments = (to: MomentSums, from: MomentSums): void => {
  to.sessionCount += from.sessionCount;
  for (const measure of MEASURES) {
    to[measure].sum += from[measure].sum;
    to[measure].squares += from[measure].squares;
  }
};

export const compare = (against: Comparison['against'], learning: GroupSums, holdout: GroupSums): Comparison => ({
  against,
  learningSessionCount: learning.moments.sessionCount,
  holdoutSessionCount: holdout.moments.sessionCount,
  differences: MEASURES.map((measure) => differenceOf(measure, learning.moments, holdout.moments)),
  adjusted: against === 'gcc' ? undefined : adjust(learning, holdout),
});

const adjust = (learning: GroupSums, holdout: GroupSums): Adjusted => {
  const least = Math.min(learning.moments.sessionCount, holdout.moments.sessionCount);
  const of = (target: Target): { value: number; half: number } => {
    const { value, deviation } = groupEffect(learning.sums, holdout.sums, target);
    return { value, half: NORMAL_95 * deviation };
  };
  const utility = of('utility');
  const logStall = of('logStall');
  return {
    utility: {
      value: utility.value,
      low: utility.value - utility.half,
      high: utility.value + utility.half,
      words: wordsFor('utility', { least, difference: utility.value, half: utility.half }),
    },
    stallFactor: {
      value: Math.exp(logStall.value),
      low: Math.exp(logStall.value - logStall.half),
      high: Math.exp(logStall.value + logStall.half),
      words: wordsFor('stallRatio', { least, difference: logStall.value, half: logStall.half }),
    },
  };
};

const differenceOf = (measure: Measure, learning: MomentSums, holdout: MomentSums): Difference => {
  const ours = meanOf(learning, measure);
  const theirs = meanOf(holdout, measure);
  const difference = ours.mean - theirs.mean;
  const half = NORMAL_95 * Math.sqrt(ours.variance + theirs.variance);
  const least = Math.min(learning.sessionCount, holdout.sessionCount);
  return {
    measure,
    learning: ours.mean,
    holdout: theirs.mean,
    learningHalf: NORMAL_95 * Math.sqrt(ours.variance),
    holdoutHalf: NORMAL_95 * Math.sqrt(theirs.variance),
    difference,
    low: difference - half,
    high: difference + half,
    words: wordsFor(measure, { least, difference, half }),
  };
};

/** Of a mean of sessions: itself, and its variance. */
const meanOf = (sums: MomentSums, measure: Measure): { mean: number; variance: number } => {
  const { sessionCount } = sums;
  const { sum, squares } = sums[measure];
  const mean = sessionCount === 0 ? 0 : sum / sessionCount;
  const spread = sessionCount < 2 ? 0 : Math.max(0, squares - sum * mean) / (sessionCount - 1);
  return { mean, variance: sessionCount === 0 ? 0 : spread / sessionCount };
};

const wordsFor = (
  measure: Measure,
  { least, difference, half }: { least: number; difference: number; half: number },
): string => {
  if (least < SESSION_MIN_COUNT) {
    return `not yet significant: ${Math.floor(least)} sessions in the smaller group, fewer than ${SESSION_MIN_COUNT} say nothing`;
  }
  if (Math.abs(difference) <= half) {
    const factor = (half / Math.max(Math.abs(difference), half / 10)) ** 2;
    return `not yet significant: a difference this small needs about ${factor.toFixed(0)} times the sessions to be told from none`;
  }
  return difference > 0 === RISING.has(measure) ? 'better, significantly' : 'worse, significantly';
};
