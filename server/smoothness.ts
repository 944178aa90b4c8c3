/** Joins the API's knob of a broadcast to the WebRTC viewers it moves, with the keys that may turn it. */
import type { KeyStore } from './access/key-store.ts';
import { secretsMatch } from './access/key-store.ts';
import type { SmoothnessView } from './api/views.ts';
import type { Hub } from './relay/hub.ts';
import type { SessionsOut } from './relay/webrtc/session-view.ts';

export const createSmoothnessView = (parts: { hub: Hub; webRtc: SessionsOut; keys: KeyStore }): SmoothnessView => {
  const { hub, webRtc, keys } = parts;
  return {
    smoothnessOf: (name) => {
      const broadcast = hub.find(name);
      return broadcast === undefined ? undefined : webRtc.smoothnessOf(broadcast);
    },
    setSmoothness: (name, smoothnessRatio) => {
      const broadcast = hub.find(name);
      if (broadcast !== undefined) {
        webRtc.setSmoothness(broadcast, smoothnessRatio);
      }
    },
    maySet: (bearer, name) => {
      const publishKey = keys.publishKeyOf(name);
      return (
        bearer !== undefined &&
        (secretsMatch(bearer, keys.adminKey) || (publishKey !== undefined && secretsMatch(bearer, publishKey)))
      );
    },
  };
};
