/** All WHEP viewers of this server: opens their sessions, finds them again, ticks them, ends them. Knows no HTTP. */
import type { Clock } from '../../base/clock.ts';
import { ProtocolError } from '../../base/errors.ts';
import type { Guides } from '../../congestion/learned/guided-controller.ts';
import type { Policy } from '../../congestion/learned/policy.ts';
import { parseAvcConfig } from '../../media/h264/avc-config.ts';
import type { Track } from '../../media/track.ts';
import { DecisionTraces } from '../../observability/decision-trace.ts';
import type { Log } from '../../observability/log.ts';
import type { Metrics } from '../../observability/metrics.ts';
import type { AnsweredMedia, SdpAnswerFields } from '../../webrtc-transport/sdp-answer.ts';
import { buildSdpAnswer } from '../../webrtc-transport/sdp-answer.ts';
import type { ChosenMedia } from '../../webrtc-transport/sdp-codecs.ts';
import { chooseOpus, chooseVideo } from '../../webrtc-transport/sdp-codecs.ts';
import { IceResource } from '../../webrtc-transport/ice-resource.ts';
import type { IceCredentials, SdpMedia, SdpOffer } from '../../webrtc-transport/sdp-offer.ts';
import { OWN_AUDIO, OWN_VIDEO } from '../../webrtc-transport/sdp-own-offer.ts';
import { newCredentials } from '../../webrtc-transport/peer-transport.ts';
import type { WebRtcPort } from '../../webrtc-transport/webrtc-port.ts';
import type { BroadcastView } from '../broadcast-view.ts';
import { isAv1RungId, isRungId } from '../broadcast.ts';
import { BroadcastOutput } from './broadcast-output.ts';
import type { CongestionOptions } from './congestion-options.ts';
import type { ControllerFactory, OpenCapture } from './controllers.ts';
import { controllerFactory } from './controllers.ts';
import type { CounterOffer } from './counter-offers.ts';
import { COUNTER_OFFER_VALID_MS, CounterOffers } from './counter-offers.ts';
import type { MediaSender } from './media-sender.ts';
import { createMediaSender } from './media-sender.ts';
import type { WebRtcOutOptions } from './options.ts';
import { OutMetrics } from './out-metrics.ts';
import { SOURCE_VIDEO_ID, isPlayable, selectVideo } from './rendition-selector.ts';
import type { SessionListener, SessionsOut } from './session-view.ts';
import type { SessionIdentity } from './viewer-session.ts';
import { ViewerSession, drawIdentity } from './viewer-session.ts';
import { WakeUps } from './wake-ups.ts';

const HOUSEKEEPING_EVERY_MS = 100;

export type ViewerWishes = {
  readonly remoteAddress: string;
  /** A rendition to be shown whenever it is there. */
  readonly renditionId?: string | undefined;
  /** λ, rather than the broadcast's. */
  readonly smoothnessRatio?: number | undefined;
  /** Its link may be written down, with nothing that tells whose it was. */
  readonly mayCapture?: boolean;
  /** A number that its player keeps, where it has one. */
  readonly viewerId?: string | undefined;
};

export type OpenedSession = { readonly session: ViewerSession; readonly answerSdp: string };

/** `id`: of the session that there will be once it is answered. */
export type OwnOffer = { readonly id: string; readonly sdp: string; readonly validUntilWallMs: number };

export class WebRtcOut implements SessionsOut {
  readonly #settings: WebRtcOutOptions;
  readonly #port: WebRtcPort;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #metrics: OutMetrics;
  readonly #sender: MediaSender;
  readonly #sessions = new Map<string, ViewerSession>();
  readonly #listeners: SessionListener<ViewerSession>[] = [];
  readonly #sessionsBySecret = new Map<string, ViewerSession>();
  readonly #counterOffers = new CounterOffers<ViewerWishes>();
  readonly #outputs = new Map<BroadcastView, BroadcastOutput>();
  readonly #congestion: CongestionOptions;
  readonly #createController: ControllerFactory;
  /** λ of broadcasts for which it was set. */
  readonly #smoothness = new WeakMap<BroadcastView, number>();
  readonly #wakeUps: WakeUps<ViewerSession>;
  readonly #housekeepingTimer: NodeJS.Timeout;

