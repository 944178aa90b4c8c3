/** A hub, the WebRTC port on a free number and the WHIP endpoint, with one publisher's key: what every test of WHIP in starts from. */
import { isLoopbackAddress, judgePublish } from '../../server/access/publish-policy.ts';
import { systemClock } from '../../server/base/clock.ts';
import type { HttpAnswer, HttpEndpoint } from '../../server/base/http-exchange.ts';
import { createWhipEndpoint } from '../../server/ingest/whip/endpoint.ts';
import type { WhipOptions } from '../../server/ingest/whip/options.ts';
import { WHIP_DEFAULTS } from '../../server/ingest/whip/options.ts';
import { WhipServer } from '../../server/ingest/whip/whip-server.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import { Hub } from '../../server/relay/hub.ts';
import type { WebRtcPortOptions } from '../../server/webrtc-transport/webrtc-port.ts';
import { WEBRTC_PORT_DEFAULTS, WebRtcPort } from '../../server/webrtc-transport/webrtc-port.ts';

/** Of the name `demo`. */
export const WHIP_KEY = 'a-key-of-demo';

export type WhipSetup = {
  readonly hub: Hub;
  readonly port: WebRtcPort;
  readonly server: WhipServer;
  readonly endpoint: HttpEndpoint;
  readonly metrics: Metrics;
  /** Calls the endpoint as a client at 127.0.0.1 would. */
  request(
    method: string,
    path: string,
    options?: { readonly body?: string; readonly headers?: Record<string, string> },
  ): Promise<HttpAnswer>;
  close(): void;
};

export const openWhipSetup = async (
  options: {
    settings?: Partial<WhipOptions>;
    port?: Partial<WebRtcPortOptions>;
    iceServerLinks?: readonly string[];
  } = {},
): Promise<WhipSetup> => {
  const metrics = new Metrics({ collectDefaults: false });
  const parts = { clock: systemClock, log: silentLog, metrics };
  const hub = new Hub({
    settings: {
      gopCache: { cacheMaxBytes: 16_000_000, cacheMaxCount: 2_000 },
      reconnectGraceMs: 30_000,
      broadcastMaxCount: 4,
    },
    ...parts,
  });
  const portOptions = { ...WEBRTC_PORT_DEFAULTS, port: 0, announcedAddresses: ['127.0.0.1'], ...options.port };
  const port = await WebRtcPort.open(portOptions, parts);
  const settings = { ...WHIP_DEFAULTS, requestsPerMinute: 10_000, ...options.settings };
  const server = new WhipServer({ settings, port, ...parts });
  const storedKeyOf = (name: string): string | undefined => (name === 'demo' ? WHIP_KEY : undefined);
  const endpoint = createWhipEndpoint({
    server,
    gate: async (request) => {
      const { name, key, remoteAddress } = request;
      const judgement = judgePublish({
        ...{ name, key, storedKey: storedKeyOf(name) },
        isLoopback: isLoopbackAddress(remoteAddress),
        isLoopbackOpen: true,
        isBrowserReachable: request.protocol === 'whip',
      });
      return judgement.ok ? hub.publish(name, { ...request, keyed: judgement.isKeyed }) : judgement;
    },
    isKey: (name, key) => storedKeyOf(name) === key,
    iceServerLinks: options.iceServerLinks ?? [],
    clock: systemClock,
  });
  return {
    ...{ hub, port, server, endpoint, metrics },
    request: async (method, path, { body = '', headers = {} } = {}) =>
      endpoint({
        ...{ method, path, headers, query: new URLSearchParams() },
        body: Buffer.from(body),
        remoteAddress: '127.0.0.1',
        signal: new AbortController().signal,
      }),
    close: () => {
      hub.close('test_over');
      server.close('test_over');
      port.close('test_over');
    },
  };
};
