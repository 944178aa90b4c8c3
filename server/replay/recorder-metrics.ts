/** What recording counts. Made once per process and shared by all recordings. */
import type { Metrics } from '../observability/metrics.ts';
import { LATENCY_BUCKETS_S } from '../observability/metrics.ts';

export type RecorderMetrics = {
  readonly outBytes: { inc(by: number): void };
  readonly segments: { inc(by: number): void };
  readonly segmentsDropped: { inc(labels: { reason: string }, by: number): void };
  readonly cuesDropped: { inc(by?: number): void };
  readonly failures: { inc(labels: { code: string }): void };
  readonly writeSeconds: { observe(durationS: number): void };
};

export const createRecorderMetrics = (
  metrics: Metrics,
  read: { recordingCount: () => number; pausedCount: () => number; queueBytes: () => number },
): RecorderMetrics => {
  metrics.observedGauge('recorder_recordings', 'Broadcasts now being recorded', read.recordingCount);
  metrics.observedGauge('recorder_paused', 'Recordings that wait for the disk', read.pausedCount);
  metrics.observedGauge('recorder_queue_bytes', 'Segments on their way to the disk', read.queueBytes);
  return {
    outBytes: metrics.counter('recorder_out_bytes_total', 'Media written to recordings'),
    segments: metrics.counter('recorder_segments_total', 'Segments written to recordings'),
    segmentsDropped: metrics.counter('recorder_segments_dropped_total', 'Segments left out of recordings', ['reason']),
    cuesDropped: metrics.counter('recorder_cues_dropped_total', 'Cues that a recording has no more room for'),
    failures: metrics.counter('recorder_failures_total', 'Writes that the disk refused', ['code']),
    writeSeconds: metrics.histogram(
      'recorder_write_seconds',
      'From a segment taken from the queue to its record written',
      {
        buckets: LATENCY_BUCKETS_S,
      },
    ),
  };
};
