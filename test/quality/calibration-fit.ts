/** From what was measured to the model that the server reads: weighted ridge regression, judged by clips that it has not seen. Pure. */
import type { FeatureName, ProbedPoint, QualityModel } from '../../transcode/narrowband/quality-model.ts';
import { FEATURES, crfFor, isFeatureName, predictVmaf, qualityLine } from '../../transcode/narrowband/quality-model.ts';
import type { CalibrationRow } from './calibration-rows.ts';

/** What matters is where the target is: rows far from it count for little. */
const TARGET_VMAF = 93;
const WEIGHT_WIDTH_VMAF = 6;
const WEIGHT_FLOOR = 0.1;
/** Share of the rows' weight: keeps weights small that the rows hardly determine. */
const RIDGE = 0.01;
/** A CRF that nobody has checked leaves so many windows further below the target than this. */
const SAFE_BELOW_VMAF = 1.5;
const SAFE_EXCEPT_RATIO = 0.05;
/** Slopes are told where somebody may want to be. */
const SLOPE_VMAF = { min: 85, max: 97 };
const CRF_RANGE = { min: 17, max: 34 };

/** Throws `RangeError` when there are too few rows to tell anything. */
export const fitModel = (rows: readonly CalibrationRow[]): QualityModel => {
  const bare = fitWeights(rows);
  const curves = curvesOf(rows);
  const slopes = curves.flatMap(slopesOf).toSorted((a, b) => a - b);
  if (slopes.length < 10) {
    throw new RangeError(`${slopes.length} slopes measured, expected at least 10`);
  }
  const slope = { vmafPerCrfMin: quantile(slopes, 0.05), vmafPerCrfMax: quantile(slopes, 0.95) };
  const safeCrfs = curves.map((curve) => crfWhere(curve, TARGET_VMAF - SAFE_BELOW_VMAF)).toSorted((a, b) => a - b);
  return {
    ...{ version: 1, measure: 'vmaf_v0.6.1', ...bare },
    vmafPerCrfMin: rounded(slope.vmafPerCrfMin),
    vmafPerCrfMax: rounded(slope.vmafPerCrfMax),
    safe: { crf: Math.floor(2 * quantile(safeCrfs, SAFE_EXCEPT_RATIO)) / 2, targetVmaf: TARGET_VMAF },
    leaveOneClipOut: leaveOneClipOut(rows, slope),
  };
};

type Weights = Pick<QualityModel, 'features' | 'offsetVmaf'>;

const fitWeights = (rows: readonly CalibrationRow[]): Weights => {
  const names = Object.keys(FEATURES).filter(isFeatureName);
  const moments = names.map((name) => momentsOf(rows.map(({ point }) => FEATURES[name].of(point))));
  const weights = rows.map(({ vmaf }) => Math.exp(-(((vmaf - TARGET_VMAF) / WEIGHT_WIDTH_VMAF) ** 2)) + WEIGHT_FLOOR);
  const weightSum = weights.reduce((sum, weight) => sum + weight, 0);
  const inputs = rows.map(({ point }) => [1, ...names.map((name, index) => scaled(name, point, moments[index]))]);
  const normal = inputs[0]!.map((_, i) => [
    ...inputs[0]!.map((__, j) => {
      const ridge = i === j && i > 0 ? RIDGE * weightSum : 0;
      return inputs.reduce((sum, input, row) => sum + weights[row]! * input[i]! * input[j]!, ridge);
    }),
    inputs.reduce((sum, input, row) => sum + weights[row]! * input[i]! * rows[row]!.vmaf, 0),
  ]);
  const [offsetVmaf = 0, ...solved] = solve(normal);
  return {
    offsetVmaf: rounded(offsetVmaf),
    features: names.map((name, index) => ({
      ...{ name, unit: FEATURES[name].unit },
      mean: rounded(moments[index]!.mean),
      scale: rounded(moments[index]!.scale),
      weight: rounded(solved[index]!),
    })),
  };
};

type Moments = { readonly mean: number; readonly scale: number };

const scaled = (name: FeatureName, point: ProbedPoint, moments: Moments | undefined): number =>
  (FEATURES[name].of(point) - (moments?.mean ?? 0)) / (moments?.scale ?? 1);

const momentsOf = (values: readonly number[]): Moments => {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, scale: Math.sqrt(variance) || 1 };
};

/** Gauss with pivots; each row has its right side as the last number. */
const solve = (given: readonly (readonly number[])[]): number[] => {
  const rows = given.map((row) => [...row]);
  const size = rows.length;
  for (let column = 0; column < size; column += 1) {
    const pivot = rows
      .slice(column)
      .reduce((best, row) => (Math.abs(row[column]!) > Math.abs(best[column]!) ? row : best));
    rows.splice(rows.indexOf(pivot, column), 1);
    rows.splice(column, 0, pivot);
    for (const row of rows) {
      if (row !== pivot) {
        const factor = row[column]! / pivot[column]!;
        pivot.forEach((value, index) => (row[index]! -= factor * value));
      }
    }
  }
  return rows.map((row, index) => row[size]! / row[index]!);
};

