/**
 * The few operations on files that recordings need, so that tests can put a full, slow or broken disk in their place. Errors
 * are Node's, with `code` (`ENOSPC`, `EIO`, `ENOENT`…).
 */
import { mkdir, open, readdir, rename, rm, stat, statfs, truncate } from 'node:fs/promises';

export type OpenFile = {
  /** Writes some of the bytes and says how many; may be fewer than asked. */
  write(bytes: Uint8Array, position: number): Promise<number>;
  /** Reads up to `length` bytes and says what there was. */
  read(position: number, length: number): Promise<Buffer>;
  /** To the disk itself. */
  sync(): Promise<void>;
  stat(): Promise<{ readonly bytes: number; readonly linkCount: number }>;
  close(): Promise<void>;
};

export type FileSystem = {
  /** `create`: fails if it is there. `update`: reads and writes what is there. */
  open(path: string, mode: 'read' | 'create' | 'update'): Promise<OpenFile>;
  makeFolder(path: string): Promise<void>;
  /** Names of what is in it; empty when it is not there. */
  list(folder: string): Promise<readonly string[]>;
  /** Undefined when it is not there. */
  sizeBytes(path: string): Promise<number | undefined>;
  truncate(path: string, bytes: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** A file, or a folder with what is in it; nothing happens when it is not there. */
  remove(path: string): Promise<void>;
  /** The names in a folder, to the disk itself. */
  syncFolder(path: string): Promise<void>;
  /** What may still be written where this folder is. */
  freeBytes(folder: string): Promise<number>;
};

export const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'UNKNOWN';

const FLAGS = { read: 'r', create: 'wx+', update: 'r+' } as const;

export const nodeFileSystem: FileSystem = {
  open: async (path, mode) => {
    const handle = await open(path, FLAGS[mode]);
    return {
      write: async (bytes, position) => (await handle.write(bytes, 0, bytes.byteLength, position)).bytesWritten,
      read: async (position, length) => {
        const bytes = Buffer.allocUnsafeSlow(length);
        let readBytes = 0;
        while (readBytes < length) {
          const { bytesRead } = await handle.read(bytes, readBytes, length - readBytes, position + readBytes);
          if (bytesRead === 0) {
            break;
          }
          readBytes += bytesRead;
        }
        return bytes.subarray(0, readBytes);
      },
      sync: async () => handle.datasync(),
      stat: async () => {
        const { size, nlink } = await handle.stat();
        return { bytes: size, linkCount: nlink };
      },
      close: async () => handle.close(),
    };
  },
  makeFolder: async (path) => {
    await mkdir(path, { recursive: true });
  },
  list: async (folder) => unlessMissing(readdir(folder), []),
  sizeBytes: async (path) =>
    unlessMissing<number | undefined>(
      stat(path).then(({ size }) => size),
      undefined,
    ),
  truncate: async (path, bytes) => truncate(path, bytes),
  rename: async (from, to) => rename(from, to),
  remove: async (path) => rm(path, { recursive: true, force: true }),
  syncFolder: async (path) => {
    const handle = await open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  freeBytes: async (folder) => {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  },
};

const unlessMissing = async <T>(found: Promise<T>, missing: T): Promise<T> => {
  try {
    return await found;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      return missing;
    }
    throw error;
  }
};

/** Writes all of it, however little the disk takes at a time. */
export const writeAll = async (file: OpenFile, bytes: Uint8Array, position: number): Promise<void> => {
  let writtenBytes = 0;
  while (writtenBytes < bytes.byteLength) {
    const taken = await file.write(bytes.subarray(writtenBytes), position + writtenBytes);
    if (taken === 0) {
      throw Object.assign(new Error('the disk took nothing'), { code: 'EIO' });
    }
    writtenBytes += taken;
  }
};

export const readWhole = async (files: FileSystem, path: string): Promise<Buffer> => {
  const file = await files.open(path, 'read');
  try {
    return await file.read(0, (await file.stat()).bytes);
  } finally {
    await file.close();
  }
};
