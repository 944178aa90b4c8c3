/** The order of runs: interleaved, shuffled by the seed, links paired. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { planRuns } from '../../latency/run/plan.ts';

const OPTIONS = { seed: 7, repeats: 40, scenarioNames: ['s', 't'], targetNames: ['a', 'b', 'c'] };

test('within each repeat and scenario every target runs once, before the next scenario begins', () => {
  const plan = planRuns(OPTIONS);
  assert.equal(plan.length, 240);
  for (let k = 0; k < plan.length; k += 3) {
    const block = plan.slice(k, k + 3);
    assert.deepEqual(block.map((run) => run.targetName).sort(), ['a', 'b', 'c']);
    assert.equal(new Set(block.map((run) => `${run.scenarioName}${run.repeatIndex}`)).size, 1);
  }
});

test('all targets of a repeat get the link of one seed, and no two repeats the same', () => {
  const plan = planRuns(OPTIONS);
  const seeds = new Map<string, Set<number>>();
  for (const run of plan) {
    const key = `${run.scenarioName}${run.repeatIndex}`;
    seeds.set(key, (seeds.get(key) ?? new Set()).add(run.linkSeed));
  }
  assert.ok([...seeds.values()].every((set) => set.size === 1));
  assert.equal(new Set([...seeds.values()].flatMap((set) => [...set])).size, 80);
});

test('no target is favoured by its place: each comes first about as often', () => {
  const plan = planRuns({ ...OPTIONS, repeats: 300 });
  const firsts = plan.filter((_, k) => k % 3 === 0).map((run) => run.targetName);
  for (const name of OPTIONS.targetNames) {
    const count = firsts.filter((first) => first === name).length;
    assert.ok(count > 150 && count < 250, `${name} came first ${count} times of 600`);
  }
});

test('the same seed gives the same order, another seed another', () => {
  assert.deepEqual(planRuns(OPTIONS), planRuns(OPTIONS));
  assert.notDeepEqual(planRuns(OPTIONS), planRuns({ ...OPTIONS, seed: 8 }));
});
