/** A moving picture in AV1, made by ffmpeg with the arguments that the live AV1 rung has. */
import { spawnSync } from 'node:child_process';
import { buildAv1Config, parseAv1Config } from '../../server/media/av1/av1-config.ts';
import { joinTemporalUnit, splitObus } from '../../server/media/av1/obu.ts';
import { NutReader } from '../../server/media/nut/nut-reader.ts';
import { av1EncoderArgs } from '../../transcode/av1/av1-args.ts';
import type { EncodedClip } from './encoded-clip.ts';

/** 30 pictures a second, a keyframe each second. */
export const encodeAv1Clip = (options: {
  widthPx: number;
  heightPx: number;
  durationS: number;
  crf?: number;
}): EncodedClip => {
  const { widthPx, heightPx, durationS, crf = 40 } = options;
  const picture = `testsrc2=size=${widthPx}x${heightPx}:rate=30:duration=${durationS},format=yuv420p`;
  const result = spawnSync(
    'ffmpeg',
    [
      ...['-hide_banner', '-loglevel', 'error', '-f', 'lavfi', '-i', picture],
      ...av1EncoderArgs({ crf, sliceCount: 1 }),
      ...['-force_key_frames', 'expr:gte(t,n_forced)', '-f', 'nut', 'pipe:1'],
    ],
    { maxBuffer: 64 * 1024 * 1024 },
  );
  if (result.status !== 0) {
    throw new Error(`ffmpeg: ${result.stderr.toString()}`);
  }
  const frames = new NutReader()
    .push(result.stdout)
    .map(({ isKeyframe, payload }) => ({ isKeyframe, payload: joinTemporalUnit(splitObus(payload)) }));
  const decoderConfig = buildAv1Config(frames[0]!.payload);
  const { codecString } = parseAv1Config(decoderConfig);
  const track = {
    kind: 'video',
    codec: 'av1',
    timescaleHz: 90_000,
    decoderConfig,
    codecString,
    widthPx,
    heightPx,
  } as const;
  return { track, fps: 30, frames };
};
