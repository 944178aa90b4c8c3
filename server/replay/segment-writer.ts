/**
 * Writes one recording: media first, then the records that speak of it, so that the index never promises what is not there.
 * One call at a time. What a failed call left half written is cut off by the next.
 */
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { WorldError } from '../base/errors.ts';
import { readFragmentHead } from '../media/fmp4/fragment-reader.ts';
import type { PackagedSegment } from '../media/packaged-segment.ts';
import type { FileSystem, OpenFile } from './file-system.ts';
import { writeAll } from './file-system.ts';
import type { IndexRecord, StoredSegmentRow } from './index-format.ts';
import { TRACK_MAX_COUNT, encodePrefix, encodeRecord } from './index-format.ts';
import type { RecorderOptions } from './options.ts';
import type { RecordedCue, RecordingHeader, RecordingMark } from './recording.ts';
import { INDEX_FILE_NAME, mediaFileName } from './recording.ts';
import { SegmentIndex } from './segment-index.ts';

/** A segment on its way, and what the recorder itself knows about it. */
export type QueuedSegment = { readonly segment: PackagedSegment; readonly isAfterLoss: boolean };

export type SegmentWriterOptions = {
  readonly files: FileSystem;
  /** Of this recording; must not be there yet. */
  readonly folder: string;
  readonly header: RecordingHeader;
  readonly settings: Pick<RecorderOptions, 'fsync' | 'fsyncEveryMs' | 'fileRollMs'>;
};

type MediaFile = {
  readonly path: string;
  readonly fileIndex: number;
  readonly file: OpenFile;
  /** Up to here segments are in the index. */
  keptBytes: number;
  heldMs: number;
};

type Track = {
  readonly trackId: number;
  init: Uint8Array;
  initIndex: number;
  media: MediaFile | undefined;
};

/** A row whose bytes are written, and the file that grows by it once the index says so. */
type Placed = { readonly row: StoredSegmentRow; readonly media: MediaFile; readonly durationMs: number };

export class SegmentWriter {
  readonly index: SegmentIndex;
  readonly folder: string;
  readonly #options: SegmentWriterOptions;
  readonly #tracks = new Map<string, Track>();
  #indexFile: OpenFile | undefined;
  #indexBytes = 0;
  /** Records that go out with the next segments. */
  #pending: IndexRecord[] = [];
  #syncedAtMs: number;
  /** Through all tracks, and never used twice: a file that could not be removed is in nobody's way. */
  #fileCount = 0;
  #hasFailed = false;

  private constructor(options: SegmentWriterOptions, nowMs: number) {
    this.#options = options;
    this.#syncedAtMs = nowMs;
    this.folder = options.folder;
    this.index = new SegmentIndex(options.header);
  }

  /** Makes the folder and an index with its header. What it made is removed again when it fails. */
  static async create(options: SegmentWriterOptions, nowMs: number): Promise<SegmentWriter> {
    const writer = new SegmentWriter(options, nowMs);
    const { files, folder } = options;
    await files.makeFolder(folder);
    try {
      writer.#indexFile = await files.open(join(folder, INDEX_FILE_NAME), 'create');
      await writer.#writeIndex(
        Buffer.concat([encodePrefix(), encodeRecord({ type: 'header', header: options.header })]),
      );
      if (options.settings.fsync !== 'never') {
        await writer.#indexFile.sync();
        await files.syncFolder(folder);
      }
      return writer;
    } catch (error) {
      await closeQuietly(writer.#indexFile);
      await files.remove(folder);
      throw error;
    }
  }

  /** Goes into the index with the next segment, or with the end. */
  addMark(mark: RecordingMark): void {
    this.#pending.push({ type: 'mark', mark });
  }

  /** Goes into the index with the next segment, with the end, or with `flush`. */
  addCue(cue: RecordedCue): void {
    this.#pending.push({ type: 'cue', cue });
  }

  /** Writes what waits for the next segment. What the disk refuses goes on waiting. */
  async flush(): Promise<void> {
    await this.#attempt(async () => this.#commit([], []));
    if (this.#options.settings.fsync === 'segment') {
      await this.#indexFile?.sync();
    }
  }

  /** Resolves once the index has it. */
  async setTitle(title: string): Promise<void> {
    await this.#attempt(async () => this.#commit([{ type: 'title', title }], []));
  }

