/** The viewers of one broadcast, and the renditions they are fed from. Exists while there are viewers. */
import type { Clock } from '../../base/clock.ts';
import type { AccessUnit } from '../../media/access-unit.ts';
import { isVideoUnit } from '../../media/access-unit.ts';
import type { AccessUnitSource } from '../../media/stream-source.ts';
import type { BroadcastView } from '../broadcast-view.ts';
import { isRungId } from '../broadcast.ts';
import { AudioPacer } from './audio-pacer.ts';
import type { OutMetrics } from './out-metrics.ts';
import type { PacketisedFrame } from './packetised-rendition.ts';
import { PacketisedRendition } from './packetised-rendition.ts';
import { RenditionMeter } from './rendition-meter.ts';
import type { MeasuredRendition, RenditionOffer } from './rendition-offer.ts';
import { offerOf } from './rendition-offer.ts';
import { isFed, isPlayable, selectAudio, selectVideo } from './rendition-selector.ts';
import type { ViewerSession } from './viewer-session.ts';

type Feed = MeasuredRendition & { readonly stop: () => void };

export class BroadcastOutput {
  readonly broadcast: BroadcastView;
  readonly #clock: Clock;
  readonly #metrics: OutMetrics;
  readonly #onEmpty: (output: BroadcastOutput) => void;
  readonly #onAllOffered: () => void;
  readonly #isAdaptive: boolean;
  /** With the rendition each one asked for, if it asked for one. */
  readonly #wishes = new Map<ViewerSession, string | undefined>();
  /** Who goes by the broadcast's smoothness. */
  readonly #followers = new Set<ViewerSession>();
  readonly #feeds = new Map<string, Feed>();
  readonly #stopListening: () => void;
  readonly #audioPacer = new AudioPacer<PacketisedFrame>();
  #audioTimer: NodeJS.Timeout | undefined;
  #video: PacketisedRendition | undefined;
  /** How many rungs can be watched. */
  #rungCount = 0;
  #audio: PacketisedRendition | undefined;

