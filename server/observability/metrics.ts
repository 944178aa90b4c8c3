/** The Prometheus registry. Parts make their own counters from it; names say direction and fate, in base units. */
import type { MetricObjectWithValues, MetricValue } from 'prom-client';
import { AggregatorRegistry, Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

export type Labels = Readonly<Record<string, string>>;

/** Values of a registry as a message carries them. */
export type MetricsSnapshot = readonly MetricObjectWithValues<MetricValue<string>>[];

/** Asked when the metrics are rendered. Must not reject, and not take long. */
export type MetricsSource = () => Promise<readonly MetricsSnapshot[]>;

export class Metrics {
  readonly #registry = new Registry();
  readonly #sources = new Set<MetricsSource>();

  /** `collectDefaults` adds process metrics (CPU, memory, event loop lag); it starts a timer, so tests leave it off. */
  constructor(options: { collectDefaults: boolean }) {
    if (options.collectDefaults) {
      collectDefaultMetrics({ register: this.#registry });
    }
  }

  counter(name: string, help: string, labelNames: readonly string[] = []): Counter {
    return (
      this.#find(name, Counter) ?? new Counter({ name, help, labelNames: [...labelNames], registers: [this.#registry] })
    );
  }

  gauge(name: string, help: string, labelNames: readonly string[] = []): Gauge {
    return (
      this.#find(name, Gauge) ?? new Gauge({ name, help, labelNames: [...labelNames], registers: [this.#registry] })
    );
  }

  /** A gauge that is asked for its value when it is scraped. */
  observedGauge(name: string, help: string, read: () => number): void {
    this.#registry.registerMetric(
      new Gauge({
        name,
        help,
        registers: [],
        collect(): void {
          this.set(read());
        },
      }),
    );
  }

  /** Durations in seconds unless the name says otherwise. */
  histogram(
    name: string,
    help: string,
    options: { buckets: readonly number[]; labelNames?: readonly string[] },
  ): Histogram {
    return (
      this.#find(name, Histogram) ??
      new Histogram({
        name,
        help,
        buckets: [...options.buckets],
        labelNames: [...(options.labelNames ?? [])],
        registers: [this.#registry],
      })
    );
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** What another thread counts is added to what is counted here. */
  addSource(source: MetricsSource): void {
    this.#sources.add(source);
  }

  async snapshot(): Promise<MetricsSnapshot> {
    return this.#registry.getMetricsAsJSON();
  }

  /** The exposition text. */
  async render(): Promise<string> {
    const snapshots = (await Promise.all([...this.#sources].map(async (source) => source()))).flat();
    if (snapshots.length === 0) {
      return this.#registry.metrics();
    }
    // Read once: some of what is measured begins anew when it is read.
    const own = (await this.snapshot()).map((metric) =>
      metric.aggregator === 'omit' ? { ...metric, aggregator: 'first' as const } : metric,
    );
    return sumOf([own, ...snapshots]).metrics();
  }

  /** Two parts may ask for the same name; they share it, as long as it is of one kind. */
  #find<T>(name: string, kind: abstract new (...args: never[]) => T): T | undefined {
    const existing: unknown = this.#registry.getSingleMetric(name);
    return existing instanceof kind ? existing : undefined;
  }
}

const sumOf = (snapshots: readonly MetricsSnapshot[]): Registry =>
  AggregatorRegistry.aggregate(snapshots.map((snapshot) => [...snapshot]));

/** What has been counted by those who are gone; what they measured last is gone with them. */
export const countedBy = async (snapshots: readonly MetricsSnapshot[]): Promise<MetricsSnapshot> => {
  const counted = snapshots.map((snapshot) =>
    // prom-client says types by name here, whatever its own declarations say.
    snapshot.filter(({ type }) => ['counter', 'histogram'].includes(String(type))),
  );
  return sumOf(counted).getMetricsAsJSON();
};

/** Bucket edges for latencies inside the server, in seconds: 0.5 ms to 2.5 s. */
export const LATENCY_BUCKETS_S = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