  /**
   * Resolves once media and index were handed to the system, and to the disk if the policy asks for it. Rejects with what the system
   * said, or with `WorldError` `REPLAY_FOLDER_REMOVED`; then none of the batch is in the index.
   */
  async append(batch: readonly QueuedSegment[], nowMs: number): Promise<void> {
    await this.#attempt(async () => this.#append(batch, nowMs));
  }

  async #append(batch: readonly QueuedSegment[], nowMs: number): Promise<void> {
    const records: IndexRecord[] = [];
    const placed: Placed[] = [];
    const positions = new Map<MediaFile, number>();
    for (const queued of batch) {
      const track = this.#trackFor(queued.segment, records);
      const media = await this.#mediaFor(track);
      const byteOffset = positions.get(media) ?? media.keptBytes;
      const row = rowOf(queued, { track, fileIndex: media.fileIndex, byteOffset });
      await writeAll(media.file, queued.segment.body, byteOffset);
      positions.set(media, byteOffset + row.byteLength);
      const durationMs = (row.durationTicks * 1000) / queued.segment.timescaleHz;
      placed.push({ row, media, durationMs });
      records.push({ type: 'segment', segment: row });
    }
    const { fsync, fsyncEveryMs } = this.#options.settings;
    const mustSync = fsync === 'segment' || (fsync === 'interval' && nowMs - this.#syncedAtMs >= fsyncEveryMs);
    if (mustSync) {
      await this.#syncMedia();
    }
    await this.#commit(records, placed);
    if (mustSync) {
      await this.#indexFile?.sync();
      this.#syncedAtMs = nowMs;
    }
  }

  /** Writes the end and lets go of the files. */
  async end(end: { reason: string; atWallMs: number }): Promise<void> {
    const { reason, atWallMs } = end;
    const { summary } = this.index;
    try {
      await this.#attempt(async () =>
        this.#commit(
          [
            { type: 'mark', mark: { kind: 'end', atWallMs, reason } },
            { type: 'summary', summary: { ...summary, endedAtWallMs: atWallMs, endReason: reason } },
          ],
          [],
        ),
      );
      if (this.#options.settings.fsync !== 'never') {
        await this.#syncMedia();
        await this.#indexFile?.sync();
      }
    } finally {
      await this.close();
    }
  }

  /** Lets go of the files without writing an end: the next start of the server will. */
  async close(): Promise<void> {
    await closeQuietly(this.#indexFile);
    this.#indexFile = undefined;
    for (const track of this.#tracks.values()) {
      await closeQuietly(track.media?.file);
      track.media = undefined;
    }
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    await this.#checkFolder();
    if (this.#hasFailed) {
      await this.#cutBack();
    }
    this.#hasFailed = true;
    await work();
    this.#hasFailed = false;
  }

  /** Back to what the index knows: the files, and the tracks. What comes next goes into fresh files. */
  async #cutBack(): Promise<void> {
    const { files } = this.#options;
    const indexPath = join(this.folder, INDEX_FILE_NAME);
    await closeQuietly(this.#indexFile);
    this.#indexFile = undefined;
    for (const [renditionId, track] of this.#tracks) {
      await closeQuietly(track.media?.file);
      if (track.media !== undefined) {
        await cutBack(files, track.media);
        track.media = undefined;
      }
      const last = this.index.tracks[track.trackId]?.inits.at(-1);
      if (last === undefined) {
        this.#tracks.delete(renditionId);
      } else {
        track.initIndex = last.initIndex;
        track.init = last.bytes;
      }
    }
    const bytes = await files.sizeBytes(indexPath);
    if (bytes === undefined || bytes < this.#indexBytes) {
      throw new WorldError('REPLAY_FOLDER_REMOVED', 'the index is gone or was shortened by someone else');
    }
    await files.truncate(indexPath, this.#indexBytes);
    this.#indexFile = await files.open(indexPath, 'update');
  }

  /** Writes to a removed file succeed and are lost, so it must be asked. */
  async #checkFolder(): Promise<void> {
    const found = await this.#indexFile?.stat();
    if (found?.linkCount === 0) {
      throw new WorldError('REPLAY_FOLDER_REMOVED', 'the recording was removed while it was written');
    }
  }

  #trackFor(segment: PackagedSegment, records: IndexRecord[]): Track {
    const existing = this.#tracks.get(segment.renditionId);
    if (existing === undefined) {
      const track: Track = {
        trackId: this.#tracks.size,
        init: segment.init,
        initIndex: 0,
        media: undefined,
      };
      if (track.trackId >= TRACK_MAX_COUNT) {
        throw new WorldError('REPLAY_TOO_MANY_TRACKS', `a recording holds ${TRACK_MAX_COUNT} tracks`);
      }
      this.#tracks.set(segment.renditionId, track);
      records.push(trackRecord(segment, track));
      return track;
    }
    if (existing.init !== segment.init && Buffer.compare(existing.init, segment.init) !== 0) {
      existing.initIndex += 1;
      records.push(trackRecord(segment, { ...existing, init: segment.init }));
    }
    existing.init = segment.init;
    return existing;
  }

  async #mediaFor(track: Track): Promise<MediaFile> {
    const { files, settings } = this.#options;
    if (track.media !== undefined && track.media.heldMs >= settings.fileRollMs) {
      if (settings.fsync !== 'never') {
        await track.media.file.sync();
      }
      await track.media.file.close();
      track.media = undefined;
    }
    if (track.media === undefined) {
      const fileIndex = this.#fileCount;
      this.#fileCount += 1;
      const path = join(this.folder, mediaFileName(track.trackId, fileIndex));
      const file = await files.open(path, 'create');
      track.media = { path, fileIndex, file, keptBytes: 0, heldMs: 0 };
    }
    return track.media;
  }

  async #commit(records: readonly IndexRecord[], placed: readonly Placed[]): Promise<void> {
    const all = [...this.#pending, ...records];
    await this.#writeIndex(Buffer.concat(all.map(encodeRecord)));
    this.#pending = [];
    for (const record of all) {
      this.index.apply(record);
    }
    for (const { row, media, durationMs } of placed) {
      media.keptBytes = row.byteOffset + row.byteLength;
      media.heldMs += durationMs;
    }
  }

  async #writeIndex(bytes: Buffer): Promise<void> {
    if (this.#indexFile === undefined) {
      throw new WorldError('REPLAY_RECORDING_CLOSED', 'the index is not open');
    }
    await writeAll(this.#indexFile, bytes, this.#indexBytes);
    this.#indexBytes += bytes.byteLength;
  }

  async #syncMedia(): Promise<void> {
    for (const track of this.#tracks.values()) {
      await track.media?.file.sync();
    }
  }
}

