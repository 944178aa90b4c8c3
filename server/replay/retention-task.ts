/** Runs retention: looks now and then, removes what has to go, one after the other. */
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../observability/log.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Recordings } from './recording.ts';
import type { RetentionOptions } from './retention.ts';
import { planRemovals } from './retention.ts';
import type { ViewingLeases } from './viewing-leases.ts';

export type RetentionTaskOptions = {
  readonly settings: RetentionOptions;
  readonly recordings: Recordings;
  readonly leases: ViewingLeases;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
};

export class RetentionTask {
  readonly #options: RetentionTaskOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #removed: ReturnType<Metrics['counter']>;
  #running: Promise<void> | undefined;

  /** Looks at once, and then every `lookEveryMs`. */
  constructor(options: RetentionTaskOptions) {
    this.#options = options;
    this.#removed = options.metrics.counter('replay_removed_total', 'Recordings removed by retention', ['reason']);
    options.metrics.observedGauge('replay_recordings', 'Recordings kept', () => options.recordings.list().length);
    options.metrics.observedGauge('replay_recordings_bytes', 'Media of all recordings', () =>
      options.recordings.list().reduce((sum, { mediaBytes }) => sum + mediaBytes, 0),
    );
    this.#timer = setInterval(() => void this.look(), options.settings.lookEveryMs).unref();
    void this.look();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Never rejects; two at a time are one. */
  async look(): Promise<void> {
    this.#running ??= this.#removeAll().finally(() => (this.#running = undefined));
    return this.#running;
  }

  async #removeAll(): Promise<void> {
    const { recordings, leases, clock, settings } = this.#options;
    leases.sweep(clock.nowMs());
    const isWatched = (id: string): boolean => leases.isWatched(id, clock.nowMs());
    const options = { retention: settings, nowWallMs: clock.wallMs(), isWatched };
    for (const { summary, reason } of planRemovals(recordings.list(), options)) {
      // Somebody may have begun to watch while the one before was removed.
      if (!isWatched(summary.id)) {
        await this.#remove(summary.id, { reason, name: summary.name, mediaBytes: summary.mediaBytes });
      }
    }
  }

  async #remove(id: string, fields: { reason: string; name: string; mediaBytes: number }): Promise<void> {
    const { recordings, log } = this.#options;
    try {
      if (await recordings.remove(id)) {
        this.#removed.inc({ reason: fields.reason });
        log.info('replay.retention.removed', { recordingId: id, ...fields });
      }
    } catch (error) {
      log.error('replay.retention.failed', { recordingId: id, error: messageOf(error) });
    }
  }
}
