/**
 * The program date times of one broadcast's segments. The timeline's own mapping to the wall clock may step while it settles, and moves between two
 * looks; players place audio against video, and each segment after the other, by these dates, and a few milliseconds of disagreement are
 * enough for hls.js (1.7) to look for a part in the wrong segment and load nothing for seconds. So a segment number has one offset, the same
 * for every rendition, and the offset follows the timeline's by very little a segment.
 */

/** Twice what the timeline itself slews by in a 2 s segment; an error of the start is gone within the first minutes. */
const FOLLOW_MAX_MS = 2;
const KEPT_MAX_COUNT = 32;

type Entry = { readonly msn: number; readonly offsetMs: number };

export class ProgramClock {
  readonly #timelineWallMsAt: (mediaMs: number) => number;
  /** Rising by number. */
  #entries: Entry[] = [];

  constructor(timelineWallMsAt: (mediaMs: number) => number) {
    this.#timelineWallMsAt = timelineWallMsAt;
  }

  /** Of the latest segment: what is added to media time for its date. Undefined before the first. */
  get latestOffsetMs(): number | undefined {
    return this.#entries.at(-1)?.offsetMs;
  }

  /** Unix milliseconds of `mediaMs`, which lies in segment `msn`. */
  wallMsAt(msn: number, mediaMs: number): number {
    return mediaMs + this.#offsetMsOf(msn, mediaMs);
  }

  #offsetMsOf(msn: number, mediaMs: number): number {
    const known = this.#entries.findLast((entry) => entry.msn <= msn) ?? this.#entries[0];
    const last = this.#entries.at(-1);
    if (known !== undefined && last !== undefined && msn <= last.msn) {
      return known.offsetMs;
    }
    const targetMs = this.#timelineWallMsAt(mediaMs) - mediaMs;
    const offsetMs =
      last === undefined ? targetMs : last.offsetMs + clip(targetMs - last.offsetMs, FOLLOW_MAX_MS * (msn - last.msn));
    this.#entries = [...this.#entries, { msn, offsetMs }].slice(-KEPT_MAX_COUNT);
    return offsetMs;
  }
}

const clip = (value: number, limit: number): number => Math.max(-limit, Math.min(limit, value));
