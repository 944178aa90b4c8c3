/**
 * Which cues are on with the picture on screen, and what is counted down to. Fed with what socket, playlist and chapters tell of cues, asked at each
 * frame. Pure: told where the frame belongs and what time it is at the server.
 *
 *     frame ──place (media time, program date, offset into a replay)──┐
 *     server's clock ──(cues of mode `clock`, for who watches live)───┴─▶ on · counted down · shown and hidden since the last frame
 *
 * Everything follows the frame: who rewinds before a cue does not see it until its frame comes, whichever transport or rendition brings it. Only
 * `clock` cues have their instant at the server's clock, for all alike who watch live, and for who is rewound when they fire.
 */
import type { Chapter, Cue, CueMark, CueMessage } from '../../server/api/contract/cues.ts';

/** Where a frame belongs: on the media timeline, by program date time, or in a replay from its beginning. */
export type CuePlace = { readonly kind: 'media' | 'wall' | 'offset'; readonly atMs: number };

export type CueMoment = {
  /** Of the frame on screen; null while unknown. */
  readonly place: CuePlace | null;
  /** Null while unknown. */
  readonly serverWallMs: number | null;
  /** Rewound in what is live, or a replay. */
  readonly isPast: boolean;
  /** The broadcast has ended and nothing of it is played: nothing is on. */
  readonly isOver: boolean;
};

export type CueCount = { readonly mark: CueMark; readonly remainingMs: number };

export type CueEvent =
  /** A countdown has begun, or a cue is known to come. */
  | { readonly type: 'announced'; readonly mark: CueMark }
  /** `lateMs`: how long after its instant; more than a frame where payload or viewer came late. */
  | { readonly type: 'shown'; readonly cue: Cue; readonly lateMs: number }
  /** Edited while it is on. */
  | { readonly type: 'changed'; readonly cue: Cue }
  | { readonly type: 'hidden'; readonly cue: Cue };

export type CueView = {
  /** Oldest instant first. */
  readonly on: readonly Cue[];
  /** Nearest first. */
  readonly counts: readonly CueCount[];
  readonly events: readonly CueEvent[];
  /** The server's time at which a `clock` cue comes or goes next, without any frame; null: none. */
  readonly nextClockAtWallMs: number | null;
};

/** A frame's time is known to less than this (program dates are whole milliseconds), and frames are further apart. */
const SLACK_MS = 4;
/** The server cuts what it tells in one go by count and by size (48 kB, unless configured otherwise): nearer to that, older ones may be missing. */
const TOLD_WHOLE_MAX_COUNT = 199;
const TOLD_WHOLE_MAX_CHARS = 24_000;
const KNOWN_MAX_COUNT = 1000;
/** Counted down from here. */
const COUNT_FROM_MS = 60_000;

type Known = {
  /** Of one showing: an id may be shown again later. */
  readonly key: string;
  readonly mark: CueMark;
  /** Null until it has fired. */
  readonly cue: Cue | null;
  /** Into the replay; null elsewhere. */
  readonly offsetMs: number | null;
};

export class CueBoard {
  readonly #marks = new Map<string, CueMark>();
  readonly #told = new Map<string, Cue>();
  readonly #dated = new Map<string, Cue>();
  readonly #withdrawn = new Set<string>();
  /** Were told ahead of time: they are counted down to. */
  readonly #announced = new Set<string>();
  #news: CueMark[] = [];
  #chapters: readonly Chapter[] = [];
  /** The socket is open and has told all there is of the broadcast that is live. */
  #isSocketWhole = false;
  #isLiveOver = false;
  #known: readonly Known[] | undefined;
  #on = new Map<string, Cue>();
  #pastSinceWallMs: number | null = null;

