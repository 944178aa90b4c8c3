/** How a viewer begins: which rendition, and whether with the cached GOP or with the next keyframe (CONGESTION 3.8). Pure. */
import { needOf } from './allocator.ts';
import type { JoinOffer, JoinPlan, RenditionCost } from './controller.ts';

const KEYFRAME_MAX_MS = 200;
const SAFETY_RATIO = 0.8;
const WAIT_MAX_MS = 100;
/** A backlog that takes longer than this is not begun when a keyframe, which ends it, comes within `PATIENCE_MS`. */
const CATCH_UP_MAX_MS = 1_200;
const PATIENCE_MS = 1_000;
/** Times the prior's rate while the backlog is sent … */
const PACE_RATIO = 2;
/** … but no slower than lets its keyframe go in so long, since nothing is seen without it; within this many times the prior's rate. */
const KEYFRAME_LEAVES_MS = 60;
const PACE_MAX_RATIO = 8;

/** Until the cached GOP is caught up. */
export const joinPaceBps = (rendition: RenditionCost | undefined, rateBps: number): number =>
  Math.max(
    PACE_RATIO * rateBps,
    Math.min(PACE_MAX_RATIO * rateBps, ((rendition?.keyframeBytes ?? 0) * 8_000) / KEYFRAME_LEAVES_MS),
  );

export const planJoin = (offer: JoinOffer, rateBps: number, hasCachedJoin: boolean): JoinPlan => {
  let renditionIndex = 0;
  offer.renditions.forEach((rendition, index) => {
    const isQuick = (rendition.keyframeBytes * 8_000) / rateBps <= KEYFRAME_MAX_MS;
    if (isQuick && needOf(rendition, 0) <= SAFETY_RATIO * rateBps) {
      renditionIndex = index;
    }
  });
  const bitrateBps = offer.renditions[renditionIndex]?.bitrateBps ?? 0;
  const paceBps = Math.max(joinPaceBps(offer.renditions[renditionIndex], rateBps), 1.5 * bitrateBps);
  const dueMs = offer.gopMs - offer.keyframeAgeMs;
  // Overdue: this GOP is longer than the usual one, or none has ended yet. Who knows nothing expects as long again.
  const waitMs = dueMs < 0 ? offer.keyframeAgeMs : dueMs;
  const catchUpMs = (offer.keyframeAgeMs * bitrateBps) / (paceBps - bitrateBps);
  const isWorth = catchUpMs <= CATCH_UP_MAX_MS || waitMs > PATIENCE_MS;
  const isFromCache = hasCachedJoin && waitMs > WAIT_MAX_MS && isWorth;
  return { renditionIndex, isFromCache };
};
