/** The learner in a running server: whom it guides, what can be set, what is kept, what the API is told. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { ManualClock } from '../../../server/base/clock.ts';
import { Prng } from '../../../server/base/prng.ts';
import type { Watched } from '../../../server/congestion/learned/guided-controller.ts';
import type { LearningOptions } from '../../../server/congestion/learned/learning-options.ts';
import { LEARNING_DEFAULTS } from '../../../server/congestion/learned/learning-options.ts';
import { parametersWith } from '../../../server/congestion/parameters.ts';
import type { Policy } from '../../../server/congestion/learned/policy.ts';
import { readPolicy } from '../../../server/congestion/learned/policy.ts';
import { createLearningView } from '../../../server/learning-view.ts';
import { Learning } from '../../../server/learning/learning.ts';
import type { Log } from '../../../server/observability/log.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const rig = async (
  context: TestContext,
): Promise<{ file: string; events: string[]; open: (options?: Partial<LearningOptions>) => Promise<Learning> }> => {
  const folder = tempFolder('learning');
  const file = path.join(folder, 'deep', 'learned.json');
  const events: string[] = [];
  const log: Log = {
    ...silentLog,
    info: (event) => events.push(event),
    warn: (event) => events.push(event),
    error: (event) => events.push(event),
  };
  const prng = new Prng(1);
  const open = async (options: Partial<LearningOptions> = {}): Promise<Learning> => {
    const whole = { ...LEARNING_DEFAULTS, file, ...options };
    const learning = await Learning.open(whole, {
      policies: [],
      clock: new ManualClock(),
      log,
      nextRatio: () => prng.nextRatio(),
    });
    context.after(async () => learning.close());
    return learning;
  };
  return { file, events, open };
};

test('who keeps no number is guided by nobody, and when it is off nobody is', async (context) => {
  const { open } = await rig(context);
  const learning = await open();
  assert.equal(learning.planFor({ viewerId: undefined, smoothnessRatio: 0.5 }), undefined);
  const ids = Array.from({ length: 2_000 }, (_, index) => index.toString(16).padStart(4, '0'));
  const kinds = ids.map((viewerId) => learning.planFor({ viewerId, smoothnessRatio: 0.5 })?.kind);
  const gccCount = kinds.filter((kind) => kind === 'gcc').length;
  assert.ok(gccCount > 60 && gccCount < 140, `${gccCount}`);
  assert.ok(learning.setMode({ mode: 'off' }));
  assert.equal(learning.planFor({ viewerId: '0a1f', smoothnessRatio: 0.5 }), undefined);
  const off = await open({ enabled: false });
  assert.equal(off.planFor({ viewerId: '0a1f', smoothnessRatio: 0.5 }), undefined);
});

test('what goes wrong in the learner sends its session back to the defaults, and is said once', async (context) => {
  const { open, events } = await rig(context);
  const learning = await open();
  const plan = learning.planFor({ viewerId: '0a1f', smoothnessRatio: 0.5 });
  assert.ok(plan !== undefined);
  // Nothing to look at: whoever looks, throws.
  const nothing = {} as unknown as Watched;
  plan.guide.onJoined(0);
  assert.deepEqual(plan.guide.onLook(nothing, 20_000), parametersWith());
  assert.equal(plan.guide.onLook(nothing, 21_000), undefined);
  plan.guide.onEnded(nothing, 22_000);
  assert.deepEqual(events, ['congestion.learned.failed']);
});

test('an arm is pinned by its name, and one that is none is a line in the log', async (context) => {
  const { open, events } = await rig(context);
  assert.deepEqual((await open({ arm: 'cautious' })).mode, { mode: 'pinned', arm: 'cautious' });
  events.length = 0;
  const learning = await open({ arm: 'bold' });
  assert.deepEqual(learning.mode, { mode: 'on' });
  assert.deepEqual(events, ['congestion.learned.arm_unknown']);
  const view = createLearningView(learning, []);
  assert.equal(view.setMode('pinned', 'bold'), false);
  assert.equal(view.setMode('pinned', undefined), false);
  assert.equal(view.setMode('pinned', 'wary'), true);
  assert.equal(view.status().pinnedArm, 'wary');
});

test('what was learned is on disk when it closes, and there again after', async (context) => {
  const { open, file, events } = await rig(context);
  const learning = await open();
  await learning.close();
  assert.match(await readFile(file, 'utf8'), /sluice-learned/);
  events.length = 0;
  await open();
  assert.deepEqual(events, ['congestion.learned.loaded']);
  await writeFile(file, '{"schema":"sluice-learned"');
  events.length = 0;
  await open();
  assert.deepEqual(events, ['congestion.learned.refused']);
});

test('a disk that does not want it is said once, and the server goes on', async (context) => {
  const { open, file, events } = await rig(context);
  const learning = await open({ file: path.join('/dev/null', path.basename(file)) });
  await learning.close();
  await learning.close();
  assert.deepEqual(events.filter((event) => event === 'congestion.learned.save_failed').length, 1);
});

test('the API is told in JSON what each arm changes, with units, and that nothing is proved yet', async (context) => {
  const { open } = await rig(context);
  const status = createLearningView(await open(), []).status();
  assert.deepEqual(JSON.parse(JSON.stringify(status)), status, 'nothing that JSON cannot say');
  assert.equal(status.mode, 'on');
  const cautious = status.classes[0]!.arms.find(({ name }) => name === 'cautious')!;
  assert.ok(cautious.changes.some(({ name, from, to, unit }) => name === 'safetyRatio' && to < from && unit !== ''));
  assert.deepEqual(status.classes[0]!.arms[0]!.changes, [], 'the defaults change nothing');
  assert.ok(
    status.comparisons.every(({ differences }) =>
      differences.every(({ words }) => words.startsWith('not yet significant')),
    ),
  );
});

test('the API tells the simulator’s frontier as far as policy files have one, from reactive to smooth', async (context) => {
  const { open } = await rig(context);
  const point = { latencyMs: 90, stallRatio: 0.01 };
  const fileAt = (smoothnessRatio: number, reached?: object): Policy => {
    const vectors = [{ networkClass: 'all', smoothnessRatio, parameters: {} }];
    const head = { schema: 'sluice-policy', version: 1, dataSha256: 'a'.repeat(64), priors: [] };
    return readPolicy(JSON.stringify({ ...head, vectors, reached })).policy!;
  };
  const side = { latencyP50Ms: 90, stallRatio: 0.01 };
  const reached = { 'search real': { learned: side, defaults: { ...side, stallRatio: 0.02 } } };
  const policies = [fileAt(0.75, reached), fileAt(0.25, reached), fileAt(0.5)];
  const { frontier } = createLearningView(await open(), policies).status();
  const defaults = { ...point, stallRatio: 0.02 };
  assert.deepEqual(
    frontier,
    [0.25, 0.75].map((smoothnessRatio) => ({ networkClass: 'all', smoothnessRatio, learned: point, defaults })),
  );
});
