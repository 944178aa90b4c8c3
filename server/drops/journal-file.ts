/** What a journal does to its file, so that tests can put a full or broken disk in its place. Errors are Node's. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';

export type JournalFile = {
  /** All of it, to the disk itself. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  truncate(bytes: number): Promise<void>;
  close(): Promise<void>;
};

/**
 * One call writes and syncs: where claims keep the loop busy, each further call of the thread pool waits for a core of its own (measured on one core: 8 ms
 * more). Elsewhere what this flag promises stops before the drive's cache, and a sync follows.
 */
const WRITE_SYNCS = process.platform === 'linux';
const FLAGS = constants.O_RDWR | constants.O_CREAT | (WRITE_SYNCS ? constants.O_DSYNC : 0);

/** For its owner only; made when it is not there, and then its name is on disk too. */
export const openJournalFile = async (path: string): Promise<JournalFile> => {
  const handle = await open(path, FLAGS, 0o600);
  try {
    await syncFolder(dirname(path));
  } catch (error) {
    await handle.close();
    throw error;
  }
  return {
    write: async (bytes, position) => {
      for (let written = 0; written < bytes.byteLength;) {
        const { bytesWritten } = await handle.write(bytes, written, bytes.byteLength - written, position + written);
        if (bytesWritten === 0) {
          throw Object.assign(new Error('the disk took nothing'), { code: 'EIO' });
        }
        written += bytesWritten;
      }
      if (!WRITE_SYNCS) {
        await handle.datasync();
      }
    },
    truncate: async (bytes) => handle.truncate(bytes),
    close: async () => handle.close(),
  };
};

const syncFolder = async (path: string): Promise<void> => {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};
