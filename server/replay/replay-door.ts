/** Replay as `main.ts` uses it: recordings in, an endpoint, a library and their housekeeping out. */
import type { Clock } from '../base/clock.ts';
import type { Log } from '../observability/log.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { DownloadCaps } from './http-handler.ts';
import { ReplayServer } from './http-handler.ts';
import { Library } from './library.ts';
import type { Recordings } from './recording.ts';
import type { RetentionOptions } from './retention.ts';
import { RetentionTask } from './retention-task.ts';
import type { SheetMaker } from './storyboard.ts';
import { Storyboards } from './storyboard.ts';
import { ViewingLeases } from './viewing-leases.ts';

export type ReplayDoorOptions = {
  readonly recordings: Recordings;
  readonly retention: RetentionOptions;
  readonly makeSheet: SheetMaker;
  readonly downloads: DownloadCaps;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
};

export class ReplayDoor {
  readonly library: Library;
  readonly endpoint: ReplayServer['endpoint'];
  readonly #retention: RetentionTask;
  readonly #storyboards: Storyboards;

  constructor(options: ReplayDoorOptions) {
    const { recordings, clock } = options;
    const leases = new ViewingLeases();
    this.library = new Library(recordings);
    this.#storyboards = new Storyboards({ ...options, isWatched: (id) => leases.isWatched(id, clock.nowMs()) });
    this.#retention = new RetentionTask({ ...options, settings: options.retention, leases });
    this.endpoint = new ReplayServer({ ...options, leases, storyboards: this.#storyboards }).endpoint;
  }

  close(): void {
    this.#retention.close();
    this.#storyboards.close();
  }
}
