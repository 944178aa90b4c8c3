/**
 * A controller whose every call is written down before it is made, with the decision that `decide` gave: same calls, same decisions, so the
 * session can be replayed bit for bit. One line a call: `[name, nowMs, …arguments]`, numbers in full; NaN and Infinity are null.
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
} from '../../congestion/controller.ts';
import type { Parameters as Tuned } from '../../congestion/parameters.ts';
import type { DecisionTrace } from '../../observability/decision-trace.ts';

export class TracedController implements CongestionController {
  readonly #controller: CongestionController;
  readonly #trace: DecisionTrace;

  /** `made`: what the controller was made of. */
  constructor(controller: CongestionController, trace: DecisionTrace, made: object) {
    this.#controller = controller;
    this.#trace = trace;
    trace.write(['new', 0, made]);
  }

  join(offer: JoinOffer, nowMs: number): JoinPlan {
    const plan = this.#controller.join(offer, nowMs);
    this.#trace.write(['join', nowMs, offer, plan]);
    return plan;
  }

  onGop(offer: GopOffer, nowMs: number): void {
    this.#trace.write(['onGop', nowMs, offer]);
    this.#controller.onGop(offer, nowMs);
  }

  onPicture(picture: SentPicture, nowMs: number): void {
    this.#trace.write(['onPicture', nowMs, picture]);
    this.#controller.onPicture(picture, nowMs);
  }

  onPacketSent(packet: SentPacket, nowMs: number): void {
    this.#trace.write(['onPacketSent', nowMs, packet]);
    this.#controller.onPacketSent(packet, nowMs);
  }

  onFeedback(report: ArrivalReport, nowMs: number): boolean {
    const { baseSeqExt, count } = report;
    const arrivedMs = Array.from({ length: count }, (_, index) => report.arrivedMs[index]);
    const isPlausible = this.#controller.onFeedback(report, nowMs);
    this.#trace.write(['onFeedback', nowMs, { baseSeqExt, count, arrivedMs }, isPlausible]);
    return isPlausible;
  }

  onReception(news: ReceptionNews, nowMs: number): void {
    this.#trace.write(['onReception', nowMs, news]);
    this.#controller.onReception(news, nowMs);
  }

  onPlayerReport(report: PlayerReport, nowMs: number): void {
    this.#trace.write(['onPlayerReport', nowMs, report]);
    this.#controller.onPlayerReport(report, nowMs);
  }

  onNack(videoSeqExt: number, packetBytes: number, nowMs: number): number {
    const copyCount = this.#controller.onNack(videoSeqExt, packetBytes, nowMs);
    this.#trace.write(['onNack', nowMs, videoSeqExt, packetBytes, copyCount]);
    return copyCount;
  }

  decide(nowMs: number, backlogBytes: number): Decision {
    const decision = this.#controller.decide(nowMs, backlogBytes);
    this.#trace.write(['decide', nowMs, backlogBytes, decision]);
    return decision;
  }

  setSmoothness(smoothnessRatio: number): void {
    this.#trace.write(['setSmoothness', 0, smoothnessRatio]);
    this.#controller.setSmoothness(smoothnessRatio);
  }

  retune(parameters: Tuned): void {
    this.#trace.write(['retune', 0, parameters]);
    this.#controller.retune(parameters);
  }

  /** The session is over. */
  close(): void {
    this.#trace.close();
    this.#controller.close?.();
  }
}
