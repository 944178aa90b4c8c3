/**
 * The cues of all broadcasts' names: timers around each name's timeline, its file, and who is told. The only way into this folder for hosts (the API),
 * for viewers (sockets, playlists) and for those who build on cues (recorder, drops, webhooks).
 */
import type { Clock } from '../base/clock.ts';
import type { CueClock, CueContent, CueList, CueTiming, HostedCue } from '../api/contract/cues-host.ts';
import type { AccessUnit } from '../media/access-unit.ts';
import type { Log } from '../observability/log.ts';
import type { Metrics } from '../observability/metrics.ts';
import { messageOf as errorMessageOf } from '../base/errors.ts';
import type { CueEvent, CueNow, CueRange, CueRecord } from './cue.ts';
import { messageOf, snapshotOf } from './cue-messages.ts';
import type { CueMetrics } from './cue-metrics.ts';
import { createCueMetrics } from './cue-metrics.ts';
import { CueStore } from './cue-store.ts';
import type { CueOutcome, CueRefusal, CueTimelineOptions } from './cue-timeline.ts';
import { CueTimeline } from './cue-timeline.ts';
import type { EncoderDelayOptions } from './encoder-delay.ts';
import type { MediaWatch } from './media-watch.ts';

export type CueOptions = CueTimelineOptions &
  EncoderDelayOptions & {
    /** What a socket is told at first may have so many bytes; less than its queue takes. */
    readonly snapshotMaxBytes: number;
  };

export const CUE_DEFAULTS: CueOptions = {
  cueMaxCount: 500,
  clockLeadMs: 500,
  carryOverMaxMs: 120_000,
  encoderDelayMs: 'auto',
  uplinkDelayMs: 50,
  snapshotMaxBytes: 49_152,
};

/** Something has happened to a cue. `broadcastId` is undefined while nobody is live under the name. */
export type CueNews = {
  readonly name: string;
  readonly broadcastId: string | undefined;
  readonly event: CueEvent;
};

export type CueAnswer =
  | { readonly ok: true; readonly cue: HostedCue; readonly isNew: boolean }
  | { readonly ok: false; readonly refusal: CueRefusal };

/** Names with cues or a broadcast, at once. */
const NAME_MAX_COUNT = 1_000;
/** Broadcasts that are over, whose playlists may still be served. */
const ENDED_MAX_COUNT = 64;
const NO_RANGES: readonly CueRange[] = [];
/** Of one timer; what is due later is looked at again. */
const TIMER_MAX_MS = 60_000;

type Board = {
  readonly name: string;
  readonly timeline: CueTimeline;
  watch: MediaWatch | undefined;
  hasBegun: boolean;
  timer: NodeJS.Timeout | undefined;
  /** Of the next cue to fire: looked at with every picture. */
  nextMediaMs: number;
  /** Written when somebody asks; undefined since the last change. */
  snapshot: string | undefined;
  ranges: readonly CueRange[] | undefined;
};

export class CueDesk {
  readonly #options: CueOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #metrics: CueMetrics;
  readonly #store: CueStore;
  readonly #boards = new Map<string, Board>();
  readonly #byBroadcastId = new Map<string, Board>();
  readonly #endedRanges = new Map<string, readonly CueRange[]>();
  readonly #listeners = new Set<(news: CueNews) => void>();
  #tellViewers: (name: string, text: string) => void = () => undefined;

  private constructor(parts: { settings: CueOptions; store: CueStore; clock: Clock; log: Log; metrics: Metrics }) {
    this.#options = parts.settings;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#store = parts.store;
    this.#metrics = createCueMetrics(parts.metrics, { armedCount: () => this.#armedCount() });
  }

  /** With what was on disk. Once per process: it registers its gauges. */
  static async open(parts: {
    settings: CueOptions;
    folder: string;
    clock: Clock;
    log: Log;
    metrics: Metrics;
  }): Promise<CueDesk> {
    const store = new CueStore(parts);
    const desk = new CueDesk({ ...parts, store });
    for (const [name, records] of await store.load()) {
      desk.#schedule(desk.#addBoard(name, records));
    }
    return desk;
  }

