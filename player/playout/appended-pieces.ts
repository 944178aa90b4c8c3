/**
 * What was put into an element's buffer, with its program dates: so a picture's date is that of the very piece it came in, whichever rendition's playlist is
 * read meanwhile. Pure.
 */
import type { TimedPiece } from './wall-timeline.ts';

/** A minute of parts of 200 ms, or ten of segments. */
const PIECE_MAX_COUNT = 300;
/** Pieces join to within a frame. */
const JOIN_S = 0.02;

export class AppendedPieces {
  /** Oldest first. */
  #pieces: TimedPiece[] = [];

  note(piece: TimedPiece): void {
    this.#pieces = [...this.#pieces, piece].slice(-PIECE_MAX_COUNT);
  }

  /** The element is emptied. */
  clear(): void {
    this.#pieces = [];
  }

  /** Unix milliseconds at capture of a picture; what came last lies over what came before. Null where nothing was put. */
  wallMsAt(timeS: number): number | null {
    const piece =
      this.#pieces.findLast(({ startS, durationS }) => timeS >= startS && timeS < startS + durationS) ??
      this.#pieces.findLast(({ startS, durationS }) => timeS >= startS - JOIN_S && timeS < startS + durationS + JOIN_S);
    return piece === undefined ? null : piece.startAtWallMs + (timeS - piece.startS) * 1000;
  }
}
