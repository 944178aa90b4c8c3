/**
 * The arguments of the AV1 rung's encoder: pure. libaom in its real-time mode, because it alone (with ffmpeg 5.1) makes a keyframe at the picture
 * it is told to, and holds no picture back; the README has what was measured of it and of SVT-AV1.
 */
import { NUT_OUTPUT_ARGS } from '../ffmpeg-args.ts';
import type { LadderJob } from '../ladder-args.ts';
import { forcedKeyframes } from '../ladder-args.ts';
import type { Rung } from '../ladder-plan.ts';

/** Of libaom's 0 to 10 (in real time), see the README. */
export const AV1_SPEED = 8;

/** What of a rung the encoder is told. `crf`: libaom's scale, 0 to 63. `sliceCount`: columns of tiles, encoded side by side. */
export type Av1Encoding = Pick<Rung, 'crf' | 'sliceCount'>;

/**
 * Quality is kept, not bitrate: libaom has no cap beside it (its constant-quality mode with a bitrate is neither, measured), so the plan's cap is
 * held by raising `crf`. Cyclic refresh keeps fine grain from being smoothed away.
 */
export const av1EncoderArgs = ({ crf, sliceCount }: Av1Encoding): string[] => [
  ...['-c:v', 'libaom-av1', '-usage', 'realtime', '-cpu-used', '8', '-aom-params', `cpu-used=${AV1_SPEED}`],
  ...['-lag-in-frames', '0', '-aq-mode', '3', '-crf', String(crf), '-b:v', '0'],
  ...['-row-mt', '1', '-threads', String(sliceCount), '-tile-columns', String(Math.ceil(Math.log2(sliceCount)))],
  ...['-g', '1000', '-keyint_min', '1000'],
];

export const av1Outputs = (job: LadderJob): string[][] =>
  job.rungs.map((rung, index) => [
    ...['-map', `[v${index}]`, '-an', '-fps_mode', 'passthrough', '-enc_time_base', '-1'],
    ...av1EncoderArgs(rung),
    ...['-force_key_frames', forcedKeyframes(job)],
    ...NUT_OUTPUT_ARGS,
  ]);
