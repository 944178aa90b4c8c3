/** What was learned of networks, for the dashboard: per class the arms with what they change in words, and learning against the holdout. */
import type { LearnedClass, LearningComparison, LearningStatus } from '../../server/api/contract/learning.ts';
import { make } from './elements.ts';
import type { Ellipse, Goal, Step } from './plots.ts';
import { latencyWords, stallWords } from './plots.ts';

type Arm = LearnedClass['arms'][number];
type Difference = LearningComparison['differences'][number];

/** What more of a parameter does. */
const SENTENCES: Readonly<Record<string, string>> = {
  backoffRatio: 'of the measured rate is kept when the link is over-used',
  trendGain: 'weight of the slope of delays: more is over-use sooner',
  lossToleranceRatio: 'of packets may be lost before the estimate yields',
  queueEmergencyMs: 'of queue are over-use whatever its slope',
  queueDrainMs: 'of queue may stand before it is let run empty',
  trainGainRatio: 'of the way to what a train of packets shows goes the estimate',
  safetyRatio: 'media may use this part of what the link carries',
  upMarginRatio: 'a better picture must fit with this margin',
  upHoldMs: 'the link must have carried a better picture before it is given',
  stickMs: 'a picture stays before it may get better again after a fall',
  paceRatio: 'pictures leave the server at this multiple of what the link carries',
  burstMaxMs: 'of queue a burst may add',
  cutBacklogMs: 'may wait at the server before the rest of a GOP is left out',
  dropBacklogMs: 'may wait at the server when a keyframe comes, else it is left out',
  repairShareRatio: 'of the estimate may go to sending again what was lost',
  repairPatienceRatio: 'playout delays a repair may come late',
  needHalfLifeS: 'after which what pictures needed counts half',
  playoutMarginMs: 'pictures wait longer than they seem to need',
  playoutGraceMs: 'of lateness are overlooked when it is decided how long pictures wait',
  playoutMinMs: 'pictures wait at least',
  playoutMaxMs: 'pictures wait at most',
  playoutFallMsPerS: 'the wait shrinks when pictures need less of it',
};

const MEASURE_WORDS: Readonly<Record<string, string>> = {
  utility: 'Worth to the viewer',
  stallRatio: 'Time stood still',
  stallFree: 'Sessions without a stall',
  latencyMs: 'Latency',
  qualityRatio: 'Quality of the picture',
};

const GOAL_STALL_FACTOR = 0.45;

const GROUP_WORDS = { gcc: 'plain GCC', defaults: 'our own defaults' } as const;

export const learningWords = (status: LearningStatus): string => {
  const since = new Date(status.sinceWallMs).toISOString().slice(0, 10);
  const { unreported, contradicted, short } = status.refused;
  const modes = {
    on: 'Learning is on',
    off: 'Learning is off: everybody has the defaults',
    pinned: `Everybody but the holdout has “${status.pinnedArm}”`,
  };
  const seen = learnedParts(status).length === 0 ? ' No session has taught anything yet.' : '';
  return `${modes[status.mode]}. ${Math.round(100 * status.holdoutRatio)} % of viewers are held out and never get what was learned. Compared since ${since}. Not learned from: ${unreported} sessions without reports, ${contradicted} whose reports the server contradicts, ${short} too short.${seen}`;
};

/** Of one class (or `all`): mean latency and stutter of each group with their 95 % intervals; none where a group has nobody. */
export const groupEllipses = ({ comparisons }: LearningStatus, shownClass: string): Ellipse[] => {
  const shown = comparisons.filter(
    ({ networkClass, learningSessionCount, holdoutSessionCount }) =>
      networkClass === shownClass && learningSessionCount > 0 && holdoutSessionCount > 0,
  );
  return shown.flatMap((comparison, index) => {
    const latency = differenceOf(comparison, 'latencyMs');
    const stall = differenceOf(comparison, 'stallRatio');
    if (latency === undefined || stall === undefined) {
      return [];
    }
    const at = (group: 'learning' | 'holdout'): Omit<Ellipse, 'label' | 'kind'> => ({
      latencyMs: latency[group],
      latencyHalfMs: latency[`${group}Half`],
      stallRatio: stall[group],
      stallHalfRatio: stall[`${group}Half`],
    });
    const holdout: Ellipse = { ...at('holdout'), label: GROUP_WORDS[comparison.against], kind: 'second' };
    return index === 0 ? [{ ...at('learning'), label: 'learning', kind: 'first' }, holdout] : [holdout];
  });
};

/** The bar of this project: 55 % less stutter than plain GCC, no slower. */
export const goalOf = (groups: readonly Ellipse[]): Goal | undefined => {
  const holdout = groups.find(({ label }) => label === GROUP_WORDS.gcc);
  return holdout === undefined
    ? undefined
    : {
        latencyMs: holdout.latencyMs,
        stallRatio: GOAL_STALL_FACTOR * holdout.stallRatio,
        label: `55 % less stutter than ${GROUP_WORDS.gcc}, no slower`,
      };
};

