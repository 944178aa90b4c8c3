/**
 * Cues on disk, so that what was prepared outlives the server: one file for each broadcast's name, replaced as a whole, so that a crash leaves the old one or
 * the new one. Files are named by a hash: no name becomes a path.
 */
import { createHash } from 'node:crypto';
import { readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../base/errors.ts';
import { replacePrivateFileAsync } from '../base/private-file.ts';
import type { Log } from '../observability/log.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { CueRecord } from './cue.ts';

const FILE_FORM = /^[0-9a-f]{32}\.json$/;
/** 500 cues with the largest payload. */
const FILE_MAX_BYTES = 16 * 2 ** 20;
const FILE_MAX_COUNT = 1_000;

const AT = z.union([z.literal('now'), z.object({ countdownMs: z.number() }), z.object({ mediaMs: z.number() })]);
const RECORD = z.object({
  content: z.object({
    id: z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/),
    mode: z.enum(['media', 'clock']),
    kind: z.string(),
    title: z.string().exactOptional(),
    price: z.string().exactOptional(),
    picture: z.string().exactOptional(),
    link: z.string().exactOptional(),
    durationMs: z.number().nullable(),
    payload: z.unknown().optional(),
    stock: z.number().exactOptional(),
  }),
  state: z.enum(['prepared', 'armed', 'fired', 'ended']),
  at: AT.nullable(),
  place: z
    .object({ mediaMs: z.number(), programWallMs: z.number(), showAtWallMs: z.number().nullable() })
    .nullable()
    .transform((place) => place ?? undefined),
  firedAtWallMs: z
    .number()
    .nullable()
    .transform((firedAtWallMs) => firedAtWallMs ?? undefined),
});
const FILE = z.object({
  version: z.literal(1),
  name: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
  cues: z.array(RECORD).max(10_000),
});

export class CueStore {
  readonly #folder: string;
  readonly #log: Log;
  readonly #failures: ReturnType<Metrics['counter']>;
  /** What waits to be written, the latest only, and the write that runs. */
  readonly #waiting = new Map<string, readonly CueRecord[]>();
  readonly #running = new Map<string, Promise<void>>();

  constructor(options: { folder: string; log: Log; metrics: Metrics }) {
    this.#folder = options.folder;
    this.#log = options.log;
    this.#failures = options.metrics.counter('cue_store_failures_total', 'Writes of cues that the disk refused');
  }

  /** All names with cues. A file that cannot be used is put aside, aloud. */
  async load(): Promise<ReadonlyMap<string, readonly CueRecord[]>> {
    const found = new Map<string, readonly CueRecord[]>();
    for (const fileName of (await this.#list()).filter((entry) => FILE_FORM.test(entry)).slice(0, FILE_MAX_COUNT)) {
      const path = join(this.#folder, fileName);
      try {
        const { size } = await stat(path);
        if (size > FILE_MAX_BYTES) {
          throw new RangeError(`${size} bytes, expected at most ${FILE_MAX_BYTES}`);
        }
        const { name, cues } = FILE.parse(JSON.parse(await readFile(path, 'utf8')));
        found.set(name, cues);
      } catch (error) {
        this.#log.error('cues.file.refused', { file: fileName, error: messageOf(error) });
        await rename(path, `${path}.refused`);
      }
    }
    return found;
  }

  /** Resolves once the disk has it, or has refused it (which is logged and counted: live goes on). Never rejects. */
  async save(name: string, records: readonly CueRecord[]): Promise<void> {
    this.#waiting.set(name, records);
    await this.#running.get(name);
    // Whoever comes first writes for all who waited.
    const latest = this.#waiting.get(name);
    if (latest !== undefined) {
      this.#waiting.delete(name);
      const write = this.#write(name, latest);
      this.#running.set(name, write);
      await write;
      if (this.#running.get(name) === write) {
        this.#running.delete(name);
      }
      return;
    }
    await this.#running.get(name);
  }

  async settled(): Promise<void> {
    while (this.#running.size > 0) {
      await Promise.all(this.#running.values());
    }
  }

  async #write(name: string, records: readonly CueRecord[]): Promise<void> {
    const path = join(this.#folder, `${createHash('sha256').update(name).digest('hex').slice(0, 32)}.json`);
    try {
      if (records.length === 0) {
        await rm(path, { force: true });
        return;
      }
      const cues = records.map(({ place = null, firedAtWallMs = null, ...record }) => ({
        ...{ ...record, place, firedAtWallMs },
      }));
      await replacePrivateFileAsync(path, JSON.stringify({ version: 1, name, cues }));
    } catch (error) {
      this.#failures.inc();
      this.#log.error('cues.save.failed', { broadcast: name, error: messageOf(error) });
    }
  }

  async #list(): Promise<readonly string[]> {
    try {
      return await readdir(this.#folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
        return [];
      }
      throw error;
    }
  }
}
