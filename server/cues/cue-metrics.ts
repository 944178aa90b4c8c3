/** What is counted of cues. */
import type { Counter, Histogram } from 'prom-client';
import type { Metrics } from '../observability/metrics.ts';

export type CueMetrics = { readonly events: Counter; readonly fireLateSeconds: Histogram };

export const createCueMetrics = (metrics: Metrics, read: { armedCount: () => number }): CueMetrics => {
  metrics.observedGauge('cues_armed', 'Cues whose instant is still to come', read.armedCount);
  return {
    events: metrics.counter('cue_events_total', 'What happened to cues, by event', ['event']),
    fireLateSeconds: metrics.histogram(
      'cue_fire_late_seconds',
      'From the arrival of the promptest picture of its instant to the firing of a cue',
      { buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5] },
    ),
  };
};
