/** A disk in memory that can be full, slow, stingy or broken, for tests of what writes recordings. */
import path from 'node:path';
import type { FileSystem, OpenFile } from '../../server/replay/file-system.ts';

type Entry = { bytes: Buffer; size: number; linkCount: number };

const failure = (code: string): Error => Object.assign(new Error(`${code} on purpose`), { code });

export class MemoryFiles implements FileSystem {
  readonly #entries = new Map<string, Entry>();
  /** All files together; what is beyond it ends in `ENOSPC`, after as much as fits was written. */
  capacityBytes = Number.POSITIVE_INFINITY;
  /** At most so many bytes a write. */
  writeMaxBytes = Number.POSITIVE_INFINITY;
  /** Every write fails with this. */
  writeFailure: string | undefined;
  /** Every close, truncation and removal fails with this. */
  tidyFailure: string | undefined;
  /** Writes wait for it. */
  held: Promise<void> | undefined;
  syncCount = 0;
  writeCount = 0;

  get usedBytes(): number {
    return [...this.#entries.values()].reduce((sum, entry) => sum + entry.size, 0);
  }

  paths(): string[] {
    return [...this.#entries.keys()].toSorted();
  }

  bytesOf(file: string): Buffer {
    const entry = this.#find(file);
    return Buffer.from(entry.bytes.subarray(0, entry.size));
  }

  put(file: string, bytes: Uint8Array): void {
    this.#entries.set(file, { bytes: Buffer.from(bytes), size: bytes.byteLength, linkCount: 1 });
  }

  /** All files as they are now. */
  copy(): MemoryFiles {
    const copied = new MemoryFiles();
    for (const file of this.paths()) {
      copied.put(file, this.bytesOf(file));
    }
    return copied;
  }

  async open(file: string, mode: 'read' | 'create' | 'update'): Promise<OpenFile> {
    if (mode === 'create') {
      if (this.#entries.has(file)) {
        throw failure('EEXIST');
      }
      this.put(file, Buffer.alloc(0));
    }
    return this.#handle(this.#find(file));
  }

  #handle(entry: Entry): OpenFile {
    return {
      write: async (bytes, position) => this.#write(entry, bytes, position),
      read: async (position, length) =>
        Buffer.from(entry.bytes.subarray(position, Math.min(entry.size, position + length))),
      sync: async () => {
        this.syncCount += 1;
      },
      stat: async () => ({ bytes: entry.size, linkCount: entry.linkCount }),
      close: async () => this.#tidy(),
    };
  }

  async #write(entry: Entry, bytes: Uint8Array, position: number): Promise<number> {
    await this.held;
    this.writeCount += 1;
    if (this.writeFailure !== undefined) {
      throw failure(this.writeFailure);
    }
    const otherBytes = entry.linkCount === 0 ? 0 : this.usedBytes - entry.size;
    const room = Math.max(0, this.capacityBytes - otherBytes - position);
    const count = Math.min(bytes.byteLength, this.writeMaxBytes, room);
    if (count === 0) {
      throw failure('ENOSPC');
    }
    if (position + count > entry.bytes.byteLength) {
      const grown = Buffer.alloc((position + count) * 2);
      entry.bytes.copy(grown, 0, 0, entry.size);
      entry.bytes = grown;
    }
    entry.bytes.set(bytes.subarray(0, count), position);
    entry.size = Math.max(entry.size, position + count);
    return count;
  }

  async #tidy(): Promise<void> {
    if (this.tidyFailure !== undefined) {
      throw failure(this.tidyFailure);
    }
  }

  #find(file: string): Entry {
    const entry = this.#entries.get(file);
    if (entry === undefined) {
      throw failure('ENOENT');
    }
    return entry;
  }

  async makeFolder(): Promise<void> {
    // Folders are there when something is in them.
  }

  async list(folder: string): Promise<readonly string[]> {
    const below = this.paths().filter((file) => file.startsWith(`${folder}/`));
    return [...new Set(below.map((file) => path.relative(folder, file).split('/')[0] ?? ''))];
  }

  async sizeBytes(file: string): Promise<number | undefined> {
    return this.#entries.get(file)?.size;
  }

  async truncate(file: string, bytes: number): Promise<void> {
    await this.#tidy();
    this.#find(file).size = Math.min(bytes, this.#find(file).size);
  }

  async rename(from: string, to: string): Promise<void> {
    for (const file of this.paths()) {
      if (file === from || file.startsWith(`${from}/`)) {
        const entry = this.#find(file);
        this.#entries.delete(file);
        this.#entries.set(to + file.slice(from.length), entry);
      }
    }
  }

  async remove(target: string): Promise<void> {
    await this.#tidy();
    for (const file of this.paths()) {
      if (file === target || file.startsWith(`${target}/`)) {
        this.#find(file).linkCount = 0;
        this.#entries.delete(file);
      }
    }
  }

  async syncFolder(): Promise<void> {
    this.syncCount += 1;
  }

  async freeBytes(): Promise<number> {
    return this.capacityBytes - this.usedBytes;
  }
}
