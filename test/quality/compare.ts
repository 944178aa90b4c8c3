/** Curves of rate over quality: each contender encodes the same pictures at several rate points, and is measured against them. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Rung } from '../../transcode/ladder-plan.ts';
import { bdRate, ssimDb, type BdRate, type RatePoint } from './bd-rate.ts';
import { encode, framesOf, makeReference } from './encode.ts';
import { usualRung, type Contender, type EncodePlan } from './encoders.ts';
import { measurePictures, scoresOf } from './picture-quality.ts';
import type { QualityTools } from './quality-tools.ts';
import { tempFolder } from '../support/temp-folder.ts';

/** Over some of a clip's pictures. */
export type Scored = { readonly bitrateBps: number; readonly vmaf: number | undefined; readonly ssim: number };

export type QualityPoint = {
  readonly label: string;
  /** Without the first second: an encoder's rate control finds its feet there, which live happens once in hours. */
  readonly settled: Scored;
  readonly whole: Scored;
  /** Encoding and decoding the reference. */
  readonly cpuMsPerFrame: number;
};

export type Curve = { readonly name: string; readonly points: readonly QualityPoint[] };

export type RungComparison = {
  readonly clip: string;
  readonly rung: Rung;
  readonly frameCount: number;
  /** The first is what the others are compared with. */
  readonly curves: readonly Curve[];
};

export type CompareJob = {
  readonly tools: QualityTools;
  readonly clip: string;
  readonly inputPath: string;
  /** Its size and rate are those of the pictures compared. */
  readonly rung: Rung;
  /** Compared with the usual encoder, which is given rates by the first of them. */
  readonly contenders: readonly [Contender, ...Contender[]];
  readonly durationS: number;
  readonly onStep?: (words: string) => void;
};

/** The usual encoder gets this much more than ours took at each point, so that both reach much the same qualities. */
const USUAL_BITRATE_RATIO = 1.3;

/** Rejects with `ToolError`. Needs room for the clip without loss: some 3 MB a second at 720 lines. */
export const compareRung = async (job: CompareJob): Promise<RungComparison> => {
  const folder = tempFolder('compare');
  const referencePath = join(folder, 'reference.nut');
  const { tools, rung, onStep } = job;
  try {
    onStep?.('the reference');
    await makeReference(tools, { ...rung, ...job, outputPath: referencePath });
    const at = async (label: string, plan: EncodePlan): Promise<Measured> => {
      onStep?.(label);
      return measurePoint({ tools, rung, label, plan, referencePath, encodedPath: join(folder, 'encoded.nut') });
    };
    const others: Curve[] = [];
    let frameCount = 0;
    for (const { name, points: planned } of job.contenders) {
      const points: QualityPoint[] = [];
      for (const { label, plan } of planned) {
        const measured = await at(label, plan);
        frameCount = measured.frameCount;
        points.push(measured.point);
      }
      others.push({ name, points });
    }
    const usual: QualityPoint[] = [];
    for (const { settled } of others[0]!.points) {
      const bitrateBps = settled.bitrateBps * USUAL_BITRATE_RATIO;
      const plan = usualRung(rung, { bitrateBps, preset: 'veryfast' });
      usual.push((await at(`CBR ${Math.round(bitrateBps / 1000)} kbit/s`, plan)).point);
    }
    const curves = [{ name: 'x264 veryfast, CBR, zerolatency', points: usual }, ...others];
    return { clip: job.clip, rung, frameCount, curves };
  } finally {
    await rm(folder, { recursive: true });
  }
};

type Measured = { readonly point: QualityPoint; readonly frameCount: number };

const measurePoint = async (job: {
  readonly tools: QualityTools;
  readonly rung: Rung;
  readonly label: string;
  readonly plan: EncodePlan;
  readonly referencePath: string;
  readonly encodedPath: string;
}): Promise<Measured> => {
  const { tools, rung, referencePath, encodedPath } = job;
  const { cpuMs } = await encode(tools, { inputPath: referencePath, plan: job.plan, outputPaths: [encodedPath] });
  const frames = await framesOf(tools, encodedPath);
  const { vmaf, ssim, frameCount } = await measurePictures({ ...rung, tools, encodedPath, referencePath });
  const from = (index: number): Scored => {
    const kept = frames.slice(index);
    const bytes = kept.reduce((sum, frame) => sum + frame.bytes, 0);
    return {
      bitrateBps: (bytes * 8 * rung.frameRateFps) / kept.length,
      vmaf: vmaf === undefined ? undefined : scoresOf(vmaf.frames, index).mean,
      ssim: scoresOf(ssim.frames, index).mean,
    };
  };
  // The second second begins with a keyframe.
  const settled = from(Math.min(Math.round(rung.frameRateFps), frameCount - 1));
  return { point: { label: job.label, settled, whole: from(0), cpuMsPerFrame: cpuMs / frameCount }, frameCount };
};

export type Measure = 'vmaf' | 'ssim';
export type Span = 'settled' | 'whole';

/** For `bdRate`; SSIM in decibels. Points without the measure are left out. */
export const ratePoints = (curve: Curve, measure: Measure, span: Span = 'settled'): RatePoint[] =>
  curve.points.flatMap((point) => {
    const { bitrateBps, vmaf, ssim } = point[span];
    const score = measure === 'vmaf' ? vmaf : ssimDb(ssim);
    return score === undefined ? [] : [{ rate: bitrateBps, score }];
  });

/** Of a curve against the first. */
export const bdRateOf = (
  { curves }: RungComparison,
  index: number,
  { measure, span }: { measure: Measure; span?: Span },
): BdRate | undefined => bdRate(ratePoints(curves[0]!, measure, span), ratePoints(curves[index]!, measure, span));