/** Of one window at one size and preset, from the lowest CRF to the highest. */
type Curve = readonly CalibrationRow[];

const curvesOf = (rows: readonly CalibrationRow[]): Curve[] => {
  const byWindow = new Map<string, CalibrationRow[]>();
  for (const row of rows) {
    const key = [row.clip, row.lines, row.preset, row.windowIndex].join(' ');
    byWindow.set(key, [...(byWindow.get(key) ?? []), row]);
  }
  return [...byWindow.values()]
    .map((curve) => curve.toSorted((a, b) => a.point.crf - b.point.crf))
    .filter(({ length }) => length >= 2);
};

const pairsOf = (curve: Curve): [CalibrationRow, CalibrationRow][] =>
  curve.slice(1).map((row, index) => [curve[index]!, row]);

const slopesOf = (curve: Curve): number[] =>
  pairsOf(curve)
    .filter(([a, b]) => b.vmaf > SLOPE_VMAF.min && a.vmaf < SLOPE_VMAF.max)
    .map(([a, b]) => (a.vmaf - b.vmaf) / (b.point.crf - a.point.crf));

/** By straight lines between what was measured, and beyond. */
const vmafOn = (curve: Curve, crf: number): number => {
  const pairs = pairsOf(curve);
  const [a, b] = pairs.find(([, upper]) => crf <= upper.point.crf) ?? pairs.at(-1)!;
  return Math.min(100, a.vmaf + ((crf - a.point.crf) * (b.vmaf - a.vmaf)) / (b.point.crf - a.point.crf));
};

const crfWhere = (curve: Curve, vmaf: number): number => {
  let crf = CRF_RANGE.max;
  while (crf > CRF_RANGE.min && vmafOn(curve, crf) < vmaf) {
    crf -= 0.1;
  }
  return crf;
};

/** The CRF that a live probe would settle on: from where it is, five more or less, and again from there. */
const settledCrf = (model: QualityModel, curve: Curve): number => {
  let pair = pairsOf(curve)[0]!;
  for (let round = 0; round < 3; round += 1) {
    const line = qualityLine(
      model,
      pair.map(({ point }) => point),
    );
    const crf = Math.min(CRF_RANGE.max, Math.max(CRF_RANGE.min, crfFor(line!, TARGET_VMAF)));
    const next = pairsOf(curve).find(([, upper]) => crf <= upper.point.crf) ?? pairsOf(curve).at(-1)!;
    if (next[0] === pair[0] || round === 2) {
      return crf;
    }
    pair = next;
  }
  return pair[0].point.crf;
};

const leaveOneClipOut = (
  rows: readonly CalibrationRow[],
  slope: Pick<QualityModel, 'vmafPerCrfMin' | 'vmafPerCrfMax'>,
): QualityModel['leaveOneClipOut'] => {
  const clips = [...new Set(rows.map(({ clip }) => clip))];
  const misses: number[] = [];
  const errors: number[] = [];
  for (const clip of clips) {
    const unseen = rows.filter((row) => row.clip === clip);
    const model = { ...fitWeights(rows.filter((row) => row.clip !== clip)), ...slope } as QualityModel;
    const near = unseen.filter(({ vmaf }) => vmaf > SLOPE_VMAF.min && vmaf < SLOPE_VMAF.max);
    errors.push(...near.map(({ point, vmaf }) => predictVmaf(model, point) - vmaf));
    for (const curve of curvesOf(unseen)) {
      const crf = settledCrf(model, curve);
      const miss = vmafOn(curve, crf) - TARGET_VMAF;
      // At the end of the range more, or less, cannot be had.
      misses.push(crf === CRF_RANGE.max ? Math.min(0, miss) : crf === CRF_RANGE.min ? Math.max(0, miss) : miss);
    }
  }
  return {
    clipCount: clips.length,
    windowCount: misses.length,
    predictionRmsVmaf: rounded(rms(errors)),
    settledRmsVmaf: rounded(rms(misses)),
    settledLowestVmaf: rounded(TARGET_VMAF + Math.min(...misses)),
    settledBelowBy3Ratio: rounded(misses.filter((miss) => miss < -3).length / misses.length),
  };
};

const rms = (values: readonly number[]): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);

const quantile = (sorted: readonly number[], ratio: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * ratio))] ?? Number.NaN;

const rounded = (value: number): number => Number(value.toPrecision(6));
