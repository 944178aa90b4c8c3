/** Numbers that a rendition has nothing for. They are implied by counting, so they stand in its playlists as gaps. Pure. */

/** A segment's place in the numbers and in time. */
export type SegmentPlace = {
  readonly msn: number;
  readonly startPtsMs: number;
  readonly startAtWallMs: number;
  readonly durationS: number;
};

/** A gap must have a duration, and `EXTINF` must round to no more than the target duration. */
const GAP_MIN_MS = 1;
const GAP_MAX_S = 2.49;

/** What lies between the end of `last` and the start of `next`, shared among the numbers between them; none where those follow each other. */
export const gapsBetween = (
  last: SegmentPlace,
  next: { readonly msn: number; readonly startPtsMs: number },
): SegmentPlace[] => {
  const count = Math.max(0, next.msn - last.msn - 1);
  const lastMs = last.durationS * 1000;
  const spanMs = Math.max(GAP_MIN_MS, (next.startPtsMs - last.startPtsMs - lastMs) / Math.max(1, count));
  return Array.from({ length: count }, (_, index) => ({
    msn: last.msn + 1 + index,
    startPtsMs: last.startPtsMs + lastMs + index * spanMs,
    startAtWallMs: last.startAtWallMs + lastMs + index * spanMs,
    durationS: Math.min(GAP_MAX_S, spanMs / 1000),
  }));
};
