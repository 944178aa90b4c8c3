/**
 * The instrument measured against itself. `readKnownVideo`: pictures with known stamps, encoded small and badly (CRF 35), played
 * by Chromium; each reading is compared with what was painted. `measureLoop`: a page draws the stamp into a canvas and plays
 * that canvas as a live stream in a `<video>`: all of the latency it reads is the instrument's own (and the canvas's frame).
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { openPage } from '../../support/browser.ts';
import { analyseFrames, percentile, type FrameReport } from './frame-analysis.ts';
import { findFlashes, pairOffsets, startSoundProbe, takeBeeps } from './lip-sync.ts';
import { servePages } from '../../support/page-server.ts';
import { Publisher } from '../source/publisher.ts';
import { STAMP_MODULUS_MS, stampChecksum } from '../source/stamp.ts';
import { STAMP_READER_SCRIPT, readElement, takeFrames, type ReadFrame } from './stamp-reader.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { passMs, within } from '../../support/wait.ts';

export type KnownVideoReport = {
  readonly frameCount: number;
  readonly wrongCount: number;
  readonly unreadableCount: number;
  /** Beep against flash of a file where both are in step: the probe's own offset. */
  readonly soundOffsetP50Ms: number;
  readonly soundOffsetsMs: readonly number[];
};

const CALIBRATION_FPS = 30;
const STREAM_LOOK_MS = 6_000;
/** A machine with too much to do shows few of 60 frames a second. */
const SLOW_MAX_RATIO = 8;
/** Stamps that are far apart, so that each frame flips many blocks. */
const STAMP_STEP_MS = 7_919_003;
const STAMP_BASE_MS = 1_000_000_000;

export type KnownVideoOptions = {
  readonly frameCount: number;
  /** Plays it again and again until so many frames were read; else it is played once. */
  readonly readMinCount?: number;
  /** Default 30. */
  readonly frameRateFps?: number;
  /** Before the encoder: down to 240 lines and up again, and denoised in space and time. */
  readonly isDegraded?: boolean;
};

