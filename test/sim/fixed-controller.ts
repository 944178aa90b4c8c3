/** What open servers do (B0: SRS, MediaMTX), and the best of them without an estimate (B1): one rendition, bursts, every NACK answered. */
import type { CongestionController, Decision, JoinPlan } from '../../server/congestion/controller.ts';

const DECISION_EVERY_MS = 1_000;

export class FixedController implements CongestionController {
  readonly #decision: Decision;

  /** `playoutDelayMs` undefined: the browser's own jitter buffer. */
  constructor(renditionIndex: number, playoutDelayMs: number | undefined) {
    this.#decision = {
      renditionIndex,
      isGopCut: false,
      isBacklogDropped: false,
      paceBps: Infinity,
      burstBytes: Infinity,
      playoutDelayMs,
      probe: undefined,
      estimateBps: 0,
      queueDelayMs: 0,
      rttMs: 0,
      nextAtMs: Infinity,
    };
  }

  join(): JoinPlan {
    return { renditionIndex: this.#decision.renditionIndex, isFromCache: false };
  }

  onGop(): void {}
  onPicture(): void {}
  onPacketSent(): void {}
  onFeedback(): boolean {
    return true;
  }
  onReception(): void {}
  onPlayerReport(): void {}
  onNack(): number {
    return 1;
  }
  setSmoothness(): void {}
  retune(): void {}

  decide(nowMs: number): Decision {
    return { ...this.#decision, nextAtMs: nowMs + DECISION_EVERY_MS };
  }
}
