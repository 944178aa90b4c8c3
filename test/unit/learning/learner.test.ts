/** The learner on made-up sessions: it finds what is better, keeps out what is worse, tries what only belief keeps out; its states add. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../server/base/prng.ts';
import { NETWORK_CLASSES } from '../../../server/congestion/learned/link-features.ts';
import type { Policy } from '../../../server/congestion/learned/policy.ts';
import { readPolicy } from '../../../server/congestion/learned/policy.ts';
import type { Parameters as Tuned } from '../../../server/congestion/parameters.ts';
import { PARAMETER_RANGES, parametersWith } from '../../../server/congestion/parameters.ts';
import { ARM_MAX_COUNT, armsFor } from '../../../server/learning/arms.ts';
import { groupOf } from '../../../server/learning/holdout.ts';
import { Learner } from '../../../server/learning/learner.ts';
import { emptyState, fade, mergeStates, readState, writeState } from '../../../server/learning/learner-state.ts';
import { MIDDLING, lesson, newLearner, someFeatures } from '../../support/learning.ts';

const CLASS = 'stable|jittery';
const DAY_MS = 24 * 3_600_000;

/** `count` sessions; `gain`: what an arm's utility is over the defaults'. Answers how often each arm was given. */
const live = (
  learner: Learner,
  prng: Prng,
  { count, gain }: { count: number; gain: (name: string) => number },
): Map<string, number> => {
  const given = new Map<string, number>();
  for (let index = 0; index < count; index += 1) {
    const features = someFeatures(prng);
    const arm = learner.choose(CLASS, features);
    given.set(arm.name, (given.get(arm.name) ?? 0) + 1);
    const utility = 0.5 + 0.1 * features[3]! + gain(arm.name) + 0.4 * (prng.nextRatio() - 0.5);
    const logStall = -5 - 4 * gain(arm.name) + prng.nextRatio();
    learner.learn(CLASS, arm.id, lesson({ features, utility, logStall }));
  }
  return given;
};

test('an arm that is better comes to be given most, one that is worse is kept out', () => {
  const prng = new Prng(1);
  const learner = newLearner(prng);
  const gain = (name: string): number => ({ patient: 0.1, eager: -0.15 })[name] ?? 0;
  live(learner, prng, { count: 600, gain });
  const later = live(learner, prng, { count: 400, gain });
  assert.ok(later.get('patient')! > 300, JSON.stringify([...later]));
  const { arms } = learner.report().find(({ networkClass }) => networkClass === CLASS)!;
  assert.equal(arms.find(({ arm }) => arm.name === 'eager')!.isAdmitted, false);
  assert.ok((later.get('eager') ?? 0) < 20);
  assert.equal(arms[0]!.arm.name, 'defaults');
  assert.equal(arms[0]!.isAdmitted, true, 'the defaults always are');
});

test('with every other arm worse the defaults stay', () => {
  const prng = new Prng(2);
  const learner = newLearner(prng);
  const gain = (name: string): number => (name === 'defaults' ? 0 : -0.2);
  live(learner, prng, { count: 600, gain });
  const later = live(learner, prng, { count: 300, gain });
  assert.ok(later.get('defaults')! > 270, JSON.stringify([...later]));
});

test('what only belief keeps out is tried now and then, until it was seen', () => {
  const prng = new Prng(3);
  const learner = new Learner({
    policies: [],
    state: emptyState(0),
    nextRatio: () => prng.nextRatio(),
    departures: (_class, name) => ({ utility: name === 'wary' ? -0.1 : 0, logStall: 0 }),
  });
  const isAdmitted = (): boolean =>
    learner
      .report()
      .find(({ networkClass }) => networkClass === CLASS)!
      .arms.find(({ arm }) => arm.name === 'wary')!.isAdmitted;
  assert.equal(isAdmitted(), false);
  const given = live(learner, prng, { count: 3_000, gain: (name) => (name === 'wary' ? 0.2 : 0) });
  assert.ok(given.get('wary')! > 1_000, JSON.stringify([...given]));
  assert.equal(isAdmitted(), true);
});

