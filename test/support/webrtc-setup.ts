/** A hub with one broadcast, the WebRTC port on a free number and the WHEP endpoint: what every test of WebRTC out starts from. */
import type { Clock } from '../../server/base/clock.ts';
import { systemClock } from '../../server/base/clock.ts';
import type { HttpAnswer, HttpEndpoint } from '../../server/base/http-exchange.ts';
import type { PublisherFeed } from '../../server/media/stream-source.ts';
import type { Log } from '../../server/observability/log.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import type { Broadcast } from '../../server/relay/broadcast.ts';
import type { GopCacheOptions } from '../../server/relay/gop-cache.ts';
import { Hub } from '../../server/relay/hub.ts';
import type { CongestionOptions } from '../../server/relay/webrtc/congestion-options.ts';
import { CONGESTION_DEFAULTS } from '../../server/relay/webrtc/congestion-options.ts';
import type { ControllerFactory } from '../../server/relay/webrtc/controllers.ts';
import type { WebRtcOutOptions } from '../../server/relay/webrtc/options.ts';
import { WEBRTC_OUT_DEFAULTS } from '../../server/relay/webrtc/options.ts';
import { WebRtcOut } from '../../server/relay/webrtc/webrtc-out.ts';
import type { WhepEndpointOptions } from '../../server/relay/webrtc/whep-endpoint.ts';
import { createWhepEndpoint } from '../../server/relay/webrtc/whep-endpoint.ts';
import type { Audience, AudienceNews } from '../../server/relay/webrtc/whep-extensions.ts';
import type { WebRtcPortOptions } from '../../server/webrtc-transport/webrtc-port.ts';
import { WEBRTC_PORT_DEFAULTS, WebRtcPort } from '../../server/webrtc-transport/webrtc-port.ts';

export type WebRtcSetup = {
  readonly hub: Hub;
  readonly broadcast: Broadcast;
  readonly feed: PublisherFeed;
  readonly port: WebRtcPort;
  readonly out: WebRtcOut;
  readonly metrics: Metrics;
  readonly audience: ToldAudience;
  readonly endpoint: HttpEndpoint;
  /** Calls the endpoint as a client at 127.0.0.1 would. */
  request(method: string, path: string, options?: RequestOptions): Promise<HttpAnswer>;
  close(): void;
};

/** What viewers are told of the broadcast, as the test says. */
export class ToldAudience implements Audience {
  readonly #listeners = new Set<(news: AudienceNews) => void>();
  #news: AudienceNews = { state: 'live', viewerCount: 1, renditions: [] };

  get listenerCount(): number {
    return this.#listeners.size;
  }

  change(news: Partial<AudienceNews>): void {
    this.#news = { ...this.#news, ...news };
    for (const listener of this.#listeners) {
      listener(this.#news);
    }
  }

  newsOf(): AudienceNews {
    return this.#news;
  }

  watch(_name: string, onNews: (news: AudienceNews) => void): () => void {
    this.#listeners.add(onNews);
    return () => this.#listeners.delete(onNews);
  }
}

export type RequestOptions = {
  readonly body?: string;
  /** `rendition=h480`. */
  readonly query?: string;
  readonly headers?: Record<string, string>;
  readonly remoteAddress?: string;
};

export const GOP_CACHE: GopCacheOptions = { cacheMaxBytes: 16_000_000, cacheMaxCount: 2_000 };

/** A hub where `demo` has a publisher. */
export const openDemoHub = (parts: {
  clock: Clock;
  log: Log;
  metrics: Metrics;
}): { hub: Hub; broadcast: Broadcast; feed: PublisherFeed } => {
  const settings = { gopCache: GOP_CACHE, reconnectGraceMs: 30_000, broadcastMaxCount: 4 };
  const hub = new Hub({ settings, ...parts });
  const outcome = hub.publish('demo', { keyed: true, remoteAddress: '127.0.0.1', close: () => undefined });
  if (!outcome.ok) {
    throw new Error(outcome.detail);
  }
  return { hub, broadcast: outcome.broadcast, feed: outcome.feed };
};

/** Calls the endpoint as a client at 127.0.0.1 would. */
export const requestTo =
  (endpoint: HttpEndpoint): WebRtcSetup['request'] =>
  async (method, path, { body = '', query = '', headers = {}, remoteAddress = '127.0.0.1' } = {}) =>
    endpoint({
      ...{ method, path, headers, remoteAddress, query: new URLSearchParams(query), body: Buffer.from(body) },
      signal: new AbortController().signal,
    });

export const openWebRtcSetup = async (
  options: {
    port?: Partial<WebRtcPortOptions>;
    out?: Partial<WebRtcOutOptions>;
    whep?: Partial<WhepEndpointOptions>;
    congestion?: Partial<CongestionOptions>;
    createController?: ControllerFactory;
    clock?: Clock;
  } = {},
): Promise<WebRtcSetup> => {
  const metrics = new Metrics({ collectDefaults: false });
  const { clock = systemClock } = options;
  const parts = { clock, log: silentLog, metrics };
  const { hub, broadcast, feed } = openDemoHub(parts);
  const portOptions = { ...WEBRTC_PORT_DEFAULTS, port: 0, announcedAddresses: ['127.0.0.1'], ...options.port };
  const port = await WebRtcPort.open(portOptions, parts);
  const settings = { ...WEBRTC_OUT_DEFAULTS, requestsPerMinute: 10_000, joinsPerS: 1_000, ...options.out };
  const congestion = { ...CONGESTION_DEFAULTS, ...options.congestion };
  const { createController } = options;
  const own = createController === undefined ? {} : { createController };
  const out = new WebRtcOut({ settings, congestion, port, ...own, ...parts });
  const audience = new ToldAudience();
  const endpoint = createWhepEndpoint({
    out,
    audience,
    clock,
    findBroadcast: (name) => hub.find(name),
    lacking: () => undefined,
    ...options.whep,
  });
  return {
    hub,
    broadcast,
    feed,
    port,
    out,
    metrics,
    audience,
    endpoint,
    request: requestTo(endpoint),
    close: () => {
      hub.close('test_over');
      out.close('test_over');
      port.close('test_over');
    },
  };
};
