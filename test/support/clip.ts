/** A file for publishers that only loop: encoding costs nothing while something else is measured. */
import path from 'node:path';
import { Publisher } from '../latency/source/publisher.ts';

export type ClipOptions = {
  readonly folder: string;
  readonly bitrateBps: number;
  readonly durationS: number;
  readonly withSound: boolean;
  /** 1280x720 at 30 pictures a second when left out. */
  readonly shape?: { readonly widthPx: number; readonly heightPx: number; readonly frameRateFps: number };
  /** How restless the picture is, 0 to 1. */
  readonly noiseRatio?: number;
  /** One slice a picture and no message of a decoder's timing beside it: as few packets of RTP as may be. */
  readonly isCompact?: boolean;
};

const SHAPE = { widthPx: 1280, heightPx: 720, frameRateFps: 30 };

/** Keyframes each second, no B-frames, constant bitrate. Resolves to the file's path. */
export const makeClip = async (options: ClipOptions): Promise<string> => {
  const { folder, durationS, withSound, shape = SHAPE, noiseRatio = 0.3, isCompact = false } = options;
  const file = path.join(folder, 'clip.flv');
  const [bitrate, gop] = [String(options.bitrateBps), String(shape.frameRateFps)];
  await Publisher.encode({
    ...{ ...shape, noiseRatio, withSound, audioLeadMs: 0 },
    frameCount: durationS * shape.frameRateFps,
    outputArgs: [
      ...['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-bf', '0', '-g', gop, '-keyint_min', gop],
      ...['-b:v', bitrate, '-minrate', bitrate, '-maxrate', bitrate, '-bufsize', bitrate],
      ...['-x264-params', `${isCompact ? 'sliced-threads=0:' : 'nal-hrd=cbr:'}scenecut=0`, '-pix_fmt', 'yuv420p'],
      ...(withSound ? ['-c:a', 'aac', '-b:a', '128k'] : ['-an']),
      ...['-f', 'flv', '-y', file],
    ],
  });
  return file;
};
