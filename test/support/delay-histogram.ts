/** Millions of delays in little room: buckets that grow by half a percent, to be sent between processes and added up. Pure. */

const LEAST_MS = 0.05;
const GROWTH = 1.005;
/** Reaches beyond an hour. */
const BUCKET_MAX_COUNT = 3_680;

/** Counts by bucket; survives JSON. */
export type DelayBuckets = readonly number[];

export type DelayQuantiles = { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number };

/** In ms; 0 where nothing was counted. */
export type DelaySummary = { readonly count: number; readonly p50: number; readonly p95: number; readonly max: number };

export class DelayHistogram {
  readonly #counts: number[];
  #count = 0;

  constructor(buckets: DelayBuckets = []) {
    this.#counts = [...buckets];
    this.#count = this.#counts.reduce((sum, count) => sum + count, 0);
  }

  get count(): number {
    return this.#count;
  }

  get buckets(): DelayBuckets {
    return Array.from(this.#counts, (count) => count ?? 0);
  }

  /** What is below 0 counts as 0. */
  add(delayMs: number): void {
    const bucket = bucketOf(delayMs);
    while (this.#counts.length <= bucket) {
      this.#counts.push(0);
    }
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count += 1;
  }

  addAll(buckets: DelayBuckets): void {
    buckets.forEach((count, bucket) => {
      while (this.#counts.length <= bucket) {
        this.#counts.push(0);
      }
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count;
      this.#count += count;
    });
  }

  /** Within half a percent; NaN without delays. */
  quantile(ratio: number): number {
    let remaining = ratio * this.#count;
    for (const [bucket, count] of this.#counts.entries()) {
      remaining -= count;
      if (count > 0 && remaining <= 0) {
        return middleOf(bucket);
      }
    }
    return Number.NaN;
  }

  /** How many were longer, within half a percent of the delay. */
  countAbove(delayMs: number): number {
    return this.#counts.slice(bucketOf(delayMs) + 1).reduce((sum, count) => sum + count, 0);
  }

  summary(): DelaySummary {
    const count = this.#count;
    const { p50, p95, max } = this.quantiles();
    return count === 0 ? { count, p50: 0, p95: 0, max: 0 } : { count, p50, p95, max };
  }

  clear(): void {
    this.#counts.length = 0;
    this.#count = 0;
  }

  quantiles(): DelayQuantiles {
    return {
      p50: this.quantile(0.5),
      p95: this.quantile(0.95),
      p99: this.quantile(0.99),
      max: this.#count === 0 ? Number.NaN : middleOf(this.#counts.length - 1),
    };
  }
}

const LOG_GROWTH = Math.log(GROWTH);

const bucketOf = (delayMs: number): number =>
  delayMs <= LEAST_MS ? 0 : Math.min(BUCKET_MAX_COUNT, 1 + Math.floor(Math.log(delayMs / LEAST_MS) / LOG_GROWTH));

/** Bucket 0 holds what is as good as nothing. */
const middleOf = (bucket: number): number => (bucket === 0 ? 0 : LEAST_MS * GROWTH ** (bucket - 0.5));
