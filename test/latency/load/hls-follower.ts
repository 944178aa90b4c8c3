/**
 * How a player follows one rendition: what of each playlist it fetches, in order and once, what it asks for next and when, and whether the
 * server brought something new, and in time. Low latency where the playlist offers parts and blocking reload, plain polling else. Pure.
 */
import type { MediaPlaylist } from './hls-playlist.ts';

/** What the viewer's own timers and the network may add. */
const LATE_MARGIN_MS = 100;
/** A plain live player starts so many target durations from the end (RFC 8216bis 6.3.3). */
const HOLD_BACK_TARGETS = 3;
/** A blocking reload that brought nothing is not repeated at once. */
const MISSED_RETRY_PARTS = 0.5;

/** A part, or a segment whole. */
export type MediaUnit = {
  readonly uri: string;
  readonly durationS: number;
  readonly isPart: boolean;
  /** When the last of it happened, by the playlist; undefined without program date time. */
  readonly endedAtWallMs: number | undefined;
};

export type Taken = {
  /** New since the last playlist, to be fetched in this order. */
  readonly units: readonly MediaUnit[];
  /** The edge moved. Never true twice for the same playlist. */
  readonly hasAdvanced: boolean;
  /** It moved later than the part target (or the target duration) allows, by over 100 ms. */
  readonly isLate: boolean;
};

export type NextReload = { readonly directives: Readonly<Record<string, string>>; readonly inMs: number };

type Position = { readonly msn: number; readonly partIndex: number };

export class HlsFollower {
  #playlist: MediaPlaylist | undefined;
  /** The next unit to fetch; a whole segment when `partIndex` is 0 and it has no parts. */
  #next: Position | undefined;
  #edge: Position | undefined;
  #advancedAtMs = 0;
  #hasAdvanced = false;
  #holdBackS = 0;

  /** How far from the edge playback is, in seconds: PART-HOLD-BACK, or HOLD-BACK, or three target durations. */
  get holdBackS(): number {
    return this.#holdBackS;
  }

  /** The part the server promises next, to be asked for before it is there. */
  get hintUri(): string | undefined {
    return this.#isLowLatency ? this.#playlist?.hintUri : undefined;
  }

  get mapUri(): string | undefined {
    return this.#playlist?.mapUri;
  }

