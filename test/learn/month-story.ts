/** The simulated month in words, tables and one page. */
import type { Comparison, Measure } from '../../server/learning/holdout.ts';
import type { Kind, Measured, Month, MonthOptions, MonthSessionRecord } from './month.ts';
import { gainOf, regretOf } from './month.ts';

const PARTS = 5;
const DAY_COUNT = 30;
/** CONGESTION 4.4: an arm that is worse than the defaults by more than this is to be kept out. */
const SAFE_LOSS = 0.05;

export const tellMonth = (options: MonthOptions, measured: Measured, { sessions, learner }: Month): string[] => {
  const learning = sessions.filter(({ group }) => group === 'learning');
  const kinds = [...measured.kinds.keys()];
  return [
    `${sessions.length} sessions of ${options.durationMs / 1000} s in ${DAY_COUNT} days, ${percent(options.newRatio)} of them over a network that nobody knew ("${options.kind}"); ` +
      `holdout ${percent(options.holdoutRatio)}, seed ${options.seed}.`,
    '',
    `What is true: mean utility of each arm on ${options.measuredCount} links of each kind (less the defaults'):`,
    ...kinds.map((kind) => `  ${kind.padEnd(10)}${armLine(measured, kind)}`),
    `What the learner believed at first: ${options.isBlank === true ? 'nothing of any arm, as it is shipped' : 'what is true of the known kind, in each class'}.`,
    '',
    `Day by day (learning sessions; gain: over the defaults, regret: to the best arm of the kind, both in utility by the table above):`,
    ...kinds.flatMap((kind) => ['', `  ${kind}`, ...partLines(learning, kind, measured)]),
    '',
    ...sumLines(learning, measured),
    '',
    ...safetyLines(learning, measured),
    '',
    'The holdout, by players’ reports, as the operator sees it:',
    ...comparisonLines(learner.compareWith('gcc')),
    ...comparisonLines(learner.compareWith('defaults')),
    '',
    'What was learned:',
    ...learner
      .report()
      .flatMap(({ networkClass, sessionCount, arms }) => [
        `  ${networkClass}: ${sessionCount.toFixed(0)} sessions, faded by age`,
        ...arms.map(
          ({ arm, shareRatio, utility, stallFactor, abortCount, isAdmitted }) =>
            `    ${arm.name.padEnd(10)} ${percent(shareRatio).padStart(5)}  utility ${signed(utility.mean)} ± ${utility.deviation.toFixed(3)}` +
            `  stall × ${stallFactor.toFixed(2)}  aborts ${abortCount.toFixed(0)}${isAdmitted ? '' : '  kept out'}`,
        ),
      ]),
    `  taught nothing: ${JSON.stringify(learner.state.refused)}`,
  ];
};

const armLine = ({ kinds }: Measured, kind: Kind): string => {
  const means = kinds.get(kind)!;
  const base = means.get('defaults')!;
  return [...means]
    .map(([name, mean]) => (name === 'defaults' ? `defaults ${mean.toFixed(3)}` : `${name} ${signed(mean - base)}`))
    .join('  ');
};

const partLines = (sessions: readonly MonthSessionRecord[], kind: Kind, measured: Measured): string[] =>
  Array.from({ length: PARTS }, (_, part) => {
    const from = (part * DAY_COUNT) / PARTS;
    const to = from + DAY_COUNT / PARTS;
    const some = sessions.filter((session) => session.kind === kind && session.day >= from && session.day < to);
    if (some.length === 0) {
      return `    days ${from + 1}–${to}: none`;
    }
    const shares = [...countBy(some)].map(([name, count]) => `${name} ${percent(count / some.length)}`);
    const mean = (of: typeof gainOf): number => meanOf(some.map((session) => of(session, measured)));
    return `    days ${`${from + 1}–${to}`.padEnd(6)} n ${String(some.length).padEnd(5)} gain ${signed(mean(gainOf))}  regret ${mean(regretOf).toFixed(3)}  ${shares.join(', ')}`;
  });

