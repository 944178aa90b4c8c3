/** The controller: what was seen goes to its engines, their answers become one decision. Holds no rule of its own beyond the order of asking. */
import { Allocator, needOf } from './allocator.ts';
import type {
  ArrivalReport,
  CongestionController,
  ControllerOptions,
  Decision,
  GopOffer,
  JoinOffer,
  JoinPlan,
  PlayerReport,
  ReceptionNews,
  SentPacket,
  SentPicture,
} from './controller.ts';
import { Estimator } from './estimator.ts';
import { Headroom } from './headroom.ts';
import { joinPaceBps, planJoin } from './join.ts';
import { LinkObserver } from './link-observer.ts';
import type { Mechanisms, Parameters, Tuning } from './parameters.ts';
import { ALL_MECHANISMS, clampSmoothness, parametersWith, tuneFor } from './parameters.ts';
import { Playout } from './playout.ts';
import type { TwinView } from './receiver-twin/receiver-twin.ts';
import { ReceiverTwin } from './receiver-twin/receiver-twin.ts';
import { RepairPolicy } from './repair-policy.ts';
import { ReportEstimator } from './report-estimator.ts';
import { ReportGuard } from './report-guard.ts';
import type { ProbeWish } from './rung-prober.ts';
import { RungProber } from './rung-prober.ts';

const TICK_MS = 25;
/** The cached GOP is sent at the pace of a join until it is caught up, unless a queue or a loss says that it is too much. */
const JOIN_MAX_MS = 2_000;
/** A timer that is late must not make the first picture late. */
const JOIN_BURST_MS = 20;
/** While a queue stands, no faster than the link. */
const CONGESTED_PACE_RATIO = 1;
/** After that long without a word no pictures go. */
const SILENCE_MS = 1_500;
/** Nothing needs to leave faster than the highest rendition with this margin, or than its keyframe in a picture's time. */
const PACE_TOP_RATIO = 6;
const KEYFRAME_LEAVES_MS = 30;
/** A keyframe of the lowest rendition never crawls: it is how a collapsed estimate recovers. */
const KEYFRAME_PACE_RATIO = 1.5;
const BURST_PLAIN_MS = 5;
const REPAIR_SMOOTHING = 0.1;
/** A queue lower than this is none. */
const CALM_QUEUE_MS = 10;

type MutableDecision = { -readonly [Key in keyof Decision]: Decision[Key] };

export class AdaptiveController implements CongestionController {
  #base: Parameters;
  #smoothnessRatio: number;
  /** `#base` moved by λ; the engines hold it too. */
  readonly #parameters: Tuning;
  readonly #mechanisms: Mechanisms;
  readonly #options: ControllerOptions;
  readonly #observer: LinkObserver;
  readonly #estimator: Estimator;
  /** Where there is no transport-cc. */
  readonly #reported: ReportEstimator | undefined;
  readonly #guard: ReportGuard;
  readonly #allocator: Allocator;
  readonly #headroom: Headroom;
  readonly #repairs: RepairPolicy;
  readonly #twin = new ReceiverTwin();
  readonly #playout: Playout;
  readonly #prober = new RungProber();
  readonly #decision: MutableDecision;
  #joinedAtMs = Number.NaN;
  #isJoining = false;
  #gop: GopOffer | undefined;
  #gopAtMs = Number.NaN;
  #isGopCut = false;
  #backlogMs = 0;
  /** Of the pictures of the GOP before. */
  #gopNeedMs = Number.NaN;
  /** Between `onGop` and the first packet of its keyframe. */
  #isKeyframeDue = false;
  #keyframeFirstSeq = -1;
  #keyframeLastSeq = -1;
  #lastVideoSeq = -1;
  #videoBytes = 0;
  #repairBytes = 0;
  #repairRatio = 0;

