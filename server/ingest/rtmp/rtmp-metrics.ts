/** The counters of RTMP ingest. */
import type { Metrics } from '../../observability/metrics.ts';

export type RtmpMetrics = {
  opened(): void;
  closed(): void;
  received(bytes: number): void;
  dropped(reason: string): void;
  refused(code: string): void;
};

export const createRtmpMetrics = (metrics: Metrics): RtmpMetrics => {
  const open = metrics.gauge('rtmp_sessions_open', 'RTMP connections, publishing or not');
  const inBytes = metrics.counter('rtmp_in_bytes_total', 'Bytes received over RTMP');
  const drops = metrics.counter('ingest_units_dropped_total', 'Messages of publishers that made no access unit', [
    'reason',
  ]);
  const refusals = metrics.counter('rtmp_refused_total', 'RTMP connections ended for what the peer did', ['code']);
  return {
    opened: () => open.inc(),
    closed: () => open.dec(),
    received: (bytes) => inBytes.inc(bytes),
    dropped: (reason) => drops.inc({ reason }),
    refused: (code) => refusals.inc({ code }),
  };
};
