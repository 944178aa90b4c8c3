/**
 * Reads the clock in the picture as Chromium presents it. A script injected into the page finds the playing `<video>` wherever
 * it is (the player's is inside a shadow root, and may be replaced by another), and for each presented frame
 * (`requestVideoFrameCallback`) draws the top of the picture small, reads the 32 blocks and checks their CRC, and that it was this
 * very frame that it drew.
 * The frames are collected in the page and taken over with `takeFrames`; what they mean is `frame-analysis.ts`'s business.
 */
import type { Page } from 'playwright-core';

/** One presented frame. */
export type ReadFrame = {
  /** Unix ms at which the compositor expects the frame on the glass; never before it was handed over. */
  readonly shownAtWallMs: number;
  /** Unix ms at which the frame was handed to the compositor. */
  readonly submittedAtWallMs: number;
  /** Unix ms at which the script read the picture. */
  readonly readAtWallMs: number;
  /** The stamp, modulo 2^24; null where the blocks do not read clearly or the CRC is wrong. */
  readonly stamp: number | null;
  readonly mediaTimeS: number;
  /** Counts all presented frames of the element, also those this script did not see. */
  readonly presentedCount: number;
  readonly widthPx: number;
  readonly heightPx: number;
  /** Mean brightness (0–255) of the bar that flashes when a second begins. */
  readonly flashLuma: number;
  /** Counts the `<video>` elements that this page played, from 0. */
  readonly elementIndex: number;
  /** The last time since the frame before in which the script did not run for 60 ms or more: what was shown then went unseen. */
  readonly scriptAway: { readonly fromWallMs: number; readonly toWallMs: number } | null;
};

export type ElementState = {
  readonly hasVideo: boolean;
  readonly isPaused: boolean;
  readonly isMuted: boolean;
  readonly readyState: number;
  readonly currentTimeS: number;
  /** `srcObject`: WebRTC; `src`: anything else. */
  readonly sourceKind: 'srcObject' | 'src' | 'none';
  readonly droppedFrameCount: number;
  readonly totalFrameCount: number;
  readonly nowWallMs: number;
};

type ReaderWindow = {
  sluiceReader: {
    takeFrames(): ReadFrame[];
    state(): ElementState;
    video(): HTMLVideoElement | null;
    /** Of the picture that the element in front holds in this instant. */
    stampNow(): number | null;
  };
};

