/** The report in sentences and tables for a terminal. */
import type { Contrast, ContrastName } from './contrast.ts';
import type { Measures } from './measures.ts';
import { GROUP_MIN_COUNT } from './panel.ts';
import { GCC, LOWEST_RUNG, MECHANISMS, UNSEARCHED, WIDE_DELAY } from './policies.ts';
import type { PolicyRow, Report } from './report.ts';
import type { TargetRow, Unit, Verdict } from './targets.ts';

/** Shown, of the source's, outside freezes (CONGESTION 7.5). */
const SHOWN_MIN_RATIO = 0.97;

export const tellReport = (report: Report): string[] => [
  ...tellHead(report),
  '',
  ...tellVerdict(report),
  '',
  ...tellTargets(report.targets),
  '',
  'Everybody on the same links with the same luck (means of sessions; latency of all screen time):',
  ...tellPolicies(report.policies),
  ...(report.vectorOracle === undefined
    ? []
    : [
        `O1, the best of ${report.vectorOracle.vectorCount} vectors for each recording in hindsight: stall ${percent(report.vectorOracle.stallRatio, 2)}, ` +
          `utility ${report.vectorOracle.utility.toFixed(3)}.`,
      ]),
  `O2, who knows the link's future: utility ${report.oracleUtility.toFixed(3)}; stall that nobody can avoid ${percent(report.unavoidableStallRatio, 2)}.`,
  '',
  ...tellIntervals(report.policies.filter(({ name }) => [report.judged, MECHANISMS, GCC].includes(name))),
  '',
  ...tellLearning(report),
  '',
  ...tellClasses(report),
  ...tellInfeasible(report),
  '',
  ...tellGaming(report),
  ...tellAblations(report),
  ...tellFrontier(report),
  '',
  ...tellWarm(report),
];

const tellHead = ({ options, isSynthetic, traceCount, groupCount, infeasibleTraceCount }: Report): string[] => {
  const { splits, seeds, durationMs, ladderName, policyCount, resampleCount } = options;
  const sources = isSynthetic
    ? 'There is no corpus, so all of them are made up.'
    : 'All are semi-real: losses, delays and what happens within a bin of the recording are added by class from the seed.';
  return [
    `What the learned controller is worth, on ${splits.join(' and ')}: ${counted(traceCount, 'trace')} of ${counted(groupCount, 'recording')} that carry the lowest rendition, ` +
      `${counted(seeds.length, 'seed')}, ${durationMs / 1_000} s a session, λ = 0.5, ladder ${ladderName}; ` +
      `${counted(infeasibleTraceCount, 'trace')} under it, in a table apart. ${sources}`,
    policyCount === 0
      ? 'No policy file was given: nothing was searched, and the learner has its own steps from the defaults alone.'
      : `What the search found: ${counted(policyCount, 'policy file')}.`,
    `Intervals are 95 %, from resampling recordings ${resampleCount} times, paired by trace and seed.`,
  ];
};

const tellVerdict = ({ judged, targets }: Report): string[] => {
  const count = (verdict: Verdict): number => targets.filter((row) => row.verdict === verdict).length;
  const missed = targets.filter(({ verdict }) => verdict === 'missed');
  return [
    `Judged is "${judged}", what ships. Of ${targets.length} targets ${count('reached')} are reached beyond doubt, ${count('mean')} by what was measured ` +
      `but not beyond doubt, ${missed.length} are not reached, and of ${count('none')} there are too few recordings to say anything.`,
    'All must hold together' +
      (missed.length === 0
        ? '.'
        : `, so the goal as a whole is not reached. Missing: ${missed.map(missing).join('; ')}.`),
  ];
};

const missing = (row: TargetRow): string => `${row.name.replace(/^… /, '')} (${shortBy(row)})`;

const VERDICTS: Readonly<Record<Verdict, string>> = {
  reached: 'reached',
  mean: 'reached, in doubt',
  missed: 'NOT REACHED',
  none: 'no claim',
};