  constructor(options: {
    broadcast: BroadcastView;
    clock: Clock;
    metrics: OutMetrics;
    /** Who asks for nothing gets what the link carries, rather than the main video. */
    isAdaptive: boolean;
    /** Every viewer was offered a picture, or sound. */
    onAllOffered: () => void;
    onEmpty: (output: BroadcastOutput) => void;
  }) {
    this.broadcast = options.broadcast;
    this.#clock = options.clock;
    this.#metrics = options.metrics;
    this.#isAdaptive = options.isAdaptive;
    this.#onEmpty = options.onEmpty;
    this.#onAllOffered = options.onAllOffered;
    this.#stopListening = options.broadcast.listen({
      onStateChanged: (state) => {
        if (state === 'ended') {
          this.close('broadcast_ended');
        }
      },
      onRenditionAdded: (rendition) => this.#feed(rendition),
      onRenditionRemoved: (rendition) => this.#unfeed(rendition.id),
    });
    for (const rendition of options.broadcast.renditions.values()) {
      this.#feed(rendition);
    }
    this.#select();
  }

  get sessions(): readonly ViewerSession[] {
    return [...this.#wishes.keys()];
  }

  /** Counts as a viewer from now on; gets media once connected. `renditionId`: what it wants to see whenever that is there. */
  add(
    session: ViewerSession,
    wishes: { renditionId?: string | undefined; smoothnessRatio?: number | undefined },
  ): void {
    const { renditionId } = wishes;
    this.#wishes.set(session, renditionId);
    if (wishes.smoothnessRatio === undefined) {
      this.#followers.add(session);
    }
    session.follow(this.#offerFor(session, renditionId), { isOldUsable: () => false });
  }

  /** It goes over at a keyframe that both have; the one it watches goes on until then. No viewer of this broadcast: nothing. */
  watch(session: ViewerSession, renditionId: string | undefined): void {
    if (this.#wishes.has(session)) {
      this.#wishes.set(session, renditionId);
      session.follow(this.#offerFor(session, renditionId), { isOldUsable: (old) => this.#isFit(old) });
    }
  }

  remove(session: ViewerSession): void {
    this.#wishes.delete(session);
    this.#followers.delete(session);
    if (this.#wishes.size === 0) {
      this.#dispose();
      this.#onEmpty(this);
    }
  }

  /** λ, for those who did not say themselves. */
  setSmoothness(smoothnessRatio: number): void {
    for (const session of this.#followers) {
      session.setSmoothness(smoothnessRatio);
    }
  }

  close(reason: string): void {
    for (const session of this.#wishes.keys()) {
      session.close(reason);
    }
  }

  #feed(source: AccessUnitSource): void {
    if (!isFed(source.id) || this.#feeds.has(source.id)) {
      return;
    }
    const rendition = new PacketisedRendition({
      source,
      clock: this.#clock,
      onRejected: () => {
        this.#metrics.counts.unitsRejected += 1;
      },
    });
    const meter = new RenditionMeter();
    source
      .cachedGop()
      .filter(isVideoUnit)
      .forEach((unit) => meter.add(unit));
    const stop = source.subscribe({ onUnit: (unit) => this.#onUnit({ rendition, meter }, unit) });
    this.#feeds.set(source.id, { rendition, meter, stop });
    this.#select();
  }

  #unfeed(id: string): void {
    this.#feeds.get(id)?.stop();
    this.#feeds.delete(id);
    this.#select();
  }

  #onUnit({ rendition, meter }: MeasuredRendition, unit: AccessUnit): void {
    const startedAtMs = rendition.source.enteredHubAtMs ?? this.#clock.nowMs();
    this.#select();
    if (isVideoUnit(unit)) {
      meter.add(unit);
      if (unit.isKeyframe) {
        this.#offerAnew();
      }
    }
    if (rendition === this.#audio) {
      const frame = rendition.add(unit);
      if (frame !== undefined) {
        this.#audioPacer.offer(frame, this.#clock.nowMs());
        this.#sendDueAudio();
      }
    } else if (unit.track.kind === 'video' && this.#isWatched(rendition)) {
      const frame = rendition.add(unit);
      if (frame !== undefined) {
        this.#sendVideo(frame, rendition);
      }
    } else {
      rendition.forget();
      return;
    }
    this.#metrics.observeHubToKernel(this.#clock.nowMs() - startedAtMs);
  }

  /** A rung is packetised only for who watches it; also what some still watch until the next keyframe of what they go to. */
  #isWatched(rendition: PacketisedRendition): boolean {
    if (!isRungId(rendition.source.id)) {
      return this.#video !== undefined && (rendition === this.#video || this.#isFit(rendition));
    }
    for (const [session, renditionId] of this.#wishes) {
      if (renditionId === rendition.source.id || session.isOn(rendition)) {
        return true;
      }
    }
    return false;
  }

  #sendVideo(frame: NonNullable<ReturnType<PacketisedRendition['add']>>, rendition: PacketisedRendition): void {
    for (const session of this.#wishes.keys()) {
      session.onVideo(frame, rendition);
    }
    this.#onAllOffered();
  }

  #sendDueAudio(): void {
    clearTimeout(this.#audioTimer);
    const nowMs = this.#clock.nowMs();
    for (const frame of this.#audioPacer.take(nowMs)) {
      for (const session of this.#wishes.keys()) {
        session.onAudio(frame);
      }
    }
    this.#onAllOffered();
    const dueMs = this.#audioPacer.nextDueMs;
    this.#audioTimer = dueMs === undefined ? undefined : setTimeout(() => this.#sendDueAudio(), dueMs - nowMs);
  }

  #select(): void {
    const sources = new Map([...this.#feeds].map(([id, feed]) => [id, feed.rendition.source]));
    const video = this.#renditionOf(selectVideo(sources));
    this.#audio = this.#renditionOf(selectAudio(sources));
    const rungs = [...this.#feeds].filter(([id, { rendition }]) => isRungId(id) && this.#isFit(rendition)).length;
    if (video === this.#video && rungs === this.#rungCount) {
      return;
    }
    this.#video = video;
    this.#rungCount = rungs;
    this.#offerAnew();
  }

  /** Made once for all who wish alike. */
  #offerAnew(): void {
    const offers = new Map<string, RenditionOffer | undefined>();
    const isOldUsable = (old: PacketisedRendition): boolean => this.#isFit(old);
    for (const [session, renditionId] of this.#wishes) {
      const wish = `${renditionId ?? ''} ${session.takes('av1')}`;
      if (!offers.has(wish)) {
        offers.set(wish, this.#offerFor(session, renditionId));
      }
      session.follow(offers.get(wish), { isOldUsable });
    }
  }

  /** Who asks for a rendition gets that; who leaves it to the server, the choice among the main video and all H.264 rungs. */
  #offerFor(session: ViewerSession, renditionId: string | undefined): RenditionOffer | undefined {
    const wanted = this.#videoFor(session, renditionId);
    if (renditionId !== undefined || !this.#isAdaptive) {
      return offerOf(this.#measured((rendition) => rendition === wanted));
    }
    return offerOf(
      this.#measured((rendition) => rendition === wanted || (this.#isFit(rendition) && isH264Rung(rendition))),
    );
  }

  #measured(isMeant: (rendition: PacketisedRendition) => boolean): MeasuredRendition[] {
    return [...this.#feeds.values()].filter(({ rendition }) => isMeant(rendition));
  }

  /** What it wants, if that is there and its browser can play it; else what everybody gets. */
  #videoFor(session: ViewerSession, renditionId: string | undefined): PacketisedRendition | undefined {
    const wanted = renditionId === undefined ? undefined : this.#feeds.get(renditionId)?.rendition;
    const codec = wanted?.source.track?.codec;
    const isTaken = codec === 'h264' || (codec === 'av1' && session.takes(codec));
    return wanted !== undefined && isTaken && this.#isFit(wanted) ? wanted : this.#video;
  }

  #isFit(rendition: PacketisedRendition): boolean {
    const isThere = this.#feeds.get(rendition.source.id)?.rendition === rendition;
    return isThere && isPlayable(rendition.source);
  }

  #renditionOf(source: AccessUnitSource | undefined): PacketisedRendition | undefined {
    return source === undefined ? undefined : this.#feeds.get(source.id)?.rendition;
  }

  #dispose(): void {
    this.#stopListening();
    clearTimeout(this.#audioTimer);
    for (const feed of this.#feeds.values()) {
      feed.stop();
    }
    this.#feeds.clear();
  }
}

const isH264Rung = ({ source }: PacketisedRendition): boolean => isRungId(source.id) && source.track?.codec === 'h264';