  take(message: CueMessage): void {
    this.#known = undefined;
    switch (message.type) {
      case 'cues':
        return this.#takeAll(message.marks, message.cues);
      case 'cue-mark':
        return this.#takeMark(message.mark);
      case 'cue':
        this.#marks.delete(message.cue.id);
        this.#withdrawn.delete(message.cue.id);
        return keep(this.#told, message.cue.id, message.cue);
      case 'cue-withdrawn':
        this.#marks.delete(message.id);
        this.#announced.delete(message.id);
        this.#told.delete(message.id);
        this.#withdrawn.add(message.id);
        return trim(this.#withdrawn);
    }
  }

  /** What it told may be out of date: playlists count again. */
  socketLost(): void {
    this.#isSocketWhole = false;
    this.#known = undefined;
  }

  /** What a playlist that begins at `fromWallMs` lists. Those that slid out of it stay; those that it lists no more, though it could, are void. */
  takeDated(cues: readonly Cue[], fromWallMs: number): void {
    this.#known = undefined;
    const listed = new Set(cues.map(keyOf));
    for (const [key, { programWallMs }] of this.#dated) {
      if (programWallMs >= fromWallMs && !listed.has(key)) {
        this.#dated.delete(key);
      }
    }
    cues.forEach((cue) => keep(this.#dated, keyOf(cue), cue));
  }

  /** Of a replay, by time. */
  takeChapters(chapters: readonly Chapter[]): void {
    this.#known = undefined;
    this.#chapters = chapters;
  }

  /** The socket tells of what is live: of a broadcast that is over, and still rewound in, playlists tell. */
  noteLive({ isOver }: { isOver: boolean }): void {
    this.#known = undefined;
    this.#isLiveOver = isOver;
  }

  /** Another broadcast of the same name has begun. The socket tells anew by itself, and may have done so. */
  forgetPlaylists(): void {
    this.#known = undefined;
    this.#dated.clear();
  }

  /** All that have fired as far as is known, oldest first. */
  get fired(): readonly Cue[] {
    return this.#all.flatMap(({ cue }) => cue ?? []);
  }

  /** What is added to media time for program dates, by the newest cue; null while there was none. */
  get programOffsetMs(): number | null {
    const mark = this.#all.at(-1)?.mark;
    return mark === undefined ? null : mark.programWallMs - mark.mediaMs;
  }

  /** To be called with each frame on screen, and when `nextClockAtWallMs` is reached. */
  update(moment: CueMoment): CueView {
    this.#notePast(moment);
    const all = this.#all;
    const on = moment.isOver ? [] : all.filter((known) => this.#isOn(known, moment));
    const events = [...this.#announce(), ...this.#turn(on, moment)];
    return {
      on: on.flatMap(({ cue }) => cue ?? []),
      counts: moment.isOver ? [] : this.#counts(moment),
      events,
      nextClockAtWallMs: moment.isOver ? null : this.#nextClockAtWallMs(moment),
    };
  }

  // ---- what is known

  #takeAll(marks: readonly CueMark[], cues: readonly Cue[]): void {
    this.#marks.clear();
    this.#told.clear();
    this.#withdrawn.clear();
    this.#isSocketWhole = cues.length <= TOLD_WHOLE_MAX_COUNT && JSON.stringify(cues).length <= TOLD_WHOLE_MAX_CHARS;
    cues.forEach((cue) => keep(this.#told, cue.id, cue));
    marks.forEach((mark) => this.#takeMark(mark));
  }

  #takeMark(mark: CueMark): void {
    this.#withdrawn.delete(mark.id);
    this.#told.delete(mark.id);
    keep(this.#marks, mark.id, mark);
    if (!this.#announced.has(mark.id)) {
      this.#announced.add(mark.id);
      trim(this.#announced);
      this.#news.push(mark);
    }
  }

  /** The socket's word counts before that of a playlist; chapters there are only of replays. */
  get #all(): readonly Known[] {
    if (this.#known === undefined) {
      const known = new Map<string, Known>();
      const put = (mark: CueMark, cue: Cue | null, offsetMs: number | null): void => {
        const key = keyOf(mark);
        known.set(key, { key, mark, cue, offsetMs });
      };
      this.#chapters.forEach(({ startMs, cue }) => put(cue, cue, startMs));
      if (!this.#isSocketWhole || this.#isLiveOver) {
        this.#dated.forEach((cue) => (this.#isWithdrawn(cue) ? undefined : put(cue, cue, null)));
      }
      this.#told.forEach((cue) => put(cue, cue, null));
      this.#marks.forEach((mark) => put(mark, null, null));
      this.#known = [...known.values()].toSorted(byInstant);
    }
    return this.#known;
  }

  /** One that a playlist gives an end was withdrawn there too, and was on until then. */
  #isWithdrawn({ id, durationMs }: Cue): boolean {
    return durationMs === null && this.#withdrawn.has(id);
  }

  // ---- what is on

  #notePast({ isPast, serverWallMs }: CueMoment): void {
    if (!isPast) {
      this.#pastSinceWallMs = null;
    } else if (serverWallMs !== null) {
      this.#pastSinceWallMs ??= serverWallMs;
    }
  }

  #isOn(known: Known, moment: CueMoment): boolean {
    const { mark, cue } = known;
    if (cue === null) {
      return false;
    }
    const isWithin = (sinceMs: number | null): boolean =>
      sinceMs !== null && sinceMs >= 0 && (cue.durationMs === null || sinceMs < cue.durationMs);
    const isByFrame = this.#followsFrame(mark, moment) && isWithin(this.#sinceFrameMs(known, moment));
    return isByFrame || isWithin(this.#sinceClockMs(mark, moment));
  }

  /** Without the server's clock a `clock` cue is better shown with its frame than never. */
  #followsFrame(mark: CueMark, { isPast, serverWallMs }: CueMoment): boolean {
    return mark.mode === 'media' || isPast || serverWallMs === null || mark.showAtWallMs === null;
  }

  /** Since the frame of its instant, media time; negative before it, null where that cannot be told. */
  #sinceFrameMs({ mark, offsetMs }: Known, { place }: CueMoment): number | null {
    if (place === null) {
      return null;
    }
    const instants = { media: mark.mediaMs, wall: mark.programWallMs, offset: offsetMs };
    const instantMs = instants[place.kind];
    return instantMs === null ? null : place.atMs - instantMs + SLACK_MS;
  }

  /** Since its instant at the server's clock; null where the frame decides. */
  #sinceClockMs({ mode, showAtWallMs }: CueMark, { place, serverWallMs }: CueMoment): number | null {
    if (mode !== 'clock' || showAtWallMs === null || serverWallMs === null || place?.kind === 'offset') {
      return null;
    }
    const isOurs = this.#pastSinceWallMs === null || showAtWallMs >= this.#pastSinceWallMs;
    return isOurs ? serverWallMs - showAtWallMs : null;
  }

  #announce(): CueEvent[] {
    const news = this.#news;
    this.#news = [];
    return news.map((mark) => ({ type: 'announced', mark }));
  }

  #turn(on: readonly Known[], moment: CueMoment): CueEvent[] {
    const before = this.#on;
    this.#on = new Map(on.flatMap(({ key, cue }) => (cue === null ? [] : [[key, cue] as const])));
    const hidden = [...before].flatMap(([key, cue]) => (this.#on.has(key) ? [] : cue));
    const events: CueEvent[] = hidden.map((cue) => ({ type: 'hidden', cue }));
    for (const known of on) {
      const [cue, was] = [known.cue, before.get(known.key)];
      if (cue !== null && was === undefined) {
        const sinceMs = this.#sinceClockMs(known.mark, moment) ?? (this.#sinceFrameMs(known, moment) ?? 0) - SLACK_MS;
        events.push({ type: 'shown', cue, lateMs: sinceMs });
      } else if (cue !== null && was !== cue && JSON.stringify(was) !== JSON.stringify(cue)) {
        events.push({ type: 'changed', cue });
      }
    }
    return events;
  }

  // ---- what is to come

  /** Only to what was announced: a cue that the host set off at once was a surprise, and is one again in the replay. */
  #counts(moment: CueMoment): CueCount[] {
    return this.#all
      .filter(({ mark }) => this.#announced.has(mark.id))
      .flatMap((known) => {
        const sinceMs = this.#sinceClockMs(known.mark, moment) ?? this.#sinceFrameMs(known, moment);
        const remainingMs = sinceMs === null ? 0 : -sinceMs;
        return remainingMs > 0 && remainingMs <= COUNT_FROM_MS ? [{ mark: known.mark, remainingMs }] : [];
      })
      .toSorted((a, b) => a.remainingMs - b.remainingMs);
  }

  #nextClockAtWallMs({ serverWallMs }: CueMoment): number | null {
    const borders = this.#all.flatMap(({ mark: { mode, showAtWallMs }, cue }) => {
      const durationMs = cue?.durationMs ?? null;
      return mode !== 'clock' || showAtWallMs === null
        ? []
        : [showAtWallMs, ...(durationMs === null ? [] : [showAtWallMs + durationMs])];
    });
    const ahead = borders.filter((borderMs) => serverWallMs !== null && borderMs > serverWallMs);
    return ahead.length === 0 ? null : Math.min(...ahead);
  }
}

const keyOf = ({ id, mediaMs }: CueMark): string => `${id} ${mediaMs}`;

const byInstant = (a: Known, b: Known): number =>
  (a.offsetMs ?? a.mark.mediaMs) - (b.offsetMs ?? b.mark.mediaMs) || (a.mark.id < b.mark.id ? -1 : 1);

/** Bounded; the first that came goes. */
const keep = <T>(map: Map<string, T>, id: string, value: T): void => {
  map.set(id, value);
  const [oldest] = map.keys();
  if (map.size > KNOWN_MAX_COUNT && oldest !== undefined) {
    map.delete(oldest);
  }
};

const trim = (set: Set<string>): void => {
  const [oldest] = set;
  if (set.size > KNOWN_MAX_COUNT && oldest !== undefined) {
    set.delete(oldest);
  }
};
