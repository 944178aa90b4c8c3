/**
 * Lines of one session each, NDJSON, into files of a folder: what a controller was told and what it decided, so that a session can be replayed.
 * Bounded: in sessions, in bytes of each, and in what waits for the disk. Never awaited by who writes.
 */
import { createWriteStream, mkdirSync } from 'node:fs';
import type { WriteStream } from 'node:fs';
import { join } from 'node:path';
import type { Log } from './log.ts';

export type DecisionTracesOptions = {
  /** Empty: nothing is written. */
  readonly folder: string;
  readonly sessionMaxBytes: number;
  readonly sessionMaxCount: number;
};

/** Lines that wait for a slow disk. */
const WAITING_MAX_BYTES = 1_048_576;
const CUT_LINE = '["cut"]\n';

export class DecisionTraces {
  readonly #options: DecisionTracesOptions;
  readonly #log: Log;
  #count = 0;

  constructor(options: DecisionTracesOptions, log: Log) {
    this.#options = options;
    this.#log = log;
  }

  /** Undefined when nothing is to be written, or enough was. */
  open(sessionId: string): DecisionTrace | undefined {
    const { folder, sessionMaxBytes, sessionMaxCount } = this.#options;
    if (folder === '' || this.#count >= sessionMaxCount) {
      return undefined;
    }
    this.#count += 1;
    mkdirSync(folder, { recursive: true });
    const stream = createWriteStream(join(folder, `${sessionId}.ndjson`), { mode: 0o600 });
    stream.on('error', ({ message }) => this.#log.warn('decision-trace.failed', { message }));
    return new DecisionTrace(stream, sessionMaxBytes);
  }
}

export class DecisionTrace {
  readonly #stream: WriteStream;
  readonly #maxBytes: number;
  #bytes = 0;
  #isOver = false;

  constructor(stream: WriteStream, maxBytes: number) {
    this.#stream = stream;
    this.#maxBytes = maxBytes;
  }

  /** One value that JSON can say. A trace with a hole cannot be replayed, so the first line that does not fit is the last. */
  write(value: unknown): void {
    if (this.#isOver) {
      return;
    }
    const line = `${JSON.stringify(value)}\n`;
    this.#bytes += line.length;
    if (this.#bytes > this.#maxBytes || this.#stream.writableLength > WAITING_MAX_BYTES) {
      this.#stream.write(CUT_LINE);
      this.close();
    } else {
      this.#stream.write(line);
    }
  }

  /** May be called twice. */
  close(): void {
    if (!this.#isOver) {
      this.#isOver = true;
      this.#stream.end();
    }
  }
}
