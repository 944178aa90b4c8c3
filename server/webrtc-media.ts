/** Where the media of WebRTC viewers runs: in this thread, on the port that publishers share, or in threads of its own with a port each. */
import { availableParallelism } from 'node:os';
import type { Clock } from './base/clock.ts';
import type { HttpEndpoint } from './base/http-exchange.ts';
import type { Prng } from './base/prng.ts';
import type { Policy } from './congestion/learned/policy.ts';
import type { LinkCaptureOptions } from './learning/link-captures.ts';
import { LinkCaptures } from './learning/link-captures.ts';
import type { Learning } from './learning/learning.ts';
import type { MediaThreadOptions } from './media-threads/options.ts';
import { portAfter, threadCountOf } from './media-threads/options.ts';
import type { StartWorker } from './media-threads/media-thread.ts';
import { MediaThreads } from './media-threads/media-threads.ts';
import type { Log, LogLevel } from './observability/log.ts';
import type { Metrics } from './observability/metrics.ts';
import type { GopCacheOptions } from './relay/gop-cache.ts';
import type { Hub } from './relay/hub.ts';
import type { CongestionOptions } from './relay/webrtc/congestion-options.ts';
import type { WebRtcOutOptions } from './relay/webrtc/options.ts';
import type { SessionsOut } from './relay/webrtc/session-view.ts';
import { WebRtcOut } from './relay/webrtc/webrtc-out.ts';
import type { WhepContext } from './relay/webrtc/whep-endpoint.ts';
import { createWhepEndpoint } from './relay/webrtc/whep-endpoint.ts';
import type { SelfTestReport } from './webrtc-transport/self-test.ts';
import { joinReports } from './webrtc-transport/self-test.ts';
import type { WebRtcPortOptions } from './webrtc-transport/webrtc-port.ts';
import { WebRtcPort } from './webrtc-transport/webrtc-port.ts';

export type WebRtcMediaParts = {
  readonly settings: WebRtcPortOptions & WebRtcOutOptions & MediaThreadOptions;
  readonly congestion: CongestionOptions;
  readonly capture: LinkCaptureOptions;
  readonly gopCache: GopCacheOptions;
  readonly logLevel: LogLevel;
  readonly policies: readonly Policy[];
  readonly learning: Learning;
  readonly hub: Hub;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Otherwise than usual: for tests. */
  readonly startWorker?: StartWorker;
};

export type WebRtcMedia = {
  readonly out: SessionsOut;
  /** Of this thread: publishers come here. */
  readonly port: WebRtcPort;
  /** Where the first viewers are sent. */
  readonly viewerPort: number | undefined;
  endpoint(context: WhepContext): HttpEndpoint;
  /** Over every port. Never rejects. */
  selfTest(): Promise<SelfTestReport>;
  close(reason: string): Promise<void>;
};

/** Rejects as `WebRtcPort.open` does. */
export const openWebRtcMedia = async (parts: WebRtcMediaParts): Promise<WebRtcMedia> => {
  const threadCount = threadCountOf(parts.settings.threads, availableParallelism());
  const { settings, clock, log, metrics } = parts;
  // With threads, viewers have the first numbers: most come to those.
  const portOptions = { ...settings, port: portAfter(settings.port, threadCount) };
  const threads =
    threadCount === 0
      ? undefined
      : await MediaThreads.open({ ...parts, threadCount, ringBytes: settings.threadRingMaxBytes });
  try {
    const port = await WebRtcPort.open(portOptions, { clock, log, metrics });
    return threads === undefined ? inThisThread(parts, port) : inThreads(threads, port);
  } catch (error) {
    await threads?.close('not_started');
    throw error;
  }
};

const inThreads = (out: MediaThreads, port: WebRtcPort): WebRtcMedia => ({
  out,
  port,
  get viewerPort() {
    return out.endpoints[0]?.port;
  },
  endpoint: (context) => out.endpoint(context),
  selfTest: async () => joinReports(await Promise.all([out.selfTest(), port.selfTest()])),
  close: async (reason) => out.close(reason),
});

const inThisThread = (parts: WebRtcMediaParts, port: WebRtcPort): WebRtcMedia => {
  const { settings, congestion, capture, policies, learning, hub, clock, log, metrics } = parts;
  const captures = new LinkCaptures(capture, { clock, log });
  const out = new WebRtcOut({
    ...{ settings, congestion, policies, port, clock, log, metrics },
    openCapture: () => captures.open(),
    guides: learning,
  });
  return {
    out,
    port,
    viewerPort: port.endpoints[0]?.port,
    endpoint: (context) => createWhepEndpoint({ ...context, out, clock, findBroadcast: (name) => hub.find(name) }),
    selfTest: async () => port.selfTest(),
    close: async (reason) => {
      out.close(reason);
      await captures.settled();
    },
  };
};
