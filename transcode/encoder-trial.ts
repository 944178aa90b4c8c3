/** A test encode: does ffmpeg with this encoder make, of two seconds of pictures, what a rung must be? */
import { existsSync } from 'node:fs';
import { messageOf } from '../server/base/errors.ts';
import { NutReader } from '../server/media/nut/nut-reader.ts';
import type { TryEncoder } from './encoder-finder.ts';
import { runFfmpegOnce } from './ffmpeg-process.ts';
import type { LadderEncoder } from './hardware-args.ts';
import { deviceArgs } from './hardware-args.ts';
import { ladderGraph, ladderOutputs } from './ladder-args.ts';
import type { Rung } from './ladder-plan.ts';
import { isMadeInAnnexB, madePayload, madeTrack } from './made-tracks.ts';

const [WIDTH_PX, HEIGHT_PX, FPS, COUNT] = [640, 360, 6, 12];
const TIMEOUT_MS = 10_000;

const RUNG: Omit<Rung, 'encoder'> = {
  id: 'h360',
  codec: 'h264',
  widthPx: WIDTH_PX,
  heightPx: HEIGHT_PX,
  frameDivisor: 1,
  frameRateFps: FPS,
  crf: 23,
  bitrateMaxBps: 1_000_000,
  preset: 'superfast',
  sliceCount: 1,
};

/** With a hardware encoder, or with software for comparison. */
export const createEncoderTrial =
  (ffmpegPath: string): ((encoder: LadderEncoder) => ReturnType<TryEncoder>) =>
  async (encoder) => {
    const job = {
      rungs: [{ ...RUNG, encoder }],
      keyframes: 'whole-seconds',
      sourceFrameRateFps: FPS,
      encodeFromMs: 0,
    } as const;
    const missing = process.platform === 'linux' ? DEVICES[encoder] : undefined;
    if (missing !== undefined && !existsSync(missing)) {
      return `there is no ${missing}`;
    }
    try {
      const made = await runFfmpegOnce({
        ffmpegPath,
        inputArgs: [
          ...['-hide_banner', '-nostdin', '-loglevel', 'error', ...deviceArgs(encoder), '-f', 'rawvideo'],
          ...['-pix_fmt', 'yuv420p', '-video_size', `${WIDTH_PX}x${HEIGHT_PX}`, '-framerate', String(FPS)],
        ],
        filterGraph: ladderGraph(job),
        outputs: ladderOutputs(job),
        input: pictures(),
        timeoutMs: TIMEOUT_MS,
      });
      return faultOf(made);
    } catch (error) {
      return messageOf(error).split('\n')[0];
    }
  };

/** Without it nothing need be started to know, on Linux. */
const DEVICES: Readonly<Partial<Record<LadderEncoder, string>>> = {
  nvenc: '/dev/nvidiactl',
  qsv: '/dev/dri',
  vaapi: '/dev/dri',
};

/** Of changing grey. */
const pictures = (): Uint8Array => {
  const bytesEach = (WIDTH_PX * HEIGHT_PX * 3) / 2;
  const all = new Uint8Array(bytesEach * COUNT).fill(128);
  for (let index = 0; index < COUNT; index += 1) {
    all.fill(40 + 12 * index, index * bytesEach, index * bytesEach + WIDTH_PX * HEIGHT_PX);
  }
  return all;
};

/** Every picture, in order, with keyframes at the two whole seconds and nowhere else, in a form that we can hand on. */
const faultOf = (made: Uint8Array): string | undefined => {
  const frames = new NutReader().push(made);
  const [first] = frames;
  if (first === undefined || frames.length !== COUNT) {
    return `made ${frames.length} of ${COUNT} pictures`;
  }
  if (frames.some(({ ptsTicks }, index) => index > 0 && ptsTicks <= (frames[index - 1]?.ptsTicks ?? 0))) {
    return 'makes pictures out of order';
  }
  const keyframes = frames.flatMap(({ isKeyframe }, index) => (isKeyframe ? [index] : []));
  if (keyframes.join() !== `0,${FPS}`) {
    return `made keyframes at pictures ${keyframes.join(', ')}, expected 0 and ${FPS}`;
  }
  const track = madeTrack(first.stream, first.payload, 0);
  const hasPictures = frames.every(
    ({ stream, payload }) => madePayload(track, payload, isMadeInAnnexB(stream, payload)).byteLength > 0,
  );
  return hasPictures ? undefined : 'made empty pictures';
};
