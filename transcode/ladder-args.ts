/** The arguments of the ladder's ffmpeg: pure. One child decodes once and makes every rung, so that all have keyframes on the same picture. */
import { NUT_OUTPUT_ARGS, keyframesOnWholeSeconds, usualRateFps } from './ffmpeg-args.ts';
import { encoderFormat, hardwareArgs } from './hardware-args.ts';
import type { Rung } from './ladder-plan.ts';

export type LadderKeyframes =
  /** Where the source has its own: it is a rendition beside the rungs. */
  | 'as-source'
  /** In each whole second of media time, as the repaired rendition has them, which then stands for the source. */
  | 'whole-seconds';

export type LadderJob = {
  /** At least one. */
  readonly rungs: readonly Rung[];
  readonly keyframes: LadderKeyframes;
  readonly sourceFrameRateFps: number;
  /** Child time before which pictures are decoded but not encoded: the cached GOP up to the live edge. */
  readonly encodeFromMs: number;
};

/** Each rung is scaled from the one above it, not from the source: less to read, so that the better filter costs less than the other did (README). */
export const ladderGraph = (job: LadderJob): string => {
  const { rungs, encodeFromMs } = job;
  const source = `[0:v:0]select='gte(t,${seconds(encodeFromMs - 0.5)})'`;
  const chains = rungs.map((rung, index) => {
    const above = rungs[index - 1];
    const thinned = rung.frameDivisor === (above?.frameDivisor ?? 1) ? '' : `select='${keptPictures(rung, job)}',`;
    const scaled = `${thinned}scale=${rung.widthPx}:${rung.heightPx}:flags=${index === 0 ? 'bicubic' : 'lanczos'}`;
    const format = encoderFormat(rung.encoder);
    const from = index === 0 ? `${source},` : `[s${index}]`;
    return index === rungs.length - 1
      ? `${from}${scaled},${format}[v${index}]`
      : `${from}${scaled},split[t${index}][s${index + 1}];[t${index}]${format}[v${index}]`;
  });
  return chains.join(';');
};

export const ladderOutputs = (job: LadderJob): string[][] => job.rungs.map((rung, index) => rungArgs(rung, index, job));

/** Times inside the graph are the child's own, so that a whole second is one in every rung, halved or not. */
const keptPictures = ({ frameDivisor }: Rung, { keyframes, sourceFrameRateFps }: LadderJob): string => {
  const apartS = ((frameDivisor - 0.5) / sourceFrameRateFps).toFixed(5);
  const isDue = `isnan(prev_selected_t)+gte(t-prev_selected_t,${apartS})`;
  return keyframes === 'as-source' ? `${isDue}+key` : `${isDue}+gt(floor(t+0.0005),floor(prev_selected_t+0.0005))`;
};

/**
 * Chosen by measuring (test/quality, 2026-11-26). Without look-ahead x264 does not know what later pictures take from a keyframe: it gets more than the
 * usual share (`ipratio`), and busy pictures keep more of theirs (`qcomp`). Lone small coefficients are kept, and edges smoothed a little less: 2 to 5 % fewer
 * bits by VMAF for nothing, as much by SSIM as before.
 */
const X264_ALWAYS = 'ipratio=2.2:qcomp=0.9:no-dct-decimate=1:deblock=-1';
/** Most of what slower presets gain: trellis by VMAF, at little cost, and one more step of motion search. */
const X264_VERYFAST = ':trellis=1:subme=3';
/** With one second an encoder at its cap starves each keyframe, and needs a quarter more bits for the same picture. */
const BUFFER_S = 2;

/** What ffmpeg says of these encodings, and nothing else, is wanted: how near to what they were given, and at what cost. */
export const probeOutputs = (job: LadderJob): string[][] =>
  job.rungs.map((rung, index) => [...encoderArgs(rung, index, job), '-ssim', '1', '-flags', '+psnr', '-f', 'null']);

const rungArgs = (rung: Rung, index: number, job: LadderJob): string[] => [
  ...encoderArgs(rung, index, job),
  ...NUT_OUTPUT_ARGS,
];

const encoderArgs = (rung: Rung, index: number, job: LadderJob): string[] => [
  ...['-map', `[v${index}]`, '-an', '-fps_mode', 'passthrough', '-enc_time_base', '-1'],
  ...(rung.encoder === 'software' ? x264Args(rung) : hardwareArgs(rung.encoder, rung)),
  ...['-force_key_frames', forcedKeyframes(job)],
];

const x264Args = ({ preset, crf, sliceCount, bitrateMaxBps, frameRateFps }: Rung): string[] => [
  ...['-c:v', 'libx264', '-preset', preset, '-tune', 'zerolatency', '-profile:v', 'high'],
  ...['-crf', String(crf), '-maxrate', String(bitrateMaxBps), '-bufsize', String(BUFFER_S * bitrateMaxBps)],
  ...['-bf', '0', '-sc_threshold', '0', '-g', '1000', '-forced-idr', '1', '-threads', String(sliceCount)],
  ...[
    // Unless it is told that encodings will be joined, x264 writes the CRF into the parameter sets: viewers would have to begin anew at each change.
    '-x264-params',
    `sliced-threads=${sliceCount > 1 ? 1 : 0}:annexb=0:stitchable=1:fps=${usualRateFps(frameRateFps)}:${X264_ALWAYS}${preset === 'veryfast' ? X264_VERYFAST : ''}`,
  ],
];

/** ffmpeg counts `t` from the first picture encoded, which is the one at `encodeFromMs`: its place in its second is added again. */
export const forcedKeyframes = ({ keyframes, encodeFromMs }: Pick<LadderJob, 'keyframes' | 'encodeFromMs'>): string =>
  keyframes === 'as-source' ? 'source' : keyframesOnWholeSeconds(encodeFromMs);

const seconds = (ms: number): string => (ms / 1000).toFixed(4);
