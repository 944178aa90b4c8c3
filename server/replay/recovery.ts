/**
 * What becomes of a recording whose writer did not live to end it: what was written is kept, what was half written goes, and it is
 * ended. The index is written anew beside the old one and then takes its place, so that this may be interrupted as well.
 */
import { join } from 'node:path';
import { WorldError } from '../base/errors.ts';
import type { FileSystem } from './file-system.ts';
import { codeOf, writeAll } from './file-system.ts';
import { encodePrefix, encodeRecord } from './index-format.ts';
import type { RecordedSegment, RecordingSummary } from './recording.ts';
import { INDEX_FILE_NAME, mediaFileName } from './recording.ts';
import { SegmentIndex } from './segment-index.ts';
import { parseIndexFile, readSegmentBytes } from './segment-reader.ts';

/** The system writes back within about 30 s what nobody forces to the disk; what is older needs no look at its bytes. */
const CHECKED_TAIL_MS = 60_000;
const NEW_INDEX_NAME = 'index.new';
const MEDIA_NAME = /^\d+-\d+\.m4s$/;

export type Recovered = { readonly summary: RecordingSummary; readonly cutCount: number };

/**
 * Undefined when there was nothing to keep; the folder is gone then. Throws `ProtocolError` `REPLAY_INDEX_UNREADABLE` for a folder that
 * no interrupted writer leaves behind; nothing in it is touched.
 */
export const recoverRecording = async (files: FileSystem, folder: string): Promise<Recovered | undefined> => {
  if (await isUnborn(files, folder)) {
    await files.remove(folder);
    return undefined;
  }
  const { index } = await parseIndexFile(files, folder);
  const sound = await new TailCheck(files, folder, index).run();
  const rebuilt = rebuild(index, sound);
  if (rebuilt.index.durationMs === 0) {
    await files.remove(folder);
    return undefined;
  }
  const summary: RecordingSummary = {
    ...rebuilt.index.summary,
    endedAtWallMs: rebuilt.index.lastWallMs,
    endReason: index.endReason ?? 'interrupted',
  };
  const end = [
    { type: 'mark', mark: { kind: 'end', atWallMs: rebuilt.index.lastWallMs, reason: 'interrupted' } },
    { type: 'summary', summary },
  ] as const;
  await replaceIndex(files, folder, Buffer.concat([...rebuilt.records, ...end.map(encodeRecord)]));
  await removeOrphans(files, folder, rebuilt.index);
  return { summary, cutCount: rebuilt.cutCount };
};

/** The writer was interrupted before the index had its header: then there is no media yet. */
const isUnborn = async (files: FileSystem, folder: string): Promise<boolean> => {
  const names = await files.list(folder);
  const indexBytes = (await files.sizeBytes(join(folder, INDEX_FILE_NAME))) ?? 0;
  return !names.some((name) => MEDIA_NAME.test(name)) && indexBytes < 1_024 && !(await hasHeader(files, folder));
};

const hasHeader = async (files: FileSystem, folder: string): Promise<boolean> => {
  try {
    await parseIndexFile(files, folder);
    return true;
  } catch (error) {
    if (['REPLAY_INDEX_UNREADABLE', 'ENOENT'].includes(codeOf(error))) {
      return false;
    }
    throw error;
  }
};

/** Which segments have all their bytes; of the last minute's, whether they are the right ones. */
class TailCheck {
  readonly #files: FileSystem;
  readonly #folder: string;
  readonly #index: SegmentIndex;
  readonly #sizes = new Map<string, number>();

  constructor(files: FileSystem, folder: string, index: SegmentIndex) {
    this.#files = files;
    this.#folder = folder;
    this.#index = index;
  }

