/**
 * The cues of one broadcast's name: prepared, armed with an instant on the media timeline, fired when the broadcast's media reaches it, edited, withdrawn.
 * Pure: told the time and where the media stands; returns what happened, and when it wants to be told again.
 *
 *     prepared ──fire──▶ armed ──media reaches it──▶ fired ──duration over──▶ ended
 *         ▲                │ the broadcast ends           │ the broadcast ends: gone
 *         └────────────────┘
 */
import type { CueAt, CueContent, CueTiming } from '../api/contract/cues-host.ts';
import type { CueEvent, CueNow, CuePlace, CueRange, CueRecord, MediaNow } from './cue.ts';
import { cueOf, markOf, programWallMsAt } from './cue.ts';

export type CueTimelineOptions = {
  /** Cues of one name, prepared ones included. */
  readonly cueMaxCount: number;
  /** `clock` mode: so long after it fired a cue is shown, so that all have it by then. */
  readonly clockLeadMs: number;
  /** What was on when the server stopped goes on in a broadcast that begins within this time. */
  readonly carryOverMaxMs: number;
};

export type CueRefusal = {
  readonly code: 'CUE_UNKNOWN' | 'CUE_EXISTS' | 'CUE_FIRED' | 'CUE_NOT_LIVE' | 'CUES_TOO_MANY';
  readonly detail: string;
};

export type CueOutcome =
  /** `isNew`: it was not there before. */
  | { readonly ok: true; readonly record: CueRecord; readonly isNew: boolean; readonly events: readonly CueEvent[] }
  | { readonly ok: false; readonly refusal: CueRefusal };

/** A promised program date time that is off by more is told anew: less than a picture matters to nobody who counts down. */
const MARK_MOVED_MIN_MS = 15;
const MARK_LOOK_EVERY_MS = 5_000;
/** Of `clockLeadMs`, so much must be left when it fires; else it is shown later than was announced. */
const CLOCK_LEAD_LEFT_RATIO = 0.8;

/** Ids that playlists of one broadcast were told of, withdrawn ones included, against those that may be there at once: they are remembered. */
const TOLD_MAX_RATIO = 20;

type OpenRange = Pick<CueRange, 'id' | 'startAtWallMs'>;

type Kept = {
  record: CueRecord;
  /** What playlists are told; its start, once told, stays what it was told to be, even where the clock moves a little. */
  range: OpenRange | undefined;
  /** What it was made with; undefined: by an earlier run of the server. */
  readonly madeAt: CueAt | null | undefined;
};

export class CueTimeline {
  readonly #options: CueTimelineOptions;
  readonly #kept = new Map<string, Kept>();
  /** Of what was withdrawn after it had been shown: what playlists go on telling of this broadcast. */
  #past: CueRange[] = [];
  /** Ranges of each id so far in this broadcast. */
  readonly #rangeCounts = new Map<string, number>();
  #broadcastId: string | undefined;
  #carriedUntilWallMs: number;
  #lookAtMs = 0;

  /** `restored`: as `stored` was when the server stopped; armed ones have lost their instant, fired ones may go on. */
  constructor(options: CueTimelineOptions, restored: readonly CueRecord[] = [], wallMs = 0) {
    this.#options = options;
    this.#carriedUntilWallMs = wallMs + options.carryOverMaxMs;
    for (const record of restored.slice(0, options.cueMaxCount)) {
      const { id } = record.content;
      const kept = record.state === 'armed' ? prepared(record.content) : record;
      this.#kept.set(id, { record: kept, range: undefined, madeAt: undefined });
    }
  }

