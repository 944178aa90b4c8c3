/**
 * The simulated month on the command line:
 *
 *     npm run learn -- --month [--sessions 5000] [--session-seconds 90] [--kind turns|handovers] [--new 0.5] [--holdout 0.1] [--seed 1] [--html FILE]
 *     npm run learn -- --month --blank                      # the learner as it is shipped, without beliefs
 *     npm run learn -- --month --later turns [--forget]     # from day 15 on the new networks are of another kind; what a detector could gain
 */
import { writeFile } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { parseArgs } from 'node:util';
import { fail, numberOf } from './command-line.ts';
import type { NewNetwork } from './made-up-networks.ts';
import type { MonthOptions } from './month.ts';
import { measureArms, playMonth } from './month.ts';
import { monthPage, tellMonth } from './month-story.ts';

const NICENESS = 19;
const KINDS: readonly NewNetwork[] = ['turns', 'handovers'];
const MEASURED_COUNT = 150;

const { values } = parseArgs({
  options: {
    month: { type: 'boolean', default: false },
    sessions: { type: 'string', default: '5000' },
    'session-seconds': { type: 'string', default: '90' },
    kind: { type: 'string', default: 'handovers' },
    later: { type: 'string' },
    forget: { type: 'boolean', default: false },
    blank: { type: 'boolean', default: false },
    new: { type: 'string', default: '0.5' },
    holdout: { type: 'string', default: '0.1' },
    seed: { type: 'string', default: '1' },
    html: { type: 'string' },
  },
});

const kindOf = (name: string, value: string): NewNetwork =>
  KINDS.find((kind) => kind === value) ?? fail(`--${name}: expected one of ${KINDS.join(', ')}, got ${value}`);

const options: MonthOptions = {
  seed: numberOf('seed', values.seed, [0, 2 ** 20]),
  sessionCount: Math.round(numberOf('sessions', values.sessions, [10, 100_000])),
  durationMs: 1_000 * numberOf('session-seconds', values['session-seconds'], [30, 600]),
  holdoutRatio: numberOf('holdout', values.holdout, [0, 0.5]),
  newRatio: numberOf('new', values.new, [0, 1]),
  kind: kindOf('kind', values.kind),
  laterKind: values.later === undefined ? undefined : kindOf('later', values.later),
  forgetsAtChange: values.forget,
  isBlank: values.blank,
  measuredCount: MEASURED_COUNT,
  onProgress: (doneRatio) => {
    const isTold = process.stderr.isTTY || Math.round(doneRatio * 1e6) % 100_000 === 0;
    if (isTold) {
      process.stderr.write(
        `${process.stderr.isTTY ? '\r' : ''}learn: ${(100 * doneRatio).toFixed(0)} % of the month${process.stderr.isTTY ? '' : '\n'}`,
      );
    }
  },
};

setPriority(NICENESS);
console.error(`learn: every arm on ${MEASURED_COUNT} links of each kind, then ${options.sessionCount} sessions`);
const measured = measureArms(options);
const month = playMonth(options, measured);
const lines = tellMonth(options, measured, month);
console.log(lines.join('\n'));
if (values.html !== undefined) {
  await writeFile(values.html, monthPage(lines, measured, month));
}
