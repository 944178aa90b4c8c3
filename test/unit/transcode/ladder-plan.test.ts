/** Which rungs are planned for which source and which machine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LADDER_DEFAULTS, SPEEDS_DEFAULT, isSameLadder, planLadder } from '../../../transcode/ladder-plan.ts';
import type { LadderOptions, LadderPlan, LadderSource } from '../../../transcode/ladder-plan.ts';

const plan = (
  source: Partial<LadderSource>,
  given: { options?: Partial<LadderOptions>; coreCount?: number; shedCount?: number } = {},
): LadderPlan =>
  planLadder({
    source: { widthPx: 1920, heightPx: 1080, frameRateFps: 30, ...source },
    options: { ...LADDER_DEFAULTS, ...given.options },
    speeds: SPEEDS_DEFAULT,
    coreCount: given.coreCount ?? 4,
    shedCount: given.shedCount ?? 0,
  });

const shapesOf = ({ rungs }: LadderPlan): string[] =>
  rungs.map(({ id, widthPx, heightPx, frameRateFps }) => `${id} ${widthPx}x${heightPx}p${frameRateFps}`);

test('720, 480 and 360 lines below a source of 1080, in its shape, upright or not', () => {
  assert.deepEqual(shapesOf(plan({})), ['h720 1280x720p30', 'h480 854x480p30', 'h360 640x360p30']);
  assert.deepEqual(shapesOf(plan({ widthPx: 1080, heightPx: 1920 })), [
    'h720 720x1280p30',
    'h480 480x854p30',
    'h360 360x640p30',
  ]);
});

test('never above the source nor hardly below it, and each left out says why', () => {
  const { rungs, leftOut } = plan({ widthPx: 960, heightPx: 540 });
  assert.deepEqual(
    rungs.map(({ id }) => id),
    ['h360'],
  );
  assert.deepEqual(
    leftOut.map(({ id, why }) => [id, /540 lines/.test(why)]),
    [
      ['h720', true],
      ['h480', true],
    ],
  );
  assert.deepEqual(shapesOf(plan({ widthPx: 1, heightPx: 1 })), []);
  assert.deepEqual(shapesOf(plan({ widthPx: 4096, heightPx: 2160 })).length, 3);
});

test('60 pictures a second stay above 720 lines and halve below; 120 become 60 and 30', () => {
  assert.deepEqual(
    plan({ frameRateFps: 60.2 }).rungs.map(({ frameDivisor }) => frameDivisor),
    [1, 2, 2],
  );
  assert.deepEqual(
    plan({ frameRateFps: 120 }, { coreCount: 16 }).rungs.map(({ frameDivisor }) => frameDivisor),
    [2, 4, 4],
  );
  assert.deepEqual(
    plan({ frameRateFps: 5 }).rungs.map(({ frameRateFps }) => frameRateFps),
    [5, 5, 5],
  );
});

test('sides are even, whatever the source', () => {
  for (let widthPx = 641; widthPx < 2_000; widthPx += 77) {
    for (const rung of plan({ widthPx, heightPx: 999 }).rungs) {
      assert.ok(rung.widthPx % 2 === 0 && rung.heightPx % 2 === 0, `${widthPx}: ${rung.widthPx}x${rung.heightPx}`);
    }
  }
});

test('more cores give a slower preset; too few leave rungs out from the top; the estimate stays within the budget', () => {
  const presets = [1, 2, 4, 8].map(
    (coreCount) => plan({ heightPx: 720, widthPx: 1280 }, { coreCount }).rungs[0]?.preset,
  );
  assert.equal(presets.at(-1), 'medium');
  assert.notEqual(presets[0], 'medium');
  const small = plan({}, { options: { cpuMaxCores: 0.34 } });
  assert.deepEqual(
    small.rungs.map(({ id }) => id),
    ['h360'],
  );
  assert.match(small.leftOut[0]?.why ?? '', /CPU budget/);
  for (const cpuMaxCores of [0.3, 0.5, 0.8, 1, 2, 4]) {
    assert.ok(plan({}, { options: { cpuMaxCores } }).cpuCores <= cpuMaxCores);
  }
});

test('cores that cannot work on one picture at once do not slow the preset: each rung waits for those above it', () => {
  const presetOf = (frameRateFps: number): string | undefined =>
    plan({ frameRateFps }, { options: { cpuMaxCores: 16 }, coreCount: 32 }).rungs[0]?.preset;
  assert.deepEqual([15, 25, 30, 60].map(presetOf), ['medium', 'faster', 'veryfast', 'superfast']);
});

test('sizes in any order make the same ladder', () => {
  assert.deepEqual(plan({}, { options: { sidesPx: [360, 720, 480] } }), plan({}));
});

test('what was shed is missing from the top, and with the rest the encoder tries no harder', () => {
  const whole = plan({}, { coreCount: 2 });
  const shed = plan({}, { coreCount: 2, shedCount: 1 });
  assert.deepEqual(shed.rungs, whole.rungs.slice(1));
  assert.ok(shed.cpuCores < whole.cpuCores * 0.7, `${shed.cpuCores} of ${whole.cpuCores} cores`);
  assert.match(shed.leftOut[0]?.why ?? '', /too slow/);
  assert.ok(!isSameLadder(shed, whole));
  assert.deepEqual(plan({}, { shedCount: 9 }).rungs, []);
});

test('what goes because the machine is too slow is a rung that was made, not one that the budget had no room for', () => {
  const small = { options: { cpuMaxCores: 0.5 } };
  const [whole, shed] = [plan({}, small), plan({}, { ...small, shedCount: 1 })];
  assert.deepEqual(
    whole.rungs.map(({ id }) => id),
    ['h480', 'h360'],
  );
  assert.deepEqual(
    shed.rungs.map(({ id }) => id),
    ['h360'],
  );
  assert.deepEqual(
    shed.leftOut.map(({ id, why }) => [id, /CPU budget/.test(why), /too slow/.test(why)]),
    [
      ['h720', true, false],
      ['h480', false, true],
    ],
  );
});

test('switched off, nothing is made', () => {
  assert.deepEqual(plan({}, { options: { enabled: false } }).rungs, []);
});

test('the cap on bitrate grows with pixels, and by half as much with the pictures above 30', () => {
  const [at30, at60] = [30, 60].map((frameRateFps) => plan({ frameRateFps }, { coreCount: 16 }).rungs[0]!);
  assert.equal(at30?.bitrateMaxBps, 1280 * 720 * 3);
  assert.equal(at60?.bitrateMaxBps, 1280 * 720 * 4.5);
});

test('each rung has the CRF that its content needs, and another CRF is another ladder', () => {
  const source = { widthPx: 1920, heightPx: 1080, frameRateFps: 30 };
  const given = { source, options: LADDER_DEFAULTS, speeds: SPEEDS_DEFAULT, coreCount: 4, shedCount: 0 };
  const following = planLadder({ ...given, crfOf: (id) => (id === 'h480' ? 26.5 : 24) });
  assert.deepEqual(
    following.rungs.map(({ id, crf }) => `${id} ${crf}`),
    ['h720 24', 'h480 26.5', 'h360 24'],
  );
  assert.ok(planLadder(given).rungs.every(({ crf }) => crf === LADDER_DEFAULTS.crf));
  assert.ok(!isSameLadder(following, planLadder({ ...given, crfOf: () => 24 })));
});