const tellTargets = (rows: readonly TargetRow[]): string[] => [
  `The target table of CONGESTION 6. "Reached": the point reaches it and, corrected for ${rows.length} questions at once (Holm), a truth without any gain would show as much in fewer`,
  `than one of 20 drawings; "in doubt": the point alone. Below ${GROUP_MIN_COUNT} recordings no claim is made.`,
  ...rows.map((row) => {
    const { value, low, high } = row.estimate;
    const must = `${row.isLess ? 'at most' : 'at least'} ${format(row.unit, row.must)}`;
    const chance = Number.isNaN(row.likelihood) ? '' : ` (p ${row.likelihood.toFixed(3)})`;
    const isMissed = row.verdict === 'missed';
    const words = isMissed ? `${VERDICTS.missed}: ${shortBy(row)}` : `${VERDICTS[row.verdict]}${chance}`;
    const note = [row.note, row.verdict === 'none' ? `${row.groupCount} recordings` : ''].filter((text) => text !== '');
    return (
      `  ${row.name.padEnd(52)} ${format(row.unit, value).padStart(10)} ${`[${format(row.unit, low)}, ${format(row.unit, high)}]`.padEnd(22)} ` +
      `${must.padEnd(18)} ${words}${note.length === 0 ? '' : `; ${note.join('; ')}`}`
    );
  }),
];

/** How much is missing, and whether chance alone may be why. */
export const shortBy = ({ unit, estimate, must, isLess }: TargetRow): string => {
  const missingBy = Math.abs(estimate.value - must);
  const text =
    unit === 'ms' || unit === 'number'
      ? format(unit, missingBy).replace('+', '')
      : `${(100 * missingBy).toFixed(1)} points`;
  const mayBe = isLess ? estimate.low <= must : estimate.high >= must;
  return `short by ${text}${mayBe ? ', within the interval' : ''}`;
};

/** `digits`: of points. */
export const format = (unit: Unit, value: number, digits = 1): string => {
  if (Number.isNaN(value)) {
    return '–';
  }
  const sign = value > 0 ? '+' : value < 0 ? '−' : '';
  const size = Math.abs(value);
  const written: Readonly<Record<Unit, string>> = {
    ms: `${value.toFixed(0)} ms`,
    number: `${sign}${size.toFixed(3)}`,
    share: `${value < 0 ? '−' : ''}${percent(size)}`,
    change: `${sign}${percent(size)}`,
    points: `${sign}${(100 * size).toFixed(digits)} pp`,
  };
  return written[unit];
};

type Column = {
  readonly head: string;
  readonly of: (measures: Measures) => string;
  readonly width: number;
};

const NAME_WIDTH = 26;

/** The first table: what viewers got. */
const COLUMNS: readonly Column[] = [
  { head: 'stall', width: 8, of: ({ stallRatio }) => percent(stallRatio, 2) },
  { head: 'free', width: 6, of: ({ stallFreeRatio }) => percent(stallFreeRatio, 0) },
  { head: 'p90', width: 7, of: ({ stallP90Ratio }) => percent(stallP90Ratio) },
  { head: 'p95', width: 7, of: ({ stallP95Ratio }) => percent(stallP95Ratio) },
  { head: 'p99', width: 8, of: ({ stallP99Ratio }) => percent(stallP99Ratio) },
  { head: 'worst/10', width: 10, of: ({ stallTailRatio }) => percent(stallTailRatio) },
  { head: '>1 %', width: 5, of: ({ over1Count }) => String(over1Count) },
  { head: '>5 %', width: 5, of: ({ over5Count }) => String(over5Count) },
  { head: 'fr/min', width: 7, of: ({ freezesPerMinute }) => freezesPerMinute.toFixed(2) },
  { head: 'L p50', width: 7, of: ({ latencyP50Ms }) => latencyP50Ms.toFixed(0) },
  { head: 'p90', width: 6, of: ({ latencyP90Ms }) => latencyP90Ms.toFixed(0) },
  { head: 'p95', width: 6, of: ({ latencyP95Ms }) => latencyP95Ms.toFixed(0) },
  { head: 'p99', width: 6, of: ({ latencyP99Ms }) => latencyP99Ms.toFixed(0) },
  { head: 'Q', width: 6, of: ({ qualityRatio }) => qualityRatio.toFixed(3) },
  { head: 'U', width: 8, of: ({ utility }) => utility.toFixed(3) },
];

