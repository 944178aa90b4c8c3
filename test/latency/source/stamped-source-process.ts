/**
 * A process of its own (so that a test's own work never delays pictures): paints frames and sound at real-time pace, stamps
 * each frame with the wall clock at the instant it is handed to ffmpeg, and runs the ffmpeg that encodes and pushes. Frame n is
 * due at start + n/fps; when ffmpeg does not take frames in time, later ones are stamped later, never left out, so that picture
 * and sound stay in step. Started by `publisher.ts`, which passes its options as JSON and receives messages over IPC.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { systemClock } from '../../../server/base/clock.ts';
import { within } from '../../support/wait.ts';
import { ClipReader } from './clip-reader.ts';
import { FramePainter, SAMPLE_RATE_HZ, beepSamples, type PictureOptions } from './frame-painter.ts';
import { WHIP_AUDIO_ADDRESS, WHIP_VIDEO_ADDRESS } from './presets.ts';
import { startWhipPusher, type WhipPusher } from './whip-pusher.ts';

export type SourceOptions = PictureOptions & {
  readonly withSound: boolean;
  /** Sound is handed over this much before its pictures: 0 as an encoder with one clock would. */
  readonly audioLeadMs: number;
  /** What follows ffmpeg's inputs: encoders, muxer, address. The addresses of `presets.ts` stand for the WHIP client's. */
  readonly outputArgs: readonly string[];
  /** Publishes by WHIP what ffmpeg sends to those addresses. */
  readonly whipUrl?: string;
  /** A file whose pictures are shown, instead of the generated texture. */
  readonly clip?: string;
  /** Overrides the wall clock by `base + n * step`: for proofs of the reader. */
  readonly fixedStamps?: { readonly baseMs: number; readonly stepMs: number };
  /** As fast as ffmpeg takes them, this many frames; undefined is real time without end. */
  readonly frameCount?: number;
};

export type SourceMessage =
  | { readonly type: 'started'; readonly ffmpegPid: number }
  | { readonly type: 'first-frame'; readonly atWallMs: number }
  /** Once a second: the greatest lateness of a frame, and the stamps of the frames since the last message. */
  | {
      readonly type: 'progress';
      readonly frameCount: number;
      readonly lateMaxMs: number;
      readonly stampsMs: readonly number[];
    }
  | { readonly type: 'ended'; readonly exitCode: number | null; readonly stderrTail: string };

const STDERR_TAIL_CHARACTERS = 4_000;
const CLIP_FIRST_MAX_MS = 10_000;
const START_IN_MS = 50;

const tell = (message: SourceMessage): void => {
  if (process.connected) {
    process.send?.(message);
  }
};

const inputArgs = (options: SourceOptions): string[] => [
  ...['-hide_banner', '-loglevel', 'warning', '-nostats'],
  // Never `nobuffer`: it throws the first frame away. No input thread for a single input: it polls every 10 ms.
  ...['-probesize', '32', '-analyzeduration', '0'],
  ...['-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-s', `${options.widthPx}x${options.heightPx}`],
  ...['-framerate', String(options.frameRateFps), '-i', 'pipe:0'],
  ...(options.withSound ? ['-probesize', '32', '-analyzeduration', '0', '-channel_layout', 'stereo'] : []),
  ...(options.withSound ? ['-f', 's16le', '-ar', String(SAMPLE_RATE_HZ), '-ac', '2', '-i', 'pipe:3'] : []),
];

const writeAll = async (pipe: Writable, chunk: Buffer): Promise<void> => {
  if (!pipe.write(chunk) && !pipe.destroyed) {
    const stop = new AbortController();
    const { signal } = stop;
    await Promise.race([once(pipe, 'drain', { signal }), once(pipe, 'close', { signal })]).catch(() => undefined);
    stop.abort();
  }
};

const toOutputArgs = (options: SourceOptions, whip: WhipPusher | undefined): string[] =>
  options.outputArgs.map((argument) => {
    const addresses: Record<string, string | undefined> = {
      [WHIP_VIDEO_ADDRESS]: whip?.videoUrl,
      [WHIP_AUDIO_ADDRESS]: whip?.audioUrl,
    };
    return addresses[argument] ?? argument;
  });

