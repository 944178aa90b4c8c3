/** What is predicted from what, and that the model in `config/` is the fit of what was measured. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadQualityModel } from '../../../../config/load.ts';
import type { ProbedPoint, QualityModel } from '../../../../transcode/narrowband/quality-model.ts';
import { crfFor, predictVmaf, qualityLine, safeCrf, vmafAt } from '../../../../transcode/narrowband/quality-model.ts';
import { fitModel } from '../../../quality/calibration-fit.ts';
import { readRows } from '../../../quality/calibration-rows.ts';

const MODEL = loadQualityModel();

/** Quality follows the CRF alone, from 93 at 25. */
const PLAIN: QualityModel = {
  ...MODEL,
  features: [{ name: 'crf', unit: 'CRF', mean: 25, scale: 2, weight: -2 }],
  ...{ offsetVmaf: 93, vmafPerCrfMin: 0.5, vmafPerCrfMax: 2, safe: { crf: 22, targetVmaf: 93 } },
};

const ROWS = readRows();

const pointAt = (crf: number): ProbedPoint => ({ ...ROWS[0]!.point, crf });

test('adds up what the features weigh, between nothing and perfect', () => {
  assert.equal(predictVmaf(PLAIN, pointAt(25)), 93);
  assert.equal(predictVmaf(PLAIN, pointAt(28)), 90);
  assert.equal(predictVmaf(PLAIN, pointAt(-50)), 100);
  assert.equal(predictVmaf(PLAIN, pointAt(500)), 0);
});

test('two encodings make a line, whose CRF for a quality is the one that shows it', () => {
  const line = qualityLine(PLAIN, [pointAt(30), pointAt(24)])!;
  assert.equal(crfFor(line, 93), 25);
  assert.equal(vmafAt(line, 25), 93);
  assert.equal(
    crfFor(qualityLine(PLAIN, [pointAt(24)])!, 93),
    24.8,
    'one has the mean of the slopes that were measured',
  );
  assert.equal(qualityLine(PLAIN, []), undefined);
});

test('quality falls as CRF rises, whatever the two encodings said', () => {
  for (const weight of [5, 0, -0.1, -50]) {
    const features = [{ name: 'crf' as const, unit: 'CRF', mean: 25, scale: 1, weight }];
    const line = qualityLine({ ...PLAIN, features, offsetVmaf: 90 }, [pointAt(23), pointAt(28)])!;
    assert.ok(line.vmafPerCrf <= -0.5 && line.vmafPerCrf >= -2, `${line.vmafPerCrf} a step`);
  }
});

test("the safe CRF follows the target, rounded towards more bits, up to the ladder's own", () => {
  assert.equal(safeCrf(PLAIN, { targetVmaf: 93, crf: 51 }), 22);
  assert.equal(safeCrf(PLAIN, { targetVmaf: 94, crf: 51 }), 21);
  assert.equal(safeCrf(PLAIN, { targetVmaf: 88, crf: 51 }), 26);
  assert.equal(safeCrf(PLAIN, { targetVmaf: 88, crf: 23 }), 23);
});

test('the model in config is the fit of the rows that were measured', () => {
  assert.deepEqual(MODEL, fitModel(ROWS));
});

test('clips that the fit has not seen come out near the target, and none far below', () => {
  const { clipCount, settledRmsVmaf, settledBelowBy3Ratio } = MODEL.leaveOneClipOut;
  assert.ok(clipCount >= 10);
  assert.ok(settledRmsVmaf < 2, `${settledRmsVmaf}`);
  assert.ok(settledBelowBy3Ratio < 0.05, `${settledBelowBy3Ratio}`);
});

test('a better picture of the same source is predicted to be better, all else as it was', () => {
  for (const { point } of ROWS) {
    const better = { ...point, report: { ...point.report, ssimRatio: (1 + point.report.ssimRatio) / 2 } };
    assert.ok(predictVmaf(MODEL, better) >= predictVmaf(MODEL, point));
    assert.ok(predictVmaf(MODEL, { ...point, crf: point.crf + 1 }) <= predictVmaf(MODEL, point));
  }
});