/** The second: what it took. */
const SECOND: readonly Column[] = [
  { head: 'sessions', width: 9, of: ({ sessionCount }) => String(sessionCount) },
  { head: 'hours', width: 7, of: ({ viewerHours }) => viewerHours.toFixed(1) },
  { head: 'medians', width: 9, of: ({ sessionMedianMs }) => sessionMedianMs.toFixed(0) },
  { head: 'age p95', width: 8, of: ({ ageP95Ms }) => ageP95Ms.toFixed(0) },
  { head: 'stalled s', width: 10, of: ({ stallSecondsP95 }) => stallSecondsP95.toFixed(1) },
  { head: 'X/min', width: 6, of: ({ switchesPerMinute }) => switchesPerMinute.toFixed(2) },
  { head: 'J p50', width: 7, of: ({ joinP50Ms }) => joinP50Ms.toFixed(0) },
  { head: 'p95', width: 8, of: ({ joinP95Ms }) => joinP95Ms.toFixed(0) },
  { head: 'video MB', width: 9, of: ({ mediaMegabytes }) => mediaMegabytes.toFixed(1) },
  { head: 'RTX', width: 8, of: ({ rtxMegabytes }) => rtxMegabytes.toFixed(2) },
  { head: 'probe', width: 6, of: ({ probeMegabytes }) => probeMegabytes.toFixed(2) },
  { head: 'sound', width: 6, of: ({ audioMegabytes }) => audioMegabytes.toFixed(1) },
  { head: 'fps', width: 6, of: ({ shownFps }) => shownFps.toFixed(1) },
  { head: 'gaps', width: 7, of: ({ judderRatio }) => percent(judderRatio, 2) },
  { head: 'silent', width: 8, of: ({ audioConcealedRatio }) => percent(audioConcealedRatio, 2) },
];

type Row = Pick<PolicyRow, 'name' | 'measures'>;

const table = (rows: readonly Row[], columns: readonly Column[]): string[] => [
  `  ${'policy'.padEnd(NAME_WIDTH)}${columns.map(({ head, width }) => head.padStart(width)).join('')}`,
  ...rows.map(
    ({ name, measures }) =>
      `  ${name.padEnd(NAME_WIDTH)}${columns.map(({ of, width }) => of(measures).padStart(width)).join('')}`,
  ),
];

const tellPolicies = (rows: readonly Row[]): string[] => [
  ...table(rows, COLUMNS),
  '  (stall: mean, sessions without any, percentiles over sessions, mean of the worst tenth, sessions beyond 1 and 5 %; L: latency in ms over viewer-seconds)',
  ...table(rows, SECOND),
  '  (medians: mean of the sessions’; age of what is on the screen; stalled: 95th percentile of a session; X: switching; J: start in ms; MB a session; gaps: time in',
  '  gaps over 100 ms that are no freezes; silent: sound that came too late)',
];

const INTERVALS: readonly (readonly [keyof Measures, string, (value: number) => string])[] = [
  ['stallRatio', 'stall', (value) => percent(value, 2)],
  ['stallFreeRatio', 'stall-free', (value) => percent(value, 0)],
  ['stallP95Ratio', 'stall p95', (value) => percent(value)],
  ['stallTailRatio', 'worst tenth', (value) => percent(value)],
  ['freezesPerMinute', 'freezes/min', (value) => value.toFixed(2)],
  ['latencyP50Ms', 'L p50', (value) => value.toFixed(0)],
  ['latencyP95Ms', 'L p95', (value) => value.toFixed(0)],
  ['latencyP99Ms', 'L p99', (value) => value.toFixed(0)],
  ['qualityRatio', 'quality', (value) => value.toFixed(3)],
  ['joinP95Ms', 'start p95', (value) => value.toFixed(0)],
  ['utility', 'utility', (value) => value.toFixed(3)],
];

