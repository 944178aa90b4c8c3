/**
 * One publisher's programme: its timeline, its renditions, its life. It knows no output format; outputs find the renditions
 * here and subscribe. It outlives its publisher's connection by the grace time.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import type { AccessUnit, SourceUnit } from '../media/access-unit.ts';
import type { PublisherFeed } from '../media/stream-source.ts';
import { Timeline } from '../media/timeline.ts';
import type { BroadcastState, BroadcastView, BroadcastViewListener } from './broadcast-view.ts';
import type { GopCacheOptions } from './gop-cache.ts';
import { Rendition } from './rendition.ts';

/** Renditions that come straight from the publisher. Others are added by whoever makes them. */
export const SOURCE_VIDEO = 'source-video';
export const SOURCE_AUDIO = 'source-audio';
/** `h480`: a smaller rendition of the source's video, by the lines of its shorter side; `av1h480`: the same in AV1. */
export const isRungId = (renditionId: string): boolean => /^(?:av1)?h\d{3,4}$/.test(renditionId);
export const isAv1RungId = (renditionId: string): boolean => renditionId.startsWith('av1') && isRungId(renditionId);

export type BroadcastListener = BroadcastViewListener<Rendition>;

/** The session behind a feed: the hub closes it when another takes its place. */
export type Publisher = {
  readonly keyed: boolean;
  readonly remoteAddress: string;
  close(reason: string): void;
};

export class Broadcast implements BroadcastView {
  readonly name: string;
  /** 128 random bits in hex; a new one for each broadcast of a name. */
  readonly id = randomBytes(16).toString('hex');
  readonly startedAtWallMs: number;
  readonly timeline = new Timeline();
  readonly #clock: Clock;
  readonly #gopCacheOptions: GopCacheOptions;
  readonly #renditions = new Map<string, Rendition>();
  readonly #listeners = new Set<BroadcastListener>();
  #state: BroadcastState = 'waiting';
  #publisher: Publisher | undefined;
  #publisherLostAtMs: number | undefined;

  constructor(options: { name: string; clock: Clock; gopCache: GopCacheOptions }) {
    this.name = options.name;
    this.#clock = options.clock;
    this.#gopCacheOptions = options.gopCache;
    this.startedAtWallMs = options.clock.wallMs();
  }

  get state(): BroadcastState {
    return this.#state;
  }

  get renditions(): ReadonlyMap<string, Rendition> {
    return this.#renditions;
  }

  /** The one now connected, if any. */
  get publisher(): Publisher | undefined {
    return this.#publisher;
  }

  /** When the publisher was lost, on the monotonic clock, while `reconnecting`. */
  get publisherLostAtMs(): number | undefined {
    return this.#publisherLostAtMs;
  }

  listen(listener: BroadcastListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A publisher takes over; the one before, if still connected, is closed with `replaced`. */
  attachPublisher(publisher: Publisher): PublisherFeed {
    const replaced = this.#publisher;
    this.#publisher = publisher;
    this.#publisherLostAtMs = undefined;
    this.timeline.beginEpoch();
    replaced?.close('replaced');
    const isCurrent = (): boolean => this.#publisher === publisher && this.#state !== 'ended';
    return {
      push: (unit) => {
        if (isCurrent()) {
          this.#pushSource(unit);
        }
      },
      close: () => {
        if (isCurrent()) {
          this.#losePublisher();
        }
      },
    };
  }

  /** The rendition with this id, made if it is not there yet. */
  addRendition(id: string): Rendition {
    const existing = this.#renditions.get(id);
    if (existing !== undefined) {
      return existing;
    }
    const rendition = new Rendition(id, this.#gopCacheOptions);
    this.#renditions.set(id, rendition);
    this.#notify((listener) => listener.onRenditionAdded?.(rendition));
    return rendition;
  }

  removeRendition(id: string, reason: string): void {
    const rendition = this.#renditions.get(id);
    if (rendition === undefined) {
      return;
    }
    this.#renditions.delete(id);
    rendition.end(reason);
    this.#notify((listener) => listener.onRenditionRemoved?.(rendition));
  }

  /** Ends everything, once. */
  end(reason: string): void {
    if (this.#state === 'ended') {
      return;
    }
    const publisher = this.#publisher;
    this.#publisher = undefined;
    this.#setState('ended');
    publisher?.close(reason);
    for (const id of [...this.#renditions.keys()]) {
      this.removeRendition(id, reason);
    }
  }

  #pushSource(unit: SourceUnit): void {
    const id = unit.track.kind === 'video' ? SOURCE_VIDEO : SOURCE_AUDIO;
    const placed: AccessUnit = this.timeline.place(unit);
    this.addRendition(id).push(placed);
    this.#setState('live');
  }

  /** Whether it said goodbye or not, the grace runs: OBS sends a proper goodbye too when its user restarts the stream. */
  #losePublisher(): void {
    this.#publisher = undefined;
    this.#publisherLostAtMs = this.#clock.nowMs();
    this.#setState('reconnecting');
  }

  #setState(state: BroadcastState): void {
    if (this.#state !== state) {
      this.#state = state;
      this.#notify((listener) => listener.onStateChanged?.(state));
    }
  }

  #notify(tell: (listener: BroadcastListener) => void): void {
    for (const listener of [...this.#listeners]) {
      tell(listener);
    }
  }
}
