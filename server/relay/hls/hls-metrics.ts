/** What LL-HLS counts. Made once per process and shared by all broadcasts. */
import type { Metrics } from '../../observability/metrics.ts';

export type HlsMetrics = {
  readonly parts: { inc(by?: number): void };
  readonly partsLate: { inc(by?: number): void };
  readonly evicted: { inc(by?: number): void };
  readonly unitsDropped: { inc(by?: number): void };
  readonly outBytes: { inc(by?: number): void };
};

export const createHlsMetrics = (
  metrics: Metrics,
  read: { blockedRequestCount: () => number; storeBytes: () => number },
): HlsMetrics => {
  metrics.observedGauge('hls_blocked_requests', 'LL-HLS requests now waiting for media', read.blockedRequestCount);
  metrics.observedGauge('hls_store_bytes', 'Parts and segments kept in memory', read.storeBytes);
  return {
    parts: metrics.counter('hls_parts_total', 'Parts published'),
    partsLate: metrics.counter('hls_parts_late_total', 'Parts published over half a part after they were due'),
    evicted: metrics.counter('hls_segments_evicted_total', 'Segments forgotten early because of the memory cap'),
    unitsDropped: metrics.counter('hls_units_dropped_total', 'Access units that could not become part of a segment'),
    outBytes: metrics.counter('hls_out_bytes_total', 'Bytes of LL-HLS answers'),
  };
};