/** What the simulator shows of a class's vectors, by λ. */
export const simulatedSteps = ({ frontier }: LearningStatus, shownClass: string): Step[] =>
  frontier
    .filter(({ networkClass }) => networkClass === shownClass)
    .map(({ smoothnessRatio, learned, defaults }) => ({
      from: defaults,
      to: learned,
      label: `Simulated at λ ${smoothnessRatio}: ${pointWords(defaults)} with our own defaults → ${pointWords(learned)} with what was searched`,
    }));

const pointWords = ({ latencyMs, stallRatio }: Step['from']): string =>
  `${latencyWords(latencyMs)} and ${stallWords(stallRatio)} stood still`;

const differenceOf = ({ differences }: LearningComparison, measure: string): Difference | undefined =>
  differences.find((difference) => difference.measure === measure);

/** Empty while no session has taught anything. */
export const learnedParts = ({ comparisons, classes }: LearningStatus): HTMLElement[] => [
  ...comparisons
    .filter(({ networkClass }) => networkClass === 'all')
    .filter(({ learningSessionCount, holdoutSessionCount }) => learningSessionCount + holdoutSessionCount > 0)
    .map(comparisonPart),
  ...classes.filter(({ sessionCount }) => sessionCount > 0).map(classPart),
];

const comparisonPart = (comparison: LearningComparison): HTMLElement => {
  const { against, learningSessionCount, holdoutSessionCount, differences } = comparison;
  const counts = `${Math.round(learningSessionCount)} sessions against ${Math.round(holdoutSessionCount)}`;
  return make(
    'details',
    'panel',
    make('summary', '', `Against ${GROUP_WORDS[against]}: ${counts}`),
    table(
      ['', 'Learning', 'Holdout', 'Difference (95 %)', ''],
      differences.map(({ measure, learning, holdout, low, high, words }) => [
        MEASURE_WORDS[measure] ?? measure,
        valueWords(measure, learning),
        valueWords(measure, holdout),
        `${valueWords(measure, low)} to ${valueWords(measure, high)}`,
        words,
      ]),
    ),
  );
};

const classPart = ({ networkClass, sessionCount, arms }: LearnedClass): HTMLElement => {
  const title = `Networks of the class ${networkClass.replaceAll('|', ', ')}: ${Math.round(sessionCount)} sessions`;
  return make('details', 'panel', make('summary', '', title), ...arms.map(armPart));
};

const armPart = (arm: Arm): HTMLElement =>
  make(
    'div',
    'arm',
    make('strong', '', arm.isAdmitted ? arm.name : `${arm.name} (not given)`),
    make(
      'p',
      '',
      `${Math.round(100 * arm.shareRatio)} % of viewers, ${Math.round(arm.sessionCount)} sessions, ${Math.round(arm.abortCount)} aborted${worthWords(arm)}`,
    ),
    ...changeList(arm),
  );

const worthWords = ({ utilityDifference, utilityDeviation, changes }: Arm): string => {
  if (changes.length === 0) {
    return '';
  }
  const words = `; worth to the viewer ${signed(utilityDifference)} ± ${utilityDeviation.toFixed(3)} against the defaults`;
  return Math.abs(utilityDifference) < 2 * utilityDeviation ? `${words}, not yet significant` : words;
};

const changeList = ({ changes }: Arm): HTMLElement[] =>
  changes.length === 0
    ? []
    : [
        make(
          'ul',
          'changes',
          ...changes.map(({ name, from, to, unit }) =>
            make(
              'li',
              '',
              make('code', '', `${shortly(from)} → ${shortly(to)} ${unit}`),
              ` ${SENTENCES[name] ?? name}`,
            ),
          ),
        ),
      ];

const table = (heads: readonly string[], rows: readonly (readonly string[])[]): HTMLElement =>
  make(
    'div',
    'scroll',
    make(
      'table',
      'viewers',
      make('thead', '', make('tr', '', ...heads.map((head) => make('th', '', head)))),
      make('tbody', '', ...rows.map((row) => make('tr', '', ...row.map((cell) => make('td', '', cell))))),
    ),
  );

const valueWords = (measure: string, value: number): string => {
  if (measure === 'latencyMs') {
    return value < 0 ? `−${latencyWords(-value)}` : latencyWords(value);
  }
  if (measure === 'stallRatio' || measure === 'stallFree') {
    return value < 0 ? `−${stallWords(-value)}` : stallWords(value);
  }
  return signed(value);
};

const signed = (value: number): string => `${value < 0 ? '−' : ''}${Math.abs(value).toFixed(3)}`;

const shortly = (value: number): string => String(Number(value.toPrecision(3)));