  constructor(options: {
    settings: WebRtcOutOptions;
    congestion: CongestionOptions;
    port: WebRtcPort;
    clock: Clock;
    log: Log;
    metrics: Metrics;
    /** Plain Node when left out. */
    sender?: MediaSender;
    /** What was learned; our controller has its defaults when left out. */
    policies?: readonly Policy[];
    /** Links of viewers who do not mind; nobody's when left out. */
    openCapture?: OpenCapture;
    /** Who learns from sessions, and chooses for them. */
    guides?: Guides;
    /** As `congestion` says when left out. */
    createController?: ControllerFactory;
  }) {
    this.#settings = options.settings;
    this.#port = options.port;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#metrics = new OutMetrics(options.metrics);
    this.#congestion = options.congestion;
    const traces = new DecisionTraces(options.congestion.trace, options.log);
    this.#createController = options.createController ?? controllerFactory({ ...options, traces });
    this.#sender = options.sender ?? createMediaSender(options.port);
    this.#wakeUps = new WakeUps({
      clock: options.clock,
      wake: (session, nowMs) => session.wake(nowMs),
      onAllWoken: () => this.#sender.flush(),
    });
    this.#housekeepingTimer = setInterval(() => this.#keepHouse(), HOUSEKEEPING_EVERY_MS);
    this.#housekeepingTimer.unref();
    options.metrics.observedGauge('webrtc_sessions_open', 'WHEP sessions', () => this.#sessions.size);
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  get settings(): WebRtcOutOptions {
    return this.#settings;
  }

  get port(): WebRtcPort {
    return this.#port;
  }

  /** Told of each session from now on. */
  listen(listener: SessionListener<ViewerSession>): void {
    this.#listeners.push(listener);
  }

  /** By the id in the session's URL. */
  find(id: string): ViewerSession | undefined {
    return this.#sessions.get(id);
  }

  /** By the secret of the `Link` header. */
  findBySecret(secret: string): ViewerSession | undefined {
    return this.#sessionsBySecret.get(secret);
  }

  /** WHEP viewers of this broadcast whose media can flow. */
  viewerCount(broadcast: BroadcastView): number {
    return (this.#outputs.get(broadcast)?.sessions ?? []).filter(({ isConnected }) => isConnected).length;
  }

  /** From now on this rendition, `main`, or, when undefined, what everybody gets; for one that is not there, as soon as it is. */
  watch(sessionId: string, renditionId: string | undefined): void {
    const session = this.#sessions.get(sessionId);
    if (session === undefined) {
      return;
    }
    for (const output of this.#outputs.values()) {
      output.watch(session, renditionId);
    }
  }

  /** λ of a broadcast: 0 reacts, 1 is smooth. */
  smoothnessOf(broadcast: BroadcastView): number {
    return this.#smoothness.get(broadcast) ?? this.#congestion.smoothnessRatio;
  }

  /** From now on, for those of its viewers who did not say themselves, and those to come. */
  setSmoothness(broadcast: BroadcastView, smoothnessRatio: number): void {
    this.#smoothness.set(broadcast, smoothnessRatio);
    this.#outputs.get(broadcast)?.setSmoothness(smoothnessRatio);
  }

  /** What a viewer may ask for by name: the rungs that can be played now, largest first. */
  rungsOf(broadcast: BroadcastView): readonly string[] {
    return [...broadcast.renditions.values()].filter((one) => isRungId(one.id) && isPlayable(one)).map(({ id }) => id);
  }

  /** Whether the broadcast has video that browsers can play over WebRTC now. */
  hasPlayableVideo(broadcast: BroadcastView): boolean {
    return selectVideo(broadcast.renditions) !== undefined;
  }

  /**
   * Opens a session for this offer. Throws `ProtocolError`: `WHEP_NO_COMMON_CODEC`, `WHEP_OFFER_UNUSABLE`.
   * The caller has checked names, rights and caps.
   */
  open(broadcast: BroadcastView, { offer, ...wishes }: { offer: SdpOffer } & ViewerWishes): OpenedSession {
    checkTransport(offer);
    const { video, audio } = chooseMedia(broadcast, offer, wishes);
    const session = this.#createSession({ broadcast, offer, wishes, video, audio });
    return { session, answerSdp: this.#answer(session, offer, { video, audio }) };
  }

  /** An offer of our own, for a viewer whose offer cannot be answered. Undefined when too many of these are open. */
  counterOffer(broadcast: BroadcastView, wishes: ViewerWishes): OwnOffer | undefined {
    const nowMs = this.#clock.nowMs();
    const identity = drawIdentity();
    const ice = newCredentials();
    const expiresAtMs = nowMs + COUNTER_OFFER_VALID_MS;
    if (!this.#counterOffers.add({ identity, broadcast, ice, wishes, expiresAtMs }, nowMs)) {
      return undefined;
    }
    const { cname, video, audioSsrc } = identity.streamNames;
    const choices = { sourceProfileIdc: undefined, prefersAv1: prefersAv1(wishes) };
    const media = new Map<string, AnsweredMedia>();
    const chosenVideo = chooseVideo(OWN_VIDEO, choices);
    const chosenAudio = chooseOpus(OWN_AUDIO);
    if (chosenVideo !== undefined && chosenAudio !== undefined) {
      media.set(OWN_VIDEO.mid, { chosen: chosenVideo, direction: 'sendonly', sending: { ...video, cname } });
      const sending = { ssrc: audioSsrc, rtxSsrc: undefined, cname };
      media.set(OWN_AUDIO.mid, { chosen: chosenAudio, direction: 'sendonly', sending });
    }
    const sdp = this.#describe(
      { offer: { media: [OWN_VIDEO, OWN_AUDIO] }, media, ice, setup: 'actpass' },
      { name: broadcast.name, id: identity.id },
    );
    return { id: identity.id, sdp, validUntilWallMs: this.#clock.wallMs() + COUNTER_OFFER_VALID_MS };
  }

  /** One that is still good. */
  findCounterOffer(id: string): CounterOffer<ViewerWishes> | undefined {
    return this.#counterOffers.find(id, this.#clock.nowMs());
  }

  /** The viewer changed its mind. */
  withdrawCounterOffer(id: string): void {
    this.#counterOffers.remove(id);
  }

  /** Opens the session that was offered. Throws `ProtocolError` as `open` does; the offer stays good then. */
  acceptAnswer({ identity, broadcast, ice, wishes }: CounterOffer<ViewerWishes>, answer: SdpOffer): ViewerSession {
    checkTransport(answer);
    const { video, audio } = chooseMedia(broadcast, answer, wishes);
    this.#counterOffers.remove(identity.id);
    return this.#createSession({ broadcast, offer: answer, wishes, video, audio, identity, ice });
  }

  close(reason: string): void {
    clearInterval(this.#housekeepingTimer);
    for (const session of this.#sessions.values()) {
      session.close(reason);
    }
    this.#wakeUps.close();
    this.#metrics.flush();
  }

  #createSession(parts: {
    broadcast: BroadcastView;
    offer: SdpOffer;
    wishes: ViewerWishes;
    video: ChosenMedia | undefined;
    audio: ChosenMedia | undefined;
    identity?: SessionIdentity;
    ice?: IceCredentials;
  }): ViewerSession {
    const { broadcast, offer, wishes, video, audio, identity } = parts;
    const log = this.#log.child({ broadcast: broadcast.name, broadcastId: broadcast.id });
    const peer = this.#port.openPeer(offer.fingerprints, parts.ice);
    const transportMid = video?.mid ?? audio?.mid ?? '0';
    const session = new ViewerSession({
      ...{ name: broadcast.name, identity, peer },
      ice: new IceResource({ port: this.#port, peer, remoteIce: offer.ice, mid: transportMid, codePrefix: 'WHEP' }),
      videoIndex: video === undefined ? undefined : offer.media.findIndex(({ mid }) => mid === video.mid),
      video,
      audio,
      clock: this.#clock,
      sender: this.#sender,
      metrics: this.#metrics,
      log,
      settings: this.#settings,
      createController: this.#createController,
      viewerId: wishes.viewerId,
      smoothnessRatio: wishes.smoothnessRatio ?? this.smoothnessOf(broadcast),
      mayCapture: wishes.mayCapture ?? false,
      wallMsAt: (mediaMs) => broadcast.timeline.wallMsAt(mediaMs),
      onWakeWanted: (sleeper, atMs) => this.#wakeUps.set(sleeper, atMs),
      onClosed: (closed) => this.#forget(closed, broadcast),
    });
    this.#sessions.set(session.id, session);
    this.#sessionsBySecret.set(session.secret, session);
    this.#listeners.forEach((listener) => listener.onOpened(session));
    log.info('webrtc.session.opened', { remoteAddress: wishes.remoteAddress });
    this.#outputOf(broadcast).add(session, wishes);
    return session;
  }

  #answer(
    session: ViewerSession,
    offer: SdpOffer,
    chosen: { video: ChosenMedia | undefined; audio: ChosenMedia | undefined },
  ): string {
    const { videoSsrc, audioSsrc, cname } = session;
    const media = new Map<string, AnsweredMedia>();
    if (chosen.video !== undefined && videoSsrc !== undefined) {
      media.set(chosen.video.mid, { chosen: chosen.video, direction: 'sendonly', sending: { ...videoSsrc, cname } });
    }
    if (chosen.audio !== undefined && audioSsrc !== undefined) {
      const sending = { ssrc: audioSsrc, rtxSsrc: undefined, cname };
      media.set(chosen.audio.mid, { chosen: chosen.audio, direction: 'sendonly', sending });
    }
    return this.#describe({ offer, media, ice: session.peer.credentials }, session);
  }

  #describe(
    fields: Pick<SdpAnswerFields, 'offer' | 'media' | 'ice' | 'setup'>,
    { name, id }: { name: string; id: string },
  ): string {
    return buildSdpAnswer({
      ...fields,
      fingerprint: this.#port.fingerprint,
      endpoints: this.#port.endpoints,
      hasTcp: this.#port.hasTcp,
      streamId: `sluice-${name}`,
      sessionId: String(Number.parseInt(id.slice(0, 12), 16)),
    });
  }

  #outputOf(broadcast: BroadcastView): BroadcastOutput {
    const existing = this.#outputs.get(broadcast);
    if (existing !== undefined) {
      return existing;
    }
    const output = new BroadcastOutput({
      broadcast,
      clock: this.#clock,
      metrics: this.#metrics,
      isAdaptive: this.#congestion.controller !== 'off',
      onAllOffered: () => this.#sender.flush(),
      onEmpty: () => this.#outputs.delete(broadcast),
    });
    this.#outputs.set(broadcast, output);
    return output;
  }

  #forget(session: ViewerSession, broadcast: BroadcastView): void {
    this.#sessions.delete(session.id);
    this.#listeners.forEach((listener) => listener.onClosed(session));
    this.#sessionsBySecret.delete(session.secret);
    this.#outputs.get(broadcast)?.remove(session);
  }

  #keepHouse(): void {
    for (const session of this.#sessions.values()) {
      session.reportIfDue();
      session.observe();
    }
    this.#metrics.flush();
  }
}

