/** All WHIP publishers of this server: opens their sessions, finds them again, ticks them, ends them. Knows no HTTP. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { ProtocolError } from '../../base/errors.ts';
import type { PublisherFeed } from '../../media/stream-source.ts';
import type { Log } from '../../observability/log.ts';
import type { Metrics } from '../../observability/metrics.ts';
import { IceResource } from '../../webrtc-transport/ice-resource.ts';
import type { AnsweredMedia } from '../../webrtc-transport/sdp-answer.ts';
import { buildSdpAnswer } from '../../webrtc-transport/sdp-answer.ts';
import type { SdpMedia, SdpOffer } from '../../webrtc-transport/sdp-offer.ts';
import type { ReceivedMedia } from '../../webrtc-transport/sdp-receiving.ts';
import { receiveOpus, receiveVideo } from '../../webrtc-transport/sdp-receiving.ts';
import type { WebRtcPort } from '../../webrtc-transport/webrtc-port.ts';
import type { DoctorFinding } from '../finding.ts';
import type { WhipOptions } from './options.ts';
import { WhipSession } from './session.ts';
import type { WhipMetrics } from './whip-metrics.ts';
import { createWhipMetrics } from './whip-metrics.ts';

/** How finely time passes for what is waited for. */
const TICK_EVERY_MS = 10;

/** What of an offer can be served. */
export type UsableOffer = {
  readonly offer: SdpOffer;
  readonly video: ReceivedMedia | undefined;
  readonly audio: ReceivedMedia | undefined;
};

export class WhipServer {
  readonly metrics: WhipMetrics;
  readonly #settings: WhipOptions;
  readonly #port: WebRtcPort;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #sessions = new Map<string, WhipSession>();
  #ticker: NodeJS.Timeout | undefined;

  constructor(options: { settings: WhipOptions; port: WebRtcPort; clock: Clock; log: Log; metrics: Metrics }) {
    this.#settings = options.settings;
    this.#port = options.port;
    this.#clock = options.clock;
    this.#log = options.log;
    this.metrics = createWhipMetrics(options.metrics);
    options.metrics.observedGauge('whip_sessions_open', 'WHIP publishers', () => this.#sessions.size);
  }

  get settings(): WhipOptions {
    return this.#settings;
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** By the id in the session's URL. */
  find(id: string): WhipSession | undefined {
    return this.#sessions.get(id);
  }

  /** What the doctor says of who publishes `name` by WHIP now. Worst first. */
  findings(name: string): readonly DoctorFinding[] {
    return [...this.#sessions.values()].findLast((session) => session.name === name)?.findings ?? [];
  }

  /** Opens a session for an offer of somebody who may publish: `connect` attaches it to the broadcast, and may refuse. */
  open(
    name: string,
    { offer, video, audio }: UsableOffer,
    publisher: { feed: PublisherFeed; remoteAddress: string },
  ): { session: WhipSession; answerSdp: string } {
    const id = randomBytes(16).toString('hex');
    const peer = this.#port.openPeer(offer.fingerprints);
    const mid = video?.mid ?? audio?.mid ?? '0';
    const log = this.#log.child({ broadcast: name });
    const session = new WhipSession({
      ...{ id, name, peer, video, audio, log },
      ice: new IceResource({ port: this.#port, peer, remoteIce: offer.ice, mid, codePrefix: 'WHIP' }),
      feed: publisher.feed,
      settings: this.#settings,
      clock: this.#clock,
      metrics: this.metrics,
      onClosed: (closed) => this.#forget(closed),
    });
    this.#sessions.set(id, session);
    this.#ticker ??= setInterval(() => this.#tick(), TICK_EVERY_MS);
    log.info('whip.session.opened', { remoteAddress: publisher.remoteAddress });
    const media = new Map<string, AnsweredMedia>();
    for (const chosen of [video, audio]) {
      if (chosen !== undefined) {
        media.set(chosen.mid, { chosen, direction: 'recvonly' });
      }
    }
    const answerSdp = buildSdpAnswer({
      ...{ offer, media, ice: peer.credentials, streamId: name },
      fingerprint: this.#port.fingerprint,
      endpoints: this.#port.endpoints,
      hasTcp: this.#port.hasTcp,
      sessionId: String(Number.parseInt(id.slice(0, 12), 16)),
    });
    return { session, answerSdp };
  }

  /** Ends every session with `reason`. */
  close(reason: string): void {
    for (const session of [...this.#sessions.values()]) {
      session.close(reason);
    }
  }

  #tick(): void {
    for (const session of this.#sessions.values()) {
      session.tick();
    }
  }

  #forget(session: WhipSession): void {
    this.#sessions.delete(session.id);
    if (this.#sessions.size === 0) {
      clearInterval(this.#ticker);
      this.#ticker = undefined;
    }
  }
}

const SENDING: ReadonlySet<string> = new Set(['sendonly', 'sendrecv']);

/** Throws `ProtocolError`: `WHIP_OFFER_UNUSABLE`, and `WHIP_NO_COMMON_CODEC` where picture or sound is offered in nothing that we take. */
export const chooseMedia = (offer: SdpOffer): UsableOffer => {
  const sent = offer.media.filter(
    ({ kind, direction }) => (kind === 'audio' || kind === 'video') && SENDING.has(direction),
  );
  if (sent.length === 0) {
    throw unusable('expected a media section that is sendonly or sendrecv');
  }
  if (!sent.every(({ hasRtcpMux }) => hasRtcpMux)) {
    throw unusable('expected a=rtcp-mux');
  }
  if (offer.setup === 'passive') {
    throw unusable('expected a=setup:actpass or active; this server is passive');
  }
  const video = chooseFirst(sent, 'video', receiveVideo);
  const audio = chooseFirst(sent, 'audio', receiveOpus);
  if (video !== undefined && audio !== undefined && ![video, audio].every(({ mid }) => offer.bundleMids.has(mid))) {
    throw unusable('expected a=group:BUNDLE with all media sections (max-bundle)');
  }
  return { offer, video, audio };
};

const unusable = (detail: string): ProtocolError => new ProtocolError('WHIP_OFFER_UNUSABLE', detail);

const EXPECTED = {
  video: 'H264 with packetization-mode=1, baseline, main or high; set the encoder to H.264',
  audio: 'opus at 48000 Hz',
} as const;

/** A publisher who offers a kind that we cannot take is told so, rather than left without it. */
const chooseFirst = (
  sent: readonly SdpMedia[],
  kind: keyof typeof EXPECTED,
  choose: (media: SdpMedia) => ReceivedMedia | undefined,
): ReceivedMedia | undefined => {
  const ofKind = sent.filter((media) => media.kind === kind);
  const chosen = ofKind.map(choose).find((media) => media !== undefined);
  if (chosen === undefined && ofKind.length > 0) {
    const names = new Set(ofKind.flatMap(({ codecs }) => codecs.map(({ name }) => name)));
    const offered = [...names].slice(0, 10).join(', ');
    throw new ProtocolError('WHIP_NO_COMMON_CODEC', `expected ${EXPECTED[kind]}; offered: ${offered}`);
  }
  return chosen;
};