test('a vector that was vetted as better is what most sessions begin with, and is left where it is worse', () => {
  const prng = new Prng(11);
  const policy: Policy = {
    vectors: [
      {
        networkClass: CLASS,
        smoothnessRatio: 0.5,
        parameters: parametersWith({ paceRatio: 1.3 }),
        gain: { utility: 0.08, logStall: -0.1 },
      },
    ],
    priors: new Map(),
    dataSha256: '0'.repeat(64),
  };
  const learner = new Learner({ policies: [policy], state: emptyState(0), nextRatio: () => prng.nextRatio() });
  const first = live(learner, prng, { count: 100, gain: (name) => (name === 'searched' ? -0.1 : 0) });
  assert.ok(first.get('searched')! > 10, JSON.stringify([...first]));
  live(learner, prng, { count: 600, gain: (name) => (name === 'searched' ? -0.1 : 0) });
  const later = live(learner, prng, { count: 300, gain: (name) => (name === 'searched' ? -0.1 : 0) });
  assert.ok((later.get('searched') ?? 0) < 10, JSON.stringify([...later]));
});

test('states add: two nodes together know what one would that had seen all', () => {
  const nodes = [newLearner(new Prng(4)), newLearner(new Prng(5))];
  const all = newLearner(new Prng(6));
  const prng = new Prng(7);
  for (let index = 0; index < 300; index += 1) {
    const features = someFeatures(prng);
    const arm = all.armsOf(CLASS)[prng.nextIndex(all.armsOf(CLASS).length)]!;
    const one = lesson({ features, utility: prng.nextRatio(), seconds: 20 + 100 * prng.nextRatio() });
    const outcome = {
      seconds: 60,
      stallRatio: 0.1 * prng.nextRatio(),
      freezesPerMinute: 1,
      latencyMs: 200,
      latencyP95Ms: 300,
      qualityRatio: prng.nextRatio(),
      switchesPerMinute: 0,
    };
    const group = index % 3 === 0 ? 'defaults' : 'learning';
    for (const learner of [all, nodes[index % 2]!]) {
      learner.learn(CLASS, arm.id, one);
      learner.noteSession(group, { networkClass: CLASS, features, outcome, smoothnessRatio: 0.5 });
      if (index % 10 === 0) {
        learner.noteAbort(CLASS, arm.id);
        learner.noteRefused('contradicted');
      }
    }
  }
  const merged = new Learner({
    policies: [],
    state: mergeStates(nodes[0]!.state, nodes[1]!.state),
    nextRatio: () => 0.5,
  });
  const numbers = (learner: Learner): number[] => [
    ...learner
      .report()
      .flatMap(({ arms }) =>
        arms.flatMap(({ sessionCount, abortCount, utility, stallFactor }) => [
          sessionCount,
          abortCount,
          utility.mean,
          utility.deviation,
          stallFactor,
        ]),
      ),
    ...learner.compareWith('defaults').differences.flatMap(({ difference, low }) => [difference, low]),
    learner.compareWith('defaults').adjusted!.utility.value,
    learner.state.refused.contradicted,
  ];
  numbers(merged).forEach((value, index) => assert.ok(Math.abs(value - numbers(all)[index]!) < 1e-9));
});

test('a week ago counts half, and a state that is written and read goes on as it was', () => {
  const prng = new Prng(8);
  const learner = newLearner(prng);
  live(learner, prng, { count: 100, gain: () => 0 });
  const count = (): number => learner.report().reduce((sum, { sessionCount }) => sum + sessionCount, 0);
  learner.tick(7 * DAY_MS);
  assert.ok(Math.abs(count() - 50) < 1e-6);
  fade(learner.state, 3 * DAY_MS);
  assert.ok(Math.abs(count() - 50) < 1e-6, 'a clock that was put back fades nothing');
  const { state } = readState(writeState(learner.state, learner.armIds));
  assert.deepEqual(state, learner.state);
  learner.tick(400 * DAY_MS);
  assert.equal(learner.state.arms.size, 0, 'what has faded away is forgotten');
});

test('the holdout is a tenth, half of it GCC, the same for a viewer each time', () => {
  const counts = { gcc: 0, defaults: 0, learning: 0 };
  const ids = Array.from({ length: 65_536 }, (_, index) => index.toString(16).padStart(4, '0'));
  for (const id of ids) {
    counts[groupOf(id, 0.1)] += 1;
    assert.equal(groupOf(id, 0.1), groupOf(id, 0.1));
    assert.equal(groupOf(id, 0), 'learning');
  }
  for (const group of ['gcc', 'defaults'] as const) {
    assert.ok(Math.abs(counts[group] / ids.length - 0.05) < 0.003, `${group} ${counts[group]}`);
  }
});

