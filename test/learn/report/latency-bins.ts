/**
 * Screen time by latency in few numbers, so that thousands of sessions can be kept and resampled: 2 ms wide up to 400 ms, 1 % wide beyond.
 * Linear: bins of many sessions add.
 */

/** Width of `Score.latencyBuckets`. */
const SCORE_BUCKET_MS = 2;
const FINE_MS = 400;
const FINE_COUNT = FINE_MS / SCORE_BUCKET_MS;
const FACTOR = 1.01;
const MOST_MS = 30_000;
export const LATENCY_BIN_COUNT = FINE_COUNT + Math.ceil(Math.log(MOST_MS / FINE_MS) / Math.log(FACTOR));

/** Of `Score.latencyBuckets`. */
export const toLatencyBins = (buckets: Float64Array): Float64Array => {
  const bins = new Float64Array(LATENCY_BIN_COUNT);
  buckets.forEach((weight, bucket) => {
    if (weight > 0) {
      bins[binOf((bucket + 0.5) * SCORE_BUCKET_MS)]! += weight;
    }
  });
  return bins;
};

const binOf = (ms: number): number =>
  ms < FINE_MS
    ? Math.floor(ms / SCORE_BUCKET_MS)
    : Math.min(LATENCY_BIN_COUNT - 1, FINE_COUNT + Math.floor(Math.log(ms / FINE_MS) / Math.log(FACTOR)));

const middleMs = (bin: number): number =>
  bin < FINE_COUNT ? (bin + 0.5) * SCORE_BUCKET_MS : FINE_MS * FACTOR ** (bin - FINE_COUNT + 0.5);

/** At these ratios, in ascending order; NaN where nothing was ever shown. */
export const latencyPercentilesMs = (bins: Float64Array, ratios: readonly number[]): number[] => {
  let total = 0;
  for (const weight of bins) {
    total += weight;
  }
  const found: number[] = [];
  let passed = 0;
  for (let bin = 0; bin < bins.length && found.length < ratios.length; bin += 1) {
    passed += bins[bin]!;
    while (found.length < ratios.length && bins[bin]! > 0 && passed >= ratios[found.length]! * total) {
      found.push(middleMs(bin));
    }
  }
  return ratios.map((_, index) => found[index] ?? Number.NaN);
};
