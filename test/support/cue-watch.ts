/**
 * Cue against picture: which stamped picture a page holds in the instant it puts a cue up, and which picture lies at a media time, by the segments
 * themselves (decoded by ffmpeg, with the decoding times that the server wrote).
 */
import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import type { CueDraft, CueList, HostedCue } from '../../server/api/contract/cues-host.ts';
import type { SluicePlayer } from '../../player/sluice-player.ts';
import { STAMP_COLUMN_COUNT, stampChecksum } from '../latency/source/stamp.ts';
import type { SluiceProcess } from './sluice-process.ts';
import { tempFolder } from './temp-folder.ts';

/** A cue that a page put up. */
export type ShownCue = {
  readonly id: string;
  /** In the picture of that instant; null where it could not be read. */
  readonly stamp: number | null;
  readonly atWallMs: number;
  /** As the player says. */
  readonly lateMs: number;
  /** Media time between the picture that the browser told of last and the one before: more than a picture's where it told of none in between. */
  readonly stepMs: number;
};

export type StampedPicture = { readonly ptsMs: number; readonly stamp: number };

type WatchWindow = { sluiceCues: ShownCue[]; sluiceReader: { stampNow(): number | null } };

/** Runs in the page, behind the stamp reader. */
const installWatch = (): void => {
  const shown: ShownCue[] = [];
  Object.assign(globalThis, { sluiceCues: shown });
  let told = { video: null as HTMLVideoElement | null, atMs: 0, stepMs: 0 };
  const { prototype } = HTMLVideoElement;
  const ask: (callback: VideoFrameRequestCallback) => number = Reflect.get(prototype, 'requestVideoFrameCallback');
  prototype.requestVideoFrameCallback = function (callback) {
    return ask.call(this, (nowMs, frame) => {
      const atMs = frame.rtpTimestamp === undefined ? frame.mediaTime * 1000 : frame.rtpTimestamp / 90;
      // Whoever asks is told of the same picture.
      if (told.video !== this || told.atMs !== atMs) {
        told = { video: this, atMs, stepMs: told.video === this ? atMs - told.atMs : 0 };
      }
      callback(nowMs, frame);
    });
  };
  addEventListener('DOMContentLoaded', () => {
    const player: SluicePlayer | null = document.querySelector('sluice-player');
    player?.addEventListener('sluice-cue', ({ detail }) => {
      if (detail.type === 'shown') {
        // Before the picture is read back, which takes tens of milliseconds where there is no graphics card.
        const atWallMs = performance.timeOrigin + performance.now();
        const stamp = (globalThis as unknown as WatchWindow).sluiceReader.stampNow();
        shown.push({ id: detail.cue.id, stamp, atWallMs, lateMs: detail.lateMs, stepMs: told.stepMs });
      }
    });
  });
};

/** To be injected after `STAMP_READER_SCRIPT`. */
export const CUE_WATCH_SCRIPT = `(${installWatch.toString()})();`;

/** All so far, in order. */
export const shownCues = async (page: Page): Promise<readonly ShownCue[]> =>
  page.evaluate(() => (globalThis as unknown as WatchWindow).sluiceCues);

/** Of the picture that the page's player holds now; null where it cannot be read. */
export const stampNow = async (page: Page): Promise<number | null> =>
  page.evaluate(() => (globalThis as unknown as WatchWindow).sluiceReader.stampNow());

/** The host's side of cues, with the admin key. */
export class CueHost {
  readonly #sluice: SluiceProcess;
  readonly #name: string;
  readonly #headers: Record<string, string>;

