/**
 * Makes and serves storyboards and posters. One at a time, by a maker of pictures it is handed (ffmpeg, at the lowest priority), from
 * keyframes alone. They lie beside the recording, in a folder of their own, and go with it; what is there is served while a newer one is made.
 */
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { ProtocolError, WorldError, messageOf } from '../base/errors.ts';
import type { HttpAnswer, HttpRequest } from '../base/http-exchange.ts';
import { refuse } from '../base/http-exchange.ts';
import { VIDEO_TIMESCALE_HZ } from '../media/track.ts';
import { concatBytes } from '../media/fmp4/box.ts';
import { writeFragment } from '../media/fmp4/fragment.ts';
import type { Log } from '../observability/log.ts';
import { isNotModified } from './byte-range.ts';
import type { OpenRecording, RecordedSegment, Recordings, RecordingSummary, TrackInit } from './recording.ts';
import { SegmentFiles } from './segment-files.ts';
import type { PlacedThumbnail, StoryboardPlan } from './storyboard-plan.ts';
import {
  SHEET_COLUMN_COUNT,
  SHEET_MAX_COUNT,
  durationOfVtt,
  planStoryboard,
  renderStoryboardVtt,
} from './storyboard-plan.ts';
import { readVodTimeline } from './vod-timeline.ts';

/** Pictures to be put side by side on one JPEG. */
export type SheetJob = {
  /** A fragmented MP4 of keyframes. */
  readonly media: Uint8Array;
  /** Of each picture. */
  readonly widthPx: number;
  readonly heightPx: number;
  readonly columnCount: number;
  readonly rowCount: number;
};

/** Rejects with `WorldError`; `FFMPEG_MISSING` when there will never be any. */
export type SheetMaker = (job: SheetJob) => Promise<Uint8Array>;

export type StoryboardOptions = {
  readonly recordings: Recordings;
  readonly makeSheet: SheetMaker;
  /** Whether somebody looks at it: storyboards of what still grows are made only then. */
  readonly isWatched: (id: string) => boolean;
  readonly clock: Clock;
  readonly log: Log;
};

/** What the HTTP door asks. */
export type StoryboardFiles = {
  /** Undefined for a file that is none of a storyboard. */
  answer(recording: OpenRecording, file: string, request: HttpRequest): Promise<HttpAnswer | undefined>;
};

const FOLDER_NAME = 'storyboard';
const VTT_NAME = 'storyboard.vtt';
const POSTER_NAME = 'poster.jpg';
const POSTER_WIDTH_PX = 640;
const LOOK_EVERY_MS = 10_000;
/** After a start every recording is opened once to see what it has: in an archive of thousands not all at the same time. */
const LOOK_MAX_COUNT = 20;
/** Of what still grows the first is made after this, the next when it has grown by half. */
const LIVE_MIN_MS = 20_000;
const GROWTH_RATIO = 1.5;
const ATTEMPT_MAX_COUNT = 2;

type Sheet = { readonly init: TrackInit; readonly payloads: Uint8Array[] };

