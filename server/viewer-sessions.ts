/** Joins a viewer's WebSocket to its WebRTC session: counts what players report, and hands it to the session's controller. */
import type { ServerMessage } from './api/contract/socket.ts';
import type { SessionsView } from './api/views.ts';
import type { Metrics } from './observability/metrics.ts';
import { LATENCY_BUCKETS_S } from './observability/metrics.ts';
import type { SessionsOut } from './relay/webrtc/session-view.ts';

export const createSessionsView = (webRtc: SessionsOut, metrics: Metrics): SessionsView => {
  const latency = metrics.histogram('viewer_reported_latency_seconds', 'Latency as players measure it', {
    buckets: [...LATENCY_BUCKETS_S, 5, 10],
  });
  const stalls = metrics.counter('viewer_reported_stall_seconds_total', 'Stalled time as players report it');
  /** Who hears of the session, by its id. */
  const hearers = new Map<string, Set<(message: ServerMessage) => void>>();
  webRtc.listen({
    onOpened: () => undefined,
    onClosed: ({ id, endReason }) => {
      // Media stops without a word then: the player would wait for it.
      if (endReason === 'media_thread_died') {
        hearers.get(id)?.forEach((tell) => tell({ type: 'closing', reason: endReason }));
      }
    },
  });
  return {
    findBySecret: (secret) => {
      const session = webRtc.findBySecret(secret);
      if (session === undefined) {
        return undefined;
      }
      let stallMs = 0;
      return {
        watch: (renditionId) => webRtc.watch(session.id, renditionId),
        listen: (onMessage) => {
          const all = hearers.get(session.id) ?? new Set();
          hearers.set(session.id, all.add(onMessage));
          const stop = session.listenMapping((mapping) => onMessage({ type: 'rtp-mapping', ...mapping }));
          return () => {
            stop();
            all.delete(onMessage);
            if (all.size === 0) {
              hearers.delete(session.id);
            }
          };
        },
        report: (report) => {
          if (report.latencyMs !== null && report.latencyMs >= 0) {
            latency.observe(report.latencyMs / 1000);
          }
          stalls.inc(Math.max(0, report.stallMs - stallMs) / 1000);
          if (report.transport === 'whep') {
            const { bufferDelayMs, receivedBps } = report;
            session.onPlayerReport({
              ...report,
              bufferDelayMs: bufferDelayMs ?? undefined,
              receivedBps: receivedBps ?? undefined,
            });
          }
          stallMs = Math.max(stallMs, report.stallMs);
        },
      };
    },
  };
};