/** Plays known frames of 640x360 at CRF 35. Takes as long as they play. */
export const readKnownVideo = async (options: KnownVideoOptions): Promise<KnownVideoReport> => {
  const folder = tempFolder('lab');
  const file = path.join(folder, 'known.mp4');
  try {
    await Publisher.encode({
      ...{ widthPx: 640, heightPx: 360, frameRateFps: options.frameRateFps ?? CALIBRATION_FPS, noiseRatio: 0.4 },
      ...{ withSound: true, audioLeadMs: 0, frameCount: options.frameCount },
      fixedStamps: { baseMs: STAMP_BASE_MS, stepMs: STAMP_STEP_MS },
      outputArgs: [
        ...(options.isDegraded === true ? ['-vf', 'scale=426:240,hqdn3d=4:3:6:4.5,scale=640:360'] : []),
        ...['-c:v', 'libx264', '-preset', 'veryfast', '-crf', '35', '-g', '60', '-pix_fmt', 'yuv420p'],
        ...['-c:a', 'aac', '-b:a', '128k', '-movflags', '+faststart', '-y', file],
      ],
    });
    const pages = await servePages({
      '/': { type: 'text/html', body: '<video src="/known.mp4" muted playsinline preload="auto"></video>' },
      '/known.mp4': { type: 'video/mp4', file },
    });
    try {
      return await playKnownVideo(pages.url, options);
    } finally {
      await pages.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

const playKnownVideo = async (url: string, options: KnownVideoOptions): Promise<KnownVideoReport> => {
  const frameRateFps = options.frameRateFps ?? CALIBRATION_FPS;
  const opened = await openPage({ scripts: [STAMP_READER_SCRIPT] });
  try {
    await opened.page.goto(url);
    await within(10_000, 'the known video is loaded', async () => (await readElement(opened.page)).readyState >= 3);
    await startSoundProbe(opened.page);
    const frames: ReadFrame[] = [];
    const durationMs = (Math.max(options.frameCount, options.readMinCount ?? 0) * 1000) / frameRateFps;
    await opened.page.evaluate(async (isLooped) => {
      const video = document.querySelector('video')!;
      video.loop = isLooped;
      await video.play();
    }, options.readMinCount !== undefined);
    await within(durationMs * SLOW_MAX_RATIO + 20_000, 'the known video is read', async () => {
      frames.push(...(await takeFrames(opened.page)));
      return options.readMinCount === undefined
        ? opened.page.evaluate(() => document.querySelector('video')!.ended)
        : frames.length >= options.readMinCount;
    });
    frames.push(...(await takeFrames(opened.page)));
    const offsetsMs = pairOffsets(findFlashes(frames), await takeBeeps(opened.page));
    return {
      frameCount: frames.length,
      wrongCount: frames.filter((frame) => isWrong(frame, frameRateFps)).length,
      unreadableCount: frames.filter((frame) => frame.stamp === null).length,
      soundOffsetP50Ms: percentile(offsetsMs, 0.5),
      soundOffsetsMs: offsetsMs,
    };
  } finally {
    await opened.close();
  }
};

const isWrong = (frame: ReadFrame, frameRateFps: number): boolean => {
  const index = Math.round(frame.mediaTimeS * frameRateFps);
  return frame.stamp !== null && frame.stamp !== (STAMP_BASE_MS + index * STAMP_STEP_MS) % STAMP_MODULUS_MS;
};

/**
 * Beep against flash made at one instant in the page and played as one `MediaStream`: what the sound probe adds by itself where an
 * element plays a stream.
 */
export const soundOffsetOfStreamMs = async (): Promise<number> => {
  const pages = await servePages({ '/': { type: 'text/html', body: '<video muted autoplay playsinline></video>' } });
  const opened = await openPage({ scripts: [STAMP_READER_SCRIPT] });
  try {
    await opened.page.goto(pages.url);
    await opened.page.evaluate(flashAndBeep);
    await within(5_000, 'the loop plays', async () => (await readElement(opened.page)).totalFrameCount > 5);
    await startSoundProbe(opened.page);
    await passMs(1_000);
    await Promise.all([takeBeeps(opened.page), takeFrames(opened.page)]);
    await passMs(STREAM_LOOK_MS);
    const flashesMs = findFlashes(await takeFrames(opened.page));
    return percentile(pairOffsets(flashesMs, await takeBeeps(opened.page)), 0.5);
  } finally {
    await opened.close();
    await pages.close();
  }
};

/** A little more than the known video needs to hold four beeps. */
const CALIBRATION_FRAME_COUNT = 150;
const probeOffsets = new Map<boolean, Promise<number>>();

/** What the sound probe adds by itself on an element that plays a WebRTC stream, or media source; measured once a process. */
export const soundProbeOffsetMs = async (isStream: boolean): Promise<number> => {
  const offset =
    probeOffsets.get(isStream) ??
    (isStream
      ? soundOffsetOfStreamMs()
      : readKnownVideo({ frameCount: CALIBRATION_FRAME_COUNT }).then((report) => report.soundOffsetP50Ms));
  probeOffsets.set(isStream, offset);
  return offset;
};

/** Runs in the page: each second 100 ms of white and of 1 kHz. */
const flashAndBeep = async (): Promise<void> => {
  const canvas = document.createElement('canvas');
  canvas.width = 640;
  canvas.height = 360;
  const context = canvas.getContext('2d')!;
  const audio = new AudioContext({ latencyHint: 'interactive' });
  await audio.resume();
  const sound = audio.createMediaStreamDestination();
  const stream = new MediaStream([...canvas.captureStream(0).getVideoTracks(), ...sound.stream.getAudioTracks()]);
  let second = -1;
  const draw = (): void => {
    const nowMs = performance.timeOrigin + performance.now();
    const isOn = nowMs % 1000 < 100;
    if (isOn && second !== Math.floor(nowMs / 1000)) {
      second = Math.floor(nowMs / 1000);
      const tone = new OscillatorNode(audio, { frequency: 1000 });
      tone.connect(sound);
      tone.start();
      tone.stop(audio.currentTime + 0.1);
    }
    context.fillStyle = isOn ? '#fff' : '#000';
    context.fillRect(0, 0, 640, 360);
    (stream.getVideoTracks()[0] as CanvasCaptureMediaStreamTrack).requestFrame();
  };
  setInterval(draw, 1000 / 30);
  document.querySelector('video')!.srcObject = stream;
};

/** A canvas with the stamp, drawn 30 times a second, played through a `MediaStream` in the same page. */
export const measureLoop = async (durationMs: number): Promise<FrameReport> => {
  const pages = await servePages({ '/': { type: 'text/html', body: '<video muted autoplay playsinline></video>' } });
  const opened = await openPage({ scripts: [STAMP_READER_SCRIPT] });
  try {
    await opened.page.goto(pages.url);
    await opened.page.evaluate(`(${drawStampedCanvas.toString()})(${stampChecksum.toString()})`);
    await within(5_000, 'the loop plays', async () => (await readElement(opened.page)).totalFrameCount > 5);
    await takeFrames(opened.page);
    await passMs(durationMs);
    return analyseFrames(await takeFrames(opened.page));
  } finally {
    await opened.close();
    await pages.close();
  }
};

/** Runs in the page. */
const drawStampedCanvas = (checksum: (value: number) => number): void => {
  const canvas = document.createElement('canvas');
  canvas.width = 640;
  canvas.height = 360;
  const context = canvas.getContext('2d')!;
  const stream = canvas.captureStream(0);
  const draw = (): void => {
    const value = Math.floor(performance.timeOrigin + performance.now()) % 2 ** 24;
    const crc = checksum(value);
    context.fillStyle = '#000';
    context.fillRect(0, 0, 640, 360);
    context.fillStyle = '#fff';
    for (let k = 0; k < 32; k += 1) {
      if ((k < 24 ? (value >> (23 - k)) & 1 : (crc >> (31 - k)) & 1) === 1) {
        context.fillRect((k % 16) * 40, Math.floor(k / 16) * 40, 40, 40);
      }
    }
    (stream.getVideoTracks()[0] as CanvasCaptureMediaStreamTrack).requestFrame();
  };
  setInterval(draw, 1000 / 30);
  const video = document.querySelector('video')!;
  video.srcObject = stream;
};
