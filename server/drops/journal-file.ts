/** What a journal does to its file, so that tests can put a full or broken disk in its place. Errors are Node's. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';

export type JournalFile = {
  /** All of it. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  truncate(bytes: number): Promise<void>;
  /** To the disk itself. */
  sync(): Promise<void>;
  close(): Promise<void>;
};

/** For its owner only; made when it is not there, and then its name is on disk too. */
export const openJournalFile = async (path: string): Promise<JournalFile> => {
  const handle = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
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
    },
    truncate: async (bytes) => handle.truncate(bytes),
    sync: async () => handle.datasync(),
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
