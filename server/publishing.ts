/** Where an encoder's request to publish meets the keys and the hub. */
import type { KeyStore } from './access/key-store.ts';
import { isLoopbackAddress, judgePublish } from './access/publish-policy.ts';
import type { PublishGate } from './ingest/publish-gate.ts';
import type { Log } from './observability/log.ts';
import type { Hub } from './relay/hub.ts';

export const createPublishGate =
  (parts: {
    readonly hub: Hub;
    readonly keys: KeyStore;
    readonly isLoopbackOpen: boolean;
    readonly isDraining: () => boolean;
    readonly log: Log;
    /** Told of who had no key, or a wrong one. */
    readonly onRefused: (name: string, remoteAddress: string) => void;
  }): PublishGate =>
  async (request) => {
    if (parts.isDraining()) {
      return {
        ok: false,
        code: 'PUBLISH_DRAINING',
        detail: 'this server is shutting down; publish to another, or again later',
      };
    }
    const judgement = judgePublish({
      name: request.name,
      key: request.key,
      isLoopback: isLoopbackAddress(request.remoteAddress),
      isLoopbackOpen: parts.isLoopbackOpen,
      isBrowserReachable: request.protocol === 'whip',
      storedKey: parts.keys.publishKeyOf(request.name),
    });
    if (!judgement.ok) {
      parts.log.warn('publish.refused', {
        name: request.name.slice(0, 64),
        remoteAddress: request.remoteAddress,
        code: judgement.code,
      });
      parts.onRefused(request.name, request.remoteAddress);
      return judgement;
    }
    return parts.hub.publish(request.name, {
      keyed: judgement.isKeyed,
      remoteAddress: request.remoteAddress,
      close: request.close,
    });
  };