const openClip = async (options: SourceOptions): Promise<ClipReader | undefined> => {
  if (options.clip === undefined) {
    return undefined;
  }
  const clip = new ClipReader({ ...options, path: options.clip });
  process.on('exit', () => clip.close());
  await within(CLIP_FIRST_MAX_MS, 'the first picture of the clip', () => {
    if (clip.failure !== undefined) {
      throw new Error(`${options.clip}: ${clip.failure}`);
    }
    return clip.next() !== undefined;
  });
  return clip;
};

const run = async (options: SourceOptions): Promise<void> => {
  const clip = await openClip(options);
  const whip =
    options.whipUrl === undefined
      ? undefined
      : await startWhipPusher({ url: options.whipUrl, withSound: options.withSound });
  const ffmpeg = spawn('ffmpeg', [...inputArgs(options), ...toOutputArgs(options, whip)], {
    stdio: ['pipe', 'ignore', 'pipe', options.withSound ? 'pipe' : 'ignore'],
  });
  let stderrTail = '';
  ffmpeg.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderrTail = (stderrTail + text).slice(-STDERR_TAIL_CHARACTERS);
  });
  const audio = options.withSound ? (ffmpeg.stdio[3] as Writable) : undefined;
  ffmpeg.stdin!.on('error', () => undefined);
  audio?.on('error', () => undefined);
  const life = { isOver: false };
  ffmpeg.on('exit', (exitCode) => {
    life.isOver = true;
    tell({ type: 'ended', exitCode, stderrTail });
    void (whip?.close() ?? Promise.resolve()).finally(() => setTimeout(() => process.exit(0), 50));
  });
  ffmpeg.on('error', (error) => {
    tell({ type: 'ended', exitCode: null, stderrTail: error.message });
    process.exit(1);
  });
  // The parent died or let go: nobody would stop ffmpeg.
  process.on('disconnect', () => {
    ffmpeg.kill('SIGKILL');
    process.exit(0);
  });
  // A signal alone does not do: ffmpeg waits at its end for both of its readers, and one of them for sound that this process
  // would hand over only after a picture that nobody reads any more.
  process.on('message', () => {
    ffmpeg.kill('SIGTERM');
    ffmpeg.stdin!.destroy();
    audio?.destroy();
  });
  tell({ type: 'started', ffmpegPid: ffmpeg.pid ?? -1 });

  const painter = new FramePainter(options);
  const startMs = systemClock.nowMs() + START_IN_MS;
  whip?.begin(systemClock.wallMs() + START_IN_MS);
  let sampleCount = 0;
  let lateMaxMs = 0;
  let stampsMs: number[] = [];
  const feedSound = async (untilMs: number): Promise<void> => {
    const untilSample = Math.round(((untilMs + options.audioLeadMs) * SAMPLE_RATE_HZ) / 1000);
    if (audio !== undefined && untilSample > sampleCount) {
      const chunk = beepSamples(sampleCount, untilSample - sampleCount);
      sampleCount = untilSample;
      await writeAll(audio, chunk);
    }
  };
  for (let n = 0; !life.isOver && (options.frameCount === undefined || n < options.frameCount); n += 1) {
    const dueMs = startMs + (n * 1000) / options.frameRateFps;
    const waitMs = dueMs - systemClock.nowMs();
    if (options.frameCount === undefined && waitMs > 0) {
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
    lateMaxMs = Math.max(lateMaxMs, systemClock.nowMs() - dueMs);
    // Sound of the moment that this picture begins was already played when a camera hands the picture over.
    await feedSound(((n + 1) * 1000) / options.frameRateFps);
    const fixed = options.fixedStamps;
    const stampMs = fixed === undefined ? systemClock.wallMs() : fixed.baseMs + n * fixed.stepMs;
    stampsMs.push(Math.floor(stampMs));
    await writeAll(ffmpeg.stdin!, painter.paint(n, stampMs, clip?.next()));
    if (n === 0) {
      tell({ type: 'first-frame', atWallMs: stampMs });
    }
    if (n % options.frameRateFps === options.frameRateFps - 1) {
      tell({ type: 'progress', frameCount: n + 1, lateMaxMs, stampsMs });
      lateMaxMs = 0;
      stampsMs = [];
    }
  }
  ffmpeg.stdin!.end();
  audio?.end();
};

if (process.argv[2] !== undefined) {
  try {
    await run(JSON.parse(process.argv[2]) as SourceOptions);
  } catch (error) {
    tell({ type: 'ended', exitCode: null, stderrTail: String(error) });
    setTimeout(() => process.exit(1), 50);
  }
}
