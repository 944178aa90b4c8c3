/** What LL-HLS players may use (CONGESTION 8.3), for the API and the sockets. */
import type { HintsView } from './api/views.ts';
import type { Hub } from './relay/hub.ts';
import type { HlsServer } from './relay/hls/http-handler.ts';
import type { SessionsOut } from './relay/webrtc/session-view.ts';

/** The target latency is what the playlists allow; 0: not known yet. */
const HINTS = { v: 1, fastRatio: 0.08, slowRatio: 0.05, bandwidthDownRatio: 0.85, bandwidthUpRatio: 0.6 } as const;

/** `defaults`: of broadcasts that are not there, and of networks of which nothing is known. */
export const createHintsView = (
  parts: { hub: Hub; hls: HlsServer; webRtc: SessionsOut },
  defaults: { readonly smoothnessRatio: number; readonly startRateBps: number },
): HintsView => ({
  hintsFor: (name) => {
    const broadcast = parts.hub.find(name);
    return {
      ...HINTS,
      targetLatencyMs: parts.hls.holdBackMs(name) ?? 0,
      smoothnessRatio: broadcast === undefined ? defaults.smoothnessRatio : parts.webRtc.smoothnessOf(broadcast),
      startBandwidthBps: defaults.startRateBps,
    };
  },
});