const prefersAv1 = ({ renditionId }: ViewerWishes): boolean => renditionId !== undefined && isAv1RungId(renditionId);

/** What of an offer, or of an answer to ours, is taken. Throws `WHEP_NO_COMMON_CODEC`, `WHEP_OFFER_UNUSABLE`. */
const chooseMedia = (
  broadcast: BroadcastView,
  offer: SdpOffer,
  wishes: ViewerWishes,
): { video: ChosenMedia | undefined; audio: ChosenMedia | undefined } => {
  const wished = { sourceProfileIdc: profileOf(broadcast), prefersAv1: prefersAv1(wishes) };
  const video = chooseFirst(offer, 'video', (media) => chooseVideo(media, wished));
  const audio = chooseFirst(offer, 'audio', chooseOpus);
  if (video === undefined && audio === undefined) {
    throw new ProtocolError(
      'WHEP_NO_COMMON_CODEC',
      'expected an offer to receive H264 with packetization-mode=1, or opus',
    );
  }
  checkBundle(offer, [video, audio]);
  return { video, audio };
};

const RECEIVING: ReadonlySet<string> = new Set(['recvonly', 'sendrecv']);

/** The first section of this kind that wants to receive and that we can serve. */
const chooseFirst = (
  offer: SdpOffer,
  kind: string,
  choose: (media: SdpMedia) => ChosenMedia | undefined,
): ChosenMedia | undefined =>
  offer.media
    .filter((media) => media.kind === kind && RECEIVING.has(media.direction) && media.hasRtcpMux)
    .map(choose)
    .find((chosen) => chosen !== undefined);