  /** Told of all that happens from now on; called synchronously, in order. */
  listen(listener: (news: CueNews) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** All cues of all names as they stand, for who begins to listen. */
  *all(): Iterable<{ readonly name: string; readonly record: CueRecord }> {
    for (const { name, timeline } of this.#boards.values()) {
      for (const record of timeline.records) {
        yield { name, record };
      }
    }
  }

  /** Who sends a text to all sockets of a name: the one place where they are told. */
  setViewers(tellViewers: (name: string, text: string) => void): void {
    this.#tellViewers = tellViewers;
  }

  /** What a socket is told at first. */
  snapshotText(name: string): string {
    const board = this.#boards.get(name);
    if (board === undefined) {
      return EMPTY_SNAPSHOT;
    }
    board.snapshot ??= this.#writeSnapshot(board);
    return board.snapshot;
  }

  /** For the playlists of a broadcast, oldest first. */
  rangesOf(broadcastId: string): readonly CueRange[] {
    const board = this.#byBroadcastId.get(broadcastId);
    if (board === undefined) {
      return this.#endedRanges.get(broadcastId) ?? NO_RANGES;
    }
    if (board.ranges !== undefined) {
      return board.ranges;
    }
    const ranges = board.timeline.ranges(this.#now(board).media);
    const isComplete = ranges.every(({ startAtWallMs }) => startAtWallMs !== undefined);
    board.ranges = isComplete ? ranges : undefined;
    return ranges;
  }

  /** A broadcast has begun; its units are handed to `onUnit`. */
  attach(name: string, watch: MediaWatch): void {
    const board = this.#boards.get(name) ?? this.#addBoard(name, []);
    board.watch = watch;
    board.hasBegun = false;
    this.#byBroadcastId.set(watch.broadcastId, board);
  }

  /** On the packet path: a comparison, unless a cue is due. */
  onUnit(name: string, unit: AccessUnit): void {
    const board = this.#boards.get(name);
    if (board?.watch === undefined) {
      return;
    }
    board.watch.onUnit(unit);
    if (!board.hasBegun) {
      this.#begin(board);
    } else if ((board.watch.lastPtsMs ?? 0) >= board.nextMediaMs) {
      this.#advance(board);
    }
  }

  /** The broadcast is over. Its playlists are served for a while still, and keep their ranges. */
  end(name: string): void {
    const board = this.#boards.get(name);
    if (board?.watch === undefined) {
      return;
    }
    const { broadcastId } = board.watch;
    this.#endedRanges.set(broadcastId, this.rangesOf(broadcastId));
    this.#trimEnded();
    this.#changed(board, board.timeline.end());
    void this.#save(board);
    board.watch = undefined;
    board.hasBegun = false;
    this.#byBroadcastId.delete(broadcastId);
    this.#tellViewers(name, this.snapshotText(name));
    this.#dropIfEmpty(board);
  }

  list(name: string): CueList {
    const board = this.#boards.get(name);
    return { cues: board?.timeline.records.map(hostedOf) ?? [], clock: this.#clockOf(board) };
  }

  async create(name: string, content: CueContent, timing: CueTiming | undefined): Promise<CueAnswer> {
    if (!this.#boards.has(name) && this.#boards.size >= NAME_MAX_COUNT) {
      const detail = `${NAME_MAX_COUNT} names have cues, the most this server takes`;
      return { ok: false, refusal: { code: 'CUES_TOO_MANY', detail } };
    }
    const board = this.#boards.get(name) ?? this.#addBoard(name, []);
    return this.#apply(board, (timeline, now) => timeline.create(content, timing, now));
  }

  async fire(name: string, id: string, timing: CueTiming): Promise<CueAnswer> {
    return this.#apply(this.#boards.get(name), (timeline, now) => timeline.fire(id, timing, now));
  }

  /** `timing`: undefined leaves the instant as it is, null takes it away. */
  async edit(name: string, content: CueContent, timing: CueTiming | null | undefined): Promise<CueAnswer> {
    return this.#apply(this.#boards.get(name), (timeline, now) => timeline.edit(content, timing, now));
  }

  async withdraw(name: string, id: string, options: { isForgotten: boolean }): Promise<CueAnswer> {
    return this.#apply(this.#boards.get(name), (timeline, now) => timeline.withdraw(id, options, now));
  }

  /** Nothing fires any more; resolves once the disk has what there is. */
  async close(): Promise<void> {
    for (const board of this.#boards.values()) {
      clearTimeout(board.timer);
      board.watch = undefined;
    }
    await this.#store.settled();
  }

  async #apply(
    board: Board | undefined,
    change: (timeline: CueTimeline, now: CueNow) => CueOutcome,
  ): Promise<CueAnswer> {
    if (board === undefined) {
      return { ok: false, refusal: { code: 'CUE_UNKNOWN', detail: 'there are no cues under this name' } };
    }
    const outcome = change(board.timeline, this.#now(board));
    if (!outcome.ok) {
      this.#dropIfEmpty(board);
      return outcome;
    }
    this.#changed(board, outcome.events);
    const saved = this.#save(board);
    this.#dropIfEmpty(board);
    await saved;
    return { ok: true, cue: hostedOf(outcome.record), isNew: outcome.isNew };
  }

  #begin(board: Board): void {
    const now = this.#now(board);
    const { media } = now;
    if (media !== undefined) {
      board.hasBegun = true;
      this.#changed(board, board.timeline.begin({ ...now, media }));
      void this.#save(board);
      this.#tellViewers(board.name, this.snapshotText(board.name));
    }
  }

  #advance(board: Board): void {
    const events = board.timeline.advance(this.#now(board));
    this.#changed(board, events);
    if (events.length > 0) {
      void this.#save(board);
    }
  }

  /** Something may have happened: who must be told is told, and the next instant is waited for. */
  #changed(board: Board, events: readonly CueEvent[]): void {
    board.snapshot = undefined;
    board.ranges = undefined;
    for (const event of events) {
      this.#tell(board, event);
    }
    this.#schedule(board);
  }

  async #save(board: Board): Promise<void> {
    await this.#store.save(board.name, board.timeline.records);
  }

