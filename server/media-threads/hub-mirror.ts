/** A thread's side: broadcasts as outputs see them, made of messages and of units from the ring. Told the time; owns no timer. */
import type { Clock } from '../base/clock.ts';
import type { AccessUnit } from '../media/access-unit.ts';
import type { Track } from '../media/track.ts';
import type { BroadcastState, BroadcastView, BroadcastViewListener } from '../relay/broadcast-view.ts';
import type { GopCacheOptions } from '../relay/gop-cache.ts';
import { Rendition } from '../relay/rendition.ts';
import type { HubMessage } from './hub-messages.ts';
import type { RingReader, TakenRecord } from './unit-ring.ts';

/** What a thread could not take in time is not worth taking any more. */
const LATE_MAX_MS = 1_000;
export type DropReason = 'overtaken' | 'late';

/** Units of the one before may still be in the ring. */
const TRACK_MAX_COUNT = 8;

class MirroredRendition extends Rendition {
  readonly tracks = new Map<number, Track>();
  /** Why the next keyframe is waited for; undefined: it is not. */
  missed: DropReason | undefined;
  enteredHubAtMs: number | undefined;

  define(number: number, track: Track): void {
    this.tracks.set(number, track);
    const [oldest] = this.tracks.keys();
    if (this.tracks.size > TRACK_MAX_COUNT && oldest !== undefined) {
      this.tracks.delete(oldest);
    }
  }
}

class MirroredBroadcast implements BroadcastView {
  readonly name: string;
  readonly id: string;
  readonly renditions = new Map<string, MirroredRendition>();
  readonly timeline = { wallMsAt: (mediaMs: number): number => mediaMs + this.wallOffsetMs };
  wallOffsetMs: number;
  #state: BroadcastState;
  readonly #listeners = new Set<BroadcastViewListener>();

  constructor({ name, id, state, wallOffsetMs }: Extract<HubMessage, { kind: 'broadcast' }>) {
    this.name = name;
    this.id = id;
    this.#state = state;
    this.wallOffsetMs = wallOffsetMs;
  }

  get state(): BroadcastState {
    return this.#state;
  }

  listen(listener: BroadcastViewListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  setState(state: BroadcastState): void {
    this.#state = state;
    this.#notify((listener) => listener.onStateChanged?.(state));
  }

  add(rendition: MirroredRendition): void {
    this.renditions.set(rendition.id, rendition);
    this.#notify((listener) => listener.onRenditionAdded?.(rendition));
  }

  remove(rendition: MirroredRendition, reason: string): void {
    this.renditions.delete(rendition.id);
    rendition.end(reason);
    this.#notify((listener) => listener.onRenditionRemoved?.(rendition));
  }

  #notify(tell: (listener: BroadcastViewListener) => void): void {
    for (const listener of [...this.#listeners]) {
      tell(listener);
    }
  }
}

export type HubMirrorOptions = {
  readonly gopCache: GopCacheOptions;
  readonly clock: Clock;
  /** Told of units that never reached a viewer of this thread. */
  readonly onDropped: (count: number, reason: DropReason) => void;
};

export class HubMirror {
  readonly #options: HubMirrorOptions;
  readonly #broadcasts = new Map<number, MirroredBroadcast>();
  readonly #renditions = new Map<number, { broadcast: MirroredBroadcast; rendition: MirroredRendition }>();

  constructor(options: HubMirrorOptions) {
    this.#options = options;
  }

  find(name: string): BroadcastView | undefined {
    return [...this.#broadcasts.values()].findLast((broadcast) => broadcast.name === name);
  }

  onMessage(message: HubMessage): void {
    switch (message.kind) {
      case 'broadcast':
        this.#broadcasts.set(message.number, new MirroredBroadcast(message));
        break;
      case 'state':
        this.#setState(message.number, message.state);
        break;
      case 'rendition':
        this.#addRendition(message);
        break;
      case 'rendition-gone':
        this.#removeRendition(message.number);
        break;
      case 'track':
        this.#renditions.get(message.renditionNumber)?.rendition.define(message.number, message.track);
        break;
    }
  }

  /** Delivers what is in the ring, so many units at most; the messages that were sent before them have been heard. True: there is more. */
  drain(reader: RingReader, maxCount: number): boolean {
    for (let count = 0; count < maxCount; count += 1) {
      const record = reader.take();
      if (record === undefined) {
        return false;
      }
      this.#deliver(record);
    }
    return true;
  }

  #deliver(record: TakenRecord): void {
    if (record.lostCount > 0) {
      this.#options.onDropped(record.lostCount, 'overtaken');
      for (const { rendition } of this.#renditions.values()) {
        rendition.missed = 'overtaken';
      }
    }
    const { broadcast, rendition } = this.#renditions.get(record.renditionNumber) ?? {};
    const track = rendition?.tracks.get(record.trackNumber);
    // Its rendition has gone meanwhile.
    if (broadcast === undefined || rendition === undefined || track === undefined) {
      return;
    }
    broadcast.wallOffsetMs = record.wallOffsetMs;
    if (this.#options.clock.nowMs() - record.enteredAtMs > LATE_MAX_MS) {
      rendition.missed = 'late';
    } else if (record.isKeyframe) {
      rendition.missed = undefined;
    }
    if (rendition.missed !== undefined) {
      this.#options.onDropped(1, rendition.missed);
      return;
    }
    rendition.enteredHubAtMs = record.enteredAtMs;
    rendition.push(unitOf(record, track));
    rendition.enteredHubAtMs = undefined;
  }

  #setState(number: number, state: BroadcastState): void {
    const broadcast = this.#broadcasts.get(number);
    if (broadcast === undefined) {
      return;
    }
    if (state === 'ended') {
      this.#broadcasts.delete(number);
    }
    broadcast.setState(state);
    if (state === 'ended') {
      for (const [renditionNumber, one] of this.#renditions) {
        if (one.broadcast === broadcast) {
          this.#removeRendition(renditionNumber);
        }
      }
    }
  }

  #addRendition({ broadcastNumber, number, id, gop }: Extract<HubMessage, { kind: 'rendition' }>): void {
    const broadcast = this.#broadcasts.get(broadcastNumber);
    if (broadcast === undefined) {
      return;
    }
    const rendition = new MirroredRendition(id, this.#options.gopCache);
    this.#renditions.set(number, { broadcast, rendition });
    gop.forEach((unit) => rendition.push(unit));
    broadcast.add(rendition);
  }

  #removeRendition(number: number): void {
    const found = this.#renditions.get(number);
    this.#renditions.delete(number);
    found?.broadcast.remove(found.rendition, 'gone');
  }
}

const unitOf = (record: TakenRecord, track: Track): AccessUnit => {
  const { dtsTicks, ptsTicks, isKeyframe, payload, arrivedAtMs, arrivedAtWallMs, isDiscontinuity } = record;
  return { track, dtsTicks, ptsTicks, isKeyframe, payload, arrivedAtMs, arrivedAtWallMs, isDiscontinuity };
};
