/**
 * The learner (CONGESTION 4.4): per class of network it draws among the arms that are likely enough no worse than the own defaults, by what sessions
 * have shown. It is told the time and given its random numbers, and everything it knows is a state that adds and can be written down. Pure.
 */
import type { Features, NetworkClass } from '../congestion/learned/link-features.ts';
import { FEATURE_COUNT, NETWORK_CLASSES } from '../congestion/learned/link-features.ts';
import type { Policy, PolicyGain } from '../congestion/learned/policy.ts';
import type { Outcome } from '../congestion/learned/session-meter.ts';
import type { Departure, ModelPrior } from './arm-model.ts';
import { ArmModel } from './arm-model.ts';
import type { ArmSums, Lesson, Target } from './arm-sums.ts';
import { addLesson, emptySums } from './arm-sums.ts';
import type { Arm } from './arms.ts';
import { armsFor } from './arms.ts';
import type { Comparison, Group } from './holdout.ts';
import { addSession, compare } from './holdout.ts';
import type { LearnerState, Refusals } from './learner-state.ts';
import { armsOf, fade, groupSumsOf } from './learner-state.ts';

export type LearnerOptions = {
  readonly policies: readonly Policy[];
  readonly state: LearnerState;
  /** In [0, 1). */
  readonly nextRatio: () => number;
  /** Instead of what the arms' files say; the simulated month has its own. */
  readonly departures?: (networkClass: NetworkClass, armName: string) => DeparturePrior;
};

/** Means of an arm's difference to the defaults. */
export type DeparturePrior = PolicyGain;

/** A session that has ended, by its player's reports; class and features as they were known before an arm was chosen. */
export type SessionResult = {
  readonly networkClass: NetworkClass | undefined;
  readonly features: Features | undefined;
  readonly outcome: Outcome;
  readonly smoothnessRatio: number;
};

export type ArmReport = {
  readonly arm: Arm;
  readonly sessionCount: number;
  readonly abortCount: number;
  /** Of the sessions of its class. */
  readonly shareRatio: number;
  /** Difference to the defaults on the class's mean network. */
  readonly utility: Departure;
  /** Times the stall of the defaults, likewise. */
  readonly stallFactor: number;
  readonly isAdmitted: boolean;
};

export type ClassReport = {
  readonly networkClass: NetworkClass;
  readonly sessionCount: number;
  readonly arms: readonly ArmReport[];
};

/** CONGESTION 4.4: an arm is admitted while it is unlikely to be worse than the defaults by more than this. */
const UTILITY_LOSS_MAX = 0.05;
const STALL_FACTOR_MAX = 1.2;
/** Standard normal at 90 %. */
const UNLIKELY_DEVIATIONS = 1.2816;
/** Vetted means: admitted as long as nothing was seen, with little to spare, and as sure as some seventy sessions would make it. */
const PRIORS: Readonly<Record<Target, Omit<ModelPrior, 'departureMeans' | 'centre'>>> = {
  utility: {
    departureDeviation: 0.03,
    slopeDeviation: 0.02,
    baseMean: 0.5,
    baseDeviation: 0.5,
    noiseDeviation: 0.3,
  },
  logStall: {
    departureDeviation: 0.11,
    slopeDeviation: 0.07,
    baseMean: -5,
    baseDeviation: 2,
    noiseDeviation: 1,
  },
};
/**
 * The defaults stay unless an arm is thought to gain more than this: among arms that differ by less, the best draw of many is luck. On networks the
 * defaults were made on, choosing without it cost 0.013 of utility (test/learn/report).
 */
const WORTH_A_CHANGE = 0.02;
/** Of sessions, to arms that belief alone keeps out, until they were seen so often. */
const TRIAL_RATIO = 0.03;
const TRIED_SESSION_COUNT = 10;
const MIDDLING_WEIGHT = 30;

type ClassModels = {
  readonly utility: ArmModel;
  readonly logStall: ArmModel;
  /** The class's mean network. */
  readonly features: Features;
  readonly sums: readonly ArmSums[];
  readonly isAdmitted: readonly boolean[];
};

export class Learner {
  readonly state: LearnerState;
  readonly #options: LearnerOptions;
  readonly #arms: ReadonlyMap<NetworkClass, readonly Arm[]>;
  readonly #models = new Map<NetworkClass, ClassModels>();
  #spareNormal = Number.NaN;

  constructor(options: LearnerOptions) {
    this.#options = options;
    this.state = options.state;
    this.#arms = new Map(NETWORK_CLASSES.map((name) => [name, armsFor(options.policies, name)]));
    this.#remodel();
  }

  /** The own defaults first. */
  armsOf(networkClass: NetworkClass): readonly Arm[] {
    return this.#arms.get(networkClass) ?? [];
  }

