/**
 * Predicts VMAF from what x264 says of a sample and from what the sample shows: a small linear model, calibrated against VMAF itself outside of
 * the server (`test/quality/calibrate`). Here are the features, for the calibration and for the probe alike; the weights are data. Pure.
 */
import type { X264Report } from './x264-report.ts';

/** What the source shows, seen at `CONTENT_SIDE_PX` lines. */
export type Content = {
  /** ffmpeg's `siti`: standard deviation of what changed from one picture to the next, mean over the pictures. */
  readonly temporalInfo: number;
};

/** `siti` takes 38 ms of a core for a million pixels: more than encoding does. At this size it tells the same. */
export const CONTENT_SIDE_PX = 180;

/** One encoding of a sample. */
export type ProbedPoint = {
  readonly crf: number;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly report: X264Report;
  readonly content: Content;
};

/**
 * Few and plain, chosen by what predicts clips that the fit has not seen. SSIM says how far it is from the source; movement hides errors (TI); where
 * much is encoded anew although little changes it is texture, of which VMAF notices the loss sooner.
 */
type Feature = { readonly unit: string; readonly of: (point: ProbedPoint) => number };

const ssimDbOf = ({ report }: ProbedPoint): number => -10 * Math.log10(1 - Math.min(SSIM_MAX, report.ssimRatio));
/** Of a picture without error: 50 dB. */
const SSIM_MAX = 0.99999;

export const FEATURES = {
  crf: { unit: 'CRF', of: ({ crf }) => crf },
  ssimDb: { unit: 'dB that the error of luma is down, at most 50', of: ssimDbOf },
  temporalInfo: { unit: 'TI at 180 lines', of: ({ content }) => content.temporalInfo },
  skipRatio: { unit: 'share of blocks between keyframes', of: ({ report }) => report.skipRatio },
  intraRatio: { unit: 'share of blocks between keyframes', of: ({ report }) => report.intraRatio },
} as const satisfies Readonly<Record<string, Feature>>;

export type FeatureName = keyof typeof FEATURES;

export const isFeatureName = (name: string): name is FeatureName => Object.hasOwn(FEATURES, name);

/** As it lies in `config/quality-model.json`. */
export type QualityModel = {
  readonly version: 1;
  /** What is predicted. */
  readonly measure: 'vmaf_v0.6.1';
  /** Added up in this order: weight x (feature - mean) / scale. */
  readonly features: readonly {
    readonly name: FeatureName;
    readonly unit: string;
    readonly mean: number;
    readonly scale: number;
    readonly weight: number;
  }[];
  readonly offsetVmaf: number;
  /** What one step of CRF costs at least and at most, where it was measured. */
  readonly vmafPerCrfMin: number;
  readonly vmafPerCrfMax: number;
  /** For a target of `targetVmaf` this CRF leaves one window in twenty more than 1.5 below it. */
  readonly safe: { readonly crf: number; readonly targetVmaf: number };
  /** Clips that the fit had not seen, one after the other left out. `settled`: what the CRF that a probe would settle on really shows, target 93. */
  readonly leaveOneClipOut: {
    readonly clipCount: number;
    readonly windowCount: number;
    /** Of windows from 85 to 97. */
    readonly predictionRmsVmaf: number;
    readonly settledRmsVmaf: number;
    readonly settledLowestVmaf: number;
    readonly settledBelowBy3Ratio: number;
  };
};

export const predictVmaf = (model: QualityModel, point: ProbedPoint): number => {
  const sum = model.features.reduce((total, { name, mean, scale, weight }) => {
    const value: number = FEATURES[name].of(point);
    return total + (weight * (value - mean)) / scale;
  }, model.offsetVmaf);
  return Math.min(100, Math.max(0, sum));
};

/** What nobody has looked at gets this one, rounded down to half a step, and never more than `crf`, the ladder's own. */
export const safeCrf = (
  { safe, vmafPerCrfMin, vmafPerCrfMax }: QualityModel,
  { targetVmaf, crf }: { readonly targetVmaf: number; readonly crf: number },
): number => {
  const forTarget = safe.crf - (targetVmaf - safe.targetVmaf) / ((vmafPerCrfMin + vmafPerCrfMax) / 2);
  return Math.min(crf, Math.floor(2 * forTarget) / 2);
};

/** Quality over CRF: a straight line that always falls. */
export type QualityLine = { readonly crf: number; readonly vmaf: number; readonly vmafPerCrf: number };

/** Through two encodings of one sample, with a slope as real ones have; through one, with the mean of those slopes. */
export const qualityLine = (model: QualityModel, points: readonly ProbedPoint[]): QualityLine | undefined => {
  const { vmafPerCrfMin, vmafPerCrfMax } = model;
  const seen = points.map((point) => ({ crf: point.crf, vmaf: predictVmaf(model, point) }));
  const [first, second] = seen.toSorted((a, b) => a.crf - b.crf);
  if (first === undefined) {
    return undefined;
  }
  if (second === undefined || second.crf === first.crf) {
    return { ...first, vmafPerCrf: -(vmafPerCrfMin + vmafPerCrfMax) / 2 };
  }
  const vmafPerCrf = (second.vmaf - first.vmaf) / (second.crf - first.crf);
  return {
    crf: (first.crf + second.crf) / 2,
    vmaf: (first.vmaf + second.vmaf) / 2,
    vmafPerCrf: Math.min(-vmafPerCrfMin, Math.max(-vmafPerCrfMax, vmafPerCrf)),
  };
};

export const vmafAt = ({ crf, vmaf, vmafPerCrf }: QualityLine, atCrf: number): number =>
  Math.min(100, Math.max(0, vmaf + (atCrf - crf) * vmafPerCrf));

/** At which the target is reached; anything, also what no encoder takes. */
export const crfFor = ({ crf, vmaf, vmafPerCrf }: QualityLine, targetVmaf: number): number =>
  crf + (targetVmaf - vmaf) / vmafPerCrf;