  private constructor(sluice: SluiceProcess, name: string, key: string) {
    this.#sluice = sluice;
    this.#name = name;
    this.#headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  }

  static async of(sluice: SluiceProcess, name: string): Promise<CueHost> {
    const keys = JSON.parse(await readFile(path.join(sluice.folder, 'data/keys.json'), 'utf8')) as { admin: string };
    return new CueHost(sluice, name, keys.admin);
  }

  async list(): Promise<CueList> {
    return (await this.#ask('GET', '/cues')) as CueList;
  }

  async create(draft: CueDraft): Promise<HostedCue> {
    return (await this.#ask('POST', '/cues', draft)) as HostedCue;
  }

  /** Ends the broadcast. */
  async end(): Promise<void> {
    await this.#ask('DELETE', '');
  }

  async #ask(method: string, below: string, body?: object): Promise<unknown> {
    const response = await fetch(`${this.#sluice.httpUrl}/api/broadcasts/${this.#name}${below}`, {
      method,
      headers: body === undefined ? { authorization: this.#headers['authorization'] ?? '' } : this.#headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) {
      throw new Error(`${method} ${below}: ${response.status} ${text}`);
    }
    return text === '' ? undefined : JSON.parse(text);
  }
}

const CELL_PX = 8;
const ROW_COUNT = 9;
const WIDTH_PX = STAMP_COLUMN_COUNT * CELL_PX;
const HEIGHT_PX = ROW_COUNT * CELL_PX;
const TOOL_OUTPUT_MAX_BYTES = 2 ** 29;

/** Every picture of a live broadcast so far, by media time, from the segments of its rewind playlist; the last `segmentMaxCount`, or all. */
export const stampedPictures = async (
  sluice: SluiceProcess,
  name: string,
  segmentMaxCount = Number.POSITIVE_INFINITY,
): Promise<readonly StampedPicture[]> => {
  const multivariant = `${sluice.playlistUrl(name)}?dvr=1`;
  const main = /^.*\bvideo\.m3u8.*$/m.exec(await (await fetch(multivariant)).text())?.[0];
  if (main === undefined) {
    return [];
  }
  const playlist = new URL(main, multivariant);
  const runs = segmentRuns(await (await fetch(playlist)).text(), segmentMaxCount);
  const pictures: StampedPicture[] = [];
  for (const { mapUri, segmentUris } of runs) {
    const uris = [mapUri, ...segmentUris].map((uri) => new URL(uri, playlist));
    const pieces = await Promise.all(uris.map(async (uri) => Buffer.from(await (await fetch(uri)).arrayBuffer())));
    pictures.push(...(await picturesOf(Buffer.concat(pieces))));
  }
  return pictures.toSorted((a, b) => a.ptsMs - b.ptsMs);
};

type Run = { readonly mapUri: string; readonly segmentUris: readonly string[] };

/** Whole segments by the initialisation that they need. */
const segmentRuns = (playlist: string, segmentMaxCount: number): readonly Run[] => {
  const runs: { mapUri: string; segmentUris: string[] }[] = [];
  for (const line of playlist.split(/\r?\n/)) {
    const mapUri = /^#EXT-X-MAP:URI="([^"]+)"/.exec(line)?.[1];
    if (mapUri !== undefined) {
      runs.push({ mapUri, segmentUris: [] });
    } else if (line !== '' && !line.startsWith('#')) {
      runs.at(-1)?.segmentUris.push(line);
    }
  }
  const total = runs.reduce((sum, { segmentUris }) => sum + segmentUris.length, 0);
  let skipCount = Math.max(0, total - segmentMaxCount);
  for (const run of runs) {
    skipCount -= run.segmentUris.splice(0, Math.max(0, skipCount)).length;
  }
  return runs.filter(({ segmentUris }) => segmentUris.length > 0);
};

const picturesOf = async (mp4: Buffer): Promise<StampedPicture[]> => {
  const folder = tempFolder('stamps');
  try {
    const file = path.join(folder, 'run.mp4');
    await writeFile(file, mp4);
    const run = promisify(execFile);
    const entries = ['-select_streams', 'v', '-show_entries', 'frame=pts_time', '-of', 'csv=p=0', file];
    const { stdout: times } = await run('ffprobe', ['-v', 'error', ...entries], { maxBuffer: TOOL_OUTPUT_MAX_BYTES });
    const shrink = ['-vf', `scale=${WIDTH_PX}:${HEIGHT_PX}:flags=area`, '-pix_fmt', 'gray', '-f', 'rawvideo', '-'];
    const decode = ['-v', 'error', '-i', file, '-fps_mode', 'passthrough', ...shrink];
    const { stdout } = await run('ffmpeg', decode, { encoding: 'buffer', maxBuffer: TOOL_OUTPUT_MAX_BYTES });
    const ptsMs = [...times.matchAll(/^([\d.]+)/gm)].map((match) => Number(match[1]) * 1000);
    const pictureBytes = WIDTH_PX * HEIGHT_PX;
    if (ptsMs.length * pictureBytes !== stdout.byteLength) {
      throw new Error(`${ptsMs.length} times for ${stdout.byteLength / pictureBytes} pictures`);
    }
    return ptsMs.flatMap((atMs, index) => {
      const stamp = stampIn(stdout.subarray(index * pictureBytes, (index + 1) * pictureBytes));
      return stamp === null ? [] : [{ ptsMs: atMs, stamp }];
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

/** Null where the checksum is wrong. */
const stampIn = (picture: Buffer): number | null => {
  let value = 0;
  let checksum = 0;
  for (let bit = 0; bit < 32; bit += 1) {
    const x = (bit % STAMP_COLUMN_COUNT) * CELL_PX + CELL_PX / 2;
    const y = Math.floor(bit / STAMP_COLUMN_COUNT) * CELL_PX + CELL_PX / 2;
    const isWhite = (picture[y * WIDTH_PX + x] ?? 0) >= 128 ? 1 : 0;
    if (bit < 24) {
      value = value * 2 + isWhite;
    } else {
      checksum = checksum * 2 + isWhite;
    }
  }
  return stampChecksum(value) === checksum ? value : null;
};

/**
 * By how many pictures a cue came after the one at its media time (before it: negative); null when its picture could not be read. `pictures` by time.
 */
export const errorInFrames = (
  pictures: readonly StampedPicture[],
  { mediaMs, stamp }: { mediaMs: number; stamp: number | null },
): number | null => {
  const wanted = pictures.findIndex(({ ptsMs }) => ptsMs >= mediaMs - ROUNDING_MS);
  const seen = pictures.findIndex((picture) => picture.stamp === stamp);
  return wanted < 0 || seen < 0 ? null : seen - wanted;
};

/** Media times of cues are whole milliseconds, those of pictures are not. */
const ROUNDING_MS = 1.5;
