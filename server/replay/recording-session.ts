/**
 * Records one broadcast: a bounded queue in front of the disk, and what happens when the disk is slow, full, broken or gone. The
 * packet path only appends to the queue.
 *
 *     recording ──disk refuses, or hardly any room──▶ paused ──room again──▶ recording …
 *        └──folder removed──▶ a new recording in a new folder
 *
 * What is left out is left out whole and by number, in all renditions alike, so that they keep their discontinuities in common.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { PackagedSegment } from '../media/packaged-segment.ts';
import type { Log } from '../observability/log.ts';
import type { DiskGate } from './disk-gate.ts';
import { codeOf } from './file-system.ts';
import type { FileSystem } from './file-system.ts';
import type { RecorderOptions } from './options.ts';
import type { RecorderMetrics } from './recorder-metrics.ts';
import type { RecordedCue, RecordedSegment } from './recording.ts';
import type { SegmentIndex } from './segment-index.ts';
import { CUES_MAX_BYTES, cueKeyOf } from './segment-index.ts';
import type { QueuedSegment } from './segment-writer.ts';
import { SegmentWriter } from './segment-writer.ts';

/** `idle`: nothing to record yet. */
export type RecordingState = 'idle' | 'recording' | 'paused' | 'ended';

export type SessionOptions = {
  readonly broadcast: { readonly id: string; readonly name: string };
  /** Recordings' folders lie in it. */
  readonly root: string;
  readonly settings: RecorderOptions;
  readonly files: FileSystem;
  readonly gate: DiskGate;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: RecorderMetrics;
  /** A recording has begun, or is over; called from the writing side. */
  readonly onOpened: (recording: LiveRecording) => void;
  readonly onClosed: (recording: LiveRecording, end: { isRemoved: boolean }) => void;
};

/** One that is being written. */
export type LiveRecording = {
  readonly index: SegmentIndex;
  readonly folder: string;
  setTitle(title: string): Promise<void>;
};

/** Written in one go at most: about ten seconds of a strong stream. */
const BATCH_MAX_COUNT = 16;
/** Room at which a paused recording goes on, as a multiple of the least. */
const RESUME_RATIO = 1.25;

