/** A controller beside which the session's link is written down, as far as it shows. What is decided does not change. */
import type { ArrivalReport, CongestionController, SentPacket } from '../../congestion/controller.ts';
import type { LinkCapture, LinkTrace } from '../../congestion/link-capture.ts';
import { PassingController } from '../../congestion/passing-controller.ts';

export class CapturedController extends PassingController {
  readonly #capture: LinkCapture;
  readonly #onTrace: (trace: LinkTrace) => void;

  /** `onTrace`: once, when the session is over. */
  constructor(inner: CongestionController, capture: LinkCapture, onTrace: (trace: LinkTrace) => void) {
    super(inner);
    this.#capture = capture;
    this.#onTrace = onTrace;
  }

  override onPacketSent(packet: SentPacket, nowMs: number): void {
    super.onPacketSent(packet, nowMs);
    this.#capture.onPacketSent(packet, nowMs);
  }

  override onFeedback(report: ArrivalReport, nowMs: number): boolean {
    const isPlausible = super.onFeedback(report, nowMs);
    if (isPlausible) {
      this.#capture.onFeedback(report, nowMs);
    }
    return isPlausible;
  }

  override close(): void {
    super.close();
    this.#onTrace(this.#capture.trace());
  }
}