  /** Seconds a unit takes: the part target, or the target duration. */
  get stepS(): number {
    return (this.#isLowLatency ? this.#playlist?.partTargetS : undefined) ?? this.#playlist?.targetDurationS ?? 1;
  }

  take(playlist: MediaPlaylist, nowMs: number): Taken {
    const isFirst = this.#playlist === undefined;
    this.#playlist = playlist;
    if (isFirst) {
      this.#holdBackS = holdBackOf(playlist);
      this.#next = startOf(playlist, this.#holdBackS);
    }
    const edge = edgeOf(playlist);
    this.#hasAdvanced = edge !== undefined && (this.#edge === undefined || isBefore(this.#edge, edge));
    const gapMs = nowMs - this.#advancedAtMs;
    const isLate = !isFirst && this.#hasAdvanced && gapMs > this.stepS * 1000 * this.#patience + LATE_MARGIN_MS;
    if (this.#hasAdvanced) {
      this.#edge = edge;
      this.#advancedAtMs = nowMs;
    }
    return { units: this.#newUnits(playlist), hasAdvanced: this.#hasAdvanced, isLate };
  }

  /** After `take`. `mayDelta`: what was skipped would still be known. */
  next(options: { mayDelta: boolean }): NextReload {
    const playlist = this.#playlist;
    if (playlist === undefined) {
      return { directives: {}, inMs: 0 };
    }
    if (!playlist.canBlockReload) {
      // RFC 8216bis 6.3.4.
      return { directives: {}, inMs: playlist.targetDurationS * (this.#hasAdvanced ? 1000 : 500) };
    }
    const { msn, partIndex } = this.#edge ?? { msn: 0, partIndex: 0 };
    return {
      directives: {
        _HLS_msn: String(msn),
        ...(this.#isLowLatency ? { _HLS_part: String(partIndex) } : {}),
        ...(options.mayDelta && playlist.canSkipUntilS !== undefined ? { _HLS_skip: 'YES' } : {}),
      },
      inMs: this.#hasAdvanced ? 0 : this.stepS * 1000 * MISSED_RETRY_PARTS,
    };
  }

  get #isLowLatency(): boolean {
    return this.#playlist?.canBlockReload === true && this.#playlist.partTargetS !== undefined;
  }

  /** Polling sees a segment up to one poll after it is there. */
  get #patience(): number {
    return this.#playlist?.canBlockReload === true ? 1 : 2;
  }

  #newUnits(playlist: MediaPlaylist): MediaUnit[] {
    const units: MediaUnit[] = [];
    for (const segment of playlist.segments) {
      const next = this.#next ?? { msn: segment.msn, partIndex: 0 };
      if (segment.msn < next.msn) {
        continue;
      }
      // Fallen so far behind that the parts are gone: the whole segment is what is left of it.
      const fromIndex = segment.msn === next.msn ? next.partIndex : 0;
      if (this.#isLowLatency && segment.parts.length > 0) {
        units.push(...partUnits(segment).slice(fromIndex));
        this.#next =
          segment.uri === undefined
            ? { msn: segment.msn, partIndex: Math.max(fromIndex, segment.parts.length) }
            : { msn: segment.msn + 1, partIndex: 0 };
      } else if (segment.uri !== undefined) {
        const { uri, durationS, programAtWallMs } = segment;
        const endedAtWallMs = programAtWallMs === undefined ? undefined : programAtWallMs + durationS * 1000;
        units.push({ uri, durationS, isPart: false, endedAtWallMs });
        this.#next = { msn: segment.msn + 1, partIndex: 0 };
      }
    }
    return units;
  }
}

const partUnits = (segment: MediaPlaylist['segments'][number]): MediaUnit[] => {
  let endedAtWallMs = segment.programAtWallMs;
  return segment.parts.map(({ uri, durationS }) => {
    endedAtWallMs = endedAtWallMs === undefined ? undefined : endedAtWallMs + durationS * 1000;
    return { uri, durationS, isPart: true, endedAtWallMs };
  });
};

const isBefore = (a: Position, b: Position): boolean => a.msn < b.msn || (a.msn === b.msn && a.partIndex < b.partIndex);

/** What a blocking reload would ask for: the first that is not there. */
const edgeOf = (playlist: MediaPlaylist): Position | undefined => {
  const last = playlist.segments.at(-1);
  if (last === undefined) {
    return undefined;
  }
  return last.uri === undefined ? { msn: last.msn, partIndex: last.parts.length } : { msn: last.msn + 1, partIndex: 0 };
};

const holdBackOf = (playlist: MediaPlaylist): number =>
  (playlist.canBlockReload && playlist.partTargetS !== undefined ? playlist.partHoldBackS : undefined) ??
  playlist.holdBackS ??
  HOLD_BACK_TARGETS * playlist.targetDurationS;

/** The last place from which one can decode and which is at least `holdBackS` from the end; or the first there is. */
const startOf = (playlist: MediaPlaylist, holdBackS: number): Position | undefined => {
  const isLowLatency = playlist.canBlockReload && playlist.partTargetS !== undefined;
  let behindS = 0;
  for (const segment of playlist.segments.toReversed()) {
    const parts = isLowLatency ? segment.parts : [];
    for (const [index, part] of [...parts.entries()].toReversed()) {
      behindS += part.durationS;
      if (behindS >= holdBackS && (part.isIndependent || index === 0)) {
        return { msn: segment.msn, partIndex: index };
      }
    }
    behindS += parts.length > 0 ? 0 : segment.durationS;
    if (behindS >= holdBackS) {
      return { msn: segment.msn, partIndex: 0 };
    }
  }
  const first = playlist.segments[0];
  return first === undefined ? undefined : { msn: first.msn, partIndex: 0 };
};