  constructor(
    options: ControllerOptions,
    parameters: Partial<Parameters> = {},
    mechanisms: Mechanisms = ALL_MECHANISMS,
  ) {
    const smoothnessRatio = clampSmoothness(options.smoothnessRatio);
    this.#options = options;
    this.#smoothnessRatio = smoothnessRatio;
    this.#base = parametersWith(parameters);
    this.#parameters = { ...this.#base };
    tuneFor(this.#parameters, this.#base, smoothnessRatio);
    this.#mechanisms = mechanisms;
    this.#observer = new LinkObserver(this.#parameters);
    this.#estimator = new Estimator(this.#observer, {
      startBps: options.prior.rateBps,
      parameters: this.#parameters,
      mechanisms,
    });
    this.#reported = options.hasTransportFeedback ? undefined : new ReportEstimator(options.prior.rateBps);
    this.#guard = new ReportGuard(options.hasTransportFeedback);
    this.#allocator = new Allocator(this.#parameters);
    this.#headroom = new Headroom(this.#parameters);
    this.#repairs = new RepairPolicy(this.#parameters, mechanisms.hasRepairBudget);
    this.#playout = new Playout({
      parameters: this.#parameters,
      isConformal: mechanisms.hasConformal,
      priorMs: options.prior.playoutDelayMs,
      smoothnessRatio,
    });
    this.#decision = {
      renditionIndex: 0,
      isGopCut: false,
      isBacklogDropped: false,
      paceBps: joinPaceBps(undefined, options.prior.rateBps),
      burstBytes: 5_000,
      playoutDelayMs: undefined,
      needMs: Number.NaN,
      probe: undefined,
      estimateBps: options.prior.rateBps,
      queueDelayMs: 0,
      rttMs: 0,
      nextAtMs: 0,
    };
  }

  /** What the viewer is thought to have seen. */
  get twin(): TwinView {
    return this.#twin;
  }

  join(offer: JoinOffer, nowMs: number): JoinPlan {
    this.#joinedAtMs = nowMs;
    this.#isJoining = true;
    this.#gop = offer;
    this.#gopAtMs = nowMs - offer.keyframeAgeMs;
    const plan = planJoin(offer, this.#options.prior.rateBps, this.#mechanisms.hasCachedJoin);
    this.#allocator.begin(offer, this.#options.prior.rateBps);
    this.#decision.renditionIndex = plan.renditionIndex;
    return plan;
  }

  onGop(offer: GopOffer, nowMs: number): void {
    this.#gop = offer;
    this.#gopAtMs = nowMs;
    this.#isGopCut = false;
    this.#isKeyframeDue = true;
    this.#decision.isBacklogDropped = this.#mechanisms.hasTailCut && this.#backlogMs > this.#parameters.dropBacklogMs;
    this.#estimator.onGop(needOf(offer.renditions[0], 0), nowMs);
    const needMs = this.#twin.takeWorstNeedMs();
    this.#gopNeedMs = needMs;
    if (!Number.isNaN(needMs)) {
      this.#playout.onBlock(needMs);
    }
    this.#repairRatio += REPAIR_SMOOTHING * (this.#repairBytes / Math.max(1, this.#videoBytes) - this.#repairRatio);
    this.#videoBytes = 0;
    this.#repairBytes = 0;
    this.#decision.renditionIndex = this.#allocator.onGop(
      offer,
      {
        estimateBps: this.#isSilent(nowMs) ? 0 : (this.#reported?.estimateBps ?? this.#estimator.lowBps(nowMs)),
        queueMs: this.#observer.queuePeakMs,
        backlogMs: this.#backlogMs,
        repairRatio: this.#repairRatio,
      },
      nowMs,
    );
  }

  onPicture(picture: SentPicture, _nowMs: number): void {
    this.#twin.onPicture(picture, this.#decision.playoutDelayMs ?? 0);
    if (picture.isKeyframe) {
      this.#isKeyframeDue = false;
      this.#keyframeFirstSeq = picture.firstSeqExt;
      this.#keyframeLastSeq = picture.firstSeqExt + picture.packetCount - 1;
    }
  }

  onPacketSent(packet: SentPacket, nowMs: number): void {
    this.#observer.onSent(packet, nowMs);
    if (packet.kind === 'probe') {
      this.#prober.onProbeSent(packet.bytes);
    } else {
      this.#prober.onSent(packet.bytes);
    }
    if (packet.kind === 'video') {
      this.#lastVideoSeq = packet.videoSeqExt;
      this.#videoBytes += packet.bytes;
    } else if (packet.kind === 'rtx') {
      this.#repairBytes += packet.bytes;
    }
  }

  onFeedback(report: ArrivalReport, nowMs: number): boolean {
    if (!this.#observer.onFeedback(report, this.#twin, nowMs)) {
      return false;
    }
    this.#headroom.observe(this.#observer.queueMs, this.#observer.lostCount, nowMs);
    const probed = this.#observer.probe.result(this.#observer.answeredSeqExt, nowMs);
    if (probed !== undefined) {
      this.#estimator.onProbe(probed, nowMs);
      this.#prober.onAnswer(probed.bps, nowMs);
    }
    this.#estimator.onFeedback(nowMs);
    return true;
  }

  onReception(news: ReceptionNews, nowMs: number): void {
    if (news.rttMs !== undefined) {
      this.#observer.onReportedRtt(news.rttMs, nowMs);
    }
    this.#reported?.onReception(news.lostRatio, news.rttMs, nowMs);
  }

  onPlayerReport(report: PlayerReport, _nowMs: number): void {
    this.#reported?.onReceived(report.receivedBps);
    this.#guard.onReport(report, this.#twin.freezeMs, this.#playout.delayMs);
  }

  onNack(videoSeqExt: number, packetBytes: number, nowMs: number): number {
    const rttMs = this.#observer.leastRttMs;
    const delayMs = this.#playout.delayMs;
    const nextKeyframeMs = this.#gopAtMs + (this.#gop?.gopMs ?? 1_000) + delayMs - nowMs;
    const question = {
      videoSeqExt,
      bytes: packetBytes,
      isKeyframe: videoSeqExt >= this.#keyframeFirstSeq && videoSeqExt <= this.#keyframeLastSeq,
      isWanted: this.#reported !== undefined || this.#twin.isWanted(videoSeqExt),
      // A NACK comes half a round trip after the gap was seen, about when the picture was to be complete.
      slackMs: delayMs - rttMs / 2,
      nextKeyframeMs,
      oneWayMs: rttMs / 2 + this.#observer.queueMs,
      playoutDelayMs: delayMs,
    };
    return this.#repairs.copies(question, { rttMs, estimateBps: this.#estimateBps }, nowMs);
  }

  setSmoothness(smoothnessRatio: number): void {
    this.#smoothnessRatio = clampSmoothness(smoothnessRatio);
    tuneFor(this.#parameters, this.#base, this.#smoothnessRatio);
    this.#playout.setSmoothness(this.#smoothnessRatio);
  }

  /** What is known of the link stays; every value is brought inside its safe range. */
  retune(parameters: Parameters): void {
    this.#base = parametersWith(parameters);
    tuneFor(this.#parameters, this.#base, this.#smoothnessRatio);
    this.#observer.detector.gain = this.#parameters.trendGain;
    this.#observer.loss.toleranceRatio = this.#parameters.lossToleranceRatio;
  }

  decide(nowMs: number, backlogBytes: number): Decision {
    this.#estimator.onTick(nowMs);
    const decision = this.#decision;
    const estimateBps = this.#estimateBps;
    decision.estimateBps = estimateBps;
    decision.queueDelayMs = this.#observer.queueMs;
    decision.rttMs = this.#observer.rttMs;
    this.#backlogMs = (backlogBytes * 8_000) / estimateBps;
    decision.isGopCut = this.#isGopCut ||= this.#shouldCut(nowMs);
    this.#probeIfUseful(nowMs);
    decision.probe = this.#observer.probe.sending;
    this.#isJoining &&= this.#isStillJoining(nowMs);
    decision.paceBps = Math.max(this.#paceBps, decision.probe?.totalBps ?? 0);
    const burstMs = this.#mechanisms.hasBurstPacing ? this.#headroom.burstMs : BURST_PLAIN_MS;
    const joinBurstBits = this.#isJoining ? JOIN_BURST_MS * decision.paceBps : 0;
    decision.burstBytes = Math.max(estimateBps * burstMs, joinBurstBits) / 8_000;
    this.#playout.tick(this.#guard.floorMs, nowMs);
    decision.playoutDelayMs =
      this.#options.hasPlayoutDelay && this.#mechanisms.hasPlayout ? this.#playout.delayMs : undefined;
    decision.needMs = moreOf(this.#gopNeedMs, this.#twin.worstNeedMs);
    decision.nextAtMs = nowMs + TICK_MS;
    return decision;
  }

  /** Only while nothing of it can hurt: no queue, no loss, nothing waiting; and while a higher rendition may follow. */
  #probeIfUseful(nowMs: number): void {
    const { probe, queuePeakMs, lostCount, feedbackAtMs } = this.#observer;
    const isCalm =
      queuePeakMs < CALM_QUEUE_MS && lostCount === 0 && this.#backlogMs < CALM_QUEUE_MS && !this.#isKeyframeLeaving;
    const isMeasured = this.#estimator.isMeasured(nowMs);
    const isKnown =
      this.#lastVideoSeq >= 0 && this.#reported === undefined && !Number.isNaN(feedbackAtMs) && !this.#isSilent(nowMs);
    if (
      !this.#mechanisms.hasRungProbes ||
      probe.isBusy ||
      !isKnown ||
      isMeasured ||
      !isCalm ||
      nowMs < this.#allocator.upFromMs
    ) {
      return;
    }
    const request = this.#prober.plan(this.#probeWish(nowMs), nowMs);
    if (request !== undefined) {
      probe.begin(request);
    }
  }

  #probeWish(nowMs: number): ProbeWish {
    const renditions = this.#gop?.renditions ?? [];
    const index = this.#allocator.index;
    const isTop = index >= renditions.length - 1;
    return {
      topBps: isTop ? 0 : this.#allocator.wantedBps(renditions.at(-1), this.#repairRatio),
      estimateBps: this.#estimator.lowBps(nowMs),
      jitterMs: this.#observer.trains.jitterMs,
    };
  }

  get #estimateBps(): number {
    return this.#reported?.estimateBps ?? this.#estimator.estimateBps;
  }

  get #paceBps(): number {
    const estimateBps = this.#estimateBps;
    if (this.#isJoining) {
      return joinPaceBps(this.#gop?.renditions[this.#decision.renditionIndex], this.#options.prior.rateBps);
    }
    const isCongested = this.#observer.queuePeakMs > this.#parameters.queueDrainMs;
    const ratio = isCongested ? CONGESTED_PACE_RATIO : this.#parameters.paceRatio;
    const top = this.#gop?.renditions.at(-1);
    const topBps = Math.max(PACE_TOP_RATIO * needOf(top, 0), ((top?.keyframeBytes ?? 0) * 8_000) / KEYFRAME_LEAVES_MS);
    const keyframeBps = this.#isKeyframeLeaving ? KEYFRAME_PACE_RATIO * needOf(this.#gop?.renditions[0], 0) : 0;
    return Math.max(CONGESTED_PACE_RATIO * estimateBps, Math.min(ratio * estimateBps, topBps), keyframeBps);
  }

  #isStillJoining(nowMs: number): boolean {
    const { feedbackAtMs, queuePeakMs, lostCount } = this.#observer;
    const isTooMuch = queuePeakMs > this.#parameters.queueDrainMs || lostCount > 0;
    const isCaughtUp = this.#lastVideoSeq >= 0 && this.#backlogMs === 0;
    return nowMs - this.#joinedAtMs < JOIN_MAX_MS && !isTooMuch && !(isCaughtUp && !Number.isNaN(feedbackAtMs));
  }

  #isSilent(nowMs: number): boolean {
    return this.#observer.silenceMs(nowMs) > SILENCE_MS;
  }

  get #isKeyframeLeaving(): boolean {
    return this.#isKeyframeDue || this.#lastVideoSeq < this.#keyframeLastSeq;
  }

  /**
   * The tail of a GOP that would come too late to be seen. Into a silence nothing goes, keyframes included: what queues there comes late and bends
   * Chrome's clock fit, while sound is enough to learn that the path is back.
   */
  #shouldCut(nowMs: number): boolean {
    if (!this.#mechanisms.hasTailCut) {
      return false;
    }
    const isLong = this.#backlogMs > this.#parameters.cutBacklogMs;
    // A join begins with a backlog: it is what there is to see.
    const isTooLong = isLong && !this.#isKeyframeLeaving && !this.#isJoining;
    return isTooLong || this.#isSilent(nowMs);
  }
}

/** NaN says nothing. */
const moreOf = (a: number, b: number): number => (a >= b || Number.isNaN(b) ? a : b);
