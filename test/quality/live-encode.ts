/** Encodes a file with the very arguments that the ladder gives x264 for a rung, into a file. */
import type { Rung } from '../../transcode/ladder-plan.ts';
import { probeOutputs } from '../../transcode/ladder-args.ts';
import type { QualityTools } from './quality-tools.ts';
import { runTool } from './quality-tools.ts';

export type LiveEncoding = {
  readonly tools: QualityTools;
  readonly inputPath: string;
  /** The first to be encoded, which becomes a keyframe; the input has the rung's size. */
  readonly fromFrame?: number;
  readonly frameCount?: number;
  readonly rung: Rung;
  readonly outputPath: string;
  /** What ffmpeg says at its most talkative, a line a picture among it. */
  readonly logPath: string;
};

/** At the lowest priority. */
export const encodeAsLive = async (job: LiveEncoding): Promise<void> => {
  const { tools, inputPath, fromFrame = 0, frameCount, rung, outputPath, logPath } = job;
  const encoding = { rungs: [rung], keyframes: 'whole-seconds', encodeFromMs: 0 } as const;
  const [args = []] = probeOutputs({ ...encoding, sourceFrameRateFps: rung.frameRateFps });
  // As live, but into a file: from behind `-map [v0]` to before `-f null`, with start codes, which every reader knows.
  const live = args.slice(2, -2).map((arg) => arg.replace('annexb=0:', 'aud=1:repeat-headers=1:'));
  const picked = `trim=start_frame=${fromFrame},setpts=N/${rung.frameRateFps}/TB`;
  await runTool('sh', [
    ...['-c', 'log=$1; shift; exec nice -n 19 "$@" 2>"$log"', 'sh', logPath, tools.ffmpegPath, '-nostdin', '-y'],
    ...['-hide_banner', '-loglevel', 'debug', '-threads', '1', '-i', inputPath, '-vf', picked, ...live],
    ...(frameCount === undefined ? [] : ['-frames:v', String(frameCount)]),
    ...['-f', 'h264', outputPath],
  ]);
};
