/**
 * The controller that decides nothing by the link (`congestion.controller: off`): pictures leave as they come, a backlog at a fixed pace,
 * one of two playout delays, lost packets again within a budget. What most servers do, and what the others are measured against. Pure.
 */
import type {
  ArrivalReport,
  CongestionController,
  Decision,
  GopOffer,
  JoinPlan,
  ReceptionNews,
  SentPacket,
} from '../../congestion/controller.ts';
import { isNearViewer } from './playout-delay-rule.ts';
import { RetransmissionLimits } from './retransmission-limits.ts';

export type FixedControllerOptions = {
  /** For near viewers (round trip below 20 ms, no loss). */
  readonly playoutDelayMs: number;
  /** For everybody else. */
  readonly playoutDelayFarMs: number;
};

/** Three times the rate drains a GOP in half its length; the floor is what any link that carries video carries for a moment. */
const PACE_RATIO = 4;
const PACE_MIN_BPS = 10_000_000;
/** However large the backlog, live is reached in about this time. */
const CATCH_UP_MAX_MS = 1_000;
/** While a backlog is paced. */
const LOOK_EVERY_MS = 5;
/** A keyframe of this many times its usual size still leaves at once. */
const BURST_RATIO = 1.25;
/** Until a report tells. */
const RTT_UNKNOWN_MS = 50;
const FIRST_SEQ_UNKNOWN = -1;

export class FixedController implements CongestionController {
  readonly #options: FixedControllerOptions;
  readonly #limits = new RetransmissionLimits();
  #offer: GopOffer | undefined;
  #firstSeqExt = FIRST_SEQ_UNKNOWN;
  #lastSeqExt = FIRST_SEQ_UNKNOWN;
  #rttMs: number | undefined;
  #lastLossAtMs = Number.NEGATIVE_INFINITY;
  #isNear = false;

  constructor(options: FixedControllerOptions) {
    this.#options = options;
  }

  join(offer: GopOffer): JoinPlan {
    this.#offer = offer;
    return { renditionIndex: offer.renditions.length - 1, isFromCache: true };
  }

  onGop(offer: GopOffer): void {
    this.#offer = offer;
  }

  onPicture(): void {
    // Pictures are as they come.
  }

  onPacketSent(packet: SentPacket, nowMs: number): void {
    if (packet.transportSeqExt >= 0) {
      this.#firstSeqExt = this.#firstSeqExt === FIRST_SEQ_UNKNOWN ? packet.transportSeqExt : this.#firstSeqExt;
      this.#lastSeqExt = packet.transportSeqExt;
    }
    if (packet.kind === 'video') {
      this.#limits.onSent(packet.videoSeqExt, packet.bytes, nowMs);
    }
  }

  onFeedback({ baseSeqExt, count, arrivedMs }: ArrivalReport, nowMs: number): boolean {
    if (baseSeqExt < this.#firstSeqExt || baseSeqExt + count - 1 > this.#lastSeqExt) {
      return false;
    }
    for (let index = 0; index < count; index += 1) {
      if (Number.isNaN(arrivedMs[index])) {
        this.#lastLossAtMs = nowMs;
      }
    }
    return true;
  }

  onReception({ lostRatio, rttMs }: ReceptionNews, nowMs: number): void {
    this.#rttMs = rttMs ?? this.#rttMs;
    if (lostRatio > 0) {
      this.#lastLossAtMs = nowMs;
    }
  }

  onPlayerReport(): void {
    // What players say moves nothing here.
  }

  onNack(videoSeqExt: number, packetBytes: number, nowMs: number): number {
    const rttMs = this.#rttMs ?? RTT_UNKNOWN_MS;
    if (!this.#limits.take(videoSeqExt, { bytes: packetBytes, nowMs, rttMs })) {
      return 0;
    }
    this.#lastLossAtMs = nowMs;
    return 1;
  }

  decide(nowMs: number, backlogBytes: number): Decision {
    const { playoutDelayMs, playoutDelayFarMs } = this.#options;
    const sinceLossMs = nowMs - this.#lastLossAtMs;
    this.#isNear = isNearViewer({ rttMs: this.#rttMs, sinceLossMs, wasNear: this.#isNear });
    const cost = this.#offer?.renditions.at(-1);
    const bitrateBps = cost?.bitrateBps ?? 0;
    const drainBps = bitrateBps + (8_000 * backlogBytes) / CATCH_UP_MAX_MS;
    const isPaced = backlogBytes > 0;
    return {
      renditionIndex: Math.max(0, (this.#offer?.renditions.length ?? 1) - 1),
      isGopCut: false,
      isBacklogDropped: false,
      paceBps: isPaced ? Math.max(PACE_MIN_BPS, PACE_RATIO * bitrateBps, drainBps) : Number.POSITIVE_INFINITY,
      burstBytes: isPaced ? BURST_RATIO * (cost?.keyframeBytes ?? 0) : Number.POSITIVE_INFINITY,
      playoutDelayMs: this.#isNear ? playoutDelayMs : playoutDelayFarMs,
      probe: undefined,
      estimateBps: 0,
      queueDelayMs: 0,
      rttMs: this.#rttMs ?? 0,
      nextAtMs: isPaced ? nowMs + LOOK_EVERY_MS : Number.POSITIVE_INFINITY,
    };
  }

  setSmoothness(): void {
    // There is nothing to move.
  }

  retune(): void {
    // Nor to tune.
  }
}