  /** By media time; those without one last, oldest first. */
  get records(): readonly CueRecord[] {
    const placeOf = ({ place }: CueRecord): number => place?.mediaMs ?? Number.POSITIVE_INFINITY;
    return [...this.#kept.values()]
      .map(({ record }) => record)
      .sort((a, b) => (placeOf(a) === placeOf(b) ? 0 : placeOf(a) - placeOf(b)));
  }

  find(id: string): CueRecord | undefined {
    return this.#kept.get(id)?.record;
  }

  /** What playlists of the broadcast list, oldest first. They list it: whose date was open, and is known to `media`, has that date from now on. */
  ranges(media: MediaNow | undefined): readonly CueRange[] {
    this.#fixDates(media);
    const present = [...this.#kept.values()].flatMap(({ record, range }) => {
      const { content, state, place } = record;
      if (place === undefined || range === undefined) {
        return [];
      }
      const hasFired = state !== 'armed';
      return {
        ...{ ...range, mediaMs: place.mediaMs },
        durationMs: hasFired ? (content.durationMs ?? undefined) : undefined,
        isOpen: hasFired && content.durationMs === null,
        cue: hasFired ? cueOf(content, place) : undefined,
      };
    });
    return [...this.#past, ...present].sort((a, b) => a.mediaMs - b.mediaMs);
  }

  /** The first media of a broadcast is there; `now.media` tells of it. */
  begin(now: CueNow & { readonly media: MediaNow }): readonly CueEvent[] {
    this.#broadcastId = now.media.broadcastId;
    const events: CueEvent[] = [];
    for (const kept of this.#kept.values()) {
      const { record } = kept;
      if (record.state === 'prepared' && record.at !== null) {
        events.push(...this.#arm(kept, { at: record.at }, { ...now, media: now.media }));
      } else if (record.place !== undefined) {
        events.push(...this.#carryOver(kept, record.place, now.media));
      }
    }
    return [...events, ...this.advance(now)];
  }

  /** The broadcast is over. What has fired is gone, what was armed waits for the next. */
  end(): readonly CueEvent[] {
    this.#broadcastId = undefined;
    this.#past = [];
    this.#rangeCounts.clear();
    const events: CueEvent[] = [];
    for (const [id, kept] of this.#kept) {
      const { content, state } = kept.record;
      if (state === 'armed') {
        events.push(this.#disarm(kept));
      } else if (state !== 'prepared') {
        this.#kept.delete(id);
        events.push(...(state === 'fired' ? [{ type: 'ended', content, reason: 'broadcast' } as const] : []));
      }
    }
    return events;
  }

  /** Idempotent: the same again changes nothing, whatever has become of it since. */
  create(content: CueContent, timing: CueTiming | undefined, now: CueNow): CueOutcome {
    const existing = this.#kept.get(content.id);
    if (existing !== undefined) {
      const { madeAt, record } = existing;
      return isSame(record.content, content) && (madeAt === undefined || isSame(madeAt, timing?.at ?? null))
        ? { ok: true, record, isNew: false, events: [] }
        : refused('CUE_EXISTS', `${content.id} is there with other content, expected a new id, or PUT to edit it`);
    }
    const { cueMaxCount } = this.#options;
    if (this.#kept.size >= cueMaxCount || this.#rangeCounts.size >= cueMaxCount * TOLD_MAX_RATIO) {
      const detail = `there are ${this.#kept.size} cues and were ${this.#rangeCounts.size} in this broadcast, expected at most ${cueMaxCount} and ${cueMaxCount * TOLD_MAX_RATIO}`;
      return refused('CUES_TOO_MANY', detail);
    }
    const kept: Kept = { record: prepared(content), range: undefined, madeAt: timing?.at ?? null };
    this.#kept.set(content.id, kept);
    const events = timing === undefined ? [] : this.#time(kept, timing, now);
    if (events === undefined) {
      this.#kept.delete(content.id);
      return notLive(content.id);
    }
    return { ok: true, record: kept.record, isNew: true, events };
  }

  /** Gives it an instant, or another. Of one that has fired nothing changes, nor by asking twice for `now`. */
  fire(id: string, timing: CueTiming, now: CueNow): CueOutcome {
    const kept = this.#kept.get(id);
    if (kept === undefined) {
      return unknown(id);
    }
    const { state, at } = kept.record;
    const isDone = state === 'fired' || state === 'ended' || (state === 'armed' && at === 'now' && timing.at === 'now');
    const events = isDone ? [] : this.#time(kept, timing, now);
    return events === undefined ? notLive(id) : { ok: true, record: kept.record, isNew: false, events };
  }

  /** Other content, and another instant: undefined leaves that as it is, null takes it away. */
  edit(content: CueContent, timing: CueTiming | null | undefined, now: CueNow): CueOutcome {
    const kept = this.#kept.get(content.id);
    if (kept === undefined) {
      return unknown(content.id);
    }
    const before = kept.record;
    const hasFired = before.state === 'fired' || before.state === 'ended';
    if (hasFired && (timing !== undefined || content.mode !== before.content.mode)) {
      return refused('CUE_FIRED', `${content.id} has fired, expected no at and no other mode; withdraw it for another`);
    }
    const mustMove = before.state === 'armed' && timing === undefined && content.mode !== before.content.mode;
    kept.record = { ...before, content };
    const edits = isSame(before.content, content) ? [] : this.#noteEdit(kept, now);
    const moves =
      timing === undefined
        ? mustMove
          ? this.#rearm(kept, now)
          : []
        : timing === null
          ? before.state === 'armed'
            ? [this.#disarm(kept)]
            : this.#unplan(kept)
          : this.#time(kept, timing, now);
    if (moves === undefined) {
      kept.record = before;
      return notLive(content.id);
    }
    return { ok: true, record: kept.record, isNew: false, events: [...edits, ...moves] };
  }

  /** Void for viewers. In the recording one that was shown stays for as long as it was, unless it is to be forgotten. */
  withdraw(id: string, { isForgotten }: { isForgotten: boolean }, now: CueNow): CueOutcome {
    const kept = this.#kept.get(id);
    if (kept === undefined) {
      return unknown(id);
    }
    const { record, range } = kept;
    const { content, state, place } = record;
    this.#kept.delete(id);
    const shownMs = place === undefined ? 0 : Math.max(0, (now.media?.reachedMs ?? place.mediaMs) - place.mediaMs);
    const wasShown = place !== undefined && (state === 'fired' || state === 'ended') && this.#broadcastId !== undefined;
    const durationMs = Math.min(content.durationMs ?? Number.POSITIVE_INFINITY, Math.max(1, Math.round(shownMs)));
    const cue = wasShown ? cueOf({ ...content, durationMs }, place) : undefined;
    if (wasShown && range !== undefined && content.durationMs === null && !isForgotten) {
      // A duration may be added to what playlists have told, and nothing of that changed (RFC 8216bis 4.4.5.1).
      this.#past.push({ ...range, mediaMs: place.mediaMs, durationMs, isOpen: false, cue: cueOf(content, place) });
      this.#past.splice(0, Math.max(0, this.#past.length - this.#options.cueMaxCount));
    }
    const wasTold = state !== 'prepared';
    return {
      ...{ ok: true, record, isNew: false },
      events: [{ type: 'withdrawn', content, cue, isForgotten, wasTold }],
    };
  }

  /** Fires what the media has reached, ends what is over. */
  advance(now: CueNow): readonly CueEvent[] {
    const { media } = now;
    if (media === undefined || media.broadcastId !== this.#broadcastId) {
      return this.#dropStranded(now);
    }
    const due = [...this.#kept.values()]
      .filter(({ record }) => record.state === 'armed' && (record.place?.mediaMs ?? 0) <= media.reachedMs)
      .sort((a, b) => (a.record.place?.mediaMs ?? 0) - (b.record.place?.mediaMs ?? 0));
    const fired = due.flatMap((kept) => this.#fireNow(kept, now, media));
    const ended = [...this.#kept.values()].flatMap((kept) => this.#endIfOver(kept, now, media));
    return [...fired, ...ended, ...this.#lookAtMarks(now, media)];
  }

  /** Media time at which something happens next: a cue fires, a duration is over. Infinite when nothing does. For who sees the media come. */
  get nextMediaMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { record } of this.#kept.values()) {
      next = Math.min(next, nextMediaMsOf(record));
    }
    return next;
  }

  /** On the clock of `now.nowMs`; undefined: nothing will happen by itself. While no media comes, what waits for it has no deadline. */
  nextDeadlineMs(now: CueNow): number | undefined {
    const { nowMs, wallMs, media } = now;
    const waits: number[] = [];
    for (const { record } of this.#kept.values()) {
      if (record.place === undefined) {
        continue;
      }
      if (this.#broadcastId === undefined || media === undefined) {
        waits.push(this.#carriedUntilWallMs - wallMs);
        continue;
      }
      if (record.state === 'armed') {
        waits.push(this.#lookAtMs - nowMs);
      }
      waits.push(endsAtWallMsOf(record) - wallMs, media.isStalled ? Infinity : nextMediaMsOf(record) - media.reachedMs);
    }
    const waitMs = Math.min(...waits);
    return Number.isFinite(waitMs) ? nowMs + Math.max(0, waitMs) : undefined;
  }

  /** Undefined: it cannot be said when that is, since nobody is live. */
  #time(kept: Kept, timing: CueTiming, now: CueNow): readonly CueEvent[] | undefined {
    const { media } = now;
    if (media !== undefined && media.broadcastId === this.#broadcastId) {
      return [...this.#arm(kept, timing, { ...now, media }), ...this.advance(now)];
    }
    if (typeof timing.at === 'string' || 'countdownMs' in timing.at) {
      return undefined;
    }
    kept.record = { ...kept.record, at: timing.at };
    return [];
  }

  #arm(kept: Kept, timing: CueTiming, now: CueNow & { media: MediaNow }): readonly CueEvent[] {
    const mediaMs = placeOf(timing, now);
    return this.#armAt(kept, { at: timing.at, mediaMs }, now.media);
  }

  #armAt(kept: Kept, { at, mediaMs }: { at: CueAt; mediaMs: number }, media: MediaNow): readonly CueEvent[] {
    const { content } = kept.record;
    const showAtWallMs = content.mode === 'clock' ? mediaMs + media.arrivalOffsetMs + this.#options.clockLeadMs : null;
    const place = { mediaMs, programWallMs: programWallMsAt(media, mediaMs), showAtWallMs };
    kept.record = { ...kept.record, state: 'armed', at, place };
    kept.range = this.#newRange(content.id, undefined);
    return [{ type: 'armed', mark: markOf(content, place), content }];
  }

  /** The same instant, told anew because its mode is another. */
  #rearm(kept: Kept, now: CueNow): readonly CueEvent[] {
    const { at, place } = kept.record;
    return at === null || place === undefined || now.media === undefined
      ? []
      : this.#armAt(kept, { at, mediaMs: place.mediaMs }, now.media);
  }

  #disarm(kept: Kept): CueEvent {
    const { content } = kept.record;
    kept.record = prepared(content);
    kept.range = undefined;
    return { type: 'disarmed', id: content.id, content };
  }

  /** Of one that waits for the next broadcast. */
  #unplan(kept: Kept): readonly CueEvent[] {
    kept.record = { ...kept.record, at: null };
    return [];
  }

  #noteEdit(kept: Kept, now: CueNow): readonly CueEvent[] {
    const { content, state, place } = kept.record;
    const hasFired = place !== undefined && (state === 'fired' || state === 'ended');
    if (hasFired && this.#broadcastId !== undefined) {
      kept.range = this.#newRange(content.id, kept.range?.startAtWallMs);
    }
    if (hasFired && now.media !== undefined) {
      // A longer life may bring it back.
      kept.record = { ...kept.record, state: isOver(kept.record, now, now.media) ? 'ended' : 'fired' };
    }
    return [{ type: 'edited', content, cue: hasFired ? cueOf(content, place) : undefined }];
  }

  #fireNow(kept: Kept, now: CueNow, media: MediaNow): readonly CueEvent[] {
    const { content, place } = kept.record;
    if (place === undefined) {
      return [];
    }
    const { mediaMs } = place;
    const leadMs = this.#options.clockLeadMs;
    const isInTime = (place.showAtWallMs ?? 0) - now.wallMs >= leadMs * CLOCK_LEAD_LEFT_RATIO;
    const showAtWallMs = place.showAtWallMs === null || isInTime ? place.showAtWallMs : now.wallMs + leadMs;
    const firedPlace = { mediaMs, programWallMs: programWallMsAt(media, mediaMs), showAtWallMs };
    kept.record = { ...kept.record, state: 'fired', place: firedPlace, firedAtWallMs: now.wallMs };
    kept.range = kept.range === undefined ? undefined : withDate(kept.range, mediaMs, media);
    const lateMs = Math.max(0, now.wallMs - (mediaMs + media.arrivalOffsetMs));
    return [{ type: 'fired', cue: cueOf(content, firedPlace), lateMs }];
  }

  #endIfOver(kept: Kept, now: CueNow, media: MediaNow): readonly CueEvent[] {
    const { record } = kept;
    if (record.state !== 'fired' || !isOver(record, now, media)) {
      return [];
    }
    kept.record = { ...record, state: 'ended' };
    return [{ type: 'ended', content: record.content, reason: 'duration' }];
  }

  /** The clock moves a little while it settles, and drifts: who counts down over minutes is told. */
  #lookAtMarks(now: CueNow, media: MediaNow): readonly CueEvent[] {
    if (now.nowMs < this.#lookAtMs) {
      return [];
    }
    this.#lookAtMs = now.nowMs + MARK_LOOK_EVERY_MS;
    return [...this.#kept.values()].flatMap((kept) => {
      const { state, place, content } = kept.record;
      const programWallMs = programWallMsAt(media, place?.mediaMs ?? 0);
      if (
        state !== 'armed' ||
        place === undefined ||
        Math.abs(programWallMs - place.programWallMs) < MARK_MOVED_MIN_MS
      ) {
        return [];
      }
      const moved = { ...place, programWallMs };
      kept.record = { ...kept.record, place: moved };
      return [{ type: 'armed', mark: markOf(content, moved), content } as const];
    });
  }

  /** It goes on where it was by the wall clock, before the new broadcast's beginning. */
  #carryOver(kept: Kept, place: CuePlace, media: MediaNow): readonly CueEvent[] {
    const { content, state } = kept.record;
    const carried = { ...place, mediaMs: place.programWallMs - programWallMsAt(media, 0) };
    kept.record = { ...kept.record, place: carried };
    kept.range = this.#newRange(content.id, place.programWallMs);
    return state === 'fired' ? [{ type: 'carried', content, cue: cueOf(content, carried) }] : [];
  }

  /** Fired in a broadcast that a stop of the server has cut off, and no other has begun in time. */
  #dropStranded(now: CueNow): readonly CueEvent[] {
    if (this.#broadcastId !== undefined || now.wallMs < this.#carriedUntilWallMs) {
      return [];
    }
    return [...this.#kept].flatMap(([id, { record }]) => {
      if (record.place === undefined) {
        return [];
      }
      this.#kept.delete(id);
      const { content } = record;
      return record.state === 'fired' ? [{ type: 'ended', content, reason: 'broadcast' } as const] : [];
    });
  }

  #fixDates(media: MediaNow | undefined): void {
    if (media === undefined || media.broadcastId !== this.#broadcastId) {
      return;
    }
    this.#past = this.#past.map((range) => withDate(range, range.mediaMs, media));
    for (const kept of this.#kept.values()) {
      const { range, record } = kept;
      if (range !== undefined && record.place !== undefined) {
        kept.range = withDate(range, record.place.mediaMs, media);
      }
    }
  }

  /** `ID`, then `ID~2`, …: what playlists have told of a range must not change. */
  #newRange(id: string, startAtWallMs: number | undefined): OpenRange {
    const count = (this.#rangeCounts.get(id) ?? 0) + 1;
    this.#rangeCounts.set(id, count);
    return { id: count === 1 ? id : `${id}~${count}`, startAtWallMs };
  }
}

