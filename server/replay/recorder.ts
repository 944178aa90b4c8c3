/**
 * Records every broadcast whose segments it is handed, and gives LL-HLS back what its memory has forgotten (live rewind). The only
 * way into this folder from the live side: nothing here ever makes it wait.
 */
import type { Clock } from '../base/clock.ts';
import type { PackagedSegment } from '../media/packaged-segment.ts';
import type { Log } from '../observability/log.ts';
import type { Metrics } from '../observability/metrics.ts';
import { DiskGate } from './disk-gate.ts';
import type { FileSystem } from './file-system.ts';
import { nodeFileSystem } from './file-system.ts';
import type { RecorderOptions } from './options.ts';
import type { RecorderMetrics } from './recorder-metrics.ts';
import { createRecorderMetrics } from './recorder-metrics.ts';
import type { RecordedCue } from './recording.ts';
import type { RecordingState } from './recording-session.ts';
import { RecordingSession } from './recording-session.ts';
import type { RecordingStore } from './recording-store.ts';
import { WorldError } from '../base/errors.ts';

/** Recordings that write at the same time; the others wait their turn. */
const WRITER_MAX_COUNT = 2;
/** Rewind goes on for so long after a broadcast's end; longer than LL-HLS keeps its playlists. */
const KEEP_AFTER_END_MS = 180_000;

export type RecorderStatus = {
  readonly state: RecordingState;
  /** Why it is paused: `disk_full`, `disk_failed`. */
  readonly pauseReason: string | null;
  /** Segments left out of the recording. */
  readonly lostCount: number;
};

/** Names one segment of a running broadcast. */
export type SegmentKey = Pick<PackagedSegment, 'broadcastId' | 'renditionId' | 'msn'>;

export class Recorder {
  readonly #settings: RecorderOptions;
  readonly #root: string;
  readonly #store: RecordingStore;
  readonly #files: FileSystem;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #metrics: RecorderMetrics;
  readonly #gate = new DiskGate({ maxCount: WRITER_MAX_COUNT });
  readonly #sessions = new Map<string, RecordingSession>();
  readonly #removalTimers = new Map<string, NodeJS.Timeout>();

  /** `root`: the folder of all recordings, the store's. Once per process: it registers its gauges. */
  constructor(options: {
    settings: RecorderOptions;
    root: string;
    store: RecordingStore;
    files?: FileSystem;
    clock: Clock;
    log: Log;
    metrics: Metrics;
  }) {
    this.#settings = options.settings;
    this.#root = options.root;
    this.#store = options.store;
    this.#files = options.files ?? nodeFileSystem;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#metrics = createRecorderMetrics(options.metrics, {
      recordingCount: () => this.#count((session) => (session.state === 'recording' ? 1 : 0)),
      pausedCount: () => this.#count((session) => (session.state === 'paused' ? 1 : 0)),
      queueBytes: () => this.#count((session) => session.queuedBytes),
    });
  }

  /** On the packet path: neither blocks nor throws. */
  onSegment(segment: PackagedSegment): void {
    const { enabled, renditions } = this.#settings;
    if (enabled && (renditions.length === 0 || renditions.includes(segment.renditionId))) {
      this.#sessionOf({ id: segment.broadcastId, name: segment.broadcastName }).push(segment);
    }
  }

  /** A cue has fired, or what has fired is another now. On the packet path: neither blocks nor throws. */
  onCue(broadcast: { readonly id: string; readonly name: string }, cue: RecordedCue): void {
    if (this.#settings.enabled) {
      this.#sessionOf(broadcast).keepCue(cue);
    }
  }

  /** Whether `read` gives it, now and until a while after the broadcast's end, if the disk keeps what it takes. */
  has(key: SegmentKey): boolean {
    return this.#sessions.get(key.broadcastId)?.has(key.renditionId, key.msn) === true;
  }

  /** Undefined for what is not there, or not there any more. Rejects when the disk does. */
  async read(key: SegmentKey): Promise<Uint8Array | undefined> {
    const session = this.#sessions.get(key.broadcastId);
    const queued = session?.queuedBody(key.renditionId, key.msn);
    const segment = session?.written(key.renditionId, key.msn);
    if (queued !== undefined || segment === undefined || session?.recordingId === undefined) {
      return queued;
    }
    const recording = await this.#store.open(session.recordingId);
    try {
      return await recording?.readSegment(segment);
    } catch (error) {
      if (error instanceof WorldError) {
        this.#log.warn('recording.segment.unreadable', { recordingId: session.recordingId, code: error.code });
        return undefined;
      }
      throw error;
    }
  }

  /** Null for a broadcast of which nothing is being recorded. */
  statusOf(broadcastId: string): RecorderStatus | null {
    const session = this.#sessions.get(broadcastId);
    if (session === undefined) {
      return null;
    }
    const { state, pauseReason = null, lostCount } = session;
    return { state, pauseReason, lostCount };
  }

  /** No segment of this broadcast follows. Resolves once its recording is written and closed. */
  async end(broadcastId: string, reason: string): Promise<void> {
    const session = this.#sessions.get(broadcastId);
    if (session === undefined) {
      return;
    }
    if (!this.#removalTimers.has(broadcastId)) {
      const forget = (): void => this.#forget(broadcastId);
      this.#removalTimers.set(broadcastId, setTimeout(forget, KEEP_AFTER_END_MS).unref());
    }
    await session.end(reason);
  }

  /** Ends all recordings. */
  async close(reason: string): Promise<void> {
    await Promise.all([...this.#sessions.keys()].map(async (broadcastId) => this.end(broadcastId, reason)));
    for (const broadcastId of [...this.#sessions.keys()]) {
      this.#forget(broadcastId);
    }
  }

  #forget(broadcastId: string): void {
    clearTimeout(this.#removalTimers.get(broadcastId));
    this.#removalTimers.delete(broadcastId);
    this.#sessions.delete(broadcastId);
  }

  #sessionOf(broadcast: { readonly id: string; readonly name: string }): RecordingSession {
    const existing = this.#sessions.get(broadcast.id);
    if (existing !== undefined) {
      return existing;
    }
    const session = new RecordingSession({
      broadcast,
      root: this.#root,
      settings: this.#settings,
      files: this.#files,
      gate: this.#gate,
      clock: this.#clock,
      log: this.#log,
      metrics: this.#metrics,
      onOpened: (live) => this.#store.addLive(live),
      onClosed: (live, end) => this.#store.endLive(live, end),
    });
    this.#sessions.set(broadcast.id, session);
    return session;
  }

  #count(read: (session: RecordingSession) => number): number {
    let sum = 0;
    for (const session of this.#sessions.values()) {
      sum += read(session);
    }
    return sum;
  }
}
