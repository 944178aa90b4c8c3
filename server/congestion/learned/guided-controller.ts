/**
 * A controller that is watched while it works: what passes through tells what the network is and what the viewer gets, and whoever guides the
 * session may tune it otherwise on the way. Adds nothing to a packet. Pure.
 */
import type {
  ArrivalReport,
  CongestionController,
  Decision,
  GopOffer,
  JoinOffer,
  JoinPlan,
  PlayerReport,
  ReceptionNews,
  SentPacket,
  SentPicture,
} from '../controller.ts';
import type { Parameters } from '../parameters.ts';
import type { TwinView } from '../receiver-twin/receiver-twin.ts';
import { LinkFeatures } from './link-features.ts';
import { SessionMeter } from './session-meter.ts';

export type Watched = { readonly meter: SessionMeter; readonly link: LinkFeatures };

/** Whoever learns from a session, and chooses for it. */
export type Guide = {
  /** Once, at the join. */
  onJoined(nowMs: number): void;
  /** About once a second: parameters to be in force from now on, if others than before. */
  onLook(watched: Watched, nowMs: number): Parameters | undefined;
  /** λ was changed on the way. */
  onSmoothness(): void;
  onEnded(watched: Watched, nowMs: number): void;
};

/** What a session is run with, and who guides it. */
export type SessionPlan = { readonly kind: 'adaptive' | 'gcc'; readonly guide: Guide };

export type Guides = {
  /** `viewerId`: a number that its player keeps; undefined where it has none. Undefined: nobody guides this session. */
  planFor(viewer: { viewerId: string | undefined; smoothnessRatio: number }): SessionPlan | undefined;
};

const LOOK_EVERY_MS = 1_000;
const SAMPLE_EVERY_MS = 200;

export class GuidedController implements CongestionController {
  readonly #controller: CongestionController;
  readonly #guide: Guide;
  readonly #watched: Watched;
  #sampleAtMs = Number.POSITIVE_INFINITY;
  #lookAtMs = Number.POSITIVE_INFINITY;
  #nowMs = 0;
  #isClosed = false;

  /** `twin`: the controller's own, where it has one. */
  constructor(controller: CongestionController, twin: TwinView | undefined, guide: Guide) {
    this.#controller = controller;
    this.#guide = guide;
    this.#watched = { meter: new SessionMeter(twin), link: new LinkFeatures() };
  }

  join(offer: JoinOffer, nowMs: number): JoinPlan {
    this.#watched.meter.onGop(offer, nowMs);
    this.#sampleAtMs = nowMs;
    this.#lookAtMs = nowMs + LOOK_EVERY_MS;
    this.#guide.onJoined(nowMs);
    return this.#controller.join(offer, nowMs);
  }

  onGop(offer: GopOffer, nowMs: number): void {
    this.#watched.meter.onGop(offer, nowMs);
    this.#controller.onGop(offer, nowMs);
  }

  onPicture(picture: SentPicture, nowMs: number): void {
    this.#watched.meter.onPicture(picture, nowMs);
    this.#controller.onPicture(picture, nowMs);
  }

  onPacketSent(packet: SentPacket, nowMs: number): void {
    this.#controller.onPacketSent(packet, nowMs);
  }

  onFeedback(report: ArrivalReport, nowMs: number): boolean {
    const isPlausible = this.#controller.onFeedback(report, nowMs);
    if (isPlausible) {
      this.#watched.link.onFeedback(report, nowMs);
    }
    return isPlausible;
  }

  onReception(news: ReceptionNews, nowMs: number): void {
    this.#controller.onReception(news, nowMs);
  }

  onPlayerReport(report: PlayerReport, nowMs: number): void {
    this.#controller.onPlayerReport(report, nowMs);
    this.#watched.meter.onPlayerReport(report, nowMs);
  }

  onNack(videoSeqExt: number, packetBytes: number, nowMs: number): number {
    return this.#controller.onNack(videoSeqExt, packetBytes, nowMs);
  }

  decide(nowMs: number, backlogBytes: number): Decision {
    const decision = this.#controller.decide(nowMs, backlogBytes);
    this.#nowMs = nowMs;
    if (nowMs >= this.#sampleAtMs) {
      this.#sampleAtMs = nowMs + SAMPLE_EVERY_MS;
      this.#watched.link.sample(decision);
    }
    if (nowMs >= this.#lookAtMs) {
      this.#lookAtMs = nowMs + LOOK_EVERY_MS;
      this.#watched.meter.look(decision, nowMs);
      const parameters = this.#guide.onLook(this.#watched, nowMs);
      if (parameters !== undefined) {
        this.#controller.retune(parameters);
      }
    }
    return decision;
  }

  setSmoothness(smoothnessRatio: number): void {
    this.#guide.onSmoothness();
    this.#controller.setSmoothness(smoothnessRatio);
  }

  retune(parameters: Parameters): void {
    this.#controller.retune(parameters);
  }

  /** The session is over; may be called twice. */
  close(): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#guide.onEnded(this.#watched, this.#nowMs);
      this.#controller.close?.();
    }
  }
}
