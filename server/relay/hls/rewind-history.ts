/**
 * What the rewind playlist of one rendition says about the segments that have left the live window: a compact record of each, and the
 * playlist's text for them, written once and only added to. The bytes are somebody else's (`RewindSource`).
 */
import { gapsBetween } from './gaps.ts';
import type { StoredSegment } from './part-store.ts';
import type { RewindKey } from './rewind-source.ts';

/** Whole days of 2 s segments; beyond it the oldest go. */
export const REWIND_MAX_COUNT = 43_200;
/** Dates between are the sum of the durations; repeated so often, the encoder's clock cannot wander off (0.1 ‰ of 32 s). */
const DATE_EVERY_COUNT = 16;
/** After a longer jump the rewind begins anew. */
const JUMP_MAX_COUNT = 1_000;

type PastSegment = Pick<
  StoredSegment,
  'msn' | 'startPtsMs' | 'startAtWallMs' | 'durationS' | 'isDiscontinuity' | 'discontinuitySequence' | 'initIndex'
> & {
  /** Whether its bytes can be had; not asked as long as it is in the live window. */
  isKept: boolean | undefined;
};

/** The older part of a playlist: complete lines, oldest first. */
export type PlaylistPast = {
  readonly text: string;
  readonly segmentCount: number;
  readonly firstMsn: number;
  readonly startAtWallMs: number;
  /** `EXT-X-DISCONTINUITY-SEQUENCE` of the playlist. */
  readonly discontinuityCountBefore: number;
  /** The init segment in force at its end. */
  readonly initIndex: number;
};

export type HistoryOptions = {
  readonly segmentUri: (msn: number) => string;
  readonly initUri: (index: number) => string;
  readonly keyOf: (segment: Pick<StoredSegment, 'msn' | 'startPtsMs' | 'durationS'>) => RewindKey;
  /** Whether the bytes can be had; asked once per segment, when it leaves the live window. */
  readonly has: (key: RewindKey) => boolean;
};

export class RewindHistory {
  readonly #options: HistoryOptions;
  /** Complete segments in order, those of the live window included, without holes in the numbers. */
  #segments: PastSegment[] = [];
  #past: PlaylistPast | undefined;

  constructor(options: HistoryOptions) {
    this.#options = options;
  }

  add(segment: StoredSegment): void {
    const { msn, startPtsMs, startAtWallMs, durationS, isDiscontinuity, discontinuitySequence, initIndex } = segment;
    this.#segments.push({
      ...{ msn, startPtsMs, startAtWallMs, durationS, isDiscontinuity, discontinuitySequence, initIndex },
      isKept: undefined,
    });
    // In big steps: to remove one from the front costs as much as to remove a thousand.
    if (this.#segments.length > REWIND_MAX_COUNT + 1_000) {
      this.#segments = this.#segments.slice(-REWIND_MAX_COUNT);
      this.#past = undefined;
    }
  }

  /** Where a segment is to be asked for that the live window has forgotten. */
  key(msn: number): RewindKey | undefined {
    const segment = this.#segments[msn - (this.#segments[0]?.msn ?? 0)];
    return segment === undefined || segment.isKept === false ? undefined : this.#options.keyOf(segment);
  }

  /** All before `msn`, the first segment that the live window lists; undefined when there is none. */
  before(msn: number): PlaylistPast | undefined {
    const first = this.#segments[0];
    const count = first === undefined ? 0 : msn - first.msn;
    if (first === undefined || count <= 0 || count > this.#segments.length) {
      return undefined;
    }
    if (this.#past === undefined || this.#past.segmentCount !== count) {
      this.#past = this.#extend(first, count);
    }
    return this.#past;
  }

  clear(): void {
    this.#segments = [];
    this.#past = undefined;
  }

  /** A segment begins. Numbers are implied by counting, so what was jumped over stands in the playlist as a gap. */
  fillUpTo(next: { readonly msn: number; readonly startPtsMs: number }): void {
    const last = this.#segments.at(-1);
    if (last === undefined) {
      return;
    }
    const missingCount = next.msn - last.msn - 1;
    if (missingCount > JUMP_MAX_COUNT) {
      this.clear();
      return;
    }
    const gaps = gapsBetween(last, next);
    this.#segments.push(...gaps.map((gap) => ({ ...last, ...gap, isDiscontinuity: false, isKept: false })));
  }

  #extend(first: PastSegment, count: number): PlaylistPast {
    const from = this.#past?.segmentCount ?? 0;
    const added = this.#segments
      .slice(from, count)
      .map((segment, index) => this.#textOf(segment, this.#segments[from + index - 1]));
    return {
      text: `${this.#past?.text ?? ''}${added.join('')}`,
      segmentCount: count,
      firstMsn: first.msn,
      startAtWallMs: first.startAtWallMs,
      discontinuityCountBefore: first.discontinuitySequence - (first.isDiscontinuity ? 1 : 0),
      initIndex: this.#segments[count - 1]?.initIndex ?? first.initIndex,
    };
  }

  #textOf(segment: PastSegment, before: PastSegment | undefined): string {
    const { segmentUri, initUri, keyOf, has } = this.#options;
    const lines = segment.isDiscontinuity ? ['#EXT-X-DISCONTINUITY'] : [];
    if (segment.initIndex !== before?.initIndex) {
      lines.push(`#EXT-X-MAP:URI="${initUri(segment.initIndex)}"`);
    }
    if (before === undefined || segment.isDiscontinuity || segment.msn % DATE_EVERY_COUNT === 0) {
      lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(Math.round(segment.startAtWallMs)).toISOString()}`);
    }
    segment.isKept ??= has(keyOf(segment));
    if (!segment.isKept) {
      lines.push('#EXT-X-GAP');
    }
    lines.push(`#EXTINF:${segment.durationS.toFixed(5)},`, segmentUri(segment.msn), '');
    return lines.join('\n');
  }
}
