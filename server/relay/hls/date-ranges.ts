/**
 * Spans of media time with something to say about them (`EXT-X-DATERANGE`, RFC 8216bis 4.4.5.1), as somebody else gives them, turned into what
 * the playlists of one broadcast list: the same in every rendition, START-DATE fixed with the first playlist that had it, gone with the last
 * segment that it touches, and remembered for a while after that for delta updates that skip dates.
 */

import { dateRangeLine } from '../../media/date-range.ts';

/** One span. Two looks at the same `id` must agree in all but `durationMs` and what is added: players merge tags of one ID. */
export type DateRange = {
  /** Stable; `[A-Za-z0-9_.~-]`, at most 128 characters. */
  readonly id: string;
  /** Reverse-DNS name of what it means, such as `live.sluice.cue`. */
  readonly class: string;
  /** On the media timeline. */
  readonly startMediaMs: number;
  /** Its program date time, where the source has settled that already; else that of `startMediaMs` when it is first listed. */
  readonly startAtWallMs?: number | undefined;
  /** Undefined while it is not known. */
  readonly durationMs: number | undefined;
  /** It goes on: it is listed however far back it began. */
  readonly isOpen?: boolean;
  /**
   * `X-…` attributes: names of capitals, digits and dashes after the `X-`. Texts may hold anything: `%`, `"` and control characters go out
   * percent-encoded, so that `decodeURIComponent` gives them back.
   */
  readonly attributes: Readonly<Record<string, string | number>>;
};

export type DateRangeSource = {
  /** All that may be told now, oldest first; at most a thousand. Asked whenever a playlist is written, so it must be cheap. */
  rangesOf(broadcastId: string): readonly DateRange[];
};

export type ListedRanges = {
  /** Complete lines, without those that are skippable. */
  readonly recent: readonly string[];
  /** Complete lines of those that have not changed for CAN-SKIP-UNTIL. */
  readonly settled: readonly string[];
  /** Identifiers that left the playlist of late. */
  readonly removedIds: readonly string[];
};

const RANGE_MAX_COUNT = 1_000;
const ID_FORM = /^[A-Za-z0-9_.~-]{1,128}$/;
const ATTRIBUTE_FORM = /^X-[A-Z0-9-]{1,64}$/;

type Known = { startAtWallMs: number; line: string; changedAtMs: number; removedAtMs: number | undefined };

/** The ranges of one playlist (one window) as it goes along. */
export class DateRangeList {
  readonly #skippableAfterMs: number;
  readonly #known = new Map<string, Known>();

  /** `skippableAfterMs`: CAN-SKIP-UNTIL. A client that is further behind must not ask for a delta. */
  constructor(options: { skippableAfterMs: number }) {
    this.#skippableAfterMs = options.skippableAfterMs;
  }

  /** What the playlist lists that begins at `fromWallMs`. Ranges that we cannot write are left out. */
  list(
    ranges: readonly DateRange[],
    at: { nowMs: number; fromWallMs: number; wallMsAt: (mediaMs: number) => number },
  ): ListedRanges {
    const present = new Set<string>();
    for (const range of ranges.slice(-RANGE_MAX_COUNT)) {
      if (isWritable(range) && this.#see(range, at)) {
        present.add(range.id);
      }
    }
    this.#forget(present, at.nowMs);
    const listed = [...this.#known.values()].filter((known) => known.removedAtMs === undefined);
    const isSettled = (known: Known): boolean => at.nowMs - known.changedAtMs > this.#skippableAfterMs;
    return {
      settled: listed.filter(isSettled).map((known) => known.line),
      recent: listed.filter((known) => !isSettled(known)).map((known) => known.line),
      removedIds: [...this.#known].flatMap(([id, known]) => (known.removedAtMs === undefined ? [] : [id])),
    };
  }

  /** True when it belongs into the playlist. */
  #see(range: DateRange, at: { nowMs: number; fromWallMs: number; wallMsAt: (mediaMs: number) => number }): boolean {
    const known = this.#known.get(range.id);
    const startAtWallMs = known?.startAtWallMs ?? Math.round(range.startAtWallMs ?? at.wallMsAt(range.startMediaMs));
    const endAtWallMs = startAtWallMs + (range.durationMs ?? 0);
    if (endAtWallMs < at.fromWallMs && range.isOpen !== true) {
      return false;
    }
    const line = dateRangeLine({ ...range, startAtWallMs });
    if (known === undefined || known.line !== line || known.removedAtMs !== undefined) {
      this.#known.set(range.id, { startAtWallMs, line, changedAtMs: at.nowMs, removedAtMs: undefined });
    }
    return true;
  }

  /** What went is remembered as removed for as long as a client may still ask for a delta, twice over. */
  #forget(present: ReadonlySet<string>, nowMs: number): void {
    for (const [id, known] of this.#known) {
      if (!present.has(id)) {
        known.removedAtMs ??= nowMs;
        if (nowMs - known.removedAtMs > 2 * this.#skippableAfterMs) {
          this.#known.delete(id);
        }
      }
    }
  }
}

const isWritable = (range: DateRange): boolean =>
  ID_FORM.test(range.id) && Object.keys(range.attributes).every((name) => ATTRIBUTE_FORM.test(name));
