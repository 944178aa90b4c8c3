/** All broadcasts by name: who may take over whose, and when one that lost its publisher has waited long enough. */
import type { Clock } from '../base/clock.ts';
import type { PublisherFeed } from '../media/stream-source.ts';
import type { Log } from '../observability/log.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Publisher } from './broadcast.ts';
import { Broadcast } from './broadcast.ts';
import type { GopCacheOptions } from './gop-cache.ts';

export type HubOptions = {
  readonly gopCache: GopCacheOptions;
  /** How long a broadcast waits for its publisher to return. */
  readonly reconnectGraceMs: number;
  readonly broadcastMaxCount: number;
};

export type PublishOutcome =
  | { readonly ok: true; readonly feed: PublisherFeed; readonly broadcast: Broadcast }
  | { readonly ok: false; readonly code: 'PUBLISH_NAME_BUSY' | 'PUBLISH_TOO_MANY'; readonly detail: string };

export type HubListener = { onBroadcastStarted(broadcast: Broadcast): void };

export class Hub {
  readonly #options: HubOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #broadcasts = new Map<string, Broadcast>();
  readonly #graceTimers = new Map<Broadcast, NodeJS.Timeout>();
  readonly #listeners = new Set<HubListener>();

  constructor(options: { settings: HubOptions; clock: Clock; log: Log; metrics: Metrics }) {
    this.#options = options.settings;
    this.#clock = options.clock;
    this.#log = options.log;
    options.metrics.observedGauge(
      'broadcasts_live',
      'Broadcasts with a publisher or within its grace time',
      () => this.#broadcasts.size,
    );
  }

  get broadcasts(): ReadonlyMap<string, Broadcast> {
    return this.#broadcasts;
  }

  find(name: string): Broadcast | undefined {
    return this.#broadcasts.get(name);
  }

  listen(listener: HubListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * A publisher that has proved who it is wants `name`. Holding the key of the name, it replaces whoever is there at once (an
   * encoder that lost its connection must not wait for our time-outs). Without a key (loopback) it may replace only another such.
   */
  publish(name: string, publisher: Publisher): PublishOutcome {
    const existing = this.#broadcasts.get(name);
    if (existing?.publisher?.keyed === true && !publisher.keyed) {
      return { ok: false, code: 'PUBLISH_NAME_BUSY', detail: `${name} is live from a publisher with a key` };
    }
    if (existing === undefined && this.#broadcasts.size >= this.#options.broadcastMaxCount) {
      return {
        ok: false,
        code: 'PUBLISH_TOO_MANY',
        detail: `${this.#options.broadcastMaxCount} broadcasts are live, the most this server takes`,
      };
    }
    const broadcast = existing ?? this.#start(name);
    return { ok: true, feed: broadcast.attachPublisher(publisher), broadcast };
  }

  /** Ends one broadcast now. */
  end(name: string, reason: string): void {
    this.#broadcasts.get(name)?.end(reason);
  }

  /** Ends all of them. */
  close(reason: string): void {
    for (const broadcast of [...this.#broadcasts.values()]) {
      broadcast.end(reason);
    }
  }

  #start(name: string): Broadcast {
    const broadcast = new Broadcast({ name, clock: this.#clock, gopCache: this.#options.gopCache });
    const log = this.#log.child({ broadcast: name, broadcastId: broadcast.id });
    this.#broadcasts.set(name, broadcast);
    log.info('broadcast.started');
    broadcast.listen({
      onStateChanged: (state) => {
        this.#clearGrace(broadcast);
        if (state === 'reconnecting') {
          const expire = (): void => broadcast.end('publisher_gone');
          this.#graceTimers.set(broadcast, setTimeout(expire, this.#options.reconnectGraceMs));
        }
        if (state === 'ended') {
          this.#broadcasts.delete(name);
          log.info('broadcast.ended', { durationMs: Math.round(this.#clock.wallMs() - broadcast.startedAtWallMs) });
        }
      },
    });
    for (const listener of this.#listeners) {
      listener.onBroadcastStarted(broadcast);
    }
    return broadcast;
  }

  #clearGrace(broadcast: Broadcast): void {
    clearTimeout(this.#graceTimers.get(broadcast));
    this.#graceTimers.delete(broadcast);
  }
}
