/** The segments that a broadcast's main video has begun, for the tracks that follow it: each takes those that its own units have reached. Pure. */

/** A segment of the main video began: those that follow begin theirs at the same time under the same number. */
export type SegmentBoundary = { readonly atMs: number; readonly msn: number; readonly isDiscontinuity: boolean };

const BOUNDARY_MAX_COUNT = 16;

export class BoundaryQueue {
  readonly #epochAt: (mediaMs: number) => number;
  #boundaries: SegmentBoundary[] = [];

  /** `epochAt`: `Timeline.epochAt`; a unit never goes into a segment of what another publisher sent. */
  constructor(epochAt: (mediaMs: number) => number) {
    this.#epochAt = epochAt;
  }

  /** There are segments that nothing has reached yet. */
  get hasNext(): boolean {
    return this.#boundaries.length > 0;
  }

  push(boundary: SegmentBoundary): void {
    this.#boundaries.push(boundary);
    if (this.#boundaries.length > BOUNDARY_MAX_COUNT) {
      this.#boundaries.shift();
    }
  }

  /**
   * The last boundary that lies before this unit (nearer its start than its end); earlier ones are forgotten with it. What a publisher who
   * has just returned sends may come before the main video's first picture of it, when the last boundaries are still those of the one before.
   */
  takeBefore(ptsMs: number, halfUnitMs: number): SegmentBoundary | undefined {
    const epoch = this.#epochAt(ptsMs);
    let found: SegmentBoundary | undefined;
    let isDiscontinuity = false;
    let next = this.#boundaries[0];
    while (next !== undefined && next.atMs <= ptsMs + halfUnitMs && this.#epochAt(next.atMs) <= epoch) {
      found = this.#epochAt(next.atMs) === epoch ? next : found;
      isDiscontinuity = isDiscontinuity || next.isDiscontinuity;
      this.#boundaries.shift();
      next = this.#boundaries[0];
    }
    return found === undefined ? undefined : { ...found, isDiscontinuity };
  }
}
