/** A hub with one broadcast and media threads on free ports, in this process: what tests of media threads start from. */
import type { Worker } from 'node:worker_threads';
import { systemClock } from '../../server/base/clock.ts';
import type { HttpAnswer, HttpEndpoint } from '../../server/base/http-exchange.ts';
import { Prng } from '../../server/base/prng.ts';
import { LEARNING_DEFAULTS } from '../../server/congestion/learned/learning-options.ts';
import { LINK_CAPTURE_DEFAULTS } from '../../server/learning/link-captures.ts';
import { Learning } from '../../server/learning/learning.ts';
import type { PublisherFeed } from '../../server/media/stream-source.ts';
import type { StartWorker } from '../../server/media-threads/media-thread.ts';
import { startWorker } from '../../server/media-threads/media-thread.ts';
import { MEDIA_THREAD_DEFAULTS } from '../../server/media-threads/options.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import type { Broadcast } from '../../server/relay/broadcast.ts';
import type { Hub } from '../../server/relay/hub.ts';
import { CONGESTION_DEFAULTS } from '../../server/relay/webrtc/congestion-options.ts';
import { WEBRTC_OUT_DEFAULTS } from '../../server/relay/webrtc/options.ts';
import type { WebRtcOutOptions } from '../../server/relay/webrtc/options.ts';
import type { WhepContext } from '../../server/relay/webrtc/whep-endpoint.ts';
import type { WebRtcMedia } from '../../server/webrtc-media.ts';
import { openWebRtcMedia } from '../../server/webrtc-media.ts';
import { WEBRTC_PORT_DEFAULTS } from '../../server/webrtc-transport/webrtc-port.ts';
import type { RequestOptions } from './webrtc-setup.ts';
import { GOP_CACHE, ToldAudience, openDemoHub, requestTo } from './webrtc-setup.ts';

/** No folder can be made there: nothing is read and nothing kept. */
const NOWHERE = '/dev/null/learned.json';

export type ThreadedSetup = {
  readonly hub: Hub;
  readonly broadcast: Broadcast;
  readonly feed: PublisherFeed;
  readonly media: WebRtcMedia;
  readonly metrics: Metrics;
  readonly audience: ToldAudience;
  readonly learning: Learning;
  readonly endpoint: HttpEndpoint;
  /** All that were ever started, oldest first: a test may end one as a crash would. */
  readonly workers: readonly Worker[];
  request(method: string, path: string, options?: RequestOptions): Promise<HttpAnswer>;
  close(): Promise<void>;
};

export const openThreadedSetup = async (options: {
  threads: number;
  out?: Partial<WebRtcOutOptions>;
  /** 0 when left out: any free ones. */
  port?: number;
  controller?: 'adaptive' | 'off';
  lacking?: WhepContext['lacking'];
  /** In place of the real thread. */
  start?: StartWorker;
}): Promise<ThreadedSetup> => {
  const metrics = new Metrics({ collectDefaults: false });
  const parts = { clock: systemClock, log: silentLog, metrics };
  const { hub, broadcast, feed } = openDemoHub(parts);
  const prng = new Prng(7);
  const learning = await Learning.open(
    { ...LEARNING_DEFAULTS, file: NOWHERE },
    { policies: [], clock: systemClock, log: silentLog, nextRatio: () => prng.nextRatio() },
  );
  const workers: Worker[] = [];
  const audience = new ToldAudience();
  const media = await openWebRtcMedia({
    settings: {
      ...{ ...WEBRTC_PORT_DEFAULTS, port: options.port ?? 0, announcedAddresses: ['127.0.0.1'] },
      ...{ ...WEBRTC_OUT_DEFAULTS, requestsPerMinute: 10_000, joinsPerS: 1_000, ...options.out },
      ...{ ...MEDIA_THREAD_DEFAULTS, threads: options.threads },
    },
    congestion: { ...CONGESTION_DEFAULTS, controller: options.controller ?? 'adaptive' },
    capture: { ...LINK_CAPTURE_DEFAULTS, folder: '' },
    ...{ gopCache: GOP_CACHE, logLevel: 'silent', policies: [], learning, hub, prng, ...parts },
    startWorker: (order) => {
      const worker = (options.start ?? startWorker)(order);
      workers.push(worker);
      return worker;
    },
  });
  const endpoint = media.endpoint({ audience, lacking: options.lacking ?? (() => undefined) });
  return {
    ...{ hub, broadcast, feed, media, metrics, audience, learning, endpoint, workers },
    request: requestTo(endpoint),
    close: async () => {
      hub.close('test_over');
      await media.close('test_over');
      media.port.close('test_over');
      await learning.close();
    },
  };
};
