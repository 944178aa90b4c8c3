/**
 * One viewer: who it is, which rendition it gets, how it ends. Between the broadcast's shared packets and the viewer's link. It ends once,
 * with a reason, and says one line about itself.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { CongestionController, Decision } from '../../congestion/controller.ts';
import { StreamJoin } from '../../media/stream-join.ts';
import type { Log } from '../../observability/log.ts';
import type { PeerTransport } from '../../webrtc-transport/peer-transport.ts';
import type { ChosenMedia } from '../../webrtc-transport/sdp-codecs.ts';
import type { IceResource } from '../../webrtc-transport/ice-resource.ts';
import type { ControllerFactory } from './controllers.ts';
import type { MediaSender } from './media-sender.ts';
import type { WebRtcOutOptions } from './options.ts';
import type { OutMetrics } from './out-metrics.ts';
import type { CarriedCodec, PacketisedFrame, PacketisedRendition } from './packetised-rendition.ts';
import type { PlayerTotals } from './player-reports.ts';
import { PlayerReports } from './player-reports.ts';
import type { RenditionOffer } from './rendition-offer.ts';
import type { RtpMapping } from './rtp-mapping.ts';
import type { TimelinePoint } from './session-timeline.ts';
import { SessionTimeline } from './session-timeline.ts';
import type { StreamNames } from './viewer-link.ts';
import { ViewerLink, drawStreamNames } from './viewer-link.ts';

export type ViewerSessionOptions = {
  readonly name: string;
  /** What the viewer was told of its session before there was one; drawn when left out. */
  readonly identity?: SessionIdentity | undefined;
  readonly peer: PeerTransport;
  readonly ice: IceResource;
  readonly videoIndex: number | undefined;
  readonly video: ChosenMedia | undefined;
  readonly audio: ChosenMedia | undefined;
  readonly clock: Clock;
  readonly sender: MediaSender;
  readonly metrics: OutMetrics;
  readonly log: Log;
  readonly settings: WebRtcOutOptions;
  readonly createController: ControllerFactory;
  /** A number that the viewer's player keeps, where it has one. */
  readonly viewerId?: string | undefined;
  /** λ, from the viewer or its broadcast. */
  readonly smoothnessRatio: number;
  readonly mayCapture: boolean;
  /** Unix time at which media time was captured (`Timeline.wallMsAt`). */
  readonly wallMsAt: (mediaMs: number) => number;
  /** Told when to call `wake` next; `Infinity`: no more. */
  readonly onWakeWanted: (session: ViewerSession, atMs: number) => void;
  readonly onClosed: (session: ViewerSession, reason: string) => void;
};

export type SessionIdentity = {
  readonly id: string;
  readonly secret: string;
  readonly streamNames: StreamNames;
};

export const drawIdentity = (): SessionIdentity => ({
  id: randomBytes(16).toString('hex'),
  secret: randomBytes(16).toString('hex'),
  streamNames: drawStreamNames(),
});

/** A picture, and whose. */
type Picture = { readonly frame: PacketisedFrame; readonly rendition: PacketisedRendition };

/** To another rendition, while its keyframe is waited for. */
type Change = { readonly next: PacketisedRendition; readonly join: StreamJoin<Picture> };

const [OLD, NEW] = [1, 2];
/** A rung's keyframe is as far behind the source's as its encoder; beyond this the change waits for the next one. Half a second at 30 a second. */
const HELD_MAX_COUNT = 15;
const PICTURES = {
  timeOf: ({ frame }: Picture): number => frame.ptsTicks,
  isKeyframe: ({ frame }: Picture): boolean => frame.isKeyframe,
  currentHeldMaxCount: HELD_MAX_COUNT,
};

export class ViewerSession {
  /** In the session's URL: 128 random bits. */
  readonly id: string;
  /** Binds the WebSocket to this session: 128 random bits, never logged. */
  readonly secret: string;
  readonly name: string;
  readonly peer: PeerTransport;
  /** Which media section of the SDP the video is, from 0; undefined: it has none. */
  readonly videoIndex: number | undefined;
  /** What a PATCH of the session's URL changes. */
  readonly ice: IceResource;
  readonly #options: ViewerSessionOptions;
  readonly #clock: Clock;
  readonly #link: ViewerLink;
  readonly #controller: CongestionController;
  readonly #reports = new PlayerReports();
  readonly #openedAtMs: number;
  #offer: RenditionOffer | undefined;
  #hasJoined = false;
  #rendition: PacketisedRendition | undefined;
  #change: Change | undefined;
  #changeCount = 0;
  #lastPtsTicks = Number.NEGATIVE_INFINITY;
  #firstPictureMs: number | undefined;
  #endReason: string | undefined;
  #pathKind = 'none';
  readonly #timeline = new SessionTimeline();
  #smoothnessRatio: number;
  #reported: PlayerTotals | undefined;

