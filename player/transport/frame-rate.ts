/** Frames a second over the last two seconds, from a running count. Pure. */
const WINDOW_MS = 2000;

export class FrameRate {
  #points: { frameCount: number; atMs: number }[] = [];

  /** Takes the count so far; answers the rate, or null until a second has been seen. */
  note(frameCount: number, nowMs: number): number | null {
    const newest = this.#points.at(-1);
    const kept = newest !== undefined && frameCount < newest.frameCount ? [] : this.#points;
    this.#points = [...kept, { frameCount, atMs: nowMs }].filter((point) => nowMs - point.atMs <= WINDOW_MS);
    const oldest = this.#points[0];
    if (oldest === undefined || nowMs - oldest.atMs < 1000) {
      return null;
    }
    return ((frameCount - oldest.frameCount) * 1000) / (nowMs - oldest.atMs);
  }
}
