/** Encodes files, and says what came out and what it cost. */
import { z } from 'zod';
import type { EncodePlan } from './encoders.ts';
import { runTool, ToolError, type QualityTools } from './quality-tools.ts';

export type EncodedFrame = { readonly bytes: number; readonly isKeyframe: boolean };

export type Encoded = {
  readonly paths: readonly string[];
  /** Of one core. */
  readonly cpuMs: number;
  readonly elapsedMs: number;
};

export type VideoFacts = {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly frameRateFps: number;
};

/** Decodes in one thread, as the server does. Rejects with `ToolError`. */
export const encode = async (
  tools: QualityTools,
  job: {
    readonly inputPath: string;
    readonly inputArgs?: readonly string[];
    readonly plan: EncodePlan;
    readonly outputPaths: readonly string[];
    /** How far it is, in ms of media. */
    readonly onProgress?: (mediaMs: number) => void;
  },
): Promise<Encoded> => {
  const { inputPath, plan, outputPaths } = job;
  const { stderr, elapsedMs } = await runTool(
    tools.ffmpegPath,
    [
      ...['-y', '-hide_banner', '-nostdin', '-nostats', '-benchmark', '-progress', 'pipe:1'],
      ...[...(job.inputArgs ?? []), '-threads', '1', '-i', inputPath, '-filter_complex', plan.filterGraph],
      ...plan.outputs.flatMap((args, index) => [...args, outputPaths[index]!]),
    ],
    {
      onLine: (line) => {
        const [, us] = /^out_time_us=(\d+)/.exec(line) ?? [];
        if (us !== undefined) {
          job.onProgress?.(Number(us) / 1000);
        }
      },
    },
  );
  return { paths: outputPaths, cpuMs: cpuMsOf(stderr), elapsedMs };
};

/** Of ffmpeg's `-benchmark`. */
const cpuMsOf = (stderr: string): number => {
  const [, user, system] = /bench: utime=([\d.]+)s stime=([\d.]+)s/.exec(stderr) ?? [];
  return (Number(user) + Number(system)) * 1000;
};

const PACKETS_SHAPE = z.object({ packets: z.array(z.object({ size: z.coerce.number(), flags: z.string() })) });

/** Sizes of the first video's pictures without what the container adds. */
export const framesOf = async (tools: QualityTools, path: string): Promise<EncodedFrame[]> => {
  const entries = ['-select_streams', 'v:0', '-show_entries', 'packet=size,flags'];
  const { stdout } = await runTool(tools.ffprobePath, ['-v', 'error', ...entries, '-of', 'json', path]);
  const { packets } = PACKETS_SHAPE.parse(JSON.parse(stdout));
  return packets.map(({ size, flags }) => ({ bytes: size, isKeyframe: flags.includes('K') }));
};

const STREAMS_SHAPE = z.object({
  streams: z.array(z.object({ width: z.number(), height: z.number(), avg_frame_rate: z.string() })),
});

/** Of the first video. Rejects with `ToolError` when there is none. */
export const videoFacts = async (tools: QualityTools, path: string): Promise<VideoFacts> => {
  const entries = ['-select_streams', 'v:0', '-show_entries', 'stream=width,height,avg_frame_rate'];
  const { stdout } = await runTool(tools.ffprobePath, ['-v', 'error', ...entries, '-of', 'json', path]);
  const [stream] = STREAMS_SHAPE.parse(JSON.parse(stdout)).streams;
  const [num = 0, den = 1] = stream?.avg_frame_rate.split('/').map(Number) ?? [];
  if (stream === undefined || !(num / den > 0)) {
    throw new ToolError(path, 'has no video');
  }
  return { widthPx: stream.width, heightPx: stream.height, frameRateFps: num / den };
};

export type Reference = { readonly path: string; readonly facts: VideoFacts };

/**
 * What encoders get and are measured against: a clip at one size, lossless, scaled by a filter better than live ones. Every
 * `frameDivisor`-th picture; at most `durationS`.
 */
export const makeReference = async (
  tools: QualityTools,
  job: {
    readonly inputPath: string;
    readonly outputPath: string;
    readonly widthPx: number;
    readonly heightPx: number;
    readonly frameDivisor: number;
    readonly frameRateFps: number;
    readonly durationS: number;
  },
): Promise<void> => {
  const { widthPx, heightPx, frameDivisor, frameRateFps } = job;
  const thinned = frameDivisor === 1 ? '' : `select='not(mod(n,${frameDivisor}))',`;
  // Evenly spaced, so that no encoder's rate control is led astray by a clip's uneven stamps.
  const even = `settb=1/90000,setpts=N*${Math.round(90_000 / frameRateFps)}`;
  await runTool(tools.ffmpegPath, [
    ...['-y', '-v', 'error', '-nostdin', '-i', job.inputPath, '-t', String(job.durationS), '-an'],
    ...['-vf', `${thinned}${even},scale=${widthPx}:${heightPx}:flags=lanczos+accurate_rnd,format=yuv420p`],
    ...['-fps_mode', 'passthrough', '-enc_time_base', '1/90000'],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-qp', '0', '-f', 'nut', job.outputPath],
  ]);
};
