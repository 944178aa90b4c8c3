/**
 * The controller's simulator on the command line:
 *
 *     npm run sim -- --list
 *     npm run sim -- --scenario step-down-up --seed 7 [--policy ours|b0|b1|b2|lowest|wide] [--smoothness 0.5] [--html FILE]
 *     npm run sim -- --trace ID --traces DIR [the same, --ladder busy|quiet|tiny]
 *     npm run sim -- --table [--traces DIR] [--split search,validation] [--seconds 300] [--seeds 1] [--ladder busy,quiet,tiny] [--ablate]
 *     npm run sim -- --fairness [--seeds 5] [--policy b2]
 *     npm run sim -- --cost
 *     npm run sim -- --validate DIR [--traces DIR]        # a lab's results with their streams (test/latency/examples/validate.yaml)
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readResults } from '../latency/run/results.ts';
import { tellAgreement } from './agreement.ts';
import { measureCost } from './cost.ts';
import type { SplitName } from './corpus.ts';
import { linkOf, loadCorpus } from './corpus.ts';
import { tellFairness } from './fairness.ts';
import { LADDERS } from './ladder-source.ts';
import { ABLATIONS, ours, policyOf } from './policies.ts';
import { SCENARIOS } from './scenarios.ts';
import { durationOf, ladderOf, linkOfScenario, watch } from './scenario-run.ts';
import { sparklines, tellResult, tellSteps, toHtml } from './story.ts';
import { makeTable } from './table.ts';
import { tellTwin } from './twin-check.ts';
import { playAgain } from './validate.ts';

const TRACES_DEFAULT = fileURLToPath(new URL('../../../shared/corpus/traces', import.meta.url));
const SPLITS: readonly SplitName[] = ['search', 'validation', 'test-a', 'test-b'];

const { values } = parseArgs({
  options: {
    list: { type: 'boolean', default: false },
    scenario: { type: 'string' },
    trace: { type: 'string' },
    table: { type: 'boolean', default: false },
    cost: { type: 'boolean', default: false },
    validate: { type: 'string' },
    fairness: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '300' },
    policy: { type: 'string', default: 'ours' },
    smoothness: { type: 'string', default: '0.5' },
    traces: { type: 'string', default: TRACES_DEFAULT },
    split: { type: 'string', default: 'search,validation' },
    ladder: { type: 'string', default: 'busy' },
    ablate: { type: 'boolean', default: false },
    html: { type: 'string' },
  },
});

const fail = (text: string): never => {
  console.error(`sim: ${text}`);
  process.exit(2);
};

const numberOf = (name: 'seed' | 'seeds' | 'seconds' | 'smoothness', min: number, max: number): number => {
  const value = Number(values[name]);
  return Number.isFinite(value) && value >= min && value <= max
    ? value
    : fail(`--${name}: expected ${min} to ${max}, got ${values[name]}`);
};

const splitNames = (): SplitName[] =>
  values.split
    .split(',')
    .map((name) => SPLITS.find((split) => split === name) ?? fail(`--split: unknown part ${name}`));

const ladders = values.ladder.split(',').map((name) => ({
  name,
  ladder: LADDERS[name] ?? fail(`--ladder: unknown ${name}, they are ${Object.keys(LADDERS).join(' ')}`),
}));

const loadTraces = async (splits: readonly SplitName[]) => {
  const traces = await loadCorpus(values.traces, splits);
  if (traces === undefined) {
    console.error(`sim: no corpus at ${values.traces} (--traces DIR): skipped`);
  }
  return traces;
};

const show = async (title: string, sentences: readonly string[], watched: ReturnType<typeof watch>): Promise<void> => {
  const all = [...sentences, ...tellResult(watched)];
  console.log([title, '', ...all, '', ...sparklines(watched)].join('\n'));
  if (values.html !== undefined) {
    await writeFile(values.html, toHtml(title, all, watched));
  }
};

const smoothnessRatio = numberOf('smoothness', 0, 1);
const seed = numberOf('seed', 0, 2 ** 31);
const durationMs = numberOf('seconds', 1, 3_600) * 1000;
const policy = policyOf(values.policy, smoothnessRatio) ?? fail(`--policy: unknown ${values.policy}`);

if (values.list) {
  console.log(SCENARIOS.map(({ name, title }) => `${name.padEnd(16)} ${title}`).join('\n'));
} else if (values.cost) {
  console.log(measureCost().join('\n'));
} else if (values.validate !== undefined) {
  const results = readResults(path.join(values.validate, 'results.json'));
  const { cells, twins, leftOut } = await playAgain({ results, folder: values.validate, tracesDir: values.traces });
  console.log(tellAgreement(cells, { ours: 'adaptive', other: 'gcc' }).join('\n'));
  console.log(tellTwin(twins).join('\n'));
  console.log(leftOut.map((line) => `left out: ${line}`).join('\n'));
} else if (values.fairness) {
  console.log(tellFairness(policy, seed, numberOf('seeds', 1, 20)).join('\n'));
} else if (values.scenario !== undefined) {
  const scenario =
    SCENARIOS.find(({ name }) => name === values.scenario) ?? fail(`unknown scenario ${values.scenario}`);
  const run = { seed, durationMs: durationOf(scenario), ladder: ladderOf(scenario) };
  const watched = watch(linkOfScenario(scenario), policy, run);
  await show(`${scenario.title}, ${policy.name}, seed ${seed}`, tellSteps(scenario, watched), watched);
} else if (values.trace !== undefined) {
  const traces = await loadTraces(['search', 'validation']);
  const trace = traces?.find(({ id }) => id === values.trace);
  if (trace !== undefined) {
    const watched = watch(linkOf(trace, seed), policy, { seed, durationMs, ladder: ladders[0]!.ladder });
    await show(`Trace ${trace.id} (semi-real), ${policy.name}, seed ${seed}`, [], watched);
  } else if (traces !== undefined) {
    fail(`no trace ${values.trace} among search and validation; they are ${traces.map(({ id }) => id).join(' ')}`);
  }
} else if (values.table) {
  const traces = await loadTraces(splitNames());
  if (traces !== undefined) {
    const seeds = Array.from({ length: numberOf('seeds', 1, 20) }, (_, index) => seed + index);
    const mine = ours(smoothnessRatio);
    console.log(
      `Parts ${values.split}, λ = ${smoothnessRatio}; all semi-real: losses, delays and what happens within a bin are added by class`,
    );
    for (const { name, ladder } of ladders) {
      console.log(`\nLadder ${name}: ${ladder.rungs.map(({ bitrateBps }) => `${bitrateBps / 1e6}`).join(', ')} Mbit/s`);
      const options = { durationMs, seeds, smoothnessRatio, ladder };
      console.log(makeTable(mine, values.ablate ? ABLATIONS : [], traces, options).join('\n'));
    }
  }
} else {
  fail('one of --list, --scenario NAME, --trace ID, --table, --cost, --validate DIR');
  fail('one of --list, --scenario NAME, --trace ID, --table, --fairness, --cost');
}