export class Storyboards implements StoryboardFiles {
  readonly #options: StoryboardOptions;
  readonly #timer: NodeJS.Timeout;
  /** Duration the storyboard of each recording was made of. */
  readonly #madeMs = new Map<string, number>();
  readonly #failures = new Map<string, number>();
  #isMissing = false;
  #running: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: StoryboardOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS).unref();
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
  }

  /** Makes what is due. Never rejects; two at a time are one. */
  async look(): Promise<void> {
    this.#running ??= this.#makeDue().finally(() => (this.#running = undefined));
    return this.#running;
  }

  async answer(recording: OpenRecording, file: string, request: HttpRequest): Promise<HttpAnswer | undefined> {
    const isSprite = /^sprite-\d{1,12}-\d{1,3}\.jpg$/.test(file);
    if (!isSprite && file !== VTT_NAME && file !== POSTER_NAME) {
      return undefined;
    }
    const body = await readOrUndefined(join(recording.folder, FOLDER_NAME, file));
    if (body === undefined) {
      const why = this.#isMissing ? 'there is no ffmpeg here to make one' : 'it is made soon after the recording ends';
      return refuse(404, 'REPLAY_STORYBOARD_ABSENT', `no ${file} of this recording yet: ${why}`);
    }
    const { header, durationMs, endReason } = recording.index;
    const etag = `"${header.id}-${this.#madeMs.get(header.id) ?? Math.round(durationMs)}-${body.byteLength}"`;
    const growing = endReason === undefined ? 'public, max-age=10' : 'public, max-age=300';
    const headers = {
      'content-type': file === VTT_NAME ? 'text/vtt; charset=utf-8' : 'image/jpeg',
      'cache-control': isSprite ? 'public, max-age=31536000, immutable' : growing,
      etag,
    };
    return isNotModified(request.headers['if-none-match'], etag)
      ? { status: 304, headers }
      : { status: 200, headers, body };
  }

  async #makeDue(): Promise<void> {
    const due = this.#options.recordings.list().filter((summary) => this.#isDue(summary));
    for (const summary of due.slice(0, LOOK_MAX_COUNT)) {
      if (this.#isClosed || this.#isMissing) {
        return;
      }
      await this.#makeOne(summary);
    }
  }

  #isDue({ id, durationMs, endedAtWallMs }: RecordingSummary): boolean {
    const madeMs = this.#madeMs.get(id) ?? 0;
    if (durationMs <= madeMs || (this.#failures.get(id) ?? 0) >= ATTEMPT_MAX_COUNT) {
      return false;
    }
    const hasGrown = durationMs >= Math.max(LIVE_MIN_MS, madeMs * GROWTH_RATIO);
    return endedAtWallMs !== undefined || (hasGrown && this.#options.isWatched(id));
  }

  async #makeOne({ id }: RecordingSummary): Promise<void> {
    const { recordings, clock, log } = this.#options;
    const startedAtMs = clock.nowMs();
    try {
      const recording = await recordings.open(id);
      if (recording === undefined) {
        return;
      }
      const { durationMs } = recording.index;
      const folder = join(recording.folder, FOLDER_NAME);
      const there = durationOfVtt((await readOrUndefined(join(folder, VTT_NAME)))?.toString() ?? '');
      if (there !== Math.round(durationMs)) {
        const thumbnailCount = await this.#make(recording, folder);
        const tookMs = Math.round(clock.nowMs() - startedAtMs);
        log.info('replay.storyboard.made', { recordingId: id, thumbnailCount, tookMs });
      }
      this.#madeMs.set(id, durationMs);
    } catch (error) {
      this.#noteFailure(id, error);
    }
  }

  #noteFailure(id: string, error: unknown): void {
    const { log } = this.#options;
    this.#failures.set(id, (this.#failures.get(id) ?? 0) + 1);
    this.#isMissing = error instanceof WorldError && error.code === 'FFMPEG_MISSING';
    log.warn(this.#isMissing ? 'replay.storyboard.no-ffmpeg' : 'replay.storyboard.failed', {
      recordingId: id,
      error: messageOf(error),
    });
  }

  /** Resolves to the number of thumbnails; 0 where there are no pictures. */
  async #make(recording: OpenRecording, folder: string): Promise<number> {
    const { index } = recording;
    const timeline = readVodTimeline(index);
    const widest = timeline?.leading.inits.toSorted((a, b) => b.widthPx - a.widthPx)[0];
    if (timeline === undefined || widest === undefined || timeline.leading.kind === 'audio') {
      return 0;
    }
    const { durationMs } = timeline;
    const plan = planStoryboard({ durationMs, pictureWidthPx: widest.widthPx, pictureHeightPx: widest.heightPx });
    const files = new SegmentFiles(recording);
    try {
      await mkdir(folder, { recursive: true });
      await this.#makePoster(recording, { files, folder, plan });
      const { sheets, thumbnails } = await collect(recording, { files, plan, trackId: timeline.leading.trackId });
      const sheetNames = await this.#writeSheets(sheets, { folder, plan, generation: Math.round(durationMs) });
      const vtt = renderStoryboardVtt(plan, { durationMs, thumbnails, sheetNames });
      await writeBeside(join(folder, VTT_NAME), Buffer.from(vtt));
      await removeOthers(folder, new Set([...sheetNames, VTT_NAME, POSTER_NAME]));
      return thumbnails.length;
    } finally {
      await files.close();
    }
  }

  async #makePoster(
    recording: OpenRecording,
    options: { files: SegmentFiles; folder: string; plan: StoryboardPlan },
  ): Promise<void> {
    const { plan, folder, files } = options;
    const trackId = readVodTimeline(recording.index)?.leading.trackId ?? 0;
    // Not the very beginning, which is often black.
    const atMs = Math.min(recording.index.durationMs / 10, 60_000);
    const { sheets } = await collect(recording, { files, plan: { ...plan, atMs: [atMs] }, trackId });
    const [sheet] = sheets;
    if (sheet !== undefined) {
      const widthPx = Math.min(POSTER_WIDTH_PX, 2 * Math.floor(sheet.init.widthPx / 2));
      const heightPx = 2 * Math.round((widthPx * plan.heightPx) / plan.widthPx / 2);
      const media = keyframeFile(sheet);
      const poster = await this.#options.makeSheet({ media, widthPx, heightPx, columnCount: 1, rowCount: 1 });
      await writeBeside(join(folder, POSTER_NAME), poster);
    }
  }

  async #writeSheets(
    sheets: readonly Sheet[],
    options: { folder: string; plan: StoryboardPlan; generation: number },
  ): Promise<string[]> {
    const { folder, generation } = options;
    const { widthPx, heightPx } = options.plan;
    const names: string[] = [];
    for (const sheet of sheets) {
      const columnCount = Math.min(SHEET_COLUMN_COUNT, sheet.payloads.length);
      const rowCount = Math.ceil(sheet.payloads.length / SHEET_COLUMN_COUNT);
      const media = keyframeFile(sheet);
      const bytes = await this.#options.makeSheet({ media, widthPx, heightPx, columnCount, rowCount });
      const name = `sprite-${generation}-${names.length}.jpg`;
      await writeBeside(join(folder, name), bytes);
      names.push(name);
    }
    return names;
  }
}

