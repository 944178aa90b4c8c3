/** What a search leaves: comparisons with intervals, the verdict, its state on disk, the file the server reads. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { readPolicy } from '../../../server/congestion/learned/policy.ts';
import { parametersWith } from '../../../server/congestion/parameters.ts';
import { RandomStream } from '../../latency/link/random-streams.ts';
import { compareOutcomes, isConfirmed, isShippable, tellComparison } from '../../learn/comparison.ts';
import type { Comparison } from '../../learn/comparison.ts';
import type { Outcome } from '../../learn/episode.ts';
import { policyFileName, toPolicyFile } from '../../learn/policy-file.ts';
import { progressLine } from '../../learn/progress.ts';
import { codeSha256Of, dataSha256Of, loadRun, saveRun } from '../../learn/run-state.ts';
import { beginSearch } from '../../learn/search.ts';
import { syntheticTraces } from '../../learn/synthetic.ts';
import { OUTCOME } from '../../support/learn-outcome.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const TRACES = syntheticTraces('validation', 3, 1);

/** Two sessions a trace; `gain` of the learned one, with luck that both share and `noise` that they do not. */
const comparisonOf = (gain: Partial<Outcome>, noise = 0.01, traceCount = TRACES.length): Comparison => {
  const draws = TRACES.slice(0, traceCount).flatMap((_, traceIndex) => [1, 2].map((seed) => ({ traceIndex, seed })));
  const luck = new RandomStream(1, 'luck');
  const own = new RandomStream(1, 'own');
  const defaults = draws.map((_, index) => ({ ...OUTCOME, utility: OUTCOME.utility + luck.normal(index) }));
  const learned = defaults.map((outcome, index) => ({
    ...outcome,
    ...Object.fromEntries(
      Object.entries(gain).map(([name, by]) => [name, outcome[name as keyof Outcome] + by + noise * own.normal(index)]),
    ),
  }));
  const comparison = compareOutcomes(draws, TRACES, { learned, defaults });
  assert.ok(comparison !== undefined);
  return comparison;
};

test('a difference is that of pairs: luck that both sides share does not widen its interval', () => {
  const { difference, traceCount, sessionCount, groupCount } = comparisonOf({ utility: 0.05 });
  assert.deepEqual([traceCount, groupCount, sessionCount], [TRACES.length, TRACES.length, 2 * TRACES.length]);
  assert.ok(Math.abs(difference.utility.value - 0.05) < 0.01);
  assert.ok(difference.utility.low > 0.03 && difference.utility.high < 0.07);
  assert.deepEqual(difference.qualityRatio, { value: 0, low: 0, high: 0 });
});

test('traces of one recording are drawn together: few recordings make a wide interval', () => {
  const draws = TRACES.map((_, traceIndex) => ({ traceIndex, seed: 1 }));
  const defaults = draws.map(() => OUTCOME);
  // Two recordings, one much better and one much worse.
  const learned = draws.map((_, index) => ({ ...OUTCOME, utility: OUTCOME.utility + (index % 2 === 0 ? 0.3 : -0.2) }));
  const paired = TRACES.map((trace, index) => ({ ...trace, group: `recording-${index % 2}` }));
  const widthOf = (comparison: Comparison | undefined): number =>
    comparison!.difference.utility.high - comparison!.difference.utility.low;
  const apart = widthOf(compareOutcomes(draws, TRACES, { learned, defaults }));
  const together = widthOf(compareOutcomes(draws, paired, { learned, defaults }));
  assert.ok(together > 1.1 * apart, `${together} against ${apart}`);
});

test('only a gain that is no luck, and that nobody pays for, is confirmed', () => {
  assert.equal(isConfirmed(comparisonOf({ utility: 0.05 })), true);
  assert.equal(isConfirmed(comparisonOf({ utility: 0.002 }, 0.1)), false);
  assert.equal(isConfirmed(comparisonOf({ utility: -0.05 })), false);
  assert.equal(isConfirmed(comparisonOf({ utility: 0.05, qualityRatio: -0.06 })), false);
  assert.equal(isConfirmed(comparisonOf({ utility: 0.05 }, 0.01, 7)), false);
});

test('real links decide; without any the synthetic do; a loss on any part forbids', () => {
  const gain = comparisonOf({ utility: 0.05 });
  const luck = comparisonOf({ utility: 0.002 }, 0.1);
  const loss = comparisonOf({ utility: -0.01 }, 0.001);
  assert.equal(isShippable({ 'validation real': gain, 'validation synthetic': gain, 'search real': gain }), true);
  assert.equal(isShippable({ 'validation synthetic': gain }), true);
  assert.equal(isShippable({ 'validation real': luck, 'validation synthetic': gain }), false);
  assert.equal(isShippable({ 'validation real': gain, 'validation synthetic': loss }), false);
  assert.equal(isShippable({ 'validation real': gain, 'search real': loss }), false);
  const stalling = comparisonOf({ utility: 0.05, stallRatio: 0.01 }, 0.001);
  assert.equal(isShippable({ 'validation real': stalling }), false);
  assert.equal(isShippable({ 'validation real': gain, 'search synthetic': stalling }), false);
  assert.equal(isShippable({ 'search real': gain }), false);
  assert.equal(isShippable({}), false);
});

