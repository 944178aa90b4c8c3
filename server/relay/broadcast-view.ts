/** A broadcast as outputs see it: what they may know of one, whether the hub is in this thread or its units come from another. */
import type { AccessUnitSource } from '../media/stream-source.ts';

/** `waiting`: a publisher is connected but sent no media yet. `reconnecting`: it is gone, and the grace time runs. */
export type BroadcastState = 'waiting' | 'live' | 'reconnecting' | 'ended';

export type BroadcastViewListener<Source extends AccessUnitSource = AccessUnitSource> = {
  onStateChanged?(state: BroadcastState): void;
  onRenditionAdded?(rendition: Source): void;
  onRenditionRemoved?(rendition: Source): void;
};

export type BroadcastView = {
  readonly name: string;
  /** 128 random bits in hex; a new one for each broadcast of a name. */
  readonly id: string;
  readonly state: BroadcastState;
  readonly renditions: ReadonlyMap<string, AccessUnitSource>;
  /** `wallMsAt`: Unix milliseconds at which this media time was captured. */
  readonly timeline: { wallMsAt(mediaMs: number): number };
  /** The returned function ends it. */
  listen(listener: BroadcastViewListener): () => void;
};