const tellIntervals = (rows: readonly PolicyRow[]): string[] => [
  'With their intervals (a fifth of the drawings):',
  ...INTERVALS.map(
    ([field, name, text]) =>
      `  ${name.padEnd(12)} ${rows
        .map(({ name: policy, measures, intervals }) => {
          const { low, high } = intervals[field];
          return `${policy} ${text(measures[field])} [${text(low)}, ${text(high)}]`.padEnd(46);
        })
        .join(' ')
        .trimEnd()}`,
  ),
];

const LEARNING_ROWS: readonly (readonly [ContrastName, string, Unit])[] = [
  ['stallChange', 'stall', 'change'],
  ['avoidableChange', 'avoidable', 'change'],
  ['freezesChange', 'freezes', 'change'],
  ['sessionMedianChange', 'median', 'change'],
  ['latencyP95Change', 'p95', 'change'],
  ['qualityDifference', 'quality', 'number'],
  ['stallFreeDifference', 'stall-free', 'points'],
  ['utilityDifference', 'utility', 'number'],
  ['gapShare', 'share of the gap from B2 to O2', 'share'],
];

/** What is beyond doubt about one against the other. */
export const gainInWords = ({ estimates }: Pick<Contrast, 'estimates'>): string => {
  const { utilityDifference, stallDifference } = estimates;
  const words = ({ low, high }: typeof stallDifference, less: string, more: string, neither: string): string =>
    high < 0 ? less : low > 0 ? more : neither;
  const utility = words(utilityDifference, 'loses utility', 'gains utility', 'is not known to gain or lose utility');
  const stall = words(stallDifference, 'stalls less', 'stalls more', 'is not known to stall more or less');
  return `${utility} and ${stall}`;
};

const tellContrast = ({ mine, theirs, estimates, stallShift, utilityShift }: Contrast): string[] => [
  `  ${mine} against ${theirs} ${gainInWords({ estimates })}:`,
  ...LEARNING_ROWS.map(([name, label, unit]) => {
    const { value, low, high } = estimates[name];
    return `    ${label.padEnd(32)} ${format(unit, value).padStart(9)} [${format(unit, low)}, ${format(unit, high)}]`;
  }),
  `    typical session (Hodges, Lehmann)  stall ${format('points', stallShift, 2)}, utility ${format('number', utilityShift)}`,
];

const tellLearning = ({ learning, judged }: Report): string[] => [
  'What learning adds, step by step:',
  ...learning.flatMap(tellContrast),
  judged === UNSEARCHED
    ? '  (the bandit has only its own steps to choose among)'
    : '  (one vector for all is "search only"; a class known from the first packet, as nobody can, against ten seconds of defaults and then what was found)',
];

const tellClasses = ({ classes }: Report): string[] => [
  'By class of the recording, then by what the link is (CONGESTION 4.2, merged):',
  ...classes.flatMap(({ name, traceCount, groupCount, rows }) => [
    `  ${name}: ${counted(traceCount, 'trace')}, ${counted(groupCount, 'recording')}${groupCount < GROUP_MIN_COUNT ? ' (too few for a claim)' : ''}`,
    ...table(rows, COLUMNS).slice(1),
  ]),
];

const tellInfeasible = ({ infeasible, infeasibleTraceCount }: Report): string[] =>
  infeasible.length === 0
    ? []
    : [
        '',
        `Links under 0.7 Mbit/s for more than 8 % of the time (${counted(infeasibleTraceCount, 'trace')}), where no rendition fits and grace is all that can be asked:`,
        ...table(infeasible, COLUMNS),
      ];

