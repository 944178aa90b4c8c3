/** A file for publishers that only loop: encoding costs nothing while something else is measured. */
import path from 'node:path';
import { Publisher } from '../latency/source/publisher.ts';

export type ClipOptions = {
  readonly folder: string;
  readonly bitrateBps: number;
  readonly durationS: number;
  readonly withSound: boolean;
};

/** 1280x720p30, keyframes each second, no B-frames, constant bitrate. Resolves to the file's path. */
export const makeClip = async (options: ClipOptions): Promise<string> => {
  const file = path.join(options.folder, 'clip.flv');
  const bitrate = String(options.bitrateBps);
  await Publisher.encode({
    ...{
      widthPx: 1280,
      heightPx: 720,
      frameRateFps: 30,
      noiseRatio: 0.3,
      withSound: options.withSound,
      audioLeadMs: 0,
    },
    frameCount: options.durationS * 30,
    outputArgs: [
      ...[
        '-c:v',
        'libx264',
        '-preset',
        'ultrafast',
        '-tune',
        'zerolatency',
        '-bf',
        '0',
        '-g',
        '30',
        '-keyint_min',
        '30',
      ],
      ...['-b:v', bitrate, '-minrate', bitrate, '-maxrate', bitrate, '-bufsize', bitrate],
      ...['-x264-params', 'nal-hrd=cbr:scenecut=0', '-pix_fmt', 'yuv420p'],
      ...(options.withSound ? ['-c:a', 'aac', '-b:a', '128k'] : ['-an']),
      ...['-f', 'flv', '-y', file],
    ],
  });
  return file;
};