/** Reads a keyframe for each look. A new sheet begins when one is full, and where the encoder changed its parameters. */
const collect = async (
  { index }: OpenRecording,
  options: { files: SegmentFiles; plan: StoryboardPlan; trackId: number },
): Promise<{ sheets: Sheet[]; thumbnails: PlacedThumbnail[] }> => {
  const { files, plan, trackId } = options;
  const sheets: Sheet[] = [];
  const thumbnails: PlacedThumbnail[] = [];
  for (const [place, atMs] of plan.atMs.entries()) {
    const segment = independentBefore(index.positionAtElapsedMs(trackId, atMs), (at) => index.segmentAt(trackId, at));
    const init = segment === undefined ? undefined : index.tracks[trackId]?.inits[segment.initIndex];
    const payload = segment === undefined ? undefined : await keyframeOrUndefined(files, segment);
    if (init === undefined || payload === undefined) {
      continue;
    }
    let sheet = sheets.at(-1);
    if (sheet === undefined || sheet.init !== init || sheet.payloads.length === SHEET_MAX_COUNT) {
      sheet = { init, payloads: [] };
      sheets.push(sheet);
    }
    const placeIndex = sheet.payloads.push(payload) - 1;
    const startMs = thumbnails.length === 0 ? 0 : place * plan.intervalMs;
    thumbnails.push({ sheetIndex: sheets.length - 1, placeIndex, startMs });
  }
  return { sheets, thumbnails };
};

/** Segments cut inside a GOP are few and lie close together. */
const independentBefore = (
  position: number,
  segmentAt: (position: number) => RecordedSegment | undefined,
): RecordedSegment | undefined => {
  for (let at = position; at >= 0; at -= 1) {
    const segment = segmentAt(at);
    if (segment?.isIndependent === true) {
      return segment;
    }
  }
  return undefined;
};

/** A damaged place costs its own thumbnail only. */
const keyframeOrUndefined = async (files: SegmentFiles, segment: RecordedSegment): Promise<Uint8Array | undefined> => {
  try {
    return await files.readFirstKeyframe(segment);
  } catch (error) {
    if (error instanceof ProtocolError || error instanceof WorldError) {
      return undefined;
    }
    throw error;
  }
};

/** One picture a second, as far as the decoder is told. */
const keyframeFile = ({ init, payloads }: Sheet): Uint8Array => {
  const durationTicks = VIDEO_TIMESCALE_HZ;
  const fragments = payloads.map((payload, place) =>
    writeFragment(
      {
        startTicks: place * durationTicks,
        durationTicks,
        isIndependent: true,
        samples: [{ payload, durationTicks, compositionOffsetTicks: 0, isKeyframe: true }],
      },
      place + 1,
    ),
  );
  return concatBytes([init.bytes, ...fragments]);
};

const readOrUndefined = async (path: string): Promise<Buffer | undefined> => {
  try {
    return await readFile(path);
  } catch {
    // Not made yet, or not readable: either way there is none to show.
    return undefined;
  }
};

/** Whoever reads meanwhile finds the old one or the new one, never half of one. */
const writeBeside = async (path: string, bytes: Uint8Array): Promise<void> => {
  await writeFile(`${path}.new`, bytes);
  await rename(`${path}.new`, path);
};

const removeOthers = async (folder: string, kept: ReadonlySet<string>): Promise<void> => {
  for (const name of await readdir(folder)) {
    if (!kept.has(name)) {
      await rm(join(folder, name), { force: true });
    }
  }
};