  #tell(board: Board, event: CueEvent): void {
    const { name } = board;
    const broadcastId = board.watch?.broadcastId;
    const content = event.type === 'fired' ? event.cue : event.content;
    this.#metrics.events.inc({ event: event.type });
    if (event.type === 'fired') {
      this.#metrics.fireLateSeconds.observe(event.lateMs / 1000);
    }
    const { id, kind, mode } = content;
    this.#log.info(`cue.${event.type}`, {
      ...{ broadcast: name, broadcastId: broadcastId ?? null },
      ...{ id, kind, mode },
    });
    const message = messageOf(event);
    if (message !== null) {
      this.#tellViewers(name, JSON.stringify(message));
    }
    for (const listener of this.#listeners) {
      this.#tellListener(listener, { name, broadcastId, event });
    }
  }

  /** What one of them does not take must not keep the cue from the others. */
  #tellListener(listener: (news: CueNews) => void, news: CueNews): void {
    try {
      listener(news);
    } catch (error) {
      this.#log.error('cue.listener.failed', { broadcast: news.name, error: errorMessageOf(error) });
    }
  }

  #now(board: Board): CueNow {
    const wallMs = this.#clock.wallMs();
    return { nowMs: this.#clock.nowMs(), wallMs, media: board.watch?.now(wallMs) };
  }

  #schedule(board: Board): void {
    clearTimeout(board.timer);
    board.timer = undefined;
    board.nextMediaMs = board.timeline.nextMediaMs;
    const now = this.#now(board);
    const deadlineMs = board.timeline.nextDeadlineMs(now);
    if (deadlineMs !== undefined) {
      const waitMs = Math.min(Math.max(1, Math.ceil(deadlineMs - now.nowMs)), TIMER_MAX_MS);
      board.timer = setTimeout(() => this.#advance(board), waitMs);
    }
  }

  #addBoard(name: string, records: readonly CueRecord[]): Board {
    const board: Board = {
      name,
      timeline: new CueTimeline(this.#options, records, this.#clock.wallMs()),
      ...{ watch: undefined, hasBegun: false, timer: undefined },
      ...{ nextMediaMs: Number.POSITIVE_INFINITY, snapshot: undefined, ranges: undefined },
    };
    this.#boards.set(name, board);
    return board;
  }

  #dropIfEmpty(board: Board): void {
    if (board.watch === undefined && board.timeline.records.length === 0) {
      clearTimeout(board.timer);
      this.#boards.delete(board.name);
    }
  }

  #trimEnded(): void {
    const oldest = this.#endedRanges.keys().next().value;
    if (this.#endedRanges.size > ENDED_MAX_COUNT && oldest !== undefined) {
      this.#endedRanges.delete(oldest);
    }
  }

  #writeSnapshot({ name, timeline }: Board): string {
    const { text, leftOutCount } = snapshotOf(timeline.records, { maxBytes: this.#options.snapshotMaxBytes });
    if (leftOutCount > 0) {
      this.#log.debug('cue.snapshot.cut', { broadcast: name, leftOutCount });
    }
    return text;
  }

  #clockOf(board: Board | undefined): CueClock | null {
    const media = board === undefined ? undefined : this.#now(board).media;
    const delay = board?.watch?.encoderDelay;
    return media === undefined || delay === undefined
      ? null
      : {
          broadcastId: media.broadcastId,
          mediaMs: Math.round(media.reachedMs),
          serverWallMs: this.#clock.wallMs(),
          ...{ encoderDelayMs: delay.delayMs, encoderDelayFrom: delay.from },
        };
  }

  #armedCount(): number {
    return [...this.all()].filter(({ record }) => record.state === 'armed').length;
  }
}

const EMPTY_SNAPSHOT = snapshotOf([], { maxBytes: 0 }).text;

const hostedOf = ({ content, state, at, place, firedAtWallMs }: CueRecord): HostedCue => ({
  ...content,
  ...{ state, at },
  mediaMs: place?.mediaMs ?? null,
  programWallMs: place?.programWallMs ?? null,
  showAtWallMs: place?.showAtWallMs ?? null,
  firedAtWallMs: firedAtWallMs ?? null,
});