test('a table says how many there were, and that there were too few', () => {
  const lines = tellComparison('validation', comparisonOf({ utility: 0.05 }, 0.01, 5));
  assert.equal(lines[0], 'validation: 5 traces, 5 groups, 10 sessions (too few groups for a claim)');
  assert.equal(lines.length, 7);
  assert.deepEqual(tellComparison('validation', undefined), ['validation: no traces of this class']);
});

test('the server reads what the search writes', () => {
  const outcomes = Array.from({ length: 11 }, (_, index) => ({
    ...OUTCOME,
    estimateBps: 1_000_000 + 100_000 * index,
    playoutDelayMs: 20 + 10 * index,
  }));
  const reached = comparisonOf({ utility: 0.05, stallRatio: -0.004 }, 0);
  const text = toPolicyFile({
    networkClass: 'stable|jittery',
    smoothnessRatio: 0.25,
    parameters: { paceRatio: 1.75, dropBacklogMs: 210 },
    outcomes,
    dataSha256: dataSha256Of(TRACES),
    made: { seed: 1 },
    reached: { 'search real': comparisonOf({ utility: 0.5 }), 'validation real': reached },
  });
  const { policy, unknownNames, fault } = readPolicy(text);
  assert.equal(fault, undefined);
  assert.deepEqual(unknownNames, []);
  assert.deepEqual(policy?.vectors, [
    {
      networkClass: 'stable|jittery',
      smoothnessRatio: 0.25,
      parameters: parametersWith({ paceRatio: 1.75, dropBacklogMs: 210 }),
      // Half of the stall that was spared is held for luck.
      gain: {
        utility: 0.05,
        logStall: Number((Math.log((OUTCOME.stallRatio - 0.004) / OUTCOME.stallRatio) / 2).toPrecision(5)),
      },
    },
  ]);
  assert.deepEqual(policy?.priors.get('stable|jittery'), { rateBps: 1_300_000, playoutDelayMs: 100 });
  const rounded = (value: number): number => Number(value.toPrecision(5));
  for (const side of ['learned', 'defaults'] as const) {
    const { latencyP50Ms, stallRatio } = reached[side];
    assert.deepEqual(policy?.reached?.[side], { latencyMs: rounded(latencyP50Ms), stallRatio: rounded(stallRatio) });
  }
  assert.equal(policyFileName('stable|jittery', 0.25), 'stable-jittery-025.json');
});

test('the hash of the data hangs on what was seen, not on the order in which it lay', () => {
  const sha = dataSha256Of(TRACES);
  assert.match(sha, /^[0-9a-f]{64}$/);
  assert.equal(dataSha256Of(TRACES.toReversed()), sha);
  const [first, ...others] = TRACES;
  const changed = {
    ...first!,
    steps: first!.steps.map((step, index) => (index === 9 ? { ...step, rateBps: 1 } : step)),
  };
  assert.notEqual(dataSha256Of([changed, ...others]), sha);
});

test('the hash of the code hangs on every source file below a folder', async () => {
  const root = tempFolder('learn');
  await mkdir(path.join(root, 'engine/deep'), { recursive: true });
  await writeFile(path.join(root, 'engine/deep/a.ts'), 'one');
  const sha = await codeSha256Of(root, ['engine']);
  assert.equal(await codeSha256Of(root, ['engine']), sha);
  await writeFile(path.join(root, 'engine/README.md'), 'words');
  assert.equal(await codeSha256Of(root, ['engine']), sha);
  await writeFile(path.join(root, 'engine/deep/a.ts'), 'two');
  assert.notEqual(await codeSha256Of(root, ['engine']), sha);
});

test('a search goes on from its file, and never from another one’s or a broken one', async () => {
  const folder = tempFolder('learn');
  const file = path.join(folder, 'deep/state.json');
  const search = beginSearch({
    seed: 1,
    smoothnessRatio: 0.5,
    names: ['paceRatio', 'safetyRatio'],
    rungs: [{ candidateCount: 4, episodeCount: 1, durationMs: 1_000 }],
    sigmaStart: 0.25,
    sigmaMin: 0.01,
    generationMaxCount: 3,
    patienceCount: 2,
    restartMaxCount: 1,
    syntheticRatio: 0,
  });
  await saveRun(file, { key: 'mine', search });
  assert.deepEqual(await loadRun(file, 'mine'), JSON.parse(JSON.stringify(search)));
  await assert.rejects(loadRun(file, 'other'), /other options, traces or code/);
  await writeFile(file, (await readFile(file, 'utf8')).slice(0, 100));
  await assert.rejects(loadRun(file, 'mine'), /cannot go on/);
  await writeFile(file, '{}');
  await assert.rejects(loadRun(file, 'mine'), /another version/);
  await assert.rejects(loadRun(path.join(folder, 'none.json'), 'mine'), /ENOENT/);
});

test('progress says where it stands and how long it will take', () => {
  const standing = { restartIndex: 1, restartMaxCount: 3, generation: 7, generationMaxCount: 40, spread: 0.1234 };
  assert.equal(
    progressLine({ ...standing, bestValue: 0.0213, doneRatio: 0.5, leftMs: 125_400 }),
    '[############------------] start 2/3, generation 7/40, best +0.0213, spread 0.123, 2:05 left',
  );
  assert.match(
    progressLine({ ...standing, bestValue: undefined, doneRatio: 7, leftMs: undefined }),
    /^\[#{24}\].*best –.*… left$/,
  );
});
