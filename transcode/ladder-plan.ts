/**
 * Which smaller renditions are made of a source, and how hard the encoder may try: pure. Never above the source; the slowest preset that the CPU
 * budget and the time between two pictures allow; where even the fastest does not fit the budget, rungs are left out from the top.
 */
import type { LadderEncoder } from './hardware-args.ts';

/** From the slowest to the fastest. */
export const PRESETS = ['medium', 'fast', 'faster', 'veryfast', 'superfast'] as const;
export type Preset = (typeof PRESETS)[number];

/** What this machine needs, in milliseconds of one core for a million pixels. */
export type EncoderSpeeds = {
  readonly decodeMsPerMpx: number;
  /** Scaling, by pixels of the result. */
  readonly scaleMsPerMpx: number;
  readonly encodeMsPerMpx: Readonly<Record<Preset, number>>;
};

/**
 * Measured 2026-11-26 on two clips of 1080 lines (2 cores of an Intel Xeon, model 167) with ffmpeg 5.1, with what `ladder-args` adds to a preset; used until
 * this machine's own were measured.
 */
export const SPEEDS_DEFAULT: EncoderSpeeds = {
  decodeMsPerMpx: 3,
  scaleMsPerMpx: 2,
  encodeMsPerMpx: { medium: 27, fast: 22.5, faster: 15, veryfast: 12.2, superfast: 6.6 },
};

export type LadderCodec = 'h264' | 'av1';

export type LadderOptions = {
  readonly enabled: boolean;
  /** Of the shorter side, largest first. */
  readonly sidesPx: readonly number[];
  /** Quality to aim at, x264's scale; with narrowband, at most: until it is known what the picture needs. */
  readonly crf: number;
  /** Whether the CRF follows what is shown. */
  readonly narrowband: 'auto' | 'off';
  /** The picture quality that narrowband holds, VMAF's scale. */
  readonly targetVmaf: number;
  /** Share of one core that looking at the picture may take on average. */
  readonly probeCpuMaxRatio: number;
  /** The cap on bitrate, in bits a pixel. */
  readonly bitsPerPxMax: number;
  /** Cores that the ladder of one broadcast may take; 0: half of the machine's. */
  readonly cpuMaxCores: number;
  /** Further behind than this, the tail of a GOP is left out. */
  readonly lagMaxMs: number;
  /** A rung goes, from the top, when its encoder is this far behind, */
  readonly shedLagMs: number;
  /** or when this share of the pictures of some seconds had to be left out. At 1 none goes for that. */
  readonly shedLeftOutRatio: number;
  /** Whether the server measures, once, what encoding costs on its machine. */
  readonly measuresSpeeds: boolean;
  /** One more rung in AV1: never; when the budget has room for it; whatever the budget says. */
  readonly av1: 'auto' | 'off' | 'on';
  /** Quality to aim at, libaom's scale. */
  readonly av1Crf: number;
  /** What makes the H.264 rungs. */
  readonly encoder: 'auto' | LadderEncoder;
};

export const LADDER_DEFAULTS: LadderOptions = {
  enabled: true,
  sidesPx: [720, 480, 360],
  crf: 23,
  narrowband: 'auto',
  targetVmaf: 93,
  probeCpuMaxRatio: 0.05,
  bitsPerPxMax: 0.1,
  cpuMaxCores: 0,
  lagMaxMs: 200,
  shedLagMs: 1_000,
  shedLeftOutRatio: 0.25,
  measuresSpeeds: true,
  av1: 'auto',
  av1Crf: 36,
  encoder: 'auto',
};

export type LadderSource = {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly frameRateFps: number;
};

export type Rung = {
  /** Of the rendition: `h480`, `av1h480`. */
  readonly id: string;
  readonly codec: LadderCodec;
  readonly encoder: LadderEncoder;
  readonly widthPx: number;
  readonly heightPx: number;
  /** Every n-th picture of the source is encoded. */
  readonly frameDivisor: number;
  readonly frameRateFps: number;
  readonly crf: number;
  readonly bitrateMaxBps: number;
  readonly preset: Preset | 'realtime';
  /** Slices encoded side by side in each picture. */
  readonly sliceCount: number;
};

export type LeftOut = { readonly id: string; readonly why: string };

export type LadderPlan = {
  /** Largest first. */
  readonly rungs: readonly Rung[];
  readonly leftOut: readonly LeftOut[];
  /** Estimated, decoding included. */
  readonly cpuCores: number;
};

export const NO_LADDER: LadderPlan = { rungs: [], leftOut: [], cpuCores: 0 };