/** The date of a range is open until it is first told, and then it is by the clock of playlists: by arrival, a broadcast begins with pictures that are late. */
const withDate = <T extends OpenRange>(range: T, mediaMs: number, media: MediaNow): T =>
  range.startAtWallMs !== undefined || media.programOffsetMs === undefined
    ? range
    : { ...range, startAtWallMs: mediaMs + media.programOffsetMs };

const prepared = (content: CueContent): CueRecord => ({
  ...{ content, state: 'prepared', at: null },
  ...{ place: undefined, firedAtWallMs: undefined },
});

/** What is captured at an instant arrives a delay later: so much further on lies its place. */
const placeOf = (timing: CueTiming, now: CueNow & { media: MediaNow }): number => {
  const { at, sawMediaMs, encoderDelayMs = now.media.encoderDelayMs } = timing;
  if (typeof at !== 'string' && 'mediaMs' in at) {
    return at.mediaMs;
  }
  const pressedMediaMs = sawMediaMs ?? Math.round(now.wallMs - now.media.arrivalOffsetMs + encoderDelayMs);
  return pressedMediaMs + (typeof at === 'string' ? 0 : at.countdownMs);
};

/** When it fires, or its duration is over; infinite where media has nothing to do with it. */
const nextMediaMsOf = ({ state, place, content }: CueRecord): number => {
  const { mediaMs = Number.POSITIVE_INFINITY, showAtWallMs = null } = place ?? {};
  if (state === 'armed') {
    return mediaMs;
  }
  const isByMedia = state === 'fired' && showAtWallMs === null;
  return isByMedia ? mediaMs + (content.durationMs ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
};

/** `clock` mode: its duration is real time. Infinite otherwise. */
const endsAtWallMsOf = ({ state, place, content }: CueRecord): number => {
  const showAtWallMs = place?.showAtWallMs ?? Number.POSITIVE_INFINITY;
  return state === 'fired' ? showAtWallMs + (content.durationMs ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
};

/** Of one that has fired. */
const isOver = (record: CueRecord, now: CueNow, media: MediaNow): boolean => {
  const fired = { ...record, state: 'fired' } as const;
  return nextMediaMsOf(fired) <= media.reachedMs || endsAtWallMsOf(fired) <= now.wallMs;
};

const refused = (code: CueRefusal['code'], detail: string): CueOutcome => ({ ok: false, refusal: { code, detail } });
const unknown = (id: string): CueOutcome => refused('CUE_UNKNOWN', `there is no cue ${id}, or none any more`);
const notLive = (id: string): CueOutcome =>
  refused('CUE_NOT_LIVE', `${id} cannot get an instant while nobody is live, expected no at, or a mediaMs`);

/** Both come from JSON; the order of keys says nothing. */
const isSame = (a: unknown, b: unknown): boolean => canonical(a) === canonical(b);
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
