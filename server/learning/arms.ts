/**
 * The vectors among which a session's is chosen: the own defaults always, what the search found where there is something, and a few steps from the
 * defaults along the two ways in which networks differ. At most eight, each inside the safe ranges. Pure.
 */
import { createHash } from 'node:crypto';
import type { NetworkClass } from '../congestion/learned/link-features.ts';
import type { Policy, PolicyClass, PolicyGain } from '../congestion/learned/policy.ts';
import { NO_GAIN, gainFor, parametersFor } from '../congestion/learned/policy.ts';
import type { Parameters } from '../congestion/parameters.ts';
import { parametersWith } from '../congestion/parameters.ts';

export type Arm = {
  /** For people, the API and `congestion.learning.arm`. */
  readonly name: string;
  /** Name and values: what was learned of other values is not this arm's. */
  readonly id: string;
  readonly parametersFor: (smoothnessRatio: number) => Parameters;
  /** Believed of it over the defaults before any session has shown anything. */
  readonly believed: PolicyGain;
};

type Step = Partial<Record<keyof Parameters, number>>;

export const ARM_MAX_COUNT = 8;
export const DEFAULTS_NAME = 'defaults';
/** λ of neighbours among searched vectors (CONGESTION 4.3: a2, a3). */
const NEIGHBOUR_RATIO = 0.25;
const ID_DIGITS = 10;
const SMOOTHNESS_SAMPLES = [0, 0.25, 0.5, 0.75, 1];

/**
 * Steps from the defaults, as factors: how far the estimate is trusted (rate), and how long pictures wait (delay). Large enough that a network that
 * differs from those the defaults were made on shows it within some hundred sessions, small enough that the simulator finds none worse than the
 * safe set allows in any class (see the README).
 */
const CAUTIOUS: Step = {
  safetyRatio: 0.88,
  upMarginRatio: 1.12,
  upHoldMs: 2,
  paceRatio: 0.75,
  burstMaxMs: 0.5,
  stickMs: 1.5,
};
const PATIENT: Step = { playoutGraceMs: 0.4, playoutMaxMs: 1.4, needHalfLifeS: 1.6, playoutFallMsPerS: 0.6 };
const STEPS: Readonly<Record<string, Step>> = {
  cautious: CAUTIOUS,
  eager: { safetyRatio: 1.08, upMarginRatio: 0.92, upHoldMs: 0.35, paceRatio: 1.2, stickMs: 0.6 },
  patient: PATIENT,
  wary: { ...CAUTIOUS, ...PATIENT },
  prompt: { playoutGraceMs: 1.5, playoutMaxMs: 0.75, needHalfLifeS: 0.7, playoutFallMsPerS: 1.6 },
};

export const armsFor = (policies: readonly Policy[], networkClass: NetworkClass): Arm[] => {
  const searched = (
    name: string,
    { policyClass, offset, believed = NO_GAIN }: { policyClass: PolicyClass; offset: number; believed?: PolicyGain },
  ): Arm[] => {
    const found = parametersFor(policies, policyClass, 0.5);
    return found === undefined
      ? []
      : [
          toArm(
            name,
            (smoothnessRatio) => {
              const wanted = Math.min(1, Math.max(0, smoothnessRatio + offset));
              return parametersFor(policies, policyClass, wanted) ?? found;
            },
            believed,
          ),
        ];
  };
  const arms = [
    toArm(DEFAULTS_NAME, () => parametersWith()),
    ...searched('searched', { policyClass: networkClass, offset: 0, believed: gainFor(policies, networkClass) }),
    ...searched('searched for all', { policyClass: 'all', offset: 0 }),
    ...Object.entries(STEPS).map(([name, factors]) => toArm(name, () => stepped(factors))),
    ...searched('searched, reacting', { policyClass: networkClass, offset: -NEIGHBOUR_RATIO }),
    ...searched('searched, smooth', { policyClass: networkClass, offset: NEIGHBOUR_RATIO }),
  ];
  const ids = new Set<string>();
  const values = new Set<string>();
  // Two of the same values would be one arm judged twice.
  return arms
    .filter(({ id, parametersFor: of }) => {
      const text = JSON.stringify(SMOOTHNESS_SAMPLES.map(of));
      const isNew = !values.has(text) && !ids.has(id);
      values.add(text);
      ids.add(id);
      return isNew;
    })
    .slice(0, ARM_MAX_COUNT);
};

const stepped = (factors: Step): Parameters => {
  const defaults = parametersWith();
  const moved = Object.entries(factors).map(([name, factor]) => [name, defaults[name as keyof Parameters] * factor]);
  return parametersWith(Object.fromEntries(moved) as Partial<Parameters>);
};

const toArm = (name: string, of: (smoothnessRatio: number) => Parameters, believed = NO_GAIN): Arm => {
  const hash = createHash('sha256')
    .update(JSON.stringify(SMOOTHNESS_SAMPLES.map(of)))
    .digest('hex');
  return { name, id: `${name}#${hash.slice(0, ID_DIGITS)}`, parametersFor: of, believed };
};
