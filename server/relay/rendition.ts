/** One elementary stream of a broadcast (the source's video, the repaired video, a rung, the source's audio, the Opus audio) and who takes it. */
import type { AccessUnit } from '../media/access-unit.ts';
import { StreamFactsTracker } from '../media/stream-facts.ts';
import type { AccessUnitSink, AccessUnitSource, StreamFacts } from '../media/stream-source.ts';
import type { Track } from '../media/track.ts';
import type { GopCacheOptions } from './gop-cache.ts';
import { GopCache } from './gop-cache.ts';

export class Rendition implements AccessUnitSource {
  readonly id: string;
  readonly #gopCache: GopCache;
  readonly #factsTracker = new StreamFactsTracker();
  /** Replaced, never changed: who subscribes while a unit is delivered gets the next one, not that one again. */
  #sinks: readonly AccessUnitSink[] = [];
  #track: Track | undefined;

  constructor(id: string, options: GopCacheOptions) {
    this.id = id;
    this.#gopCache = new GopCache(options);
  }

  get track(): Track | undefined {
    return this.#track;
  }

  get facts(): StreamFacts {
    return this.#factsTracker.facts;
  }

  get gopCacheBytes(): number {
    return this.#gopCache.bytes;
  }

  cachedGop(): readonly AccessUnit[] {
    return this.#gopCache.units;
  }

  subscribe(sink: AccessUnitSink): () => void {
    this.#sinks = [...this.#sinks, sink];
    return () => {
      this.#sinks = this.#sinks.filter((other) => other !== sink);
    };
  }

  /** The cache and the facts are brought up to date first, so that a sink that looks at them sees the unit it is handed. */
  push(unit: AccessUnit): void {
    this.#track = unit.track;
    this.#factsTracker.add(unit);
    if (unit.track.kind === 'video') {
      this.#gopCache.add(unit);
    }
    for (const sink of this.#sinks) {
      sink.onUnit(unit);
    }
  }

  /** No unit follows: subscribers are told once and forgotten. */
  end(reason: string): void {
    const sinks = this.#sinks;
    this.#sinks = [];
    this.#gopCache.clear();
    for (const sink of sinks) {
      sink.onEnd?.(reason);
    }
  }
}
