/**
 * The baseline: libwebrtc's congestion control as it is, the highest rendition that fits its estimate, every NACK answered once a round
 * trip, no playout delay of our own. Every gain is told against it, and it is what a session falls back to.
 */
import type {
  ArrivalReport,
  CongestionController,
  ControllerOptions,
  Decision,
  GopOffer,
  JoinOffer,
  JoinPlan,
  PlayerReport,
  ProbeRequest,
  ReceptionNews,
  SentPacket,
  SentPicture,
} from '../controller.ts';
import { LinkObserver } from '../link-observer.ts';
import { RepairLog } from '../repair-log.ts';
import { GccEstimator } from './gcc-estimator.ts';
import { IdleDetector } from './idle-detector.ts';

/** libwebrtc's pacer: faster than the estimate. Its 40 ms bursts are left out: with them our port does worse (keyframes read as over-use). */
const PACE_RATIO = 1.1;
const PACE_START_RATIO = 2.5;
const BURST_MS = 5;
const QUEUE_DRAIN_MAX_MS = 2_000;
const TICK_MS = 25;
const AUDIO_BPS = 96_000;
const START_PROBE_RATIOS: readonly number[] = [3, 6];
const PROBE_MS = 15;
const PROBE_PACKET_MIN_BYTES = 5 * 1_200;
const PROBE_AGAIN_RATIO = 0.7;
const IDLE_PROBE_EVERY_MS = 5_000;
const IDLE_PROBE_RATIO = 2;
/** After a cut to less than this the former rate is tried again, were it only that there was nothing to send. */
const LARGE_DROP_RATIO = 0.66;
const LARGE_DROP_PROBE_RATIO = 0.85;
const LARGE_DROP_MAX_MS = 5_000;
const IDLE_ENDED_MAX_MS = 3_000;
const RATE_MAX_FACTOR = 2;
const ACKED_CAP_FACTOR = 1.5;
const HELD_RATIO = 0.9;

type MutableDecision = { -readonly [Key in keyof Decision]: Decision[Key] };

export class GccController implements CongestionController {
  readonly #observer = new LinkObserver();
  readonly #estimator: GccEstimator;
  readonly #repairs = new RepairLog();
  readonly #idle = new IdleDetector();
  readonly #probesWanted: number[] = [];
  #probeId = 0;
  #probedBps = 0;
  #isStartProbed = false;
  #idleProbeAtMs = Number.NEGATIVE_INFINITY;
  #beforeDropBps = 0;
  #droppedAtMs = Number.NEGATIVE_INFINITY;
  #dropProbeAtMs = Number.NEGATIVE_INFINITY;
  #wasOver = false;
  #maxBps = 10_000_000;
  #topIndex = 0;
  readonly #decision: MutableDecision;

