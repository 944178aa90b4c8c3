/** Joins the API to the learner: what was learned in the contract's words. */
import type {
  FrontierStep,
  LearnedClass,
  LearnedEstimate,
  LearningComparison,
  LearningStatus,
} from './api/contract/learning.ts';
import type { LearningView } from './api/views.ts';
import type { NetworkClass } from './congestion/learned/link-features.ts';
import { NETWORK_CLASSES } from './congestion/learned/link-features.ts';
import type { Policy } from './congestion/learned/policy.ts';
import type { Parameters as Tuned } from './congestion/parameters.ts';
import { PARAMETER_RANGES, parametersWith } from './congestion/parameters.ts';
import type { Estimate } from './learning/holdout.ts';
import type { ArmReport } from './learning/learner.ts';
import type { Learning } from './learning/learning.ts';

const SHOWN_SMOOTHNESS_RATIO = 0.5;

export const createLearningView = (learning: Learning, policies: readonly Policy[]): LearningView => ({
  get armNames() {
    return learning.armNames;
  },
  status: () => ({ ...statusOf(learning), frontier: frontierOf(policies) }),
  setMode: (mode, arm) => learning.setMode(mode === 'pinned' ? { mode, arm: arm ?? '' } : { mode }),
});

const statusOf = (learning: Learning): Omit<LearningStatus, 'frontier'> => {
  const { mode } = learning;
  return {
    mode: mode.mode,
    pinnedArm: mode.mode === 'pinned' ? mode.arm : null,
    holdoutRatio: learning.holdoutRatio,
    sinceWallMs: learning.sinceWallMs,
    refused: { ...learning.refused },
    comparisons: [
      comparisonOf(learning, 'all', 'gcc'),
      comparisonOf(learning, 'all', 'defaults'),
      ...NETWORK_CLASSES.map((networkClass) => comparisonOf(learning, networkClass, 'defaults')),
    ],
    classes: learning.report().map(({ networkClass, sessionCount, arms }): LearnedClass => ({
      networkClass,
      sessionCount,
      arms: arms.map(armOf),
    })),
  };
};

const frontierOf = (policies: readonly Policy[]): FrontierStep[] =>
  policies
    .flatMap(({ vectors: [vector], reached }) =>
      vector === undefined || reached === undefined
        ? []
        : [{ networkClass: vector.networkClass, smoothnessRatio: vector.smoothnessRatio, ...reached }],
    )
    .toSorted((a, b) => a.smoothnessRatio - b.smoothnessRatio);

const comparisonOf = (
  learning: Learning,
  networkClass: NetworkClass | 'all',
  against: 'gcc' | 'defaults',
): LearningComparison => {
  const { adjusted, ...plain } = learning.compareWith(against, networkClass);
  return {
    networkClass,
    ...plain,
    // JSON has no infinity: nothing was seen.
    adjusted:
      adjusted === undefined || !Number.isFinite(adjusted.utility.low + adjusted.stallFactor.high)
        ? null
        : { utility: estimateOf(adjusted.utility), stallFactor: estimateOf(adjusted.stallFactor) },
  };
};

const estimateOf = ({ value, low, high, words }: Estimate): LearnedEstimate => ({ value, low, high, words });

const armOf = ({ arm, utility, ...report }: ArmReport): LearnedClass['arms'][number] => ({
  name: arm.name,
  ...report,
  utilityDifference: utility.mean,
  utilityDeviation: utility.deviation,
  changes: changesOf(arm.parametersFor(SHOWN_SMOOTHNESS_RATIO)),
});

const changesOf = (to: Tuned): LearnedClass['arms'][number]['changes'] => {
  const from = parametersWith();
  return (Object.keys(PARAMETER_RANGES) as (keyof Tuned)[])
    .filter((name) => from[name] !== to[name])
    .map((name) => ({ name, from: from[name], to: to[name], unit: PARAMETER_RANGES[name].unit }));
};
