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
  SentPicture,
} from '../controller.ts';
import type { Parameters } from '../parameters.ts';
import { PassingController } from '../passing-controller.ts';
import type { TwinView } from '../receiver-twin/receiver-twin.ts';
import type { NetworkClass } from './link-features.ts';
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

export class GuidedController extends PassingController {
  readonly #guide: Guide;
  readonly #watched: Watched;
  #sampleAtMs = Number.POSITIVE_INFINITY;
  #lookAtMs = Number.POSITIVE_INFINITY;
  #nowMs = 0;
  #isClosed = false;

  /** `twin`: the controller's own, where it has one. */
  constructor(controller: CongestionController, twin: TwinView | undefined, guide: Guide) {
    super(controller);
    this.#guide = guide;
    this.#watched = { meter: new SessionMeter(twin), link: new LinkFeatures() };
  }

  override get networkClass(): NetworkClass | undefined {
    return this.#watched.link.networkClass(this.#watched.meter.lowestBps);
  }

  override join(offer: JoinOffer, nowMs: number): JoinPlan {
    this.#watched.meter.onGop(offer, nowMs);
    this.#sampleAtMs = nowMs;
    this.#lookAtMs = nowMs + LOOK_EVERY_MS;
    this.#guide.onJoined(nowMs);
    return super.join(offer, nowMs);
  }

  override onGop(offer: GopOffer, nowMs: number): void {
    this.#watched.meter.onGop(offer, nowMs);
    super.onGop(offer, nowMs);
  }

  override onPicture(picture: SentPicture, nowMs: number): void {
    this.#watched.meter.onPicture(picture, nowMs);
    super.onPicture(picture, nowMs);
  }

  override onFeedback(report: ArrivalReport, nowMs: number): boolean {
    const isPlausible = super.onFeedback(report, nowMs);
    if (isPlausible) {
      this.#watched.link.onFeedback(report, nowMs);
    }
    return isPlausible;
  }

  override onPlayerReport(report: PlayerReport, nowMs: number): void {
    super.onPlayerReport(report, nowMs);
    this.#watched.meter.onPlayerReport(report, nowMs);
  }

  override decide(nowMs: number, backlogBytes: number): Decision {
    const decision = super.decide(nowMs, backlogBytes);
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
        super.retune(parameters);
      }
    }
    return decision;
  }

  override setSmoothness(smoothnessRatio: number): void {
    this.#guide.onSmoothness();
    super.setSmoothness(smoothnessRatio);
  }

  /** May be called twice. */
  override close(): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#guide.onEnded(this.#watched, this.#nowMs);
      super.close();
    }
  }
}