const policyOf = (vectors: object[]): Policy => {
  const { policy } = readPolicy(
    JSON.stringify({ schema: 'sluice-policy', version: 1, dataSha256: '0'.repeat(64), priors: [], vectors }),
  );
  assert.ok(policy !== undefined);
  return policy;
};

test('arms: the defaults first, at most eight, each parameter in its safe range whatever a file says', () => {
  const names = Object.keys(PARAMETER_RANGES) as (keyof Tuned)[];
  const wild = (value: number): object => Object.fromEntries(names.map((name) => [name, value]));
  const policies = [
    policyOf([
      { networkClass: CLASS, smoothnessRatio: 0, parameters: wild(-1e9) },
      { networkClass: CLASS, smoothnessRatio: 0.5, parameters: { paceRatio: 1.7 } },
      { networkClass: CLASS, smoothnessRatio: 1, parameters: wild(1e300) },
      { networkClass: 'all', smoothnessRatio: 0.5, parameters: { paceRatio: 1.3 } },
    ]),
  ];
  for (const networkClass of NETWORK_CLASSES) {
    const arms = armsFor(policies, networkClass);
    assert.ok(arms.length <= ARM_MAX_COUNT);
    assert.deepEqual(arms[0]!.parametersFor(0.5), parametersWith());
    assert.equal(new Set(arms.map(({ id }) => id)).size, arms.length);
    for (const { parametersFor } of arms) {
      for (const smoothnessRatio of [0, 0.3, 0.5, 1]) {
        const parameters = parametersFor(smoothnessRatio);
        assert.ok(
          names.every(
            (name) => parameters[name] >= PARAMETER_RANGES[name].min && parameters[name] <= PARAMETER_RANGES[name].max,
          ),
        );
      }
    }
  }
  assert.equal(
    armsFor(policies, CLASS)
      .find(({ name }) => name === 'searched')!
      .parametersFor(0.5).paceRatio,
    1.7,
  );
  assert.ok(armsFor([], CLASS).length >= 3, 'without any file there is still something to choose');
});

test('an arm whose values have changed begins anew, and the others stay', () => {
  const before = armsFor(
    [policyOf([{ networkClass: 'all', smoothnessRatio: 0.5, parameters: { paceRatio: 1.3 } }])],
    CLASS,
  );
  const after = armsFor(
    [policyOf([{ networkClass: 'all', smoothnessRatio: 0.5, parameters: { paceRatio: 1.4 } }])],
    CLASS,
  );
  const idOf = (arms: typeof before, name: string): string => arms.find((arm) => arm.name === name)!.id;
  assert.notEqual(idOf(before, 'searched for all'), idOf(after, 'searched for all'));
  assert.equal(idOf(before, 'cautious'), idOf(after, 'cautious'));
});

test('a difference that chance may have made is called so, in words', () => {
  const learner = newLearner(new Prng(9));
  const outcome = (qualityRatio: number): Parameters<Learner['noteSession']>[1]['outcome'] => ({
    seconds: 60,
    stallRatio: 0,
    freezesPerMinute: 0,
    latencyMs: 100,
    latencyP95Ms: 100,
    qualityRatio,
    switchesPerMinute: 0,
  });
  const note = (group: 'learning' | 'defaults', qualityRatio: number): void =>
    learner.noteSession(group, {
      networkClass: CLASS,
      features: MIDDLING,
      outcome: outcome(qualityRatio),
      smoothnessRatio: 0.5,
    });
  const words = (): string =>
    learner.compareWith('defaults').differences.find(({ measure }) => measure === 'qualityRatio')!.words;
  note('learning', 0.9);
  note('defaults', 0.5);
  assert.match(words(), /^not yet significant: 1 sessions/);
  for (let index = 0; index < 200; index += 1) {
    note('learning', index % 2 === 0 ? 0.9 : 0.5);
    note('defaults', index % 2 === 0 ? 0.89 : 0.5);
  }
  assert.match(words(), /^not yet significant: a difference this small needs about \d+ times/);
  for (let index = 0; index < 200; index += 1) {
    note('learning', 0.9);
    note('defaults', 0.5);
  }
  assert.equal(words(), 'better, significantly');
  assert.ok(learner.compareWith('defaults').adjusted!.utility.low > 0);
});
