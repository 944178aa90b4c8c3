/**
 * A month of a server, simulated: viewers arrive over networks of which some are of a kind that nobody's beliefs were made on, and the learner
 * finds out. The same from the same seed. What it is judged by was measured apart: every arm on the same links of each kind.
 */
import { Prng } from '../../server/base/prng.ts';
import type { NetworkClass } from '../../server/congestion/learned/link-features.ts';
import { NETWORK_CLASSES } from '../../server/congestion/learned/link-features.ts';
import { emptySums } from '../../server/learning/arm-sums.ts';
import type { Group } from '../../server/learning/holdout.ts';
import { groupOf } from '../../server/learning/holdout.ts';
import type { DeparturePrior } from '../../server/learning/learner.ts';
import { Learner } from '../../server/learning/learner.ts';
import { emptyState } from '../../server/learning/learner-state.ts';
import { RandomStream } from '../latency/link/random-streams.ts';
import type { Trace } from '../sim/corpus.ts';
import type { NewNetwork } from './made-up-networks.ts';
import { newNetwork } from './made-up-networks.ts';
import type { Seen } from './month-session.ts';
import { playSession } from './month-session.ts';
import type { World } from './randomise.ts';
import { randomise } from './randomise.ts';
import { syntheticTraces } from './synthetic.ts';

export type Kind = 'known' | NewNetwork;

export type MonthOptions = {
  readonly seed: number;
  readonly sessionCount: number;
  readonly durationMs: number;
  readonly holdoutRatio: number;
  /** Of sessions that come over the new kind of network. */
  readonly newRatio: number;
  readonly kind: NewNetwork;
  /** From the middle of the month on the new kind is this one instead. */
  readonly laterKind?: NewNetwork | undefined;
  /** With `laterKind`: everything is forgotten at that moment, as the best detector of changes would have it. */
  readonly forgetsAtChange?: boolean | undefined;
  /** It begins as the shipped one does, with no beliefs about arms, rather than with what is true of the known kind. */
  readonly isBlank?: boolean | undefined;
  /** Links of each kind on which every arm is measured. */
  readonly measuredCount: number;
  readonly onProgress?: (doneRatio: number) => void;
};

export type MonthSessionRecord = Seen & {
  readonly day: number;
  readonly kind: Kind;
  readonly group: Group;
};

/** Mean utility of each arm on links of one kind. */
export type ArmMeans = ReadonlyMap<string, number>;

export type Measured = {
  readonly kinds: ReadonlyMap<Kind, ArmMeans>;
  /** What the learner begins with: true of the known kind. */
  readonly departures: (networkClass: NetworkClass, armName: string) => DeparturePrior;
};

export type Month = { readonly sessions: readonly MonthSessionRecord[]; readonly learner: Learner };

const DAY_COUNT = 30;
const DAY_MS = 24 * 3_600_000;
const HOUR_MS = 3_600_000;
const TRACES_PER_CLASS = 24;
const VIEWER_RATIO = 0.5;
/** Far from the month's own. */
const MEASURED_SEED_FIRST = 1 << 24;
const CLASS_MIN_COUNT = 20;

const knownTraces = (seed: number): Trace[] =>
  syntheticTraces('search', TRACES_PER_CLASS, seed).filter(({ isInfeasible }) => !isInfeasible);

const worldOf = (kind: Kind, seed: number, traces: readonly Trace[]): World => {
  if (kind !== 'known') {
    return newNetwork(kind, seed);
  }
  const place = new RandomStream(seed, 'month/trace').ratio(0);
  return randomise(traces[Math.floor(place * traces.length)]!, seed);
};

/** Every arm on the same links: what is true, and what somebody who knows the known kind alone would believe. */
export const measureArms = (options: MonthOptions): Measured => {
  const traces = knownTraces(options.seed);
  const kinds = new Map<Kind, ArmMeans>();
  let departures: Measured['departures'] = () => ({ utility: 0, logStall: 0 });
  const wanted = new Set<Kind>(['known', options.kind, options.laterKind ?? options.kind]);
  for (const kind of wanted) {
    // It learns from pinned sessions alone, so its sums are each arm's means on the same links.
    const prng = new Prng(options.seed);
    const learner = new Learner({ policies: [], state: emptyState(0), nextRatio: () => prng.nextRatio() });
    const names = learner.armNames;
    const sums = new Map(names.map((name) => [name, 0]));
    for (let index = 0; index < options.measuredCount; index += 1) {
      const seed = MEASURED_SEED_FIRST + index;
      const world = worldOf(kind, seed, traces);
      for (const name of names) {
        const { durationMs } = options;
        const { utility } = playSession({ world, seed, durationMs, group: 'learning', learner, pinned: name });
        sums.set(name, sums.get(name)! + utility / options.measuredCount);
      }
    }
    kinds.set(kind, sums);
    if (kind === 'known') {
      departures = departuresOf(learner);
    }
  }
  return { kinds, departures };
};