/** Runs in the page. Nothing from outside its own text may be used here. */
const installReader = (): void => {
  const COLUMNS = 16;
  const CELL = 8;
  /** A block must be this clearly black or white: the CRC alone lets one error in 256 pass. */
  const MARGIN = 24;
  const FRAMES_MAX = 200_000;
  /** Three beats. */
  const AWAY_MIN_MS = 60;
  let frames: ReadFrame[] = [];
  let current: HTMLVideoElement | null = null;
  let elementIndex = -1;
  const known = new WeakSet<HTMLVideoElement>();
  let correctionMs = 0;
  let beatAtMs = performance.now();
  let away: ReadFrame['scriptAway'] = null;

  const beat = (): void => {
    const nowMs = performance.now();
    if (nowMs - beatAtMs >= AWAY_MIN_MS) {
      away = { fromWallMs: wallOffsetMs() + beatAtMs, toWallMs: wallOffsetMs() + nowMs };
    }
    beatAtMs = nowMs;
  };

  const wallOffsetMs = (): number => {
    const off = Date.now() - (performance.timeOrigin + performance.now() + correctionMs);
    if (Math.abs(off) > 2) {
      correctionMs += off;
    }
    return performance.timeOrigin + correctionMs;
  };

  const findVideos = (root: Document | ShadowRoot): HTMLVideoElement[] =>
    [...root.querySelectorAll('*')].flatMap((element) =>
      element instanceof HTMLVideoElement
        ? [element]
        : element.shadowRoot === null
          ? []
          : findVideos(element.shadowRoot),
    );

  /** A player may prepare one element behind another; the one in front carries the class `shown`. */
  const inFront = (videos: readonly HTMLVideoElement[]): HTMLVideoElement | null =>
    videos.find((video) => video.classList.contains('shown')) ?? videos[0] ?? null;

  const canvas = new OffscreenCanvas(COLUMNS * CELL, 3 * CELL);
  const context = canvas.getContext('2d', { willReadFrequently: true });

  const crc8 = (value: number): number => {
    let crc = 0xff;
    for (let shift = 16; shift >= 0; shift -= 8) {
      crc ^= (value >> shift) & 0xff;
      for (let bit = 0; bit < 8; bit += 1) {
        crc = (crc & 0x80) === 0 ? (crc << 1) & 0xff : ((crc << 1) ^ 0x07) & 0xff;
      }
    }
    return crc;
  };

  /** Mean luma of the middle half of a cell. */
  const cellLuma = (pixels: Uint8ClampedArray, column: number, row: number): number => {
    let sum = 0;
    for (let y = row * CELL + CELL / 4; y < row * CELL + (CELL * 3) / 4; y += 1) {
      for (let x = column * CELL + CELL / 4; x < column * CELL + (CELL * 3) / 4; x += 1) {
        const at = (y * COLUMNS * CELL + x) * 4;
        sum += 0.299 * pixels[at]! + 0.587 * pixels[at + 1]! + 0.114 * pixels[at + 2]!;
      }
    }
    return sum / (CELL / 2) ** 2;
  };

  const readPicture = (video: HTMLVideoElement): { stamp: number | null; flashLuma: number } => {
    const width = video.videoWidth;
    const height = video.videoHeight;
    const block = Math.floor(height / 9);
    context!.drawImage(video, 0, 0, width, block * 2, 0, 0, COLUMNS * CELL, 2 * CELL);
    context!.drawImage(video, 0, block * 7, width, height - block * 7, 0, 2 * CELL, COLUMNS * CELL, CELL);
    const pixels = context!.getImageData(0, 0, COLUMNS * CELL, 3 * CELL).data;
    let value = 0;
    let crc = 0;
    let isClear = true;
    for (let k = 0; k < 32; k += 1) {
      const luma = cellLuma(pixels, k % COLUMNS, Math.floor(k / COLUMNS));
      isClear &&= Math.abs(luma - 128) >= MARGIN;
      const bit = luma >= 128 ? 1 : 0;
      if (k < 24) {
        value = value * 2 + bit;
      } else {
        crc = crc * 2 + bit;
      }
    }
    let flash = 0;
    for (let column = 1; column < COLUMNS - 1; column += 1) {
      flash += cellLuma(pixels, column, 2);
    }
    return { stamp: isClear && crc8(value) === crc ? value : null, flashLuma: flash / (COLUMNS - 2) };
  };

  /**
   * The media time of the picture that would be drawn now. Between the callback and the drawing the compositor may already have
   * taken the next picture; then the stamp would be read of one frame and the times be those of another. NaN where the page's origin
   * is not trusted with `VideoFrame`.
   */
  const pictureTimeUs = (video: HTMLVideoElement): number => {
    if (typeof VideoFrame === 'undefined') {
      return Number.NaN;
    }
    try {
      const picture = new VideoFrame(video);
      picture.close();
      return picture.timestamp;
    } catch {
      // The element has just let go of its picture: whatever is drawn, it is not the frame that was announced.
      return Number.POSITIVE_INFINITY;
    }
  };

  const isOvertaken = (video: HTMLVideoElement, mediaTimeS: number): boolean =>
    Math.abs(pictureTimeUs(video) - mediaTimeS * 1_000_000) > 500;

  const watch = (video: HTMLVideoElement, index: number): void => {
    const onFrame = (_now: number, metadata: VideoFrameCallbackMetadata): void => {
      video.requestVideoFrameCallback(onFrame);
      look();
      if (video !== current) {
        return;
      }
      const offsetMs = wallOffsetMs();
      const readAtWallMs = offsetMs + performance.now();
      const wasOvertaken = isOvertaken(video, metadata.mediaTime);
      const picture = readPicture(video);
      // One that was overtaken counts as one that the script did not see.
      if (frames.length < FRAMES_MAX && !wasOvertaken && !isOvertaken(video, metadata.mediaTime)) {
        frames.push({
          shownAtWallMs: offsetMs + Math.max(metadata.expectedDisplayTime, metadata.presentationTime),
          submittedAtWallMs: offsetMs + metadata.presentationTime,
          readAtWallMs,
          stamp: picture.stamp,
          mediaTimeS: metadata.mediaTime,
          presentedCount: metadata.presentedFrames,
          widthPx: metadata.width,
          heightPx: metadata.height,
          flashLuma: picture.flashLuma,
          elementIndex: index,
          scriptAway: away,
        });
        away = null;
      }
    };
    video.requestVideoFrameCallback(onFrame);
  };

  const look = (): void => {
    beat();
    const videos = findVideos(document);
    for (const video of videos) {
      if (!known.has(video)) {
        known.add(video);
        elementIndex += 1;
        watch(video, elementIndex);
      }
    }
    current = inFront(videos);
  };
  setInterval(look, 20);

  const state = (): ElementState => {
    const quality = current?.getVideoPlaybackQuality();
    return {
      hasVideo: current !== null,
      isPaused: current?.paused ?? true,
      isMuted: current?.muted ?? true,
      readyState: current?.readyState ?? 0,
      currentTimeS: current?.currentTime ?? 0,
      sourceKind:
        current === null || (current.srcObject === null && current.currentSrc === '')
          ? 'none'
          : current.srcObject === null
            ? 'src'
            : 'srcObject',
      droppedFrameCount: quality?.droppedVideoFrames ?? 0,
      totalFrameCount: quality?.totalVideoFrames ?? 0,
      nowWallMs: wallOffsetMs() + performance.now(),
    };
  };

  (globalThis as unknown as ReaderWindow).sluiceReader = {
    takeFrames: () => {
      const taken = frames;
      frames = [];
      return taken;
    },
    state,
    video: () => current,
    stampNow: () => {
      look();
      return current === null ? null : readPicture(current).stamp;
    },
  };
};

/** To be injected before the page's own scripts: `openPage({ scripts: [STAMP_READER_SCRIPT] })`. */
export const STAMP_READER_SCRIPT = `(${installReader.toString()})();`;

/** The frames presented since the last call. */
export const takeFrames = async (page: Page): Promise<ReadFrame[]> =>
  page.evaluate(() => (globalThis as unknown as ReaderWindow).sluiceReader.takeFrames());

/** The playing element as it is now. */
export const readElement = async (page: Page): Promise<ElementState> =>
  page.evaluate(() => (globalThis as unknown as ReaderWindow).sluiceReader.state());
