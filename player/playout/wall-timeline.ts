/**
 * From an instant of the broadcast (Unix milliseconds at capture) to a place in an element's media time, and back, by the segments of a playlist. Between
 * segments that do not join in wall time lies a gap of the encoder: nothing can be shown of it. Pure.
 */
export type TimedPiece = {
  /** Where it begins in the element's time, seconds. */
  readonly startS: number;
  readonly durationS: number;
  /** Unix milliseconds at capture of its start. */
  readonly startAtWallMs: number;
};

/** Looked up rather than copied: a day has 43,200 of them, and the list changes three times a second. */
export type TimedPieces = { readonly count: number; at(index: number): TimedPiece };

/** Media time of an instant; one inside a gap is the next piece's start, one outside of everything the nearest end. Null when there are no pieces. */
export const mediaTimeAt = (pieces: TimedPieces, wallMs: number): number | null => {
  if (pieces.count === 0) {
    return null;
  }
  const index = Math.max(
    0,
    lastIndexWhere(pieces, ({ startAtWallMs }) => startAtWallMs <= wallMs),
  );
  const piece = pieces.at(index);
  const intoS = Math.max(0, (wallMs - piece.startAtWallMs) / 1000);
  return intoS > piece.durationS && index + 1 < pieces.count
    ? pieces.at(index + 1).startS
    : piece.startS + Math.min(intoS, piece.durationS);
};

/** The instant of a media time; null when there are no pieces. */
export const wallTimeAt = (pieces: TimedPieces, timeS: number): number | null => {
  if (pieces.count === 0) {
    return null;
  }
  const index = Math.max(
    0,
    lastIndexWhere(pieces, ({ startS }) => startS <= timeS),
  );
  const piece = pieces.at(index);
  return piece.startAtWallMs + (timeS - piece.startS) * 1000;
};

/** By halving. −1 when it holds for none. */
const lastIndexWhere = (pieces: TimedPieces, holds: (piece: TimedPiece) => boolean): number => {
  let [from, to] = [0, pieces.count];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (holds(pieces.at(middle))) {
      from = middle + 1;
    } else {
      to = middle;
    }
  }
  return from - 1;
};
