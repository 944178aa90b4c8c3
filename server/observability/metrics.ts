/** The Prometheus registry. Parts make their own counters from it; names say direction and fate, in base units. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

export type Labels = Readonly<Record<string, string>>;

export class Metrics {
  readonly #registry = new Registry();

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

  /** The exposition text. */
  async render(): Promise<string> {
    return this.#registry.metrics();
  }

  /** Two parts may ask for the same name; they share it, as long as it is of one kind. */
  #find<T>(name: string, kind: abstract new (...args: never[]) => T): T | undefined {
    const existing: unknown = this.#registry.getSingleMetric(name);
    return existing instanceof kind ? existing : undefined;
  }
}

/** Bucket edges for latencies inside the server, in seconds: 0.5 ms to 2.5 s. */
export const LATENCY_BUCKETS_S = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
