// The learner seen from a thread: sessions there are guided by a copy, and what they tell changes the one learner, as if they had run beside it.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Prng } from '../../../server/base/prng.ts';
import { ManualClock } from '../../../server/base/clock.ts';
import { LEARNING_DEFAULTS } from '../../../server/congestion/learned/learning-options.ts';
import { Learning } from '../../../server/learning/learning.ts';
import type { LearnerNote } from '../../../server/learning/session-plans.ts';
import { LearnerCopy } from '../../../server/media-threads/learner-copy.ts';
import { silentLog } from '../../../server/observability/log.ts';

/** No folder can be made there: nothing is read and nothing kept. */
const NOWHERE = '/dev/null/learned.json';
const VIEWER = { viewerId: '00ff', smoothnessRatio: 0.5 };
const FEATURES = [1, 0, 0, 0, 0, 0, 0, 0, 0];
const LESSON = { features: FEATURES, utility: 0.7, logStall: -4, seconds: 60 };

const openLearning = async (): Promise<Learning> => {
  const prng = new Prng(3);
  return Learning.open(
    { ...LEARNING_DEFAULTS, file: NOWHERE, holdoutRatio: 0 },
    { policies: [], clock: new ManualClock(), log: silentLog, nextRatio: () => prng.nextRatio() },
  );
};

test('nobody is guided before a thread was told what was learned, nor while learning is off; a mode reaches it with the next copy', async () => {
  const learning = await openLearning();
  const copy = new LearnerCopy({ policies: [], log: silentLog, post: () => undefined });
  assert.equal(copy.planFor(VIEWER), undefined);
  copy.take(structuredClone(learning.snapshot()), 0);
  assert.equal(copy.planFor(VIEWER)?.kind, 'adaptive');
  assert.equal(copy.planFor({ ...VIEWER, viewerId: undefined }), undefined);
  learning.setMode({ mode: 'off' });
  copy.take(structuredClone(learning.snapshot()), 0);
  assert.equal(copy.planFor(VIEWER), undefined);
  await learning.close();
});

test('notes that crossed teach the learner the same as told directly, and each raises its revision', async () => {
  const [here, there] = [await openLearning(), await openLearning()];
  const arm = here.report()[0]?.arms[1]?.arm.id ?? assert.fail('no arm');
  const notes: LearnerNote[] = [
    { name: 'learn', values: ['stable|jittery', arm, LESSON] },
    { name: 'noteAbort', values: ['stable|jittery', arm] },
    { name: 'noteRefused', values: ['short'] },
  ];
  for (const note of notes) {
    const before = there.revision;
    here.note(note);
    there.note(structuredClone(note));
    assert.equal(there.revision, before + 1);
  }
  assert.deepEqual(there.snapshot(), here.snapshot());
  assert.deepEqual({ ...there.refused }, { unreported: 0, contradicted: 0, short: 1 });
  await Promise.all([here.close(), there.close()]);
});