/** Most common first. */
const countBy = (sessions: readonly MonthSessionRecord[]): [string, number][] => {
  const counts = new Map<string, number>();
  for (const { armName = 'never known' } of sessions) {
    counts.set(armName, (counts.get(armName) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a);
};

const sumLines = (learning: readonly MonthSessionRecord[], measured: Measured): string[] => {
  const regret = sumOf(learning, measured, regretOf);
  const gain = sumOf(learning, measured, gainOf);
  return [
    `Regret of the month: ${regret.toFixed(1)} of the ${(regret + gain).toFixed(1)} that the defaults alone would have had; ${percent(gain / (regret + gain))} was gained.`,
  ];
};

const safetyLines = (learning: readonly MonthSessionRecord[], measured: Measured): string[] => {
  const bad = learning.filter((session) => gainOf(session, measured) < -SAFE_LOSS);
  const lost = -sumOf(bad, measured, gainOf);
  const gain = sumOf(learning, measured, gainOf);
  const byPart = Array.from({ length: PARTS }, (_, part) =>
    String(bad.filter(({ day }) => Math.floor((day * PARTS) / DAY_COUNT) === part).length),
  );
  return [
    `Safe set: ${bad.length} of ${learning.length} learning sessions (${percent(bad.length / learning.length)}; by fifths ${byPart.join(', ')}) had an arm that is worse than the defaults by more than ${SAFE_LOSS} on their kind.`,
    `They cost ${lost.toFixed(1)} of utility where learning gained ${gain.toFixed(1)}: what a quarantine that shut each of these arms out at once could have saved.`,
  ];
};

const MEASURE_NAMES: Readonly<Record<Measure, string>> = {
  utility: 'utility',
  stallRatio: 'stall %',
  stallFree: 'stall-free %',
  latencyMs: 'latency ms',
  qualityRatio: 'quality',
};

const comparisonLines = (comparison: Comparison): string[] => {
  const { against, learningSessionCount, holdoutSessionCount, differences, adjusted } = comparison;
  return [
    `  against ${against} (${learningSessionCount} learning, ${holdoutSessionCount} held out)`,
    ...differences.map(({ measure, learning, holdout, difference, low, high, words }) => {
      const factor = measure === 'stallRatio' || measure === 'stallFree' ? 100 : 1;
      const text = (value: number): string => (factor * value).toFixed(measure === 'latencyMs' ? 0 : 3);
      return `    ${MEASURE_NAMES[measure].padEnd(13)} ${text(holdout)} → ${text(learning)}  ${text(difference)} [${text(low)}, ${text(high)}]  ${words}`;
    }),
    ...(adjusted === undefined
      ? []
      : [
          `    networks set level: utility ${signed(adjusted.utility.value)} [${signed(adjusted.utility.low)}, ${signed(adjusted.utility.high)}]  ${adjusted.utility.words}`,
          `    networks set level: stall × ${adjusted.stallFactor.value.toFixed(2)} [${adjusted.stallFactor.low.toFixed(2)}, ${adjusted.stallFactor.high.toFixed(2)}]  ${adjusted.stallFactor.words}`,
        ]),
  ];
};

const WIDTH_PX = 1_000;
const HEIGHT_PX = 320;

/** Regret added up over the month: the learner's, and what the defaults alone would have had. */
export const monthPage = (lines: readonly string[], measured: Measured, { sessions }: Month): string => {
  const learning = sessions.filter(({ group }) => group === 'learning');
  const learned = runningSum(learning.map((session) => regretOf(session, measured)));
  const alone = runningSum(learning.map((session) => regretOf(session, measured) + gainOf(session, measured)));
  const top = Math.max(1, ...learned, ...alone);
  const line = (values: readonly number[], colour: string): string => {
    const points = values.map((value, index) => {
      const x = (learning[index]!.day / DAY_COUNT) * WIDTH_PX;
      return `${x.toFixed(1)},${(HEIGHT_PX * (1 - value / top)).toFixed(1)}`;
    });
    return `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${points.join(' ')}"/>`;
  };
  const text = lines.join('\n').replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return (
    '<!doctype html><meta charset="utf-8"><title>A simulated month</title><body style="font:14px sans-serif;max-width:1040px;margin:2em auto">' +
    '<h1>A simulated month</h1><p>Regret added up over thirty days: <span style="color:#06c">■ learning</span> ' +
    `<span style="color:#999">■ the defaults alone</span>; the top is ${top.toFixed(0)} of utility.</p>` +
    `<svg viewBox="0 0 ${WIDTH_PX} ${HEIGHT_PX}" width="100%" style="background:#f6f6f6">${line(alone, '#999')}${line(learned, '#06c')}</svg>` +
    `<pre style="white-space:pre-wrap">${text}</pre></body>`
  );
};

const runningSum = (values: readonly number[]): number[] => {
  let sum = 0;
  return values.map((value) => (sum += value));
};

const sumOf = (sessions: readonly MonthSessionRecord[], measured: Measured, of: typeof gainOf): number =>
  sessions.reduce((sum, session) => sum + of(session, measured), 0);

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

const signed = (value: number): string => `${value >= 0 ? '+' : ''}${value.toFixed(3)}`;

const percent = (ratio: number): string => `${(100 * ratio).toFixed(ratio > 0 && ratio < 0.1 ? 1 : 0)} %`;
