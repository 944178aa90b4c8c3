/**
 * The numbers of segments and parts, and the arithmetic that picks them. One GOP target for the whole server: segments of
 * about 2 s, so that `TARGETDURATION` can be 2 from the first playlist and never change (RFC 8216bis 4.4.3.1).
 */

/** `EXT-X-TARGETDURATION`. */
export const TARGET_DURATION_S = 2;
/** No segment grows beyond this: `EXTINF` still rounds to 2, with room for a frame's wobble. */
export const SEGMENT_MAX_MS = 2_450;
/** A source whose GOPs are longer cannot be cut into segments at keyframes. */
export const GOP_MAX_MS = 2_400;
/** Every part but a segment's last lasts at least this much of PART-TARGET (RFC 8216bis 4.4.4.9; iPhones insist). */
export const PART_MIN_RATIO = 0.85;
export const PART_TARGET_DEFAULT_MS = 333;
export const PART_TARGET_MIN_MS = 200;
export const PART_TARGET_MAX_MS = 1_000;

export type PartPlan = {
  /** PART-TARGET: the longest legal part, in whole milliseconds, so that the playlist can print it exactly. */
  readonly partTargetMs: number;
  /** The same in the track's ticks, rounded down. */
  readonly partMaxTicks: number;
  readonly partMinTicks: number;
  /** How long one unit lasts when nothing is known of the next. */
  readonly unitNominalTicks: number;
};

/**
 * The whole number of units nearest `partTargetMs`, at least one. Throws `TypeError` for a target outside 200…1000 ms or a
 * unit that takes no time.
 */
export const planParts = (options: {
  partTargetMs: number;
  unitNominalTicks: number;
  timescaleHz: number;
}): PartPlan => {
  const { partTargetMs, unitNominalTicks, timescaleHz } = options;
  if (!(partTargetMs >= PART_TARGET_MIN_MS && partTargetMs <= PART_TARGET_MAX_MS)) {
    throw new TypeError(
      `partTargetMs is ${partTargetMs}, expected ${PART_TARGET_MIN_MS} to ${PART_TARGET_MAX_MS} milliseconds`,
    );
  }
  if (!(unitNominalTicks > 0)) {
    throw new TypeError(`unitNominalTicks is ${unitNominalTicks}, expected more than 0`);
  }
  const unitMs = (unitNominalTicks * 1000) / timescaleHz;
  const unitCount = Math.max(1, Math.round(partTargetMs / unitMs));
  const longestMs = Math.min(Math.ceil(unitCount * unitMs - 1e-6), TARGET_DURATION_S * 1000);
  const partMaxTicks = Math.floor((longestMs * timescaleHz) / 1000);
  return {
    partTargetMs: longestMs,
    partMaxTicks,
    partMinTicks: Math.ceil((longestMs * PART_MIN_RATIO * timescaleHz) / 1000),
    unitNominalTicks,
  };
};
