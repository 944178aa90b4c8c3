/** How a viewer begins: which rendition, and whether with the cached GOP or with the next keyframe (CONGESTION 3.8). Pure. */
import { needOf } from './allocator.ts';
import type { JoinOffer, JoinPlan } from './controller.ts';

const KEYFRAME_MAX_MS = 200;
const SAFETY_RATIO = 0.8;
const WAIT_MAX_MS = 200;
const CATCH_UP_MAX_MS = 1_200;
/** Times the prior's rate while the backlog is sent. */
export const JOIN_PACE_RATIO = 2;

export const planJoin = (offer: JoinOffer, rateBps: number, hasCachedJoin: boolean): JoinPlan => {
  let renditionIndex = 0;
  offer.renditions.forEach((rendition, index) => {
    const isQuick = (rendition.keyframeBytes * 8_000) / rateBps <= KEYFRAME_MAX_MS;
    if (isQuick && needOf(rendition, 0) <= SAFETY_RATIO * rateBps) {
      renditionIndex = index;
    }
  });
  const bitrateBps = offer.renditions[renditionIndex]?.bitrateBps ?? 0;
  const paceBps = Math.max(JOIN_PACE_RATIO * rateBps, 1.5 * bitrateBps);
  const waitMs = offer.gopMs - offer.keyframeAgeMs;
  const catchUpMs = (offer.keyframeAgeMs * bitrateBps) / (paceBps - bitrateBps);
  const isFromCache = hasCachedJoin && waitMs > WAIT_MAX_MS && catchUpMs <= CATCH_UP_MAX_MS;
  return { renditionIndex, isFromCache };
};