  constructor(options: ControllerOptions) {
    this.#estimator = new GccEstimator(options.prior.rateBps);
    this.#decision = {
      renditionIndex: 0,
      isGopCut: false,
      isBacklogDropped: false,
      paceBps: PACE_START_RATIO * options.prior.rateBps,
      burstBytes: 5_000,
      playoutDelayMs: undefined,
      probe: undefined,
      estimateBps: options.prior.rateBps,
      queueDelayMs: 0,
      rttMs: 0,
      nextAtMs: 0,
    };
  }

  join(offer: JoinOffer, nowMs: number): JoinPlan {
    this.onGop(offer, nowMs);
    return { renditionIndex: this.#decision.renditionIndex, isFromCache: false };
  }

  onGop(offer: GopOffer, _nowMs: number): void {
    const topBps = offer.renditions.at(-1)?.bitrateBps ?? 0;
    this.#maxBps = RATE_MAX_FACTOR * (topBps + AUDIO_BPS);
    const estimateBps = this.#estimator.estimateBps;
    this.#topIndex = offer.renditions.length - 1;
    let index = 0;
    for (let at = 0; at < offer.renditions.length; at += 1) {
      if ((offer.renditions[at]?.bitrateBps ?? Infinity) + AUDIO_BPS <= estimateBps) {
        index = at;
      }
    }
    this.#decision.renditionIndex = index;
  }

  onPicture(_picture: SentPicture, _nowMs: number): void {
    // Pictures are bytes to it.
  }

  onPacketSent(packet: SentPacket, nowMs: number): void {
    this.#observer.onSent(packet, nowMs);
    this.#idle.onSent(packet.bytes, this.#estimator.estimateBps, nowMs);
  }

  onFeedback(report: ArrivalReport, nowMs: number): boolean {
    const observer = this.#observer;
    if (!observer.onFeedback(report, undefined, nowMs)) {
      return false;
    }
    if (!this.#isStartProbed) {
      this.#isStartProbed = true;
      this.#probesWanted.push(...START_PROBE_RATIOS.map((ratio) => ratio * this.#estimator.estimateBps));
    }
    const probeBps = observer.probe.result(observer.answeredSeqExt, nowMs)?.bps;
    const beforeBps = this.#estimator.estimateBps;
    this.#estimator.onFeedback(observer, probeBps, nowMs);
    this.#watchDrop(beforeBps, nowMs);
    if (probeBps !== undefined && probeBps > PROBE_AGAIN_RATIO * this.#probedBps && this.#probesWanted.length === 0) {
      this.#wantProbe(2 * probeBps);
    }
    return true;
  }

  onReception(news: ReceptionNews, nowMs: number): void {
    if (news.rttMs !== undefined) {
      this.#observer.onReportedRtt(news.rttMs, nowMs);
    }
  }

  onPlayerReport(_report: PlayerReport, _nowMs: number): void {
    // GCC does not know players.
  }

  onNack(videoSeqExt: number, _packetBytes: number, nowMs: number): number {
    return this.#repairs.mayRepeat(videoSeqExt, this.#observer.rttMs, nowMs) ? 1 : 0;
  }

  setSmoothness(_smoothnessRatio: number): void {
    // It has no such knob.
  }

  retune(): void {
    // It is as libwebrtc is.
  }

  decide(nowMs: number, backlogBytes: number): Decision {
    const decision = this.#decision;
    const observer = this.#observer;
    this.#estimator.onTick(observer, nowMs);
    const estimateBps = this.#estimator.estimateBps;
    decision.estimateBps = estimateBps;
    decision.queueDelayMs = observer.queueMs;
    decision.rttMs = observer.rttMs;
    this.#planProbe(nowMs);
    const sending = observer.probe.sending;
    decision.probe = sending;
    const ratio = Number.isNaN(observer.feedbackAtMs) ? PACE_START_RATIO : PACE_RATIO;
    decision.paceBps = Math.max(
      ratio * estimateBps,
      (backlogBytes * 8_000) / QUEUE_DRAIN_MAX_MS,
      sending === undefined ? 0 : sending.totalBps,
    );
    decision.burstBytes = (estimateBps * BURST_MS) / 8_000;
    decision.nextAtMs = nowMs + TICK_MS;
    return decision;
  }

  #wantProbe(bps: number): void {
    const capped = Math.min(bps, this.#maxBps);
    if (capped > 1.1 * this.#estimator.estimateBps) {
      this.#probesWanted.push(capped);
    }
  }

  /** A large cut while there was little to send is often the little, not the link (ProbeController's RequestProbe). */
  #watchDrop(beforeBps: number, nowMs: number): void {
    const isOver = this.#observer.detector.state === 'over';
    if (this.#estimator.estimateBps < LARGE_DROP_RATIO * beforeBps) {
      this.#beforeDropBps = beforeBps;
      this.#droppedAtMs = nowMs;
    }
    const wasIdle = !Number.isNaN(this.#idle.sinceMs) || nowMs - this.#idle.endedAtMs < IDLE_ENDED_MAX_MS;
    const isBack = this.#wasOver && !isOver;
    this.#wasOver = isOver;
    if (
      isBack &&
      wasIdle &&
      nowMs - this.#droppedAtMs < LARGE_DROP_MAX_MS &&
      nowMs - this.#dropProbeAtMs > LARGE_DROP_MAX_MS
    ) {
      this.#dropProbeAtMs = nowMs;
      this.#wantProbe(LARGE_DROP_PROBE_RATIO * this.#beforeDropBps);
    }
  }

  /** Below the top, and the estimate can grow no more on what is sent: the ladder limits as an application would. In B2's favour. */
  get #isHeldByLadder(): boolean {
    const capBps = ACKED_CAP_FACTOR * this.#observer.acked.bps;
    return this.#decision.renditionIndex < this.#topIndex && this.#estimator.estimateBps > HELD_RATIO * capBps;
  }

  #planProbe(nowMs: number): void {
    const { probe } = this.#observer;
    if (probe.isBusy || Number.isNaN(this.#observer.feedbackAtMs)) {
      return;
    }
    if (Number.isNaN(this.#idle.sinceMs) && !this.#isHeldByLadder) {
      this.#idleProbeAtMs = nowMs;
    }
    if (nowMs - this.#idleProbeAtMs >= IDLE_PROBE_EVERY_MS && this.#probesWanted.length === 0) {
      this.#idleProbeAtMs = nowMs;
      this.#wantProbe(IDLE_PROBE_RATIO * this.#estimator.estimateBps);
    }
    const bps = this.#probesWanted.shift();
    if (bps !== undefined) {
      this.#probedBps = bps;
      this.#probeId += 1;
      const bytes = Math.max(PROBE_PACKET_MIN_BYTES, (bps * PROBE_MS) / 8_000);
      const request: ProbeRequest = {
        id: this.#probeId,
        totalBps: bps,
        bytes,
        packetMaxBytes: Infinity,
        endsAtMs: nowMs + 500,
      };
      probe.begin(request);
    }
  }
}