/** A rung hardly smaller than what it is made of helps nobody. */
const SIDE_RATIO_MAX = 0.8;
/** H.264 encodes whole macroblocks; below this there is nothing to see. */
const SIDE_MIN_PX = 120;
const FPS_MAX = 60;
/** Below this side fluid motion costs more than it shows. */
const FLUID_SIDE_MIN_PX = 720;
const FPS_SMALL_MAX = 30;
/** 29.97 and 59.94 are 30 and 60; stamps in whole milliseconds measure 60.2. */
const FPS_SLACK_RATIO = 1.1;
/** From here on one slice on one core would take too much of a picture's time: ffmpeg 5.1 calls its encoders one after the other. */
const SLICED_MIN_PX = 400_000;
/** The more pictures a second, the less each of them differs from the one before: half the bits for the second half. */
const FPS_BASE = 30;
/**
 * Of the time between two pictures, all work on one may take this much: so can a ladder that fell behind make up for it, at one and a half times real
 * time. More cores do not help: ffmpeg 5.1 decodes, scales and calls its encoders one after the other.
 */
const TIME_MAX_RATIO = 0.667;
/** What two slices side by side gain where two cores are free: 1.93 to 1.95 were measured. */
const SLICED_SPEEDUP = 1.9;

export type LadderPlanInput = {
  readonly source: LadderSource;
  readonly options: LadderOptions;
  readonly speeds: EncoderSpeeds;
  readonly coreCount: number;
  /** Rungs that the machine turned out to have no room for, from the top. */
  readonly shedCount: number;
  /** `software` when left out. */
  readonly encoder?: LadderEncoder;
  /** Where x264's follows the content; else all have the same. */
  readonly crfOf?: (rungId: string) => number;
};

export const SHED = 'the machine was too slow for it just now';

export const planLadder = (input: LadderPlanInput): LadderPlan => {
  const { source, options, coreCount, shedCount, encoder = 'software' } = input;
  const speeds = encoder === 'software' ? input.speeds : withHardware(input.speeds);
  const crfOf = (encoder === 'software' ? input.crfOf : undefined) ?? (() => options.crf);
  if (!options.enabled) {
    return NO_LADDER;
  }
  const budgetCores = budgetCoresOf(input);
  const leftOut: LeftOut[] = [];
  let shapes = options.sidesPx
    .toSorted((a, b) => b - a)
    .flatMap((sidePx) => {
      const shape = shapeOf(source, sidePx);
      if (typeof shape === 'string') {
        leftOut.push({ id: idOf(sidePx), why: shape });
        return [];
      }
      return shape;
    });
  const decodeCores = (megapixelsPerS(source) * speeds.decodeMsPerMpx) / 1000;
  const coresWith = (preset: Preset): number =>
    decodeCores + shapes.reduce((sum, shape) => sum + coresOf(shape, preset, speeds), 0);
  for (let top = shapes[0]; top !== undefined && coresWith('superfast') > budgetCores; top = shapes[0]) {
    const { id } = top;
    leftOut.push({ id, why: `it needs more than the ${budgetCores.toFixed(1)} cores of the CPU budget` });
    shapes = shapes.slice(1);
  }
  const timeRatioWith = (preset: Preset): number =>
    decodeCores + shapes.reduce((sum, shape) => sum + timeRatioOf(shape, preset, { speeds, coreCount }), 0);
  const fits = (preset: Preset): boolean => coresWith(preset) <= budgetCores && timeRatioWith(preset) <= TIME_MAX_RATIO;
  // For all that were to be made: a machine that turned out to be slower than it was thought must not try harder with what is left.
  const preset = PRESETS.find(fits) ?? 'superfast';
  for (const { id } of shapes.slice(0, shedCount)) {
    leftOut.push({ id, why: SHED });
  }
  shapes = shapes.slice(shedCount);
  if (shapes.length === 0) {
    return { rungs: [], leftOut, cpuCores: 0 };
  }
  const rungs = shapes.map((shape) => toRung(shape, { preset, crf: crfOf(shape.id), options, coreCount, encoder }));
  return { rungs, leftOut, cpuCores: coresWith(preset) };
};

/** Of one broadcast. */
export const budgetCoresOf = ({ options, coreCount }: Pick<LadderPlanInput, 'options' | 'coreCount'>): number =>
  options.cpuMaxCores > 0 ? options.cpuMaxCores : coreCount / 2;

/** To bring a picture to the hardware and its bits back: an estimate, for want of hardware to measure. */
const HARDWARE_MS_PER_MPX = 2;