  get armIds(): ReadonlySet<string> {
    return new Set([...this.#arms.values()].flatMap((arms) => arms.map(({ id }) => id)));
  }

  /** Every name that an arm has in some class. */
  get armNames(): readonly string[] {
    return [...new Set([...this.#arms.values()].flatMap((arms) => arms.map(({ name }) => name)))];
  }

  /** Thompson sampling among the admitted: the arm for a session on such a network. Now and then one that only belief keeps out. */
  choose(networkClass: NetworkClass, features: Features): Arm {
    const arms = this.armsOf(networkClass);
    const models = this.#modelsOf(networkClass);
    const untried = this.#untried(models);
    if (untried.length > 0 && this.#options.nextRatio() < TRIAL_RATIO) {
      const index = untried[Math.floor(this.#options.nextRatio() * untried.length)] ?? 0;
      return arms[index] ?? raise(networkClass);
    }
    const drawn = models.utility.draw(features, () => this.#normal());
    let best = 0;
    let bestGain = WORTH_A_CHANGE;
    for (let index = 1; index < arms.length; index += 1) {
      const gain = drawn[index] ?? 0;
      if (gain > bestGain && models.isAdmitted[index] === true) {
        best = index;
        bestGain = gain;
      }
    }
    return arms[best] ?? raise(networkClass);
  }

  /** One session's part under one arm. The models are made anew here, where nobody waits, rather than in `choose`. */
  learn(networkClass: NetworkClass, armId: string, lesson: Lesson): void {
    addLesson(this.#sumsOf(networkClass, armId), lesson);
    this.#models.set(networkClass, this.#makeModels(networkClass));
  }

  noteAbort(networkClass: NetworkClass, armId: string): void {
    this.#sumsOf(networkClass, armId).abortCount += 1;
  }

  noteRefused(reason: keyof Refusals): void {
    this.state.refused[reason] += 1;
  }

  /** Classes only where both groups' viewers are told apart by the same controller. */
  noteSession(group: Group, session: SessionResult): void {
    addSession(groupSumsOf(this.state, 'all', group), session);
    if (session.networkClass !== undefined && group !== 'gcc') {
      addSession(groupSumsOf(this.state, session.networkClass, group), session);
    }
  }

  /** To be called now and then: what is old fades. */
  tick(nowWallMs: number): void {
    fade(this.state, nowWallMs);
    this.#remodel();
  }

  compareWith(against: Comparison['against'], name: NetworkClass | 'all' = 'all'): Comparison {
    return compare(against, groupSumsOf(this.state, name, 'learning'), groupSumsOf(this.state, name, against));
  }

  report(): readonly ClassReport[] {
    return NETWORK_CLASSES.map((networkClass) => {
      const arms = this.armsOf(networkClass);
      const models = this.#modelsOf(networkClass);
      const { sums, features } = models;
      const sessionCount = sums.reduce((sum, one) => sum + one.sessionCount, 0);
      return {
        networkClass,
        sessionCount,
        arms: arms.map((arm, index) => ({
          arm,
          sessionCount: sums[index]?.sessionCount ?? 0,
          abortCount: sums[index]?.abortCount ?? 0,
          shareRatio: sessionCount === 0 ? 0 : (sums[index]?.sessionCount ?? 0) / sessionCount,
          utility: models.utility.departure(index, features),
          stallFactor: Math.exp(models.logStall.departure(index, features).mean),
          isAdmitted: models.isAdmitted[index] === true,
        })),
      };
    });
  }

  /** Kept out although hardly seen: what was believed of them before may be wrong for these networks. */
  #untried({ isAdmitted: admitted, sums }: ClassModels): number[] {
    return admitted.flatMap((isIn, index) =>
      isIn || (sums[index]?.sessionCount ?? 0) >= TRIED_SESSION_COUNT ? [] : [index],
    );
  }

  #sumsOf(networkClass: NetworkClass, armId: string): ArmSums {
    const arms = armsOf(this.state, networkClass);
    const sums = arms.get(armId) ?? emptySums();
    arms.set(armId, sums);
    return sums;
  }

  #remodel(): void {
    for (const networkClass of NETWORK_CLASSES) {
      this.#models.set(networkClass, this.#makeModels(networkClass));
    }
  }

  #modelsOf(networkClass: NetworkClass): ClassModels {
    return this.#models.get(networkClass) ?? this.#makeModels(networkClass);
  }

  #makeModels(networkClass: NetworkClass): ClassModels {
    const arms = this.armsOf(networkClass);
    const sums = arms.map(({ id }) => this.state.arms.get(networkClass)?.get(id) ?? emptySums());
    const features = meanFeatures(sums);
    const { departures } = this.#options;
    const model = (target: Target): ArmModel =>
      new ArmModel(sums, target, {
        ...PRIORS[target],
        centre: features,
        departureMeans: arms.map(({ name, believed }) => (departures?.(networkClass, name) ?? believed)[target]),
      });
    const models = { utility: model('utility'), logStall: model('logStall') };
    return { ...models, features, sums, isAdmitted: arms.map((_, index) => isAdmitted(models, index, features)) };
  }

  /** Box and Muller, two at a time. */
  #normal(): number {
    if (!Number.isNaN(this.#spareNormal)) {
      const spare = this.#spareNormal;
      this.#spareNormal = Number.NaN;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.#options.nextRatio()));
    const angle = 2 * Math.PI * this.#options.nextRatio();
    this.#spareNormal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}

const isAdmitted = (models: Pick<ClassModels, Target>, armIndex: number, features: Features): boolean => {
  const utility = models.utility.departure(armIndex, features);
  const logStall = models.logStall.departure(armIndex, features);
  return (
    utility.mean - UNLIKELY_DEVIATIONS * utility.deviation >= -UTILITY_LOSS_MAX &&
    logStall.mean + UNLIKELY_DEVIATIONS * logStall.deviation <= Math.log(STALL_FACTOR_MAX)
  );
};

/** Weighted mean of the networks seen, drawn to a middling one while they are few. */
const meanFeatures = (sums: readonly ArmSums[]): Features => {
  const weight = MIDDLING_WEIGHT + sums.reduce((sum, one) => sum + one.weight, 0);
  return Array.from({ length: FEATURE_COUNT }, (_, index) =>
    index === 0 ? 1 : sums.reduce((sum, one) => sum + (one.pairs[index] ?? 0), 0) / weight,
  );
};

const raise = (networkClass: NetworkClass): never => {
  throw new RangeError(`learner: no arms for ${networkClass}`);
};
