/** Clips in a folder, as the calibration and the benchmarks take them, and lossless references of them at one size. */
import { readdirSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { Rung } from '../../transcode/ladder-plan.ts';
import type { QualityTools } from './quality-tools.ts';
import { ToolError, runTool } from './quality-tools.ts';

export type Clip = {
  readonly name: string;
  readonly path: string;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly frameRateFps: number;
};

const VIDEO_EXTENSIONS = new Set(['.mp4', '.264', '.mkv', '.mov']);

/** By name. Rejects with `ToolError` when one has no picture. */
export const listClips = async (folder: string): Promise<Clip[]> => {
  const files = readdirSync(folder).filter((file) => VIDEO_EXTENSIONS.has(extname(file)));
  const clips: Clip[] = [];
  for (const file of files.toSorted()) {
    clips.push(await probeClip(folder, file));
  }
  return clips;
};

const probeClip = async (folder: string, file: string): Promise<Clip> => {
  const path = join(folder, file);
  const entries = ['-select_streams', 'v:0', '-show_entries', 'stream=width,height,r_frame_rate', '-of', 'csv=p=0'];
  const { stdout } = await runTool('ffprobe', ['-v', 'error', ...entries, path]);
  const [widthPx = 0, heightPx = 0, num = 0, den = 1] = stdout.trim().split(/[,/]/).map(Number);
  if (!(widthPx > 0 && heightPx > 0 && num > 0)) {
    throw new ToolError(path, 'has no picture');
  }
  // A raw stream says its rate doubled, or not at all.
  const frameRateFps = extname(file) === '.264' ? 30 : Math.round(num / den);
  return { name: file.slice(0, -extname(file).length), path, widthPx, heightPx, frameRateFps };
};

/** Of `lines`, as wide as the clip's shape wants. */
export const sizeOf = (clip: Clip, lines: number): { readonly widthPx: number; readonly heightPx: number } => ({
  widthPx: 2 * Math.round((clip.widthPx * lines) / clip.heightPx / 2),
  heightPx: lines,
});

/** The clip's beginning without further loss; `filters` come behind the scaling. At the lowest priority. */
export const makeReference = async (job: {
  readonly tools: QualityTools;
  readonly clip: Clip;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly durationS: number;
  readonly path: string;
}): Promise<void> => {
  const { tools, clip, widthPx, heightPx, durationS, path } = job;
  const raw = clip.path.endsWith('.264') ? ['-framerate', String(clip.frameRateFps)] : [];
  const filters = `scale=${widthPx}:${heightPx}:flags=bicubic,setsar=1,format=yuv420p`;
  await runIdle(tools.ffmpegPath, [
    ...['-y', '-threads', '1', ...raw, '-t', String(durationS), '-i', clip.path, '-an', '-vf', filters],
    ...['-fps_mode', 'passthrough', '-c:v', 'libx264', '-preset', 'ultrafast', '-qp', '0', path],
  ]);
};

/** The same backwards: one after the other they are a longer scene without a cut. */
export const makeReversed = async (tools: QualityTools, path: string, reversedPath: string): Promise<void> => {
  const encoder = ['-c:v', 'libx264', '-preset', 'ultrafast', '-qp', '0', reversedPath];
  await runIdle(tools.ffmpegPath, ['-y', '-threads', '1', '-i', path, '-vf', 'reverse', ...encoder]);
};

/** What it said on standard output. At the lowest priority. */
export const runIdle = async (ffmpegPath: string, args: readonly string[]): Promise<string> =>
  (await runTool('nice', ['-n', '19', ffmpegPath, '-nostdin', '-v', 'error', ...args])).stdout;

/** A cap that no CRF of interest reaches, so that the CRF alone decides. */
const UNCAPPED_BITS_PER_PX = 0.4;

export const rungOf = (given: {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly frameRateFps: number;
  readonly preset: Rung['preset'];
  readonly crf: number;
}): Rung => ({
  ...given,
  ...{ id: `h${given.heightPx}`, codec: 'h264', encoder: 'software', frameDivisor: 1, sliceCount: 1 },
  bitrateMaxBps: Math.round(given.widthPx * given.heightPx * given.frameRateFps * UNCAPPED_BITS_PER_PX),
});