/** Differences of weighted means of the same links. */
const departuresOf = (learner: Learner): Measured['departures'] => {
  const found = new Map<string, DeparturePrior>();
  for (const networkClass of NETWORK_CLASSES) {
    const arms = learner.armsOf(networkClass);
    const sums = arms.map(({ id }) => learner.state.arms.get(networkClass)?.get(id) ?? emptySums());
    const isKnown = sums.every(({ sessionCount }) => sessionCount >= CLASS_MIN_COUNT);
    const means = sums.map(({ weight, utility, logStall }) => ({
      utility: (utility.products[0] ?? 0) / weight,
      logStall: (logStall.products[0] ?? 0) / weight,
    }));
    arms.forEach(({ name }, index) => {
      const { utility, logStall } = means[index]!;
      found.set(`${networkClass}/${name}`, {
        utility: isKnown ? utility - means[0]!.utility : 0,
        logStall: isKnown ? logStall - means[0]!.logStall : 0,
      });
    });
  }
  return (networkClass, name) => found.get(`${networkClass}/${name}`) ?? { utility: 0, logStall: 0 };
};

export const playMonth = (options: MonthOptions, { departures }: Measured): Month => {
  const { seed, sessionCount, durationMs, holdoutRatio, newRatio, onProgress } = options;
  const traces = knownTraces(seed);
  const draws = new RandomStream(seed, 'month/arrivals');
  const prng = new Prng(seed);
  const beliefs = options.isBlank === true ? {} : { departures };
  const create = (nowMs: number): Learner =>
    new Learner({ policies: [], state: emptyState(nowMs), nextRatio: () => prng.nextRatio(), ...beliefs });
  let learner = create(0);
  let hourAtMs = 0;
  const sessions: MonthSessionRecord[] = [];
  for (let index = 0; index < sessionCount; index += 1) {
    const day = (DAY_COUNT * index) / sessionCount;
    const isLater = options.laterKind !== undefined && day >= DAY_COUNT / 2;
    const isChange = isLater && index > 0 && (DAY_COUNT * (index - 1)) / sessionCount < DAY_COUNT / 2;
    if (isChange && options.forgetsAtChange === true) {
      learner = create(day * DAY_MS);
    }
    if (day * DAY_MS - hourAtMs >= HOUR_MS) {
      hourAtMs = day * DAY_MS;
      learner.tick(hourAtMs);
    }
    const isNew = draws.ratio(2 * index) < newRatio;
    const kind: Kind = isNew ? ((isLater ? options.laterKind : undefined) ?? options.kind) : 'known';
    const viewer = Math.floor(draws.ratio(2 * index + 1) * VIEWER_RATIO * sessionCount);
    const group = groupOf(`viewer ${viewer}`, holdoutRatio);
    const sessionSeed = seed * sessionCount + index;
    const world = worldOf(kind, sessionSeed, traces);
    sessions.push({ day, kind, group, ...playSession({ world, seed: sessionSeed, durationMs, group, learner }) });
    onProgress?.((index + 1) / sessionCount);
  }
  return { sessions, learner };
};

/** Utility that the best arm of the session's kind has more than the one it got, in the mean of that kind's links. */
export const regretOf = ({ kind, armName }: MonthSessionRecord, { kinds }: Measured): number => {
  const means = kinds.get(kind)!;
  return Math.max(...means.values()) - (means.get(armName ?? 'defaults') ?? 0);
};

/** Of a session's arm, over the own defaults; likewise. */
export const gainOf = ({ kind, armName }: MonthSessionRecord, { kinds }: Measured): number => {
  const means = kinds.get(kind)!;
  return (means.get(armName ?? 'defaults') ?? 0) - means.get('defaults')!;
};
