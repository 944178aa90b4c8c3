/** A controller around another one, which hands everything on: for whoever looks on, and changes only what it is about. */
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
} from './controller.ts';
import type { Parameters } from './parameters.ts';

export class PassingController implements CongestionController {
  readonly #inner: CongestionController;

  constructor(inner: CongestionController) {
    this.#inner = inner;
  }

  get networkClass(): string | undefined {
    return this.#inner.networkClass;
  }

  join(offer: JoinOffer, nowMs: number): JoinPlan {
    return this.#inner.join(offer, nowMs);
  }

  onGop(offer: GopOffer, nowMs: number): void {
    this.#inner.onGop(offer, nowMs);
  }

  onPicture(picture: SentPicture, nowMs: number): void {
    this.#inner.onPicture(picture, nowMs);
  }

  onPacketSent(packet: SentPacket, nowMs: number): void {
    this.#inner.onPacketSent(packet, nowMs);
  }

  onFeedback(report: ArrivalReport, nowMs: number): boolean {
    return this.#inner.onFeedback(report, nowMs);
  }

  onReception(news: ReceptionNews, nowMs: number): void {
    this.#inner.onReception(news, nowMs);
  }

  onPlayerReport(report: PlayerReport, nowMs: number): void {
    this.#inner.onPlayerReport(report, nowMs);
  }

  onNack(videoSeqExt: number, packetBytes: number, nowMs: number): number {
    return this.#inner.onNack(videoSeqExt, packetBytes, nowMs);
  }

  decide(nowMs: number, backlogBytes: number): Decision {
    return this.#inner.decide(nowMs, backlogBytes);
  }

  setSmoothness(smoothnessRatio: number): void {
    this.#inner.setSmoothness(smoothnessRatio);
  }

  retune(parameters: Parameters): void {
    this.#inner.retune(parameters);
  }

  close(): void {
    this.#inner.close?.();
  }
}
