/** JPEG sheets of small pictures from a few keyframes: what a storyboard is made of. ffmpeg at the lowest priority, one thread. */
import { runFfmpegOnce } from './ffmpeg-process.ts';

export type SheetJob = {
  /** A fragmented MP4 of keyframes. */
  readonly media: Uint8Array;
  /** Of each picture. */
  readonly widthPx: number;
  readonly heightPx: number;
  readonly columnCount: number;
  readonly rowCount: number;
};

/** MJPEG's scale of 2 (best) to 31: at 5 a sheet of 100 has about 200 kB. */
const JPEG_QUALITY = 5;
/** Nobody waits for it; a machine under load may take its time. */
const TIMEOUT_MS = 120_000;

/** Resolves to the JPEG. Rejects with `WorldError` `FFMPEG_MISSING`, `FFMPEG_EXITED` or `FFMPEG_SILENT`. */
export const makeSheet = async (ffmpegPath: string, job: SheetJob): Promise<Uint8Array> => {
  const { widthPx, heightPx, columnCount, rowCount } = job;
  // One size for all, also where the encoder changed it; pictures of another shape get bars.
  const fit = `scale=${widthPx}:${heightPx}:force_original_aspect_ratio=decrease`;
  const pad = `pad=${widthPx}:${heightPx}:-1:-1`;
  return runFfmpegOnce({
    ffmpegPath,
    input: job.media,
    inputArgs: ['-threads', '1', '-f', 'mov'],
    outputs: [
      [
        ...['-an', '-vf', `${fit},${pad},tile=${columnCount}x${rowCount},format=yuvj420p`],
        ...['-frames:v', '1', '-threads', '1', '-q:v', String(JPEG_QUALITY), '-f', 'mjpeg'],
      ],
    ],
    timeoutMs: TIMEOUT_MS,
  });
};
