/**
 * Measures what the calibration fits: each clip at each size of the ladder, encoded as the ladder encodes it at several CRFs; per window of 2 s the
 * VMAF of what came out, and what x264 said of the same pictures. The cap is out of the way, so that the CRF alone decides.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Preset, Rung } from '../../transcode/ladder-plan.ts';
import { CONTENT_SIDE_PX } from '../../transcode/narrowband/quality-model.ts';
import type { X264Report } from '../../transcode/narrowband/x264-report.ts';
import type { CalibrationRow } from './calibration-rows.ts';
import { WINDOW_S } from './calibration-rows.ts';
import type { Clip } from './clips.ts';
import { makeReference, rungOf, runIdle, sizeOf } from './clips.ts';
import { encodeAsLive } from './live-encode.ts';
import { measurePictures } from './picture-quality.ts';
import type { QualityTools } from './quality-tools.ts';
import { ToolError } from './quality-tools.ts';
import { tempFolder } from '../support/temp-folder.ts';

export type CalibrationJob = {
  readonly tools: QualityTools;
  readonly clip: Clip;
  readonly lines: number;
  readonly presets: readonly Preset[];
  readonly crfs: readonly number[];
  /** From the beginning of the clip. */
  readonly durationS: number;
};

/** Takes some minutes of one core for each clip and size. Rejects with `ToolError`. */
export const measureClip = async (job: CalibrationJob): Promise<CalibrationRow[]> => {
  const { tools, clip, durationS } = job;
  const folder = tempFolder('calibrate');
  try {
    const referencePath = join(folder, 'reference.mkv');
    const size = sizeOf(clip, job.lines);
    await makeReference({ tools, clip, ...size, durationS, path: referencePath });
    const temporal = await measureContent(tools, referencePath);
    const rows: CalibrationRow[] = [];
    for (const preset of job.presets) {
      for (const crf of job.crfs) {
        const rung = rungOf({ ...size, frameRateFps: clip.frameRateFps, preset, crf });
        rows.push(...(await measureEncoding({ tools, clip, folder, referencePath, rung, temporal })));
      }
    }
    return rows;
  } finally {
    await rm(folder, { recursive: true });
  }
};

/** TI of each picture. */
const measureContent = async (tools: QualityTools, path: string): Promise<number[]> => {
  const filters = `scale=-2:${CONTENT_SIDE_PX}:flags=bicubic,siti,metadata=print:file=-`;
  const told = await runIdle(tools.ffmpegPath, ['-threads', '1', '-i', path, '-vf', filters, '-f', 'null', '-']);
  return [...told.matchAll(/siti\.ti=([\d.]+)/g)].map((match) => Number(match[1]));
};

type EncodingJob = {
  readonly tools: QualityTools;
  readonly clip: Clip;
  readonly folder: string;
  readonly referencePath: string;
  readonly rung: Rung;
  readonly temporal: readonly number[];
};

const measureEncoding = async (job: EncodingJob): Promise<CalibrationRow[]> => {
  const { tools, clip, folder, referencePath, rung, temporal } = job;
  const [outputPath, logPath] = [join(folder, 'encoded.264'), join(folder, 'x264.log')];
  await encodeAsLive({ tools, inputPath: referencePath, rung, outputPath, logPath });
  const pictures = readPictures(await readFile(logPath, 'utf8'));
  const { widthPx, heightPx } = rung;
  const { vmaf } = await measurePictures({ tools, encodedPath: outputPath, referencePath, widthPx, heightPx });
  if (vmaf === undefined) {
    throw new ToolError(tools.ffmpegPath, 'has no libvmaf, without which nothing can be calibrated');
  }
  const windowCount = Math.round(WINDOW_S * rung.frameRateFps);
  const rows: CalibrationRow[] = [];
  for (let from = 0; from + windowCount / 2 <= pictures.length; from += windowCount) {
    const [own, scores] = [pictures, vmaf.frames].map((all) => all.slice(from, from + windowCount)) as [
      Picture[],
      number[],
    ];
    rows.push({
      ...{ clip: clip.name, lines: rung.heightPx, preset: rung.preset, windowIndex: from / windowCount },
      vmaf: meanOf(scores),
      point: {
        ...{ crf: rung.crf, widthPx, heightPx, report: reportOf(own) },
        content: { temporalInfo: meanOf(temporal.slice(from, from + windowCount)) },
      },
    });
  }
  return rows;
};

type Picture = {
  readonly isKeyframe: boolean;
  readonly qp: number;
  readonly bytes: number;
  readonly intraRatio: number;
  readonly skipRatio: number;
  readonly psnrDb: number;
  readonly ssimRatio: number;
};

/** One line a picture, which is what x264 sums up at its end. */
const PICTURE_LINE =
  /QP=([\d.]+) NAL=\d Slice:(.) .*?I:(\d+) +P:(\d+) +SKIP:(\d+) +size=(\d+) bytes PSNR Y:([\d.]+|inf) .*SSIM Y:([\d.]+)/g;

const readPictures = (log: string): Picture[] =>
  [...log.matchAll(PICTURE_LINE)].map(([, qp, slice, intra, inter, skip, bytes, psnr, ssim]) => {
    const blockCount = Number(intra) + Number(inter) + Number(skip);
    return {
      ...{ isKeyframe: slice === 'I', qp: Number(qp), bytes: Number(bytes) },
      ...{ intraRatio: Number(intra) / blockCount, skipRatio: Number(skip) / blockCount },
      ...{ psnrDb: psnr === 'inf' ? 60 : Math.min(60, Number(psnr)), ssimRatio: Number(ssim) },
    };
  });

const reportOf = (all: readonly Picture[]): X264Report => {
  const keyframes = all.filter(({ isKeyframe }) => isKeyframe);
  const pictures = all.filter(({ isKeyframe }) => !isKeyframe);
  const mean = (of: readonly Picture[], key: Exclude<keyof Picture, 'isKeyframe'>): number =>
    meanOf(of.map((picture) => picture[key]));
  return {
    ...{ keyframeCount: keyframes.length, pictureCount: pictures.length },
    ...{ keyframeQp: mean(keyframes, 'qp'), pictureQp: mean(pictures, 'qp') },
    ...{ keyframeBytes: mean(keyframes, 'bytes'), pictureBytes: mean(pictures, 'bytes') },
    ...{ intraRatio: mean(pictures, 'intraRatio'), skipRatio: mean(pictures, 'skipRatio') },
    ...{ psnrDb: mean(all, 'psnrDb'), ssimRatio: mean(all, 'ssimRatio') },
  };
};

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
