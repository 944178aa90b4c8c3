/**
 * Whether one more rendition is made in AV1, and how large: pure. It comes after the H.264 rungs, which every viewer can decode: `auto` gives it
 * only what they leave of the CPU budget, and nothing while one of them is shed.
 */
import type { EncoderSpeeds, LadderPlan, LadderPlanInput, LeftOut, Rung, Shape } from '../ladder-plan.ts';
import {
  NO_LADDER,
  SHED,
  SPEEDS_DEFAULT,
  bitrateMaxOf,
  budgetCoresOf,
  megapixelsPerS,
  scaledShape,
  sideOf,
  sliceCountOf,
} from '../ladder-plan.ts';

/** What the H.264 ladder of the same broadcast takes now. */
export type H264Ladder = { readonly rungCount: number; readonly cpuCores: number; readonly shedCount: number };

/** Of one core for a million pixels, on the machine of `SPEEDS_DEFAULT`: four times x264 veryfast, side by side on three clips (2026-11-25). */
const AV1_MS_PER_MPX = 44;
/** Smaller pictures have few bits to save, and so has a source too small for any H.264 rung: nothing is made of them unasked. */
const AUTO_SIDE_MIN_PX = 360;

export const planAv1 = (
  input: LadderPlanInput & {
    readonly h264: H264Ladder;
    /** Added to the quality so that the bitrate stays below its cap. */
    readonly crfRise: number;
  },
): LadderPlan => {
  const { source, options, speeds, coreCount, shedCount, h264, crfRise } = input;
  const isAuto = options.av1 === 'auto';
  const sideMinPx = isAuto ? AUTO_SIDE_MIN_PX : 0;
  const sidesPx = options.sidesPx.filter((sidePx) => sidePx <= sideOf(source) && sidePx >= sideMinPx);
  const isWanted = options.enabled && options.av1 !== 'off' && !(isAuto && h264.rungCount + h264.shedCount === 0);
  if (!isWanted || sidesPx.length === 0) {
    return NO_LADDER;
  }
  const shapes = sidesPx.map((sidePx) => scaledShape(source, { id: `av1h${sidePx}`, sidePx }));
  const coresOf = (shape: Shape): number =>
    (megapixelsPerS(source) * speeds.decodeMsPerMpx +
      megapixelsPerS(shape) * (speeds.scaleMsPerMpx + AV1_MS_PER_MPX * factorOf(speeds))) /
    1000;
  const roomCores = budgetCoresOf(input) - h264.cpuCores;
  const shape = isAuto ? shapes.find((candidate) => coresOf(candidate) <= roomCores) : shapes[0];
  if (shedCount > 0 || h264.shedCount > 0) {
    return nothing(shape ?? shapes.at(-1), SHED);
  }
  if (shape === undefined) {
    return nothing(shapes.at(-1), `the CPU budget has ${Math.max(0, roomCores).toFixed(1)} cores left for AV1`);
  }
  const rung: Rung = {
    ...shape,
    codec: 'av1',
    encoder: 'software',
    preset: 'realtime',
    crf: Math.min(CRF_MAX, options.av1Crf + crfRise),
    bitrateMaxBps: bitrateMaxOf(shape, options),
    sliceCount: sliceCountOf(shape, coreCount),
  };
  return { rungs: [rung], leftOut: [], cpuCores: coresOf(shape) };
};

const CRF_MAX = 63;

const nothing = (shape: Shape | undefined, why: string): LadderPlan => {
  const leftOut: LeftOut[] = shape === undefined ? [] : [{ id: shape.id, why }];
  return { rungs: [], leftOut, cpuCores: 0 };
};

/** How much slower than the reference this machine was measured to be. */
const factorOf = (speeds: EncoderSpeeds): number =>
  speeds.encodeMsPerMpx.veryfast / SPEEDS_DEFAULT.encodeMsPerMpx.veryfast;
