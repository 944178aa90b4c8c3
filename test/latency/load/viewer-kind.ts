/** What the process that holds viewers knows of them: enough to let them come, leave and be counted, whatever protocol they speak. */
import { DelayHistogram, type DelayBuckets } from '../../support/delay-histogram.ts';

export type CrowdViewer = {
  /** Resolves when it is connected; rejects with an error that has a `code`. */
  start(): Promise<void>;
  /** Leaves as it should. */
  close(): Promise<void>;
  /** Leaves without a word. */
  vanish(): void;
  /** The window begins. */
  resetCounts(): void;
  /** Adds what it saw to its kind's tally; once, before it leaves. `livedMs`: of the window; 0 when it was gone before. */
  fold(livedMs: number): void;
  /** So far, of the window. */
  readonly progress: { readonly packetCount: number; readonly byteCount: number };
};

export type ViewerKind = {
  /** `onEnd`: it ended without being told to. */
  open(onEnd: (code: string) => void): CrowdViewer;
  readonly tally: KindTally;
  /** UDP ports of its own, to look after what the kernel dropped. */
  localPorts(): readonly number[];
};

/** Named sums and histograms. */
export class KindTally {
  readonly #stages = new Map<string, DelayHistogram>();
  readonly #delays = new Map<string, DelayHistogram>();
  readonly #counts = new Map<string, number>();

  /** A stage that did not happen is not counted. */
  stage(name: string, durationMs: number | null): void {
    if (durationMs !== null) {
      histogramOf(this.#stages, name).add(durationMs);
    }
  }

  delay(name: string, delayMs: number): void {
    histogramOf(this.#delays, name).add(delayMs);
  }

  delays(name: string, buckets: DelayBuckets): void {
    histogramOf(this.#delays, name).addAll(buckets);
  }

  count(counts: Readonly<Record<string, number>>): void {
    for (const [name, count] of Object.entries(counts)) {
      this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
    }
  }

  toJSON(): {
    stages: Record<string, DelayBuckets>;
    delays: Record<string, DelayBuckets>;
    counts: Record<string, number>;
  } {
    return {
      stages: bucketsOf(this.#stages),
      delays: bucketsOf(this.#delays),
      counts: Object.fromEntries(this.#counts),
    };
  }
}

const histogramOf = (map: Map<string, DelayHistogram>, name: string): DelayHistogram => {
  const histogram = map.get(name) ?? new DelayHistogram();
  map.set(name, histogram);
  return histogram;
};

const bucketsOf = (map: ReadonlyMap<string, DelayHistogram>): Record<string, DelayBuckets> =>
  Object.fromEntries([...map].map(([name, histogram]) => [name, histogram.buckets]));
