/**
 * All recordings below one folder: found at the start (and ended, if their writer did not live to), listed, opened, renamed, removed.
 * Ids come from our own list, so nothing from outside becomes a path.
 */
import { join } from 'node:path';
import { ProtocolError, WorldError, messageOf } from '../base/errors.ts';
import type { Log } from '../observability/log.ts';
import type { FileSystem } from './file-system.ts';
import { writeAll } from './file-system.ts';
import { SUMMARY_TAIL_BYTES, decodeLastSummary, encodeRecord } from './index-format.ts';
import type { OpenRecording, RecordingSummary, Recordings } from './recording.ts';
import { INDEX_FILE_NAME } from './recording.ts';
import { recoverRecording } from './recovery.ts';
import { asOpenRecording, openRecording } from './segment-reader.ts';
import type { LiveRecording } from './recording-session.ts';

const ID_FORM = /^[0-9a-f]{32}$/;
/** Indexes in memory at once; one of eight hours is 2 MB. */
const OPENED_MAX_COUNT = 16;
const TITLE_MAX_LENGTH = 200;
/** On its way out: the next start finishes what was interrupted. */
const REMOVED_PREFIX = 'removed-';

/** `onReady`: all of it is on disk. */
export type RecordingListener = {
  onStarted(summary: RecordingSummary): void;
  onReady(summary: RecordingSummary): void;
};

export class RecordingStore implements Recordings {
  readonly #root: string;
  readonly #files: FileSystem;
  readonly #log: Log;
  readonly #ended = new Map<string, RecordingSummary>();
  readonly #live = new Map<string, LiveRecording>();
  readonly #listeners: RecordingListener[] = [];
  /** Least recently opened first. */
  readonly #opened = new Map<string, Promise<OpenRecording>>();

  constructor(options: { root: string; files: FileSystem; log: Log }) {
    this.#root = options.root;
    this.#files = options.files;
    this.#log = options.log;
  }

  /** Told of each recording that begins or ends from now on. */
  listen(listener: RecordingListener): void {
    this.#listeners.push(listener);
  }