  async run(): Promise<(segment: RecordedSegment) => boolean> {
    const damaged = new Set<string>();
    for (const { trackId } of this.#index.tracks) {
      const count = this.#index.segmentCount(trackId);
      const fromMs = this.#index.elapsedMsAt(trackId, count) - CHECKED_TAIL_MS;
      for (let position = 0; position < count; position += 1) {
        const segment = this.#index.segmentAt(trackId, position);
        const mustRead = this.#index.elapsedMsAt(trackId, position) >= fromMs;
        if (segment !== undefined && !(await this.#isSound(segment, mustRead))) {
          damaged.add(keyOf(segment));
        }
      }
    }
    return (segment) => !damaged.has(keyOf(segment));
  }

  async #isSound(segment: RecordedSegment, mustRead: boolean): Promise<boolean> {
    const name = mediaFileName(segment.trackId, segment.fileIndex);
    const known = this.#sizes.get(name);
    const bytes = known ?? (await this.#files.sizeBytes(join(this.#folder, name))) ?? 0;
    this.#sizes.set(name, bytes);
    if (segment.byteOffset + segment.byteLength > bytes) {
      return false;
    }
    return !mustRead || this.#isReadable(segment);
  }

  async #isReadable(segment: RecordedSegment): Promise<boolean> {
    try {
      await readSegmentBytes(this.#files, this.#folder, segment);
      return true;
    } catch (error) {
      if (error instanceof WorldError) {
        return false;
      }
      throw error;
    }
  }
}

const keyOf = (segment: RecordedSegment): string => `${segment.trackId}/${segment.msn}`;

type Rebuilt = { readonly index: SegmentIndex; readonly records: readonly Buffer[]; readonly cutCount: number };

/** The same recording without what is not sound; where something is missing between segments, both tracks say so. */
const rebuild = (from: SegmentIndex, isSound: (segment: RecordedSegment) => boolean): Rebuilt => {
  const index = new SegmentIndex(from.header);
  const records = [encodePrefix(), encodeRecord({ type: 'header', header: from.header })];
  const add = (record: Parameters<typeof encodeRecord>[0]): void => {
    if (index.apply(record)) {
      records.push(encodeRecord(record));
    }
  };
  const cutMsns: number[] = [];
  for (const { trackId } of from.tracks) {
    for (const segment of segmentsOf(from, trackId)) {
      if (!isSound(segment)) {
        cutMsns.push(segment.msn);
      }
    }
  }
  for (const track of from.tracks) {
    const { trackId, renditionId, kind } = track;
    for (const init of track.inits) {
      add({ type: 'track', track: { trackId, renditionId, kind, init } });
    }
    let lastMsn = -1;
    for (const segment of segmentsOf(from, trackId).filter(isSound)) {
      const isCutBefore = cutMsns.some((msn) => msn >= lastMsn && msn < segment.msn);
      const isLoss = segment.isAfterLoss || (isCutBefore && lastMsn >= 0);
      add({
        type: 'segment',
        segment: { ...segment, isAfterLoss: isLoss, isDiscontinuity: segment.isDiscontinuity || isLoss },
      });
      lastMsn = segment.msn;
    }
  }
  for (const cue of from.recordedCues) {
    add({ type: 'cue', cue });
  }
  for (const mark of from.marks.filter(({ kind }) => kind !== 'end')) {
    add({ type: 'mark', mark });
  }
  return { index, records, cutCount: cutMsns.length };
};

const segmentsOf = (index: SegmentIndex, trackId: number): RecordedSegment[] =>
  Array.from({ length: index.segmentCount(trackId) }, (_, position) => index.segmentAt(trackId, position)).filter(
    (segment) => segment !== undefined,
  );

const replaceIndex = async (files: FileSystem, folder: string, bytes: Buffer): Promise<void> => {
  const newPath = join(folder, NEW_INDEX_NAME);
  await files.remove(newPath);
  const file = await files.open(newPath, 'create');
  try {
    await writeAll(file, bytes, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await files.rename(newPath, join(folder, INDEX_FILE_NAME));
  await files.syncFolder(folder);
};

/** Media that no segment names, in whole files or behind the last one of a file. Other files are somebody else's. */
const removeOrphans = async (files: FileSystem, folder: string, index: SegmentIndex): Promise<void> => {
  const keptBytes = new Map<string, number>();
  for (const { trackId } of index.tracks) {
    for (const { fileIndex, byteOffset, byteLength } of segmentsOf(index, trackId)) {
      const name = mediaFileName(trackId, fileIndex);
      keptBytes.set(name, Math.max(keptBytes.get(name) ?? 0, byteOffset + byteLength));
    }
  }
  for (const name of (await files.list(folder)).filter((found) => MEDIA_NAME.test(found))) {
    const bytes = keptBytes.get(name);
    await (bytes === undefined ? files.remove(join(folder, name)) : files.truncate(join(folder, name), bytes));
  }
};
