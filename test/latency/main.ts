/** Entry of `npm run latency`: a whole experiment, a one-minute answer, or a report drawn again. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { WorldError, messageOf } from '../../server/base/errors.ts';
import { drawAgain, runLabCommand } from './run/lab-command.ts';
import { runQuick } from './run/quick.ts';
import type { PlayTarget } from './viewer/viewer-report.ts';

const HELP = `Measures glass-to-glass latency, stutter, join time and cost of any live server: RTMP or WHIP in, browser out.

  npm run latency -- --quick                  one minute: this is your latency
  npm run latency -- --quick --push rtmp://HOST/live/N --whep URL --hls URL --flv URL --page URL [--seconds 10]
                                              the same for a server that runs
  npm run latency -- --config lab.yaml [--out DIR] [--traces DIR] [--resume]
                     [--target NAME]… [--scenario NAME]… [--repeats N] [--seconds N]
                                              an experiment: targets × scenarios × repeats → results.json, report.html
  npm run latency -- --report results.json [--out DIR]
                                              draws the report again

Ctrl-C ends an experiment and writes what there is; --resume goes on with the results in --out.
Four servers and seven ways to watch them: test/latency/examples/compare.yaml. All keys:

`;
const EXAMPLE = new URL('examples/lab.yaml', import.meta.url);

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h' },
    config: { type: 'string' },
    out: { type: 'string' },
    traces: { type: 'string' },
    resume: { type: 'boolean' },
    target: { type: 'string', multiple: true },
    scenario: { type: 'string', multiple: true },
    repeats: { type: 'string' },
    report: { type: 'string' },
    quick: { type: 'boolean' },
    push: { type: 'string' },
    whep: { type: 'string' },
    hls: { type: 'string' },
    flv: { type: 'string' },
    page: { type: 'string' },
    seconds: { type: 'string' },
  },
});

const positive = (name: string, text: string): number => {
  const value = Number(text);
  if (!(value > 0)) {
    throw new TypeError(`--${name} ${text}: expected a number above 0`);
  }
  return value;
};

const givenTargets = (): PlayTarget[] => {
  const given: readonly (readonly [PlayTarget['kind'], string | undefined])[] = [
    ['whep', values.whep],
    ['ll-hls', values.hls],
    ['http-flv', values.flv],
    ['page', values.page],
  ];
  const targets = given.flatMap(([kind, url]) => (url === undefined ? [] : [{ kind, url }]));
  if (values.push !== undefined && targets.length === 0) {
    throw new TypeError('--push: expected at least one of --whep, --hls, --flv and --page beside it');
  }
  if (values.push === undefined && targets.length > 0) {
    throw new TypeError('expected --push beside the addresses to watch: the lab publishes its own picture');
  }
  return targets;
};

const run = async (): Promise<number> => {
  if (values.config !== undefined) {
    return runLabCommand({
      configFile: values.config,
      outDir: values.out,
      tracesDir: values.traces,
      isResumed: values.resume === true,
      targetNames: values.target ?? [],
      scenarioNames: values.scenario ?? [],
      repeats: values.repeats === undefined ? undefined : Math.ceil(positive('repeats', values.repeats)),
      durationMs: values.seconds === undefined ? undefined : Math.ceil(positive('seconds', values.seconds) * 1_000),
    });
  }
  if (values.report !== undefined) {
    process.stdout.write(`${drawAgain(values.report, values.out)}\n`);
    return 0;
  }
  if (values.quick === true) {
    const durationMs = positive('seconds', values.seconds ?? '10') * 1_000;
    return runQuick({ pushUrl: values.push, targets: givenTargets(), durationMs });
  }
  process.stdout.write(`${HELP}${readFileSync(EXAMPLE, 'utf8')}`);
  return values.help === true ? 0 : 2;
};

try {
  // An experiment that was ended leaves timers behind that nobody waits for.
  process.exit(await run());
} catch (error) {
  if (!(error instanceof WorldError || error instanceof TypeError)) {
    throw error;
  }
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 2;
}