  /** Finds what is there. Recordings without an end get one; those that cannot be read are left as they are, aloud. */
  async scan(): Promise<void> {
    const found = { endedCount: 0, recoveredCount: 0, discardedCount: 0, unreadableCount: 0 };
    for (const name of await this.#files.list(this.#root)) {
      if (name.startsWith(REMOVED_PREFIX)) {
        await this.#files.remove(join(this.#root, name));
      } else if (ID_FORM.test(name)) {
        found[await this.#scanOne(name)] += 1;
      }
    }
    this.#log.info('recordings.found', found);
  }

  list(): readonly RecordingSummary[] {
    const live = [...this.#live.values()].map(({ index }) => index.summary);
    return [...live, ...this.#ended.values()].toSorted((a, b) => b.startedAtWallMs - a.startedAtWallMs);
  }

  summaryOf(id: string): RecordingSummary | undefined {
    return this.#live.get(id)?.index.summary ?? this.#ended.get(id);
  }

  async open(id: string): Promise<OpenRecording | undefined> {
    const live = this.#live.get(id);
    if (live !== undefined) {
      return asOpenRecording({ files: this.#files, folder: live.folder, index: live.index });
    }
    if (!this.#ended.has(id)) {
      return undefined;
    }
    const opened = this.#opened.get(id) ?? openRecording(join(this.#root, id), this.#files);
    this.#keepOpened(id, opened);
    try {
      return await opened;
    } catch (error) {
      this.#opened.delete(id);
      throw error;
    }
  }

  async rename(id: string, title: string): Promise<boolean> {
    if (title.length > TITLE_MAX_LENGTH) {
      throw new TypeError(`title has ${title.length} characters, expected at most ${TITLE_MAX_LENGTH}`);
    }
    const live = this.#live.get(id);
    if (live !== undefined) {
      await live.setTitle(title);
      return true;
    }
    const summary = this.#ended.get(id);
    if (summary === undefined) {
      return false;
    }
    const renamed = { ...summary, title };
    this.#ended.set(id, renamed);
    try {
      await this.#appendTitle(id, renamed);
    } catch (error) {
      this.#ended.set(id, summary);
      throw error;
    }
    this.#opened.delete(id);
    return true;
  }

  async remove(id: string): Promise<boolean> {
    if (this.#live.has(id)) {
      throw new WorldError('REPLAY_RECORDING_LIVE', 'the recording is still being made; end the broadcast first');
    }
    if (!this.#ended.has(id)) {
      return false;
    }
    const doomed = join(this.#root, `${REMOVED_PREFIX}${id}`);
    await this.#files.rename(join(this.#root, id), doomed);
    this.#ended.delete(id);
    this.#opened.delete(id);
    await this.#files.remove(doomed);
    this.#log.info('recording.removed', { recordingId: id });
    return true;
  }

  /** A recording has begun. */
  addLive(live: LiveRecording): void {
    this.#live.set(live.index.header.id, live);
    this.#listeners.forEach((listener) => listener.onStarted(live.index.summary));
  }

  /** It is over, with or without an end in its index; or its folder is gone. */
  endLive(live: LiveRecording, options: { isRemoved: boolean }): void {
    const { summary } = live.index;
    this.#live.delete(summary.id);
    if (!options.isRemoved && summary.durationMs > 0) {
      const { endedAtWallMs = live.index.lastWallMs, endReason = 'interrupted' } = summary;
      const ended = { ...summary, endedAtWallMs, endReason };
      this.#ended.set(summary.id, ended);
      this.#listeners.forEach((listener) => listener.onReady(ended));
    }
  }

  async #scanOne(id: string): Promise<'endedCount' | 'recoveredCount' | 'discardedCount' | 'unreadableCount'> {
    const folder = join(this.#root, id);
    try {
      const summary = await this.#readSummary(folder);
      if (summary?.id === id) {
        this.#ended.set(id, summary);
        return 'endedCount';
      }
      const recovered = await recoverRecording(this.#files, folder);
      if (recovered === undefined) {
        return 'discardedCount';
      }
      this.#ended.set(id, { ...recovered.summary, id });
      const { durationMs, mediaBytes } = recovered.summary;
      this.#log.warn('recording.recovered', { recordingId: id, durationMs, mediaBytes, cutCount: recovered.cutCount });
      return 'recoveredCount';
    } catch (error) {
      const isUnreadable = error instanceof ProtocolError;
      this.#log.error(isUnreadable ? 'recording.unreadable' : 'recording.scan.failed', {
        recordingId: id,
        error: messageOf(error),
      });
      return 'unreadableCount';
    }
  }

  async #readSummary(folder: string): Promise<RecordingSummary | undefined> {
    const path = join(folder, INDEX_FILE_NAME);
    const bytes = await this.#files.sizeBytes(path);
    if (bytes === undefined) {
      return undefined;
    }
    const file = await this.#files.open(path, 'read');
    try {
      const fromByte = Math.max(0, bytes - SUMMARY_TAIL_BYTES);
      return decodeLastSummary(await file.read(fromByte, bytes - fromByte));
    } finally {
      await file.close();
    }
  }

  /** The summary comes last again, so that the library still finds it. */
  async #appendTitle(id: string, summary: RecordingSummary): Promise<void> {
    const path = join(this.#root, id, INDEX_FILE_NAME);
    const file = await this.#files.open(path, 'update');
    try {
      const { bytes } = await file.stat();
      const records = [
        encodeRecord({ type: 'title', title: summary.title }),
        encodeRecord({ type: 'summary', summary }),
      ];
      await writeAll(file, Buffer.concat(records), bytes);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  #keepOpened(id: string, opened: Promise<OpenRecording>): void {
    this.#opened.delete(id);
    this.#opened.set(id, opened);
    const oldest = this.#opened.keys().next().value;
    if (this.#opened.size > OPENED_MAX_COUNT && oldest !== undefined) {
      this.#opened.delete(oldest);
    }
  }
}
