/** A controller beside which the session's link is written down, as far as it shows. What is decided does not change. */
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
} from '../../congestion/controller.ts';
import type { LinkCapture, LinkTrace } from '../../congestion/link-capture.ts';
import type { Parameters as Tuned } from '../../congestion/parameters.ts';

export class CapturedController implements CongestionController {
  readonly #controller: CongestionController;
  readonly #capture: LinkCapture;
  readonly #onTrace: (trace: LinkTrace) => void;

  /** `onTrace`: once, when the session is over. */
  constructor(controller: CongestionController, capture: LinkCapture, onTrace: (trace: LinkTrace) => void) {
    this.#controller = controller;
    this.#capture = capture;
    this.#onTrace = onTrace;
  }

  join(offer: JoinOffer, nowMs: number): JoinPlan {
    return this.#controller.join(offer, nowMs);
  }

  onGop(offer: GopOffer, nowMs: number): void {
    this.#controller.onGop(offer, nowMs);
  }

  onPicture(picture: SentPicture, nowMs: number): void {
    this.#controller.onPicture(picture, nowMs);
  }

  onPacketSent(packet: SentPacket, nowMs: number): void {
    this.#controller.onPacketSent(packet, nowMs);
    this.#capture.onPacketSent(packet, nowMs);
  }

  onFeedback(report: ArrivalReport, nowMs: number): boolean {
    const isPlausible = this.#controller.onFeedback(report, nowMs);
    if (isPlausible) {
      this.#capture.onFeedback(report, nowMs);
    }
    return isPlausible;
  }

  onReception(news: ReceptionNews, nowMs: number): void {
    this.#controller.onReception(news, nowMs);
  }

  onPlayerReport(report: PlayerReport, nowMs: number): void {
    this.#controller.onPlayerReport(report, nowMs);
  }

  onNack(videoSeqExt: number, packetBytes: number, nowMs: number): number {
    return this.#controller.onNack(videoSeqExt, packetBytes, nowMs);
  }

  decide(nowMs: number, backlogBytes: number): Decision {
    return this.#controller.decide(nowMs, backlogBytes);
  }

  setSmoothness(smoothnessRatio: number): void {
    this.#controller.setSmoothness(smoothnessRatio);
  }

  retune(parameters: Tuned): void {
    this.#controller.retune(parameters);
  }

  close(): void {
    this.#controller.close?.();
    this.#onTrace(this.#capture.trace());
  }
}
