/** What drops count. */
import type { Metrics } from '../observability/metrics.ts';
import { LATENCY_BUCKETS_S } from '../observability/metrics.ts';

export type DropMetrics = {
  /** One claim; `outcome` is `granted`, `repeated`, or the code of a refusal. */
  count(outcome: string): void;
  /** From a claim's decision until it was on disk. */
  committedIn(durationMs: number): void;
  /** A write that is on disk. */
  written(claimCount: number, durationMs: number): void;
};

export const createDropMetrics = (metrics: Metrics, countDrops: () => number): DropMetrics => {
  const claims = metrics.counter('drop_claims_total', 'Claims, by what they came to', ['outcome']);
  // Looking a label up costs more than many a refusal: counted per outcome, told to the registry by the one that is kept.
  const byOutcome = new Map<string, { inc(): void }>();
  const commit = metrics.histogram('drop_commit_seconds', 'From a granted claim to its record on disk', {
    buckets: LATENCY_BUCKETS_S,
  });
  const sync = metrics.histogram('drop_journal_write_seconds', 'One write of a journal with its sync', {
    buckets: LATENCY_BUCKETS_S,
  });
  const written = metrics.counter('drop_journal_claims_total', 'Claims that are on disk');
  metrics.observedGauge('drops_in_memory', 'Drops in memory, those that are over included', countDrops);
  return {
    count: (outcome) => {
      let counter = byOutcome.get(outcome);
      if (counter === undefined) {
        counter = claims.labels({ outcome });
        byOutcome.set(outcome, counter);
      }
      counter.inc();
    },
    committedIn: (durationMs) => commit.observe(durationMs / 1000),
    written: (claimCount, durationMs) => {
      sync.observe(durationMs / 1000);
      written.inc(claimCount);
    },
  };
};
