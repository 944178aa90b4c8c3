/** Bytes of files, as fast as whoever takes them: nothing is read before it is asked for, nothing is held but one block. */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { WorldError, messageOf } from '../base/errors.ts';
import type { Mp4Download } from './mp4-download.ts';

const BLOCK_BYTES = 262_144;
const HANDLE_MAX_COUNT = 4;

export type FileSlice = { readonly path: string; readonly startByte: number; readonly endByte: number };

/** A small piece at once. Rejects with `WorldError` `REPLAY_MEDIA_GONE` when it is not all there. */
export const readFileSlice = async (slice: FileSlice): Promise<Buffer> => {
  const blocks: Buffer[] = [];
  for await (const block of streamFileSlice(slice)) {
    blocks.push(block);
  }
  return blocks.length === 1 ? (blocks[0] ?? Buffer.alloc(0)) : Buffer.concat(blocks);
};

/** Throws `WorldError` `REPLAY_MEDIA_GONE` where the file ends early. */
async function* streamFileSlice(slice: FileSlice): AsyncGenerator<Buffer> {
  const files = new OpenFiles();
  try {
    yield* files.blocks(slice);
  } finally {
    await files.close();
  }
}

/** `[startByte, endByte)` of a download, its head included. */
export async function* streamMp4(
  mp4: Mp4Download,
  range: { readonly startByte: number; readonly endByte: number },
): AsyncGenerator<Uint8Array> {
  const files = new OpenFiles();
  const headBytes = mp4.head.byteLength;
  try {
    if (range.startByte < headBytes) {
      yield mp4.head.subarray(range.startByte, range.endByte);
    }
    const pieces = mp4.copies.slice(Math.max(0, range.startByte - headBytes), range.endByte - headBytes);
    for (const { fileNumber, byteOffset, byteLength } of pieces) {
      const path = mp4.filePaths[fileNumber];
      if (path === undefined) {
        yield mp4.inBandSets.get(fileNumber)?.subarray(byteOffset, byteOffset + byteLength) ?? new Uint8Array(0);
      } else {
        yield* files.blocks({ path, startByte: byteOffset, endByte: byteOffset + byteLength });
      }
    }
  } finally {
    await files.close();
  }
}

/** The few files a stream goes back and forth between. */
class OpenFiles {
  readonly #handles = new Map<string, FileHandle>();

  async *blocks(slice: FileSlice): AsyncGenerator<Buffer> {
    const { path, endByte } = slice;
    for (let at = slice.startByte; at < endByte;) {
      const length = Math.min(BLOCK_BYTES, endByte - at);
      const { buffer, bytesRead } = await this.#read(path, { at, length });
      if (bytesRead === 0) {
        throw new WorldError('REPLAY_MEDIA_GONE', `a media file ends at ${at}, expected ${endByte} bytes`);
      }
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#handles.values()].map(async (handle) => handle.close()));
  }

  async #read(
    path: string,
    { at, length }: { at: number; length: number },
  ): Promise<{ buffer: Buffer; bytesRead: number }> {
    try {
      const handle = await this.#open(path);
      return await handle.read(Buffer.allocUnsafe(length), 0, length, at);
    } catch (error) {
      throw new WorldError('REPLAY_MEDIA_GONE', `a media file cannot be read: ${messageOf(error)}`, error);
    }
  }

  async #open(path: string): Promise<FileHandle> {
    const known = this.#handles.get(path);
    if (known !== undefined) {
      return known;
    }
    const [oldest] = this.#handles;
    if (oldest !== undefined && this.#handles.size >= HANDLE_MAX_COUNT) {
      this.#handles.delete(oldest[0]);
      await oldest[1].close();
    }
    const handle = await open(path, 'r');
    this.#handles.set(path, handle);
    return handle;
  }
}
