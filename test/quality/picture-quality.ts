/**
 * How near an encoded video is to its reference, picture by picture: VMAF v0.6.1 and SSIM, both in one decoding. Pictures are paired by
 * their place, not by their times, so that no container's clock can shift them against each other; hence both files must have as many.
 */
import { readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { runTool, ToolError, type QualityTools } from './quality-tools.ts';
import { tempFolder } from '../support/temp-folder.ts';

/** Scores of pictures in the order shown; `mean` is arithmetic over all of them. */
export type FrameScores = { readonly mean: number; readonly frames: readonly number[] };

export type PictureQuality = {
  readonly frameCount: number;
  /** 0 … 100; undefined without an ffmpeg that has libvmaf. */
  readonly vmaf: FrameScores | undefined;
  /** 0 … 1, over all planes by their sizes (luma two thirds), as ffmpeg's `ssim` says `All`. */
  readonly ssim: FrameScores;
};

export type QualityJob = {
  readonly tools: QualityTools;
  readonly encodedPath: string;
  /** Better lossless. */
  readonly referencePath: string;
  /** What both are scaled to (bicubic) where they have another size. */
  readonly widthPx: number;
  readonly heightPx: number;
};

const VMAF_LOG = 'vmaf.json';
const SSIM_LOG = 'ssim.log';

/** Takes one core for about a second per 30 pictures of 720 lines. Rejects with `ToolError`. */
export const measurePictures = async (job: QualityJob): Promise<PictureQuality> => {
  const { tools } = job;
  const [encodedPath, referencePath] = [resolve(job.encodedPath), resolve(job.referencePath)];
  const counts = [await countFrames(tools, encodedPath), await countFrames(tools, referencePath)];
  if (counts[0] !== counts[1]) {
    throw new ToolError(encodedPath, `has ${counts[0]} pictures, its reference ${counts[1]}`);
  }
  const hasVmaf = tools.vmafFfmpegPath !== undefined;
  const folder = tempFolder('quality');
  try {
    await runTool(
      tools.vmafFfmpegPath ?? tools.ffmpegPath,
      [
        ...['-v', 'error', '-nostdin', '-threads', '1', '-i', encodedPath, '-threads', '1', '-i', referencePath],
        ...['-filter_complex_threads', '1', '-lavfi', measuringGraph(job, hasVmaf)],
        ...(hasVmaf ? ['-map', '[vmaf]', '-f', 'null', '-'] : []),
        ...['-map', '[ssim]', '-f', 'null', '-'],
      ],
      { folder },
    );
    const vmafLog = hasVmaf ? await readFile(join(folder, VMAF_LOG), 'utf8') : undefined;
    const ssim = parseSsimLog(await readFile(join(folder, SSIM_LOG), 'utf8'));
    return {
      frameCount: ssim.length,
      vmaf: vmafLog === undefined ? undefined : scoresOf(parseVmafLog(vmafLog)),
      ssim: scoresOf(ssim),
    };
  } finally {
    await rm(folder, { recursive: true });
  }
};

/** `fromIndex`: how many are left out at the start, where rate control has not settled yet. NaN when none is left. */
export const scoresOf = (frames: readonly number[], fromIndex = 0): FrameScores => {
  const kept = frames.slice(fromIndex);
  return { frames: kept, mean: kept.reduce((sum, score) => sum + score, 0) / kept.length };
};

const measuringGraph = ({ widthPx, heightPx }: QualityJob, hasVmaf: boolean): string => {
  const alike = `scale=${widthPx}:${heightPx}:flags=bicubic,format=yuv420p,settb=1/1000,setpts=N*40`;
  const ssim = `ssim=stats_file=${SSIM_LOG}[ssim]`;
  if (!hasVmaf) {
    return `[0:v:0]${alike}[a];[1:v:0]${alike}[b];[a][b]${ssim}`;
  }
  const vmaf = `libvmaf=model=version=vmaf_v0.6.1:n_threads=1:log_fmt=json:log_path=${VMAF_LOG}[vmaf]`;
  return `[0:v:0]${alike},split[a0][a1];[1:v:0]${alike},split[b0][b1];[a0][b0]${vmaf};[a1][b1]${ssim}`;
};

/** Lines such as `n:1 Y:0.98 U:0.99 V:0.99 All:0.983 (17.6)`. */
export const parseSsimLog = (text: string): number[] =>
  [...text.matchAll(/^n:\d+ .*\bAll:([\d.]+)/gm)].map((match) => Number(match[1]));

const VMAF_LOG_SHAPE = z.object({
  frames: z.array(z.object({ frameNum: z.number(), metrics: z.object({ vmaf: z.number() }) })),
});

/** Throws `ZodError` for what is not libvmaf's JSON. */
export const parseVmafLog = (text: string): number[] =>
  VMAF_LOG_SHAPE.parse(JSON.parse(text))
    .frames.toSorted((a, b) => a.frameNum - b.frameNum)
    .map(({ metrics }) => metrics.vmaf);

/** Of the first video; in what we measure, each packet is a picture. */
const countFrames = async (tools: QualityTools, path: string): Promise<number> => {
  const entries = ['-select_streams', 'v:0', '-count_packets', '-show_entries', 'stream=nb_read_packets'];
  const { stdout } = await runTool(tools.ffprobePath, ['-v', 'error', ...entries, '-of', 'csv=p=0', path]);
  const count = Number.parseInt(stdout, 10);
  if (!(count > 0)) {
    throw new ToolError(path, 'has no pictures');
  }
  return count;
};