  constructor(options: ViewerSessionOptions) {
    const { peer, video, audio, sender, metrics, wallMsAt, settings, clock } = options;
    this.#options = options;
    this.#clock = clock;
    const { id, secret, streamNames } = options.identity ?? drawIdentity();
    this.id = id;
    this.secret = secret;
    this.name = options.name;
    this.peer = peer;
    this.ice = options.ice;
    this.videoIndex = options.videoIndex;
    this.#openedAtMs = clock.nowMs();
    this.#smoothnessRatio = options.smoothnessRatio;
    this.#controller = options.createController({
      sessionId: this.id,
      viewerId: options.viewerId,
      smoothnessRatio: options.smoothnessRatio,
      mayCapture: options.mayCapture,
      hasTransportFeedback: hasTransportFeedback(video),
      hasPlayoutDelay: (video?.extensionIds.playoutDelay ?? 0) > 0,
    });
    this.#link = new ViewerLink({
      ...{ peer, video, audio, streamNames, sender, metrics, wallMsAt, settings },
      controller: this.#controller,
    });
    peer.listen({
      onConnected: () => this.#onConnected(),
      onRtcp: (compound) => this.#onRtcp(compound),
      onClosed: (reason) => this.#onClosed(reason),
    });
  }

  get cname(): string {
    return this.#link.cname;
  }

  get videoSsrc(): { readonly ssrc: number; readonly rtxSsrc: number | undefined } | undefined {
    return this.#link.videoSsrc;
  }

  get audioSsrc(): number | undefined {
    return this.#link.audioSsrc;
  }

  get isConnected(): boolean {
    return this.peer.isConnected;
  }

  get endReason(): string | undefined {
    return this.#endReason;
  }

  /** Called with the mapping now in force, if any, and with each change of it. The returned function ends it. */
  listenMapping(listener: (mapping: RtpMapping) => void): () => void {
    return this.#link.mapping.listen(listener);
  }

  /** Whether the viewer's browser said that it decodes this. */
  takes(codec: CarriedCodec): boolean {
    return this.#link.takes(codec);
  }

  /** Whether its pictures are sent, or will be. */
  isOn(rendition: PacketisedRendition): boolean {
    return rendition === this.#rendition || rendition === this.#change?.next;
  }

  /**
   * From now on one of these renditions, which one is the controller's choice at each keyframe. A viewer whose rendition is not among them goes
   * on with it until a keyframe that both have, if it is still fit for it; else it begins with what is cached. Undefined: nothing fit
   * is there, the last picture stands.
   */
  follow(offer: RenditionOffer | undefined, options: { isOldUsable: (old: PacketisedRendition) => boolean }): void {
    this.#offer = offer;
    const nowMs = this.#clock.nowMs();
    if (!this.#hasJoined) {
      this.#joinIfReady(nowMs);
      return;
    }
    const old = this.#rendition;
    const isOldUsable = old !== undefined && options.isOldUsable(old);
    if (isOldUsable && offer?.renditions.includes(old) === true) {
      this.#cancelChangeUnless((next) => offer.renditions.includes(next), nowMs);
      return;
    }
    const index = old === undefined || offer === undefined ? 0 : nearestIndex(offer, old);
    const next = offer?.renditions[index];
    if (next !== undefined && isOldUsable && this.#link.isPlaying) {
      this.#changeTo(next, nowMs);
    } else {
      this.#beginWith(next, { renditionIndex: index, isFromCache: true }, nowMs);
    }
  }

  /** One picture of `rendition`, for all who watch it. */
  onVideo(frame: PacketisedFrame, rendition: PacketisedRendition): void {
    if (!this.peer.isConnected || !this.#link.hasVideo || !this.isOn(rendition)) {
      return;
    }
    const nowMs = this.#clock.nowMs();
    if (frame.isKeyframe && rendition === this.#rendition) {
      this.#decideGop(frame, nowMs);
    }
    const change = this.#change;
    if (change === undefined) {
      this.#send({ frame, rendition }, nowMs);
    } else {
      const pictures = change.join.push(rendition === change.next ? NEW : OLD, { frame, rendition });
      if (change.join.isCurrent(NEW)) {
        this.#rendition = change.next;
        this.#changeCount += 1;
        this.#change = undefined;
      }
      pictures.forEach((picture) => this.#send(picture, nowMs));
    }
    this.#sleep(nowMs);
  }

  onAudio(frame: PacketisedFrame): void {
    if (this.peer.isConnected) {
      this.#link.onAudio(frame, this.#clock.nowMs());
    }
  }

  /** What its player says of itself. */
  onPlayerReport(totals: PlayerTotals): void {
    const nowMs = this.#clock.nowMs();
    this.#reported = totals;
    const report = this.#reports.take(totals, nowMs);
    if (report !== undefined && this.isConnected) {
      this.#link.onPlayerReport(report, nowMs);
    }
  }

  get smoothnessRatio(): number {
    return this.#smoothnessRatio;
  }

  /** What its player said last; undefined: nothing yet. Not checked by anybody. */
  get reported(): PlayerTotals | undefined {
    return this.#reported;
  }

  get pathKind(): string {
    return this.#pathKind;
  }

  get renditionId(): string | undefined {
    return this.#rendition?.source.id;
  }

  /** What was decided last; undefined before it has joined. */
  get decision(): Decision | undefined {
    return this.#link.decision;
  }

  /** What its network seems to be; undefined while it is not known. */
  get networkClass(): string | undefined {
    return this.#controller.networkClass;
  }

  /** Its last minutes, second by second. */
  timeline(): TimelinePoint[] {
    return this.#timeline.points();
  }

  /** To be called a few times a second: notes how the viewer fares. */
  observe(): void {
    const { decision } = this;
    if (this.isConnected && decision !== undefined) {
      this.#timeline.look({
        atMs: this.#clock.nowMs() - this.#openedAtMs,
        ...{ decision, reported: this.#reported, renditionId: this.renditionId ?? '' },
        sentBytes: this.#link.totals.bytes,
      });
    }
  }

  /** λ from now on: 0 reacts, 1 is smooth. */
  setSmoothness(smoothnessRatio: number): void {
    this.#smoothnessRatio = smoothnessRatio;
    this.#link.setSmoothness(smoothnessRatio);
  }

  /** As wanted by `onWakeWanted`. */
  wake(nowMs: number): void {
    this.#link.wake(nowMs);
    this.#notePicture(nowMs);
    this.#sleep(nowMs);
  }

  /** To be called a few times a second. */
  reportIfDue(): void {
    if (this.peer.isConnected) {
      this.#link.reportIfDue(this.#clock.nowMs(), this.#clock.wallMs());
    }
  }

  /** May be called twice. The viewer is told by BYE. */
  close(reason: string): void {
    if (this.peer.isConnected) {
      this.#link.sayGoodbye();
    }
    this.peer.close(reason);
  }

  #onConnected(): void {
    this.#pathKind = this.peer.path?.kind ?? 'none';
    this.#joinIfReady(this.#clock.nowMs());
  }

  #onRtcp(compound: Buffer): void {
    const nowMs = this.#clock.nowMs();
    const reason = this.#link.onRtcp(compound, nowMs);
    if (reason === undefined) {
      this.#sleep(nowMs);
    } else {
      this.close(reason);
    }
  }

  #onClosed(reason: string): void {
    this.#endReason = reason;
    this.#rendition = undefined;
    this.#change = undefined;
    const link = this.#link;
    link.stop();
    link.mapping.close();
    this.#controller.close?.();
    this.#options.onWakeWanted(this, Number.POSITIVE_INFINITY);
    this.#options.log.info('webrtc.session.closed', {
      reason,
      durationMs: Math.round(this.#clock.nowMs() - this.#openedAtMs),
      firstPictureMs: this.#firstPictureMs === undefined ? null : Math.round(this.#firstPictureMs),
      path: this.#pathKind,
      rttMs: link.rttMs === undefined ? null : Math.round(link.rttMs),
      ...link.totals,
      ...link.counts,
      framesDropped: link.droppedCount,
      renditionChanges: this.#changeCount,
    });
    this.#options.onClosed(this, reason);
  }

  #joinIfReady(nowMs: number): void {
    const offer = this.#offer;
    if (this.#hasJoined || offer === undefined || !this.peer.isConnected || !this.#link.hasVideo) {
      return;
    }
    this.#hasJoined = true;
    const plan = this.#link.join({ ...offer.gop, keyframeAgeMs: nowMs - offer.keyframeAtMs }, nowMs);
    this.#beginWith(offer.renditions[plan.renditionIndex], plan, nowMs);
  }

  #beginWith(
    rendition: PacketisedRendition | undefined,
    options: { renditionIndex: number; isFromCache: boolean },
    nowMs: number,
  ): void {
    this.#change = undefined;
    this.#rendition = rendition;
    if (rendition === undefined) {
      this.#link.stop();
    } else {
      this.#link.begin(rendition, options, nowMs);
      this.#lastPtsTicks = rendition.gop.at(-1)?.ptsTicks ?? this.#lastPtsTicks;
      this.#notePicture(nowMs);
    }
    this.#sleep(nowMs);
  }

  /** A keyframe of the rendition in use begins a GOP: which one follows is decided now. */
  #decideGop(keyframe: PacketisedFrame, nowMs: number): void {
    const offer = this.#offer;
    if (offer === undefined) {
      return;
    }
    const wanted = offer.renditions[this.#link.decideGop(offer.gop, nowMs)];
    // One that is not among them is being left already, for another reason.
    const isOnOffer = this.#rendition !== undefined && offer.renditions.includes(this.#rendition);
    if (wanted === undefined || !isOnOffer) {
      return;
    }
    if (wanted === this.#rendition) {
      this.#cancelChangeUnless(() => false, nowMs);
    } else {
      this.#changeTo(wanted, nowMs, keyframe);
    }
  }

  /** At the next keyframe that both have; at `keyframe`, of the one in use, when the other one has it already or will in a moment. */
  #changeTo(next: PacketisedRendition, nowMs: number, keyframe?: PacketisedFrame): void {
    if (this.#change?.next === next) {
      return;
    }
    this.#cancelChangeUnless(() => false, nowMs);
    const join = new StreamJoin<Picture>({ ...PICTURES, from: { stream: OLD, time: this.#lastPtsTicks } });
    this.#change = { next, join };
    if (keyframe !== undefined) {
      const { gop } = next;
      const isThere = (gop[0]?.ptsTicks ?? Number.NEGATIVE_INFINITY) >= keyframe.ptsTicks;
      // One picture of the old GOP tells that it is alive, so that its keyframe is waited for.
      gop.slice(isThere ? 0 : -1).forEach((frame) => join.push(NEW, { frame, rendition: next }));
    }
  }

  /** What was held back for the change is sent. */
  #cancelChangeUnless(isStillWanted: (next: PacketisedRendition) => boolean, nowMs: number): void {
    const change = this.#change;
    if (change !== undefined && !isStillWanted(change.next)) {
      this.#change = undefined;
      change.join.leave(NEW).forEach((picture) => this.#send(picture, nowMs));
    }
  }

  #send({ frame, rendition }: Picture, nowMs: number): void {
    this.#lastPtsTicks = frame.ptsTicks;
    const renditionIndex = Math.max(0, this.#offer?.renditions.indexOf(rendition) ?? 0);
    this.#link.onPicture(frame, { rendition, renditionIndex }, nowMs);
    this.#notePicture(nowMs);
  }

  #notePicture(nowMs: number): void {
    if (this.#firstPictureMs === undefined && this.#link.hasSentPicture) {
      this.#firstPictureMs = nowMs - this.#openedAtMs;
      this.#options.metrics.observeJoin(this.#firstPictureMs);
    }
  }

  #sleep(nowMs: number): void {
    if (this.#endReason === undefined) {
      this.#options.onWakeWanted(this, this.#link.wakeAtMs(nowMs));
    }
  }
}

/** Of the rendition that costs most and no more than `old` did: the one in use is gone. */
const nearestIndex = ({ renditions }: RenditionOffer, old: PacketisedRendition): number => {
  const { bitrateBps } = old.source.facts;
  return Math.max(
    0,
    renditions.findLastIndex(({ source }) => source.facts.bitrateBps <= bitrateBps),
  );
};

/** The number on each packet is of use only when it is answered. */
const hasTransportFeedback = (video: ChosenMedia | undefined): boolean =>
  video !== undefined &&
  video.extensionIds.transportSeq > 0 &&
  video.attributes.some((attribute) => attribute === `rtcp-fb:${video.payloadType} transport-cc`);
