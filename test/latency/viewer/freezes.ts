/**
 * Freezes and pauses by Chrome's rule, on the instants at which pictures reached the screen. Pure.
 *
 * Chrome counts the gaps between pictures that leave the decoder, and only when the next picture comes. This counts the same gaps
 * where they can be seen, at the compositor, and the gap that is still open at the end as well. What differs between the two
 * instants is less than a refresh of the screen; README.md says how well both counts agree.
 */

/** Gaps that Chrome averages, the judged one among them. */
const WINDOW_COUNT = 30;
const WINDOW_MIN_COUNT = 5;
const EXTRA_MS = 150;
const FACTOR = 3;
/** Chrome calls a stream inactive when no packet came for this long; the gap then is a pause, and no freeze. */
export const INACTIVE_MIN_MS = 5_000;
/** With too few gaps for the rule, an open gap this long is one all the same. */
const OPEN_MIN_MS = 1_000;

export type Freeze = {
  readonly startedAtWallMs: number;
  /** The whole gap, from the last picture before to the first after it. */
  readonly durationMs: number;
  /** `pause`: nothing was received; `open`: no picture came any more before the look ended. */
  readonly kind: 'freeze' | 'pause' | 'open';
};

export type Span = { readonly fromWallMs: number; readonly toWallMs: number };

/**
 * Freezes among instants of pictures. The gap still open at `endAtWallMs` counts when it is long enough. `silences` are the spans
 * without any packet, where that is known (WebRTC); elsewhere each gap over 5 s is a pause.
 */
export const findFreezes = (
  shownAtWallMs: readonly number[],
  endAtWallMs: number,
  silences?: readonly Span[],
): Freeze[] => {
  const freezes: Freeze[] = [];
  const gapsMs: number[] = [];
  const instants = [...shownAtWallMs, endAtWallMs];
  for (let k = 1; k < instants.length; k += 1) {
    const startedAtWallMs = instants[k - 1]!;
    const durationMs = instants[k]! - startedAtWallMs;
    const isOpen = k === instants.length - 1;
    if (!isOpen && isInactive({ fromWallMs: startedAtWallMs, toWallMs: instants[k]! }, silences)) {
      freezes.push({ startedAtWallMs, durationMs, kind: 'pause' });
      continue;
    }
    gapsMs.push(durationMs);
    gapsMs.splice(0, gapsMs.length - WINDOW_COUNT);
    const isLong = gapsMs.length >= WINDOW_MIN_COUNT && durationMs >= freezeThresholdMs(gapsMs);
    if (isLong || (isOpen && durationMs > OPEN_MIN_MS)) {
      freezes.push({ startedAtWallMs, durationMs, kind: isOpen ? 'open' : 'freeze' });
    }
  }
  return freezes;
};

/** Time of `span` that is frozen. */
export const frozenMsWithin = (freezes: readonly Freeze[], span: Span): number =>
  freezes.reduce((sum, { startedAtWallMs, durationMs }) => {
    const fromMs = Math.max(startedAtWallMs, span.fromWallMs);
    return sum + Math.max(0, Math.min(startedAtWallMs + durationMs, span.toWallMs) - fromMs);
  }, 0);

const freezeThresholdMs = (gapsMs: readonly number[]): number => {
  const meanMs = Math.floor(gapsMs.reduce((sum, gap) => sum + gap, 0) / gapsMs.length);
  return Math.max(FACTOR * meanMs, meanMs + EXTRA_MS);
};

const isInactive = (gap: Span, silences: readonly Span[] | undefined): boolean => {
  if (gap.toWallMs - gap.fromWallMs < INACTIVE_MIN_MS) {
    return false;
  }
  return (
    silences === undefined ||
    silences.some(
      (silence) =>
        Math.min(silence.toWallMs, gap.toWallMs) - Math.max(silence.fromWallMs, gap.fromWallMs) >= INACTIVE_MIN_MS,
    )
  );
};
