/** Which CRF a rung gets: slowly up, at once down, back to the safe one when the scene is another. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CrfController } from '../../../../transcode/narrowband/crf-controller.ts';
import type { QualityLine } from '../../../../transcode/narrowband/quality-model.ts';

const OPTIONS = { crfSafe: 22, crfMin: 17, crfMax: 34, targetVmaf: 93, changeEveryMs: 30_000 };
const CALM = true;

/** Reaches the target at `crf`, and loses one point a step. */
const lineThrough = (crf: number): QualityLine => ({ crf, vmaf: 93, vmafPerCrf: -1 });

const predicted = (crf: number): { rungId: string; line: QualityLine }[] => [
  { rungId: 'h480', line: lineThrough(crf) },
];

test('what nobody has looked at has the safe CRF, and stays there', () => {
  const controller = new CrfController(OPTIONS);
  assert.equal(controller.crfOf('h480'), 22);
  assert.equal(controller.vmafOf('h480'), undefined);
  assert.equal(controller.decide({ nowMs: 0, isCalm: CALM }), undefined);
});

test('follows the content when it is calm, each rung its own, to half a step and never beyond the range', () => {
  const controller = new CrfController(OPTIONS);
  controller.onProbe([...predicted(27.8), { rungId: 'h360', line: lineThrough(50) }]);
  assert.equal(controller.decide({ nowMs: 0, isCalm: false }), undefined, 'no CPU to spare');
  assert.equal(controller.decide({ nowMs: 0, isCalm: CALM }), 'follows_content');
  assert.equal(controller.crfOf('h480'), 28);
  assert.equal(controller.crfOf('h360'), 34);
  assert.ok(Math.abs(controller.vmafOf('h480')! - 92.8) < 1e-9);
});

test('no second change within 30 s, and none for less than three quarters of a step', () => {
  const controller = new CrfController(OPTIONS);
  controller.onProbe(predicted(26));
  controller.decide({ nowMs: 0, isCalm: CALM });
  controller.onProbe(predicted(29));
  assert.equal(controller.decide({ nowMs: 29_999, isCalm: CALM }), undefined);
  assert.equal(controller.decide({ nowMs: 30_000, isCalm: CALM }), 'follows_content');
  controller.onProbe(predicted(29.7));
  assert.equal(controller.decide({ nowMs: 90_000, isCalm: CALM }), undefined);
});

test('quality more than two points too low does not wait, neither for the time nor for calm', () => {
  const controller = new CrfController(OPTIONS);
  controller.onProbe(predicted(30));
  controller.decide({ nowMs: 0, isCalm: CALM });
  controller.onProbe(predicted(28.5));
  assert.equal(controller.decide({ nowMs: 1_000, isCalm: false }), undefined, 'a point and a half may wait');
  controller.onProbe(predicted(26));
  assert.equal(controller.decide({ nowMs: 2_000, isCalm: false }), 'quality_low');
  assert.equal(controller.crfOf('h480'), 26);
});

test('another scene: at once back to the safe CRF, but never up to it', () => {
  const controller = new CrfController(OPTIONS);
  controller.onProbe([...predicted(30), { rungId: 'h360', line: lineThrough(19) }]);
  controller.decide({ nowMs: 0, isCalm: CALM });
  controller.onSceneChange();
  assert.equal(controller.decide({ nowMs: 100, isCalm: false }), 'scene_changed');
  assert.equal(controller.crfOf('h480'), 22);
  assert.equal(controller.crfOf('h360'), 19, 'what was so hard needs its bits until the next probe');
  assert.equal(controller.vmafOf('h480'), undefined);
  controller.onSceneChange();
  assert.equal(controller.decide({ nowMs: 200, isCalm: CALM }), undefined, 'it is safe already');
});

test('scenes that change again and again make it rise more and more seldom', () => {
  const controller = new CrfController(OPTIONS);
  const waits: number[] = [];
  let nowMs = 0;
  let changedAtMs = 0;
  for (let round = 0; round < 5; round += 1) {
    controller.onProbe(predicted(28));
    while (controller.decide({ nowMs, isCalm: CALM }) === undefined) {
      nowMs += 1_000;
    }
    waits.push(nowMs - changedAtMs);
    nowMs += 5_000;
    controller.onSceneChange();
    assert.equal(controller.decide({ nowMs, isCalm: CALM }), 'scene_changed');
    changedAtMs = nowMs;
  }
  assert.deepEqual(waits, [0, 60_000, 120_000, 240_000, 240_000]);
});
