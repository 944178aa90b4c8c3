/** Bits a second of the pictures shown, over the last seconds. Pure. */

type Mark = { readonly atMs: number; readonly bytes: number };

const WINDOW_MS = 4000;

/** Of what comes as it is shown (WebRTC): from a count of bytes that only rises. */
export class ReceivedRate {
  #marks: Mark[] = [];

  /** Null until a second has been seen. */
  note(totalBytes: number, nowMs: number): number | null {
    this.#marks = [...this.#marks.filter(({ atMs }) => nowMs - atMs <= WINDOW_MS), { atMs: nowMs, bytes: totalBytes }];
    const first = this.#marks[0];
    const spanMs = first === undefined ? 0 : nowMs - first.atMs;
    return first === undefined || spanMs < 1000 ? null : (8000 * (totalBytes - first.bytes)) / spanMs;
  }
}

const PIECE_COUNT = 6;

/** Of what is loaded piece by piece, ahead and at the network's pace (HLS): bits over the time they play. */
export class LoadedRate {
  #pieces: { readonly bytes: number; readonly durationMs: number }[] = [];

  note(piece: { readonly bytes: number; readonly durationMs: number }): void {
    this.#pieces = [...this.#pieces, piece].slice(-PIECE_COUNT);
  }

  /** Null before anything is loaded. */
  get bps(): number | null {
    const durationMs = this.#pieces.reduce((sum, piece) => sum + piece.durationMs, 0);
    const bytes = this.#pieces.reduce((sum, piece) => sum + piece.bytes, 0);
    return durationMs > 0 && bytes > 0 ? (8000 * bytes) / durationMs : null;
  }
}
