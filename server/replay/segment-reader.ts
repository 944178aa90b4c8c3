/** Reads a recording: its index in steps, and segments' bytes against their checksums. */
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { WorldError } from '../base/errors.ts';
import type { FileSystem } from './file-system.ts';
import { codeOf, nodeFileSystem, readWhole } from './file-system.ts';
import type { OpenRecording, RecordedSegment, RecordingIndex } from './recording.ts';
import { INDEX_FILE_NAME, mediaFileName } from './recording.ts';
import { IndexParser } from './segment-index.ts';

/** About 3 ms of work between two turns of the event loop. */
const STEP_RECORD_COUNT = 2_000;

/**
 * The index in this folder, as far as it checks out. Throws `ProtocolError` `REPLAY_INDEX_UNREADABLE`, or what the system says when the
 * file cannot be read.
 */
export const parseIndexFile = async (files: FileSystem, folder: string): Promise<IndexParser> => {
  const parser = new IndexParser(await readWhole(files, join(folder, INDEX_FILE_NAME)));
  while (!parser.step(STEP_RECORD_COUNT)) {
    await nextTurn();
  }
  return parser;
};

/** Opens a recording that nobody writes to. Throws as `parseIndexFile`. */
export const openRecording = async (folder: string, files: FileSystem = nodeFileSystem): Promise<OpenRecording> =>
  asOpenRecording({ files, folder, index: (await parseIndexFile(files, folder)).index });

export const asOpenRecording = (source: {
  files: FileSystem;
  folder: string;
  index: RecordingIndex;
}): OpenRecording => ({
  index: source.index,
  folder: source.folder,
  readSegment: async (segment) => readSegmentBytes(source.files, source.folder, segment),
  mediaFilePath: ({ trackId, fileIndex }) => join(source.folder, mediaFileName(trackId, fileIndex)),
});

/** Rejects with `WorldError` `REPLAY_MEDIA_GONE` or `REPLAY_MEDIA_DAMAGED`. */
export const readSegmentBytes = async (
  files: FileSystem,
  folder: string,
  segment: RecordedSegment,
): Promise<Buffer> => {
  const name = mediaFileName(segment.trackId, segment.fileIndex);
  const file = await openMedia(files, join(folder, name));
  try {
    const bytes = await file.read(segment.byteOffset, segment.byteLength);
    if (bytes.byteLength !== segment.byteLength || crc32(bytes) !== segment.crc32) {
      throw new WorldError('REPLAY_MEDIA_DAMAGED', `segment ${segment.msn} in ${name} is not what was written`);
    }
    return bytes;
  } finally {
    await file.close();
  }
};

const openMedia = async (files: FileSystem, path: string): ReturnType<FileSystem['open']> => {
  try {
    return await files.open(path, 'read');
  } catch (error) {
    throw codeOf(error) === 'ENOENT' ? new WorldError('REPLAY_MEDIA_GONE', 'the media file is gone', error) : error;
  }
};