const withHardware = (speeds: EncoderSpeeds): EncoderSpeeds => {
  const costs = PRESETS.map((preset) => [preset, HARDWARE_MS_PER_MPX] as const);
  return { ...speeds, encodeMsPerMpx: Object.fromEntries(costs) as EncoderSpeeds['encodeMsPerMpx'] };
};

export type Shape = Pick<Rung, 'id' | 'widthPx' | 'heightPx' | 'frameDivisor' | 'frameRateFps'>;

const idOf = (sidePx: number): string => `h${sidePx}`;

/** Or why there is none. */
const shapeOf = (source: LadderSource, sidePx: number): Shape | string => {
  const sourceSidePx = sideOf(source);
  if (sidePx > sourceSidePx * SIDE_RATIO_MAX) {
    return `the source has ${sourceSidePx} lines itself`;
  }
  if (sidePx < SIDE_MIN_PX) {
    return `${sidePx} lines are too few to encode`;
  }
  return scaledShape(source, { id: idOf(sidePx), sidePx });
};

export const sideOf = ({ widthPx, heightPx }: LadderSource): number => Math.min(widthPx, heightPx);

/** The source with so many lines; `sidePx` at most its own. */
export const scaledShape = (source: LadderSource, { id, sidePx }: { id: string; sidePx: number }): Shape => {
  const { widthPx, heightPx, frameRateFps } = source;
  const ratio = sidePx / sideOf(source);
  const fpsMax = sidePx >= FLUID_SIDE_MIN_PX ? FPS_MAX : FPS_SMALL_MAX;
  const frameDivisor = Math.max(1, Math.ceil(frameRateFps / (fpsMax * FPS_SLACK_RATIO)));
  return {
    id,
    widthPx: toEven(widthPx * ratio),
    heightPx: toEven(heightPx * ratio),
    frameDivisor,
    frameRateFps: frameRateFps / frameDivisor,
  };
};

const toEven = (px: number): number => Math.max(2, 2 * Math.round(px / 2));

export const megapixelsPerS = ({ widthPx, heightPx, frameRateFps }: LadderSource): number =>
  (widthPx * heightPx * frameRateFps) / 1e6;

const coresOf = (shape: Shape, preset: Preset, { scaleMsPerMpx, encodeMsPerMpx }: EncoderSpeeds): number =>
  (megapixelsPerS(shape) * (scaleMsPerMpx + encodeMsPerMpx[preset])) / 1000;

/** Share of the time between two pictures until this rung's is encoded, once it is its turn. */
const timeRatioOf = (
  shape: Shape,
  preset: Preset,
  { speeds, coreCount }: { speeds: EncoderSpeeds; coreCount: number },
): number => {
  const speedup = sliceCountOf(shape, coreCount) > 1 ? SLICED_SPEEDUP : 1;
  return (megapixelsPerS(shape) * (speeds.scaleMsPerMpx + speeds.encodeMsPerMpx[preset] / speedup)) / 1000;
};

const toRung = (
  shape: Shape,
  given: { preset: Preset; crf: number; options: LadderOptions; coreCount: number; encoder: LadderEncoder },
): Rung => ({
  ...shape,
  codec: 'h264',
  encoder: given.encoder,
  preset: given.preset,
  crf: given.crf,
  bitrateMaxBps: bitrateMaxOf(shape, given.options),
  sliceCount: sliceCountOf(shape, given.coreCount),
});

export const bitrateMaxOf = ({ widthPx, heightPx, frameRateFps }: Shape, { bitsPerPxMax }: LadderOptions): number => {
  const fullFps = Math.min(frameRateFps, FPS_BASE);
  const paidFps = fullFps + (frameRateFps - fullFps) / 2;
  return Math.round(widthPx * heightPx * paidFps * bitsPerPxMax);
};

export const sliceCountOf = ({ widthPx, heightPx }: Shape, coreCount: number): number =>
  widthPx * heightPx >= SLICED_MIN_PX && coreCount > 1 ? 2 : 1;

/** True when the same encoders make both. */
export const isSameLadder = (a: LadderPlan, b: LadderPlan): boolean =>
  a.rungs.length === b.rungs.length &&
  a.rungs.every((rung, index) => {
    const other = b.rungs[index];
    return (
      other !== undefined &&
      rung.id === other.id &&
      rung.widthPx === other.widthPx &&
      rung.heightPx === other.heightPx &&
      rung.frameDivisor === other.frameDivisor &&
      rung.crf === other.crf &&
      rung.preset === other.preset &&
      rung.encoder === other.encoder
    );
  });