const checkTransport = (offer: SdpOffer): void => {
  const wanted = offer.media.filter(({ kind }) => kind === 'audio' || kind === 'video');
  if (wanted.length === 0) {
    throw new ProtocolError('WHEP_NO_COMMON_CODEC', 'expected a section of audio or video');
  }
  if (!wanted.some(({ direction }) => RECEIVING.has(direction))) {
    throw new ProtocolError('WHEP_OFFER_UNUSABLE', 'expected a media section that is recvonly or sendrecv');
  }
  if (!wanted.some(({ hasRtcpMux }) => hasRtcpMux)) {
    throw new ProtocolError('WHEP_OFFER_UNUSABLE', 'expected a=rtcp-mux');
  }
  if (offer.setup === 'passive') {
    throw new ProtocolError('WHEP_OFFER_UNUSABLE', 'expected a=setup:actpass or active; this server is passive');
  }
};

const checkBundle = (offer: SdpOffer, chosen: readonly (ChosenMedia | undefined)[]): void => {
  const mids = chosen.filter((media) => media !== undefined).map((media) => media?.mid ?? '');
  if (mids.length > 1 && !mids.every((mid) => offer.bundleMids.has(mid))) {
    throw new ProtocolError('WHEP_OFFER_UNUSABLE', 'expected a=group:BUNDLE with all media sections (max-bundle)');
  }
};

const profileOf = (broadcast: BroadcastView): number | undefined => {
  const source = selectVideo(broadcast.renditions) ?? broadcast.renditions.get(SOURCE_VIDEO_ID);
  const track: Track | undefined = source?.track;
  if (track?.kind !== 'video' || track.codec !== 'h264') {
    return undefined;
  }
  try {
    return parseAvcConfig(track.decoderConfig).profileIdc;
  } catch (error) {
    if (error instanceof ProtocolError) {
      return undefined;
    }
    throw error;
  }
};
