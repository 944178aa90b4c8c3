/** The hub's side: puts the units of every rendition that viewers may be fed from into the ring, once, and tells threads what their numbers mean. */
import type { Counter } from 'prom-client';
import type { Clock } from '../base/clock.ts';
import type { AccessUnit } from '../media/access-unit.ts';
import type { AccessUnitSource } from '../media/stream-source.ts';
import type { Track } from '../media/track.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { BroadcastView } from '../relay/broadcast-view.ts';
import type { Hub } from '../relay/hub.ts';
import { isFed } from '../relay/webrtc/rendition-selector.ts';
import type { HubMessage, Post } from './hub-messages.ts';
import type { RingPosition } from './unit-ring.ts';
import { RingWriter, createRingMemory } from './unit-ring.ts';

type FedRendition = {
  readonly number: number;
  readonly source: AccessUnitSource;
  readonly stop: () => void;
  track: Track | undefined;
  trackNumber: number;
  /** One was too large for the ring: what follows cannot be decoded without it. */
  isWaitingForKeyframe: boolean;
};

type FedBroadcast = {
  readonly number: number;
  readonly broadcast: BroadcastView;
  readonly renditions: Map<string, FedRendition>;
};

export class HubFeed {
  readonly memory: SharedArrayBuffer;
  readonly #writer: RingWriter;
  readonly #clock: Clock;
  readonly #tooLarge: Counter;
  readonly #posts = new Set<Post>();
  readonly #broadcasts = new Map<BroadcastView, FedBroadcast>();
  #lastNumber = 0;

  constructor(options: { hub: Pick<Hub, 'listen' | 'broadcasts'>; ringBytes: number; clock: Clock; metrics: Metrics }) {
    this.memory = createRingMemory(options.ringBytes);
    this.#writer = new RingWriter(this.memory);
    this.#clock = options.clock;
    this.#tooLarge = options.metrics.counter(
      'media_ring_units_too_large_total',
      'Access units that did not fit into the ring between threads',
    );
    options.hub.listen({ onBroadcastStarted: (broadcast) => this.#follow(broadcast) });
    for (const broadcast of options.hub.broadcasts.values()) {
      this.#follow(broadcast);
    }
  }

  /** What is pushed from now on is in the ring from here on. */
  get position(): RingPosition {
    return this.#writer.position;
  }

  /** All that is there is told now, and every change from now on. The returned function ends it. */
  attach(post: Post): () => void {
    for (const fed of this.#broadcasts.values()) {
      post(messageOfBroadcast(fed));
      for (const rendition of fed.renditions.values()) {
        post(messageOfRendition(fed, rendition));
        if (rendition.track !== undefined) {
          post(messageOfTrack(rendition, rendition.track));
        }
      }
    }
    this.#posts.add(post);
    return () => this.#posts.delete(post);
  }

  #follow(broadcast: BroadcastView): void {
    const fed: FedBroadcast = { number: this.#nextNumber(), broadcast, renditions: new Map() };
    this.#broadcasts.set(broadcast, fed);
    this.#tell(messageOfBroadcast(fed));
    const stop = broadcast.listen({
      onStateChanged: (state) => {
        this.#tell({ kind: 'state', number: fed.number, state });
        if (state === 'ended') {
          stop();
          fed.renditions.forEach((rendition) => rendition.stop());
          this.#broadcasts.delete(broadcast);
        }
      },
      onRenditionAdded: (source) => this.#feed(fed, source),
      onRenditionRemoved: ({ id }) => this.#unfeed(fed, id),
    });
    for (const source of broadcast.renditions.values()) {
      this.#feed(fed, source);
    }
  }

  #feed(fed: FedBroadcast, source: AccessUnitSource): void {
    if (!isFed(source.id)) {
      return;
    }
    const rendition: FedRendition = {
      ...{ number: this.#nextNumber(), source, track: undefined, trackNumber: 0, isWaitingForKeyframe: false },
      stop: source.subscribe({ onUnit: (unit) => this.#onUnit(fed, rendition, unit) }),
    };
    fed.renditions.set(source.id, rendition);
    this.#tell(messageOfRendition(fed, rendition));
  }

  #unfeed(fed: FedBroadcast, id: string): void {
    const rendition = fed.renditions.get(id);
    if (rendition !== undefined) {
      rendition.stop();
      fed.renditions.delete(id);
      this.#tell({ kind: 'rendition-gone', number: rendition.number });
    }
  }

  #onUnit({ broadcast }: FedBroadcast, rendition: FedRendition, unit: AccessUnit): void {
    if (rendition.isWaitingForKeyframe && !unit.isKeyframe) {
      return;
    }
    if (unit.track !== rendition.track) {
      rendition.track = unit.track;
      rendition.trackNumber = this.#nextNumber();
      this.#tell(messageOfTrack(rendition, unit.track));
    }
    const isWritten = this.#writer.write({
      ...unit,
      renditionNumber: rendition.number,
      trackNumber: rendition.trackNumber,
      enteredAtMs: this.#clock.nowMs(),
      wallOffsetMs: broadcast.timeline.wallMsAt(0),
    });
    rendition.isWaitingForKeyframe = !isWritten;
    if (!isWritten) {
      this.#tooLarge.inc();
    }
  }

  #tell(message: HubMessage): void {
    for (const post of this.#posts) {
      post(message);
    }
  }

  #nextNumber(): number {
    this.#lastNumber += 1;
    return this.#lastNumber;
  }
}

const messageOfBroadcast = ({ number, broadcast }: FedBroadcast): HubMessage => ({
  ...{ kind: 'broadcast', number, name: broadcast.name, id: broadcast.id, state: broadcast.state },
  wallOffsetMs: broadcast.timeline.wallMsAt(0),
});

/** Of a view a message would carry all that lies under it: each is cut out. */
const messageOfRendition = (fed: FedBroadcast, { number, source }: FedRendition): HubMessage => ({
  ...{ kind: 'rendition', broadcastNumber: fed.number, number, id: source.id },
  gop: source
    .cachedGop()
    .map((unit) => ({ ...unit, track: cutOut(unit.track), payload: new Uint8Array(unit.payload) })),
});

const messageOfTrack = ({ number, trackNumber }: FedRendition, track: Track): HubMessage => ({
  ...{ kind: 'track', renditionNumber: number, number: trackNumber, track: cutOut(track) },
});

const cutOut = (track: Track): Track => ({ ...track, decoderConfig: new Uint8Array(track.decoderConfig) });
