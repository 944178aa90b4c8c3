/**
 * Appends to the journal of one drop. While one write is on its way to the disk, what comes in the meantime gathers and goes as the next: however many
 * claims come, each waits for two syncs at most. What a failed write had begun is cut off again; what nobody was promised (claims) is then given up, all
 * else is tried again until the disk takes it.
 */
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../observability/log.ts';
import type { JournalFile } from './journal-file.ts';
import { openJournalFile } from './journal-file.ts';
import type { JournalRecord } from './journal-format.ts';
import { encodeJournalPrefix, encodeJournalRecord } from './journal-format.ts';

export type WrittenBatch = { readonly claimCount: number; readonly durationMs: number };

export type JournalParts = {
  readonly path: string;
  /** What of the file is sound; 0: there is none yet. */
  readonly soundBytes: number;
  /** Nothing is written any more unless it is asked for. */
  readonly isOver: boolean;
  readonly retryEveryMs: number;
  /** Opens or makes the file, to be written. */
  readonly openFile?: (path: string) => Promise<JournalFile>;
  /** Called before anybody hears that a write has failed. */
  readonly onLost: () => void;
  /** Called for each write that is on disk, before anybody hears of it. */
  readonly onWritten: (written: WrittenBatch) => void;
  readonly clock: Clock;
  readonly log: Log;
};

type Batch = {
  readonly records: Buffer[];
  /** What is written again when it did not get to the disk. */
  readonly lasting: Buffer[];
  readonly settled: Promise<boolean>;
  readonly settle: (isOnDisk: boolean) => void;
};

export class Journal {
  readonly #parts: JournalParts;
  #file: JournalFile | undefined;
  #soundBytes: number;
  /** Whether something may lie behind what is sound. */
  #isTorn = true;
  #next: Batch | undefined;
  #isRunning = false;
  #isClosed = false;
  #writing: Batch | undefined;
  #retryTimer: NodeJS.Timeout | undefined;

  constructor(parts: JournalParts) {
    this.#parts = parts;
    this.#soundBytes = parts.soundBytes;
    if (parts.soundBytes === 0) {
      void this.#keep(encodeJournalPrefix());
    } else if (!parts.isOver) {
      // Opened, and what is torn cut off, before the first claim waits for it.
      void this.#keep(EMPTY);
    }
  }

  /** Resolves to whether the record is on disk. Order is kept. */
  async append(record: JournalRecord): Promise<boolean> {
    const bytes = encodeJournalRecord(record);
    if (record.type !== 'claim') {
      return this.#keep(bytes);
    }
    const batch = this.#batch();
    batch.records.push(bytes);
    return batch.settled;
  }

  /** Resolves when all that was appended by now is on disk, to true, or was given up, to false. */
  async settled(): Promise<boolean> {
    return this.#next?.settled ?? this.#writing?.settled ?? true;
  }

  /** Writes what waits, then closes the file. */
  async close(): Promise<void> {
    await this.settled();
    this.#isClosed = true;
    clearTimeout(this.#retryTimer);
    await this.#file?.close();
    this.#file = undefined;
  }

  async #keep(bytes: Buffer): Promise<boolean> {
    const batch = this.#batch();
    batch.records.push(bytes);
    batch.lasting.push(bytes);
    return batch.settled;
  }

  #batch(): Batch {
    this.#next ??= newBatch();
    if (!this.#isRunning) {
      this.#isRunning = true;
      clearTimeout(this.#retryTimer);
      // All that the sockets bring in this turn shares the write.
      setImmediate(() => void this.#run());
    }
    return this.#next;
  }

  async #run(): Promise<void> {
    while (this.#next !== undefined && !this.#isClosed) {
      const batch = this.#next;
      this.#next = undefined;
      this.#writing = batch;
      const isOnDisk = await this.#write(batch);
      this.#writing = undefined;
      if (!isOnDisk) {
        await this.#reopenLater();
        this.#giveUp(batch);
        break;
      }
      batch.settle(true);
    }
    this.#isRunning = false;
  }

  async #write(batch: Batch): Promise<boolean> {
    const { clock, log, path } = this.#parts;
    const startedAtMs = clock.nowMs();
    try {
      const file = (this.#file ??= await (this.#parts.openFile ?? openJournalFile)(path));
      if (this.#isTorn) {
        await file.truncate(this.#soundBytes);
      }
      this.#isTorn = true;
      const bytes = Buffer.concat(batch.records);
      await file.write(bytes, this.#soundBytes);
      this.#soundBytes += bytes.byteLength;
      this.#isTorn = false;
    } catch (error) {
      log.error('drop.journal.failed', { path, error: messageOf(error), recordCount: batch.records.length });
      return false;
    }
    const claimCount = batch.records.length - batch.lasting.length;
    this.#parts.onWritten({ claimCount, durationMs: clock.nowMs() - startedAtMs });
    return true;
  }

  /** What a failed sync leaves of a file's pages is not to be trusted through the same handle. */
  async #reopenLater(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    try {
      await file?.close();
    } catch (error) {
      this.#parts.log.debug('drop.journal.close.failed', { error: messageOf(error) });
    }
  }

  /** With what waited behind it: its tickets have later numbers. */
  #giveUp(failed: Batch): void {
    const waiting = this.#next;
    const lasting = [...failed.lasting, ...(waiting?.lasting ?? [])];
    this.#next = undefined;
    this.#parts.onLost();
    failed.settle(false);
    waiting?.settle(false);
    if (lasting.length > 0) {
      const again = newBatch();
      again.records.push(...lasting);
      again.lasting.push(...lasting);
      this.#next = again;
      this.#retryTimer = setTimeout(() => this.#retry(), this.#parts.retryEveryMs);
      this.#retryTimer.unref();
    }
  }

  #retry(): void {
    if (!this.#isRunning && this.#next !== undefined) {
      this.#isRunning = true;
      void this.#run();
    }
  }
}

const EMPTY = Buffer.alloc(0);

const newBatch = (): Batch => {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  return { records: [], lasting: [], settled: promise, settle: resolve };
};