const tellGaming = ({ policies, judged, weights, frameRateHz }: Report): string[] => {
  const of = (name: string): Measures => policies.find((row) => row.name === name)!.measures;
  const mine = of(judged);
  const dominated = [LOWEST_RUNG, WIDE_DELAY].map(
    (name) => `${name} by ${format('number', mine.utility - of(name).utility)}`,
  );
  const isAbove = [LOWEST_RUNG, WIDE_DELAY].every((name) => mine.utility > of(name).utility);
  const shownRatio = mine.shownFps / frameRateHz;
  const flipped = weights.filter(({ gain }) => gain <= 0);
  return [
    'Against gaming (CONGESTION 7.5):',
    `  Utility above always the lowest rendition and above two seconds of delay: ${isAbove ? 'yes' : 'NO'} (${dominated.join(', ')}).`,
    `  Pictures shown outside freezes: ${percent(shownRatio)} of the source's, ${shownRatio >= SHOWN_MIN_RATIO ? 'enough' : 'TOO FEW'} (at least 97 %); gaps over 100 ms ${percent(mine.judderRatio, 2)} of the time.`,
    `  Sent again or to probe: ${percent(mine.extraRatio)} of bytes at the median (at most 12 %), ${(mine.rtxMegabytes + mine.probeMegabytes).toFixed(2)} of ${(mine.mediaMegabytes + mine.rtxMegabytes + mine.probeMegabytes).toFixed(1)} MB in the mean.`,
    `  Utility over B2 with other weights: ${weights.map(({ name, gain }) => `${name} ${format('number', gain)}`).join(', ')}. The ranking ${
      flipped.length === 0 ? 'holds under all of them' : `FLIPS under ${flipped.map(({ name }) => name).join(', ')}`
    }.`,
  ];
};

const tellAblations = ({ ablations, ablated }: Report): string[] =>
  ablations.length === 0
    ? []
    : [
        '',
        'Without one mechanism each, the others at their defaults:',
        ...table(ablated, COLUMNS),
        ...ablations.map(({ mine, estimates }) => {
          const { stallChange, utilityDifference } = estimates;
          const isMissed = utilityDifference.high < 0 || stallChange.low > 0;
          return (
            `  ${mine.padEnd(NAME_WIDTH)} stall ${format('change', stallChange.value)} [${format('change', stallChange.low)}, ${format('change', stallChange.high)}], ` +
            `utility ${format('number', utilityDifference.value)} [${format('number', utilityDifference.low)}, ${format('number', utilityDifference.high)}]: ${isMissed ? 'missed' : 'not missed here'}`
          );
        }),
      ];

const tellFrontier = ({ frontier }: Report): string[] =>
  frontier.length === 0
    ? []
    : [
        '',
        'Latency against stutter as λ moves (0 reacts, 1 is smooth):',
        ...frontier.map(
          ({ name, smoothnessRatio, measures }) =>
            `  ${name.padEnd(NAME_WIDTH)} λ ${String(smoothnessRatio).padEnd(5)} median ${measures.latencyP50Ms.toFixed(0).padStart(5)} ms, 95th percentile ` +
            `${measures.latencyP95Ms.toFixed(0).padStart(5)} ms, stall ${percent(measures.stallRatio, 2)}, quality ${measures.qualityRatio.toFixed(3)}`,
        ),
      ];

const tellWarm = ({ warm, options, arms, judged }: Report): string[] => [
  `The learner had ${warm.sessionCount} sessions of ${options.warm.durationMs / 1_000} s over links of the search part, a third made up, before it was judged; what it knew then is what every judged ` +
    'session begins with, so that none learns from those it is judged by. Every one begins with ten seconds of the defaults.',
  ...warm.classes.flatMap(({ networkClass, sessionCount, arms: rows }) => [
    `  ${networkClass}: ${sessionCount.toFixed(0)} sessions`,
    ...rows.map(
      ({ arm, shareRatio, utility, stallFactor, isAdmitted }) =>
        `    ${arm.name.padEnd(18)} ${percent(shareRatio, 0).padStart(5)}  utility ${format('number', utility.mean)} ± ${utility.deviation.toFixed(3)}  stall × ${stallFactor.toFixed(2)}${isAdmitted ? '' : '  kept out'}`,
    ),
  ]),
  `  In the judged sessions of "${judged}": ${arms.map(([name, count]) => `${name} ${count}`).join(', ')}.`,
];

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

export const percent = (ratio: number, digits = 1): string =>
  Number.isNaN(ratio) ? '–' : `${Number.isFinite(ratio) ? (100 * ratio).toFixed(digits) : '∞'} %`;
