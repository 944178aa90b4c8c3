/** Who is put beside whom: baselines, the mechanisms alone, what the search found, what the learner makes of it. */
import type { Policy as LearnedPolicy, PolicyClass } from '../../../server/congestion/learned/policy.ts';
import { POLICY_CLASSES, parametersFor } from '../../../server/congestion/learned/policy.ts';
import type { Parameters } from '../../../server/congestion/parameters.ts';
import { ALL_MECHANISMS } from '../../../server/congestion/parameters.ts';
import { NETWORK_CLASSES } from '../../../server/congestion/learned/link-features.ts';
import { armsFor } from '../../../server/learning/arms.ts';
import { SMOOTHNESS_RATIO } from './measures.ts';
import type { LinkFacts } from './panel.ts';
import type { BaselineName, Knowledge, PolicySpec } from './sessions.ts';

export type Named = {
  readonly name: string;
  /** λ it is run with. */
  readonly smoothnessRatio: number;
  readonly specFor: (link: LinkFacts) => PolicySpec;
};

export const GCC = 'B2 (GCC, picker)';
export const FIXED_TOP = 'B0 (fixed top)';
/** In each class of recordings the fixed rendition that does best in hindsight. */
export const FIXED_BEST = 'B1 (best fixed, D = 400)';
export const LOWEST_RUNG = 'lowest rung';
export const WIDE_DELAY = 'GCC, D = 2 s';
export const MECHANISMS = 'mechanisms only';
export const SEARCHED = 'search only';
export const PER_CLASS = 'search, class known';
export const PER_CLASS_FOUND = 'search, class found';
export const LEARNED = 'search + bandit';
/** Where nothing was searched. */
export const UNSEARCHED = 'bandit alone';

const always = (name: string, spec: PolicySpec, smoothnessRatio = SMOOTHNESS_RATIO): Named => ({
  name,
  smoothnessRatio,
  specFor: () => spec,
});

const baseline = (name: string, of: BaselineName): Named => always(name, { kind: 'baseline', name: of });

const own = (name: string, parameters: Partial<Parameters>, smoothnessRatio?: number): Named =>
  always(name, { kind: 'own', parameters }, smoothnessRatio);

/** Of which `FIXED_BEST` is made. */
export const FIXED_CANDIDATES: readonly Named[] = [
  baseline('fixed 0, D = 400', 'b1/0'),
  baseline('fixed 1, D = 400', 'b1/1'),
  baseline('fixed 2, D = 400', 'b1/2'),
  baseline('fixed 3, D = 400', 'b1/3'),
];

export const BASELINES: readonly Named[] = [
  baseline(GCC, 'b2'),
  baseline(FIXED_TOP, 'b0'),
  baseline(LOWEST_RUNG, 'lowest'),
  baseline(WIDE_DELAY, 'wide'),
];

const searchedFor = (policies: readonly LearnedPolicy[], name: PolicyClass): Parameters | undefined =>
  parametersFor(policies, name, SMOOTHNESS_RATIO) ?? parametersFor(policies, 'all', SMOOTHNESS_RATIO);

/** The mechanisms with and without what was learned; what was not searched is left out. The last is what ships. */
export const learnedPolicies = (knowledge: Knowledge): Named[] => {
  const { policies } = knowledge;
  const guided: PolicySpec = { kind: 'guided', knowledge };
  const forAll = searchedFor(policies, 'all');
  const hasClasses = POLICY_CLASSES.some(
    (name) => name !== 'all' && parametersFor(policies, name, SMOOTHNESS_RATIO) !== undefined,
  );
  return [
    own(MECHANISMS, {}),
    ...(forAll === undefined ? [] : [own(SEARCHED, forAll)]),
    ...(hasClasses
      ? [
          {
            name: PER_CLASS,
            smoothnessRatio: SMOOTHNESS_RATIO,
            specFor: ({ mergedClass }: LinkFacts): PolicySpec => ({
              kind: 'own',
              parameters: searchedFor(policies, mergedClass) ?? {},
            }),
          },
          always(PER_CLASS_FOUND, { ...guided, pinned: 'searched' }),
        ]
      : []),
    always(policies.length === 0 ? UNSEARCHED : LEARNED, guided),
  ];
};

export const ABLATIONS: readonly Named[] = (Object.keys(ALL_MECHANISMS) as (keyof typeof ALL_MECHANISMS)[]).map(
  (without) => always(`without ${without.slice(3)}`, { kind: 'own', parameters: {}, without }),
);

/** Every vector that a session could have been given: of these O1 has the best for each recording. */
export const oracleCandidates = (policies: readonly LearnedPolicy[]): Named[] => {
  const vectors = new Map<string, Parameters>();
  for (const networkClass of NETWORK_CLASSES) {
    for (const arm of armsFor(policies, networkClass)) {
      const parameters = arm.parametersFor(SMOOTHNESS_RATIO);
      vectors.set(JSON.stringify(parameters), parameters);
    }
  }
  return [...vectors.values()].map((parameters, index) => own(`vector ${index}`, parameters));
};

const FRONTIER_RATIOS = [0, 0.25, 0.75, 1];

/** The mechanisms, and what was searched for all, at other λ. */
export const frontierPolicies = (policies: readonly LearnedPolicy[]): Named[] =>
  FRONTIER_RATIOS.flatMap((ratio) => {
    const searched = parametersFor(policies, 'all', ratio);
    return [
      own(frontierName(MECHANISMS, ratio), {}, ratio),
      ...(searched === undefined ? [] : [own(frontierName(SEARCHED, ratio), searched, ratio)]),
    ];
  });

export const frontierName = (name: string, smoothnessRatio: number): string =>
  smoothnessRatio === SMOOTHNESS_RATIO ? name : `${name}, λ = ${smoothnessRatio}`;

export const FRONTIER_ALL: readonly number[] = [...FRONTIER_RATIOS, SMOOTHNESS_RATIO].sort((a, b) => a - b);
