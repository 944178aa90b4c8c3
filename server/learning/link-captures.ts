/**
 * Sessions' links as files of a folder, for `npm run learn -- --from`: some of the sessions, bounded in all ways, and with nothing that tells whose
 * they were: random names, the day alone, no address, broadcast or time. A file is there whole or not at all; the oldest go first.
 */
import { randomBytes } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { replacePrivateFileAsync } from '../base/private-file.ts';
import { LINK_TRACE_STEP_MS, LinkCapture } from '../congestion/link-capture.ts';
import type { LinkTrace } from '../congestion/link-capture.ts';
import type { Log } from '../observability/log.ts';

export type LinkCaptureOptions = {
  /** Empty: nothing is captured. */
  readonly folder: string;
  /** Of all sessions that may be captured, 0 … 1. */
  readonly sessionRatio: number;
  /** Captured at the same time. */
  readonly sessionMaxCount: number;
  readonly sessionMaxMs: number;
  readonly totalMaxBytes: number;
};

export const LINK_CAPTURE_DEFAULTS: LinkCaptureOptions = {
  folder: 'links',
  sessionRatio: 0.1,
  sessionMaxCount: 20,
  sessionMaxMs: 1_800_000,
  totalMaxBytes: 33_554_432,
};

export type OpenCapture = { readonly capture: LinkCapture; readonly onTrace: (trace: LinkTrace) => void };

/** A shorter session says too little. */
const ROW_MIN_COUNT = 60;
const DAY_LENGTH = 10;
const NAME_PATTERN = /^link-\d{4}-\d{2}-\d{2}-[\da-f]{16}\.csv$/;

export class LinkCaptures {
  readonly #options: LinkCaptureOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #random: () => number;
  #openCount = 0;
  /** Writes follow each other, so that what is kept is counted once. */
  #lastWrite = Promise.resolve();

  constructor(options: LinkCaptureOptions, parts: { clock: Clock; log: Log; random?: () => number }) {
    this.#options = options;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#random = parts.random ?? Math.random;
  }

  /** Undefined where this session is left alone. `onTrace` must be called once, at its end. */
  open(): OpenCapture | undefined {
    const { folder, sessionRatio, sessionMaxCount, sessionMaxMs } = this.#options;
    if (folder === '' || this.#openCount >= sessionMaxCount || this.#random() >= sessionRatio) {
      return undefined;
    }
    this.#openCount += 1;
    const onTrace = (trace: LinkTrace): void => {
      this.#openCount -= 1;
      if (trace.rows.length >= ROW_MIN_COUNT) {
        this.#lastWrite = this.#lastWrite.then(async () => this.#keep(trace));
      }
    };
    return { capture: new LinkCapture(Math.ceil(sessionMaxMs / LINK_TRACE_STEP_MS)), onTrace };
  }

  /** Resolves when what was handed over lies on the disk. */
  async settled(): Promise<void> {
    await this.#lastWrite;
  }

  async #keep(trace: LinkTrace): Promise<void> {
    const { folder } = this.#options;
    const day = new Date(this.#clock.wallMs()).toISOString().slice(0, DAY_LENGTH);
    const file = path.join(folder, `link-${day}-${randomBytes(8).toString('hex')}.csv`);
    try {
      await replacePrivateFileAsync(file, toCsv(trace));
      await this.#makeRoom();
    } catch (error) {
      this.#log.warn('learning.capture.failed', { message: messageOf(error) });
    }
  }

  async #makeRoom(): Promise<void> {
    const { folder, totalMaxBytes } = this.#options;
    const names = (await readdir(folder)).filter((name) => NAME_PATTERN.test(name));
    const files = await Promise.all(
      names.map(async (name) => {
        const { size, mtimeMs } = await stat(path.join(folder, name));
        return { name, bytes: size, mtimeMs };
      }),
    );
    files.sort((a, b) => b.mtimeMs - a.mtimeMs);
    let totalBytes = 0;
    for (const { name, bytes } of files) {
      totalBytes += bytes;
      if (totalBytes > totalMaxBytes) {
        await rm(path.join(folder, name), { force: true });
      }
    }
  }
}

/** As the lab reads its traces (`time_ms`, `kbit_per_s`), with what else is known of the link. */
const toCsv = ({ rows, rttMs }: LinkTrace): string => {
  const lines = rows.map(({ atMs, rateBps, isCensored, lossRatio }) =>
    [atMs, (rateBps / 1_000).toFixed(1), isCensored ? 1 : 0, lossRatio.toFixed(4), rttMs.toFixed(0)].join(','),
  );
  return ['time_ms,kbit_per_s,is_at_least,loss_ratio,rtt_ms', ...lines, ''].join('\n');
};
