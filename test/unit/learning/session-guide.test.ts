/** The learner in one session: when an arm comes into force, when it goes, and what is learned of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../server/base/prng.ts';
import { parametersWith } from '../../../server/congestion/parameters.ts';
import type { Learner } from '../../../server/learning/learner.ts';
import { ToldSession, newLearner } from '../../support/learning.ts';

const CLASS = 'stable|jittery';

const open = (
  changes: { group?: 'learning' | 'defaults' | 'gcc'; pinned?: () => string | undefined } = {},
): { learner: Learner; session: ToldSession } => {
  const learner = newLearner(new Prng(1));
  const session = new ToldSession({ learner, group: 'learning', pinned: () => 'patient', ...changes });
  return { learner, session };
};

const armOf = (learner: Learner, name: string): { sessionCount: number; abortCount: number } =>
  learner
    .report()
    .find(({ networkClass }) => networkClass === CLASS)!
    .arms.find(({ arm }) => arm.name === name)!;

test('ten seconds under the defaults, then an arm, of which something is learned at the end', () => {
  const { learner, session } = open();
  session.run(9, { reportedMs: 0 });
  assert.deepEqual(session.retuned, []);
  session.run(2, { reportedMs: 0 });
  const patient = learner.armsOf(CLASS).find(({ name }) => name === 'patient')!;
  assert.deepEqual(session.retuned, [patient.parametersFor(0.5)]);
  session.run(40, { reportedMs: 0 });
  session.end();
  assert.equal(session.retuned.length, 1);
  assert.equal(armOf(learner, 'patient').sessionCount, 1);
  assert.equal(learner.compareWith('defaults').learningSessionCount, 1);
});

test('a picture that stalls too much under an arm goes back to the defaults, once, and the arm answers for it', () => {
  const { learner, session } = open();
  session.run(14, { reportedMs: 0 });
  session.run(5, { stallMs: 400, reportedMs: 400 });
  assert.deepEqual(session.retuned.at(-1), parametersWith());
  assert.equal(session.retuned.length, 2);
  session.run(20, { stallMs: 400, reportedMs: 400 });
  session.end();
  assert.equal(session.retuned.length, 2);
  assert.equal(armOf(learner, 'patient').abortCount, 1);
  assert.equal(armOf(learner, 'patient').sessionCount, 1);
});

test('under the defaults the same is counted and nothing is changed', () => {
  const { learner, session } = open({ group: 'defaults' });
  session.run(14, { reportedMs: 0 });
  session.run(20, { stallMs: 400, reportedMs: 400 });
  session.end();
  assert.deepEqual(session.retuned, []);
  assert.equal(armOf(learner, 'defaults').abortCount, 1);
  assert.equal(
    armOf(learner, 'defaults').sessionCount,
    1,
    'the holdout’s own half teaches what the defaults are worth',
  );
});

test('who says nothing, says otherwise than the twin, or leaves at once, teaches nothing', () => {
  const silent = open();
  silent.session.run(60);
  silent.session.end();
  assert.equal(armOf(silent.learner, 'patient').sessionCount, 0);
  assert.equal(silent.learner.state.refused.unreported, 1);
  const lying = open();
  lying.session.run(60, { stallMs: 0, reportedMs: 300 });
  lying.session.end();
  const boasting = open();
  boasting.session.run(60, { stallMs: 30, reportedMs: 0 });
  boasting.session.end();
  for (const { learner } of [lying, boasting]) {
    assert.equal(armOf(learner, 'patient').sessionCount, 0);
    assert.equal(learner.state.refused.contradicted, 1);
  }
  const short = open();
  short.session.run(18, { reportedMs: 0 });
  short.session.end();
  assert.equal(short.learner.state.refused.short, 1);
  assert.equal(short.learner.compareWith('defaults').learningSessionCount, 0);
});

test('GCC’s half of the holdout is compared and teaches nothing', () => {
  const { learner, session } = open({ group: 'gcc' });
  session.run(60, { reportedMs: 0 });
  session.end();
  assert.deepEqual(session.retuned, []);
  assert.equal(learner.compareWith('gcc').holdoutSessionCount, 1);
  assert.equal(learner.state.arms.size, 0);
});

test('turned off on the way, a session returns to the defaults, and what was seen until then counts', () => {
  let pinned = 'patient';
  const { learner, session } = open({ pinned: () => pinned });
  session.run(40, { reportedMs: 0 });
  pinned = 'defaults';
  session.run(30, { reportedMs: 0 });
  session.end();
  assert.deepEqual(session.retuned.at(-1), parametersWith());
  assert.equal(session.retuned.length, 2);
  assert.equal(armOf(learner, 'patient').sessionCount, 1);
});

test('a session whose λ was changed on the way returns to the defaults and teaches nothing', () => {
  const { learner, session } = open();
  session.run(30, { reportedMs: 0 });
  session.guide.onSmoothness();
  session.run(30, { reportedMs: 0 });
  session.end();
  assert.deepEqual(session.retuned.slice(1), [parametersWith()]);
  assert.equal(armOf(learner, 'patient').sessionCount, 0);
});