const rowOf = (
  { segment, isAfterLoss }: QueuedSegment,
  place: { track: Track; fileIndex: number; byteOffset: number },
): StoredSegmentRow => ({
  trackId: place.track.trackId,
  msn: segment.msn,
  initIndex: place.track.initIndex,
  startTicks: readFragmentHead(segment.body)?.startTicks ?? 0,
  durationTicks: segment.durationTicks,
  isDiscontinuity: segment.isDiscontinuity || isAfterLoss,
  isIndependent: segment.isIndependent,
  isAfterLoss,
  wallMs: segment.startAtWallMs,
  fileIndex: place.fileIndex,
  byteOffset: place.byteOffset,
  byteLength: segment.body.byteLength,
  crc32: crc32(segment.body),
});

const trackRecord = (segment: PackagedSegment, track: Pick<Track, 'trackId' | 'init' | 'initIndex'>): IndexRecord => {
  const { codecString, kind } = segment.track;
  const size = segment.track.kind === 'video' ? segment.track : { widthPx: 0, heightPx: 0 };
  const init = {
    initIndex: track.initIndex,
    codecString,
    timescaleHz: segment.timescaleHz,
    widthPx: size.widthPx,
    heightPx: size.heightPx,
    channelCount: segment.track.kind === 'audio' ? segment.track.channelCount : 0,
    bytes: track.init,
  };
  return { type: 'track', track: { trackId: track.trackId, renditionId: segment.renditionId, kind, init } };
};

/** A file that cannot be cut back keeps bytes that no record names; the next start removes them. */
const cutBack = async (files: FileSystem, media: MediaFile): Promise<void> => {
  try {
    await (media.keptBytes === 0 ? files.remove(media.path) : files.truncate(media.path, media.keptBytes));
  } catch {
    // Nothing depends on it.
  }
};

/** What was written is no safer for a close that succeeds, nor lost for one that fails. */
const closeQuietly = async (file: OpenFile | undefined): Promise<void> => {
  try {
    await file?.close();
  } catch {
    // The descriptor is gone in either case.
  }
};
