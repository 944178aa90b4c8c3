/** How many pictures an encoder holds back: it is fed, but not told that the input ends, and what has come out is counted. */
import { readFile } from 'node:fs/promises';
import { setTimeout as passMs } from 'node:timers/promises';
import { NutReader } from '../../server/media/nut/nut-reader.ts';
import { startFfmpeg } from '../../transcode/ffmpeg-process.ts';
import type { EncodePlan } from './encoders.ts';
import { ToolError, type QualityTools } from './quality-tools.ts';

/** Nothing more is believed to come when nothing came for so long. */
const QUIET_MS = 1_000;
const TOTAL_MAX_MS = 60_000;
const LOOK_MS = 50;

/** `inputPath`: NUT without B-frames, of a second or two. Of the plan's first output. Runs the server's own driver of ffmpeg. */
export const measureLagFrames = async (
  tools: QualityTools,
  { inputPath, plan }: { readonly inputPath: string; readonly plan: EncodePlan },
): Promise<number> => {
  const input = await readFile(inputPath);
  const fedCount = new NutReader().push(input).length;
  const reader = new NutReader();
  const state: { madeCount: number; lastAtMs: number; failure?: Error | undefined } = { madeCount: 0, lastAtMs: 0 };
  const { filterGraph, outputs } = plan;
  const inputArgs = ['-nostdin', '-nostats', '-loglevel', 'error', '-threads', '1', '-analyzeduration', '100000'];
  const run = startFfmpeg(
    { ffmpegPath: tools.ffmpegPath, inputArgs: [...inputArgs, '-f', 'nut'], filterGraph, outputs },
    {
      onOutput: (bytes, outputIndex) => {
        if (outputIndex === 0) {
          state.madeCount += reader.push(bytes).length;
          state.lastAtMs = performance.now();
        }
      },
      onDrain: () => undefined,
      onExit: (error) => {
        state.failure = error;
      },
    },
  );
  run.write(input);
  const giveUpAtMs = performance.now() + TOTAL_MAX_MS;
  const isOver = (): boolean => {
    const nowMs = performance.now();
    const isQuiet = state.madeCount > 0 && nowMs - state.lastAtMs > QUIET_MS;
    return isQuiet || nowMs > giveUpAtMs || state.madeCount >= fedCount || state.failure !== undefined;
  };
  while (!isOver()) {
    await passMs(LOOK_MS);
  }
  run.kill();
  if (state.failure !== undefined || state.madeCount === 0) {
    throw new ToolError(tools.ffmpegPath, state.failure?.message ?? 'made nothing');
  }
  return fedCount - state.madeCount;
};
