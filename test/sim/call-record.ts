/** Every call that a session makes of its controller, written down so that the same can be made of any other: what a controller costs without the simulator around it. */
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
} from '../../server/congestion/controller.ts';
import { PassingController } from '../../server/congestion/passing-controller.ts';

export type Call = (controller: CongestionController) => unknown;

export class RecordingController extends PassingController {
  readonly calls: Call[] = [];
  feedbackCount = 0;
  packetCount = 0;
  decisionCount = 0;

  override join(offer: JoinOffer, nowMs: number): JoinPlan {
    this.calls.push((controller) => controller.join(offer, nowMs));
    return super.join(offer, nowMs);
  }

  override onGop(offer: GopOffer, nowMs: number): void {
    this.calls.push((controller) => controller.onGop(offer, nowMs));
    super.onGop(offer, nowMs);
  }

  override onPicture(picture: SentPicture, nowMs: number): void {
    this.calls.push((controller) => controller.onPicture(picture, nowMs));
    super.onPicture(picture, nowMs);
  }

  override onPacketSent(packet: SentPacket, nowMs: number): void {
    // The sender changes one object in place.
    const kept = { ...packet };
    this.packetCount += 1;
    this.calls.push((controller) => controller.onPacketSent(kept, nowMs));
    super.onPacketSent(packet, nowMs);
  }

  override onFeedback(report: ArrivalReport, nowMs: number): boolean {
    const kept = { ...report, arrivedMs: Float64Array.from(report.arrivedMs) };
    this.feedbackCount += 1;
    this.calls.push((controller) => controller.onFeedback(kept, nowMs));
    return super.onFeedback(report, nowMs);
  }

  override onReception(news: ReceptionNews, nowMs: number): void {
    this.calls.push((controller) => controller.onReception(news, nowMs));
    super.onReception(news, nowMs);
  }

  override onPlayerReport(report: PlayerReport, nowMs: number): void {
    this.calls.push((controller) => controller.onPlayerReport(report, nowMs));
    super.onPlayerReport(report, nowMs);
  }

  override onNack(videoSeqExt: number, packetBytes: number, nowMs: number): number {
    this.calls.push((controller) => controller.onNack(videoSeqExt, packetBytes, nowMs));
    return super.onNack(videoSeqExt, packetBytes, nowMs);
  }

  override decide(nowMs: number, backlogBytes: number): Decision {
    this.decisionCount += 1;
    this.calls.push((controller) => controller.decide(nowMs, backlogBytes));
    return super.decide(nowMs, backlogBytes);
  }
}