export class RecordingSession {
  readonly #options: SessionOptions;
  readonly #log: Log;
  #state: RecordingState = 'idle';
  #pauseReason: string | undefined;
  #writer: SegmentWriter | undefined;
  #live: LiveRecording | undefined;
  #queue: QueuedSegment[] = [];
  #queuedBytes = 0;
  /** All that fired so far, as it is now: a recording that is yet to be opened gets them at its beginning. */
  readonly #cues = new Map<string, RecordedCue>();
  #cuesBytes = 0;
  /** Everything up to this number that is not recorded yet is left out. */
  #lostUntilMsn = -1;
  #lostReason: string | undefined;
  #lostCount = 0;
  /** Per rendition: the loss that its segments already speak of. */
  readonly #toldMsns = new Map<string, number>();
  #retryAtMs = 0;
  #endReason: string | undefined;
  /** All work on the disk, one after the other. */
  #work: Promise<void> = Promise.resolve();
  #isScheduled = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#log = options.log.child({ broadcast: options.broadcast.name, broadcastId: options.broadcast.id });
  }

  get state(): RecordingState {
    return this.#state;
  }

  /** Why it is paused. */
  get pauseReason(): string | undefined {
    return this.#pauseReason;
  }

  /** Of the recording that grows now, or grew last. */
  get recordingId(): string | undefined {
    return this.#writer?.index.header.id;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get lostCount(): number {
    return this.#lostCount;
  }

  /** Its bytes can be had, or are on their way to the disk. */
  has(renditionId: string, msn: number): boolean {
    return this.#queued(renditionId, msn) !== undefined || this.written(renditionId, msn) !== undefined;
  }

  queuedBody(renditionId: string, msn: number): Uint8Array | undefined {
    return this.#queued(renditionId, msn)?.body;
  }

  /** Where it lies in the recording that grows now. */
  written(renditionId: string, msn: number): RecordedSegment | undefined {
    return this.#writer?.index.find(renditionId, msn);
  }

  /** Never blocks, never throws. */
  push(segment: PackagedSegment): void {
    if (this.#endReason !== undefined) {
      return;
    }
    if (segment.msn <= this.#lostUntilMsn) {
      this.#lose(1, this.#lostReason ?? 'left_out');
    } else if (this.#state === 'paused' && this.#options.clock.nowMs() < this.#retryAtMs) {
      this.#loseFrom(segment.msn, this.#pauseReason ?? 'paused');
    } else if (this.#queuedBytes + segment.body.byteLength > this.#options.settings.queueMaxBytes) {
      this.#loseFrom(segment.msn, 'queue_full');
    } else {
      this.#enqueue(segment);
    }
  }

  /** Never blocks, never throws. What the disk refuses now goes out with the next segments. */
  keepCue(cue: RecordedCue): void {
    const bytes = Buffer.byteLength(JSON.stringify(cue));
    if (this.#endReason !== undefined || this.#cuesBytes + bytes > CUES_MAX_BYTES) {
      this.#options.metrics.cuesDropped.inc();
      return;
    }
    this.#cuesBytes += bytes;
    this.#cues.set(cueKeyOf(cue.cue), cue);
    this.#writer?.addCue(cue);
    const flush = async (): Promise<void> => this.#writer?.flush();
    this.#inTurn(flush).catch((error: unknown) => {
      this.#log.warn('recording.cue.waits', { recordingId: this.recordingId ?? null, error: messageOf(error) });
    });
  }

  /** No segment follows. Resolves once everything is written and closed. */
  async end(reason: string): Promise<void> {
    if (this.#endReason === undefined) {
      this.#endReason = reason;
      this.#schedule();
    }
    await this.#settled();
  }

  #queued(renditionId: string, msn: number): PackagedSegment | undefined {
    return this.#queue.find(({ segment }) => segment.msn === msn && segment.renditionId === renditionId)?.segment;
  }

  #enqueue(segment: PackagedSegment): void {
    const isAfterLoss = this.#lostUntilMsn > (this.#toldMsns.get(segment.renditionId) ?? -1);
    this.#toldMsns.set(segment.renditionId, this.#lostUntilMsn);
    this.#queue.push({ segment, isAfterLoss });
    this.#queuedBytes += segment.body.byteLength;
    this.#schedule();
  }

  #loseFrom(msn: number, reason: string): void {
    if (this.#lostReason !== reason) {
      this.#log.warn('recording.segments.lost', { recordingId: this.recordingId ?? null, fromMsn: msn, reason });
    }
    this.#lostUntilMsn = Math.max(this.#lostUntilMsn, msn);
    this.#lostReason = reason;
    this.#lose(1, reason);
  }

  #lose(count: number, reason: string): void {
    this.#lostCount += count;
    this.#options.metrics.segmentsDropped.inc({ reason }, count);
  }

  #schedule(): void {
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      this.#work = this.#work.then(async () => this.#drain());
    }
  }

  async #settled(): Promise<void> {
    let seen: Promise<void> | undefined;
    while (seen !== this.#work) {
      seen = this.#work;
      await seen;
    }
  }

  /** Never rejects. */
  async #drain(): Promise<void> {
    this.#isScheduled = false;
    while (this.#queue.length > 0) {
      await this.#options.gate.run(async () => this.#writeBatch());
    }
    if (this.#endReason !== undefined && this.#state !== 'ended') {
      await this.#finish(this.#endReason);
    }
  }

  async #writeBatch(): Promise<void> {
    const { clock, metrics } = this.#options;
    const batch = this.#queue.slice(0, BATCH_MAX_COUNT);
    const startedAtMs = clock.nowMs();
    try {
      await this.#checkRoom();
      this.#writer ??= await this.#open(batch[0]?.segment.startAtWallMs ?? clock.wallMs());
      this.#tellLoss(batch);
      await this.#writer.append(batch, clock.nowMs());
      this.#take(batch.length);
      this.#goOn();
      const bytes = batch.reduce((sum, { segment }) => sum + segment.body.byteLength, 0);
      metrics.outBytes.inc(bytes);
      metrics.segments.inc(batch.length);
      metrics.writeSeconds.observe((clock.nowMs() - startedAtMs) / 1000);
    } catch (error) {
      await this.#fail(error);
    }
  }

  #take(count: number): void {
    for (const { segment } of this.#queue.splice(0, count)) {
      this.#queuedBytes -= segment.body.byteLength;
    }
  }

  /** Leaves the rest of the disk to others: it is never filled to the brim. */
  async #checkRoom(): Promise<void> {
    const { files, root, settings } = this.#options;
    await files.makeFolder(root);
    const neededBytes = settings.freeMinBytes * (this.#state === 'paused' ? RESUME_RATIO : 1);
    if ((await files.freeBytes(root)) < neededBytes) {
      throw Object.assign(new Error(`less than ${neededBytes} bytes are free`), { code: 'ENOSPC' });
    }
  }

  async #open(startedAtWallMs: number): Promise<SegmentWriter> {
    const { broadcast, root, settings, files, clock } = this.#options;
    const id = randomBytes(16).toString('hex');
    const header = { id, name: broadcast.name, title: '', startedAtWallMs: Math.round(startedAtWallMs) };
    const writer = await SegmentWriter.create({ files, folder: join(root, id), header, settings }, clock.nowMs());
    for (const cue of this.#cues.values()) {
      writer.addCue(cue);
    }
    this.#live = {
      index: writer.index,
      folder: writer.folder,
      setTitle: async (title) => this.#inTurn(async () => writer.setTitle(title)),
    };
    this.#log.info('recording.opened', { recordingId: id });
    this.#options.onOpened(this.#live);
    return writer;
  }

  /** The result of `task`, which runs when nothing else writes. */
  async #inTurn(task: () => Promise<void>): Promise<void> {
    const done = this.#work.then(task);
    this.#work = done.catch(() => undefined);
    await done;
  }

  #tellLoss(batch: readonly QueuedSegment[]): void {
    if (this.#lostReason !== undefined && batch.some(({ isAfterLoss }) => isAfterLoss)) {
      const atWallMs = Math.round(this.#options.clock.wallMs());
      this.#writer?.addMark({ kind: 'loss', atWallMs, reason: this.#lostReason });
      this.#log.warn('recording.went-on', { recordingId: this.recordingId ?? null, lostCount: this.#lostCount });
      this.#lostReason = undefined;
    }
  }

  #goOn(): void {
    if (this.#state === 'paused') {
      this.#log.warn('recording.resumed', { recordingId: this.recordingId ?? null, reason: this.#pauseReason });
    }
    this.#state = 'recording';
    this.#pauseReason = undefined;
  }

  async #fail(error: unknown): Promise<void> {
    const code = codeOf(error);
    this.#options.metrics.failures.inc({ code });
    if (code === 'REPLAY_FOLDER_REMOVED') {
      await this.#abandon();
      return;
    }
    const reason = code === 'ENOSPC' || code === 'EDQUOT' ? 'disk_full' : 'disk_failed';
    if (this.#state !== 'paused' || this.#pauseReason !== reason) {
      const fields = { recordingId: this.recordingId ?? null, reason, error: messageOf(error) };
      this.#log.error('recording.paused', fields);
    }
    this.#state = 'paused';
    this.#pauseReason = reason;
    this.#retryAtMs = this.#options.clock.nowMs() + this.#options.settings.retryEveryMs;
    this.#loseQueue(reason);
  }

  /** What waits now would be stale when there is room again, and holds memory. */
  #loseQueue(reason: string): void {
    const lastMsn = this.#queue.reduce((last, { segment }) => Math.max(last, segment.msn), this.#lostUntilMsn);
    this.#lostUntilMsn = lastMsn;
    this.#lostReason = reason;
    this.#lose(this.#queue.length, reason);
    this.#queue = [];
    this.#queuedBytes = 0;
  }

  /** Somebody removed the folder: the next batch opens another recording, which begins with what was not yet written. */
  async #abandon(): Promise<void> {
    this.#log.error('recording.closed', { recordingId: this.recordingId ?? null, reason: 'folder_removed' });
    await this.#writer?.close();
    this.#writer = undefined;
    this.#close({ isRemoved: true });
    this.#queue = this.#queue.map(({ segment }) => ({ segment, isAfterLoss: false }));
  }

  async #finish(reason: string): Promise<void> {
    const writer = this.#writer;
    this.#state = 'ended';
    if (writer === undefined) {
      return;
    }
    const { index } = writer;
    try {
      await writer.end({ reason, atWallMs: Math.round(this.#options.clock.wallMs()) });
    } catch (error) {
      // The next start of the server finds it without an end, and ends it.
      this.#log.error('recording.end.failed', { recordingId: index.header.id, error: messageOf(error) });
    }
    const { durationMs, mediaBytes } = index;
    this.#log.info('recording.closed', {
      ...{ recordingId: index.header.id, reason, durationMs: Math.round(durationMs), mediaBytes },
      lostCount: this.#lostCount,
    });
    this.#close({ isRemoved: false });
  }

  #close(end: { isRemoved: boolean }): void {
    if (this.#live !== undefined) {
      this.#options.onClosed(this.#live, end);
      this.#live = undefined;
    }
  }
}
