/**
 * What transport-cc says about the way to one viewer: each packet matched with its sending, and from that the acknowledged rate, the
 * trend and the height of the queue, losses, probes, and what dense trains of packets show. Estimators draw their conclusions from it.
 */
import { ArrivalClock } from './arrival-clock.ts';
import type { ArrivalReport, SentPacket } from './controller.ts';
import { AckedRate } from './gcc/acked-rate.ts';
import { LOSS_TOLERANCE_DEFAULT, LossBased } from './gcc/loss-based.ts';
import { OveruseDetector, TREND_GAIN_DEFAULT } from './gcc/overuse-detector.ts';
import { ProbeMeter } from './probe-meter.ts';
import { SentHistory } from './sent-history.ts';
import { TrainSampler } from './train-sampler.ts';

/** Told of each video packet that has arrived, once a copy: number, receiver's clock, whether it is a retransmission. */
export type ArrivalSink = {
  onArrival(videoSeqExt: number, arrivedAtMs: number, isCopy: boolean): void;
  /** The word of it was lost on the way: it has most likely come, and about then. */
  onGuessed(videoSeqExt: number, arrivedAtMs: number): void;
};

const BASE_HALF_WINDOW_MS = 15_000;
const RTT_SMOOTHING = 0.125;
const RTT_UNKNOWN_MS = 100;
const RTT_MAX_MS = 5_000;
const QUEUE_SMOOTHING = 0.3;
const HISTORY_START_COUNT = 128;
const HISTORY_MAX_COUNT = 512;

/** Filled and read within one call, whoever's it is: packets are too many for an object each. */
const ARRIVAL = { seqExt: 0, sentAtMs: 0, arrivedAtMs: 0, bytes: 0 };

export class LinkObserver {
  readonly history = new SentHistory(HISTORY_MAX_COUNT, HISTORY_START_COUNT);
  readonly detector: OveruseDetector;
  readonly acked = new AckedRate();
  readonly loss: LossBased;
  readonly probe = new ProbeMeter();
  readonly trains = new TrainSampler();
  readonly #clock = new ArrivalClock();
  #answeredSeqExt = -1;
  #feedbackAtMs = Number.NaN;
  #firstSentAtMs = Number.NaN;
  #lastSentAtMs = Number.NaN;
  #rttMs = RTT_UNKNOWN_MS;
  #leastRttMs = Infinity;
  #leastRttBeforeMs = Infinity;
  #leastRttSinceMs = Number.NaN;
  #isRttReported = false;
  #isRttKnown = false;
  // Least one-way delay of this half window and of the one before; both clocks' difference is in it.
  #baseMs = Infinity;
  #baseBeforeMs = Infinity;
  #baseSinceMs = Number.NaN;
  #forgivenMs = 0;
  #queueMs = 0;
  #queuePeakMs = 0;
  #lostCount = 0;
  #isLossObserved = false;

  constructor(options: { trendGain?: number; lossToleranceRatio?: number } = {}) {
    this.detector = new OveruseDetector(options.trendGain ?? TREND_GAIN_DEFAULT);
    this.loss = new LossBased(options.lossToleranceRatio ?? LOSS_TOLERANCE_DEFAULT);
  }

  get rttMs(): number {
    return this.#rttMs;
  }

  /** The least round trip of the last half minute: what it is without a queue. */
  get leastRttMs(): number {
    return Math.min(this.#rttMs, this.#leastRttMs, this.#leastRttBeforeMs);
  }

  /** Waiting in queues, by the last packets that arrived; smoothed. */
  get queueMs(): number {
    return this.#queueMs;
  }

  /** The least wait of the last feedback's packets: what stands in the queue whatever its bursts. */
  get queuePeakMs(): number {
    return this.#queuePeakMs;
  }

  /** Others' queue that counts as part of the way for now. */
  get forgivenMs(): number {
    return this.#forgivenMs;
  }

  /** So much of the queue is others' and is there to stay: from now on it belongs to the way. */
  forgive(queueMs: number): void {
    const baseMs = Math.min(this.#baseMs, this.#baseBeforeMs) + queueMs;
    this.#baseMs = baseMs;
    this.#baseBeforeMs = baseMs;
    this.#forgivenMs += queueMs;
    this.#queuePeakMs -= queueMs;
    this.#queueMs = Math.max(0, this.#queueMs - queueMs);
  }

  /** When feedback came last; NaN: never. */
  get feedbackAtMs(): number {
    return this.#feedbackAtMs;
  }

  /** How long something sent has gone without any word; 0 while nothing is outstanding. */
  silenceMs(nowMs: number): number {
    if (Number.isNaN(this.#firstSentAtMs) || this.#answeredSeqExt >= this.history.nextSeqExt - 1) {
      return 0;
    }
    return nowMs - Math.max(this.#firstSentAtMs, Number.isNaN(this.#feedbackAtMs) ? 0 : this.#feedbackAtMs);
  }

  get lastSentAtMs(): number {
    return this.#lastSentAtMs;
  }

  /** Of the last feedback. */
  get lostCount(): number {
    return this.#lostCount;
  }

  /** Whether the last feedback completed an observation of the loss rule. */
  get isLossObserved(): boolean {
    return this.#isLossObserved;
  }

  /** What is known of packets up to this number is all that will be known. */
  get answeredSeqExt(): number {
    return this.#answeredSeqExt;
  }

  onSent(packet: SentPacket, nowMs: number): void {
    if (packet.transportSeqExt < 0) {
      return;
    }
    this.#firstSentAtMs = Number.isNaN(this.#firstSentAtMs) ? nowMs : this.#firstSentAtMs;
    this.#lastSentAtMs = nowMs;
    this.history.add(packet.transportSeqExt, packet, nowMs, this.#answeredSeqExt);
    this.probe.onSent(packet.transportSeqExt, packet.bytes, packet.kind === 'probe', nowMs);
  }

  onReportedRtt(rttMs: number, nowMs: number): void {
    if (rttMs >= 0 && rttMs <= RTT_MAX_MS) {
      this.#noteLeastRtt(rttMs, nowMs);
      this.#rttMs = this.#isRttReported ? this.#rttMs + 2 * RTT_SMOOTHING * (rttMs - this.#rttMs) : rttMs;
      this.#isRttReported = true;
      this.#isRttKnown = true;
    }
  }

  /** False: packets that were never sent, or times that cannot be; then nothing of it counts. */
  onFeedback(report: ArrivalReport, sink: ArrivalSink | undefined, nowMs: number): boolean {
    const { history } = this;
    if (!history.isPlausible(report.baseSeqExt, report.count) || report.arrivedMs.length < report.count) {
      return false;
    }
    this.#feedbackAtMs = nowMs;
    if (sink !== undefined && report.baseSeqExt > this.#answeredSeqExt + 1) {
      this.#bridge(report, sink);
    }
    let lostCount = 0;
    let newCount = 0;
    let bytes = 0;
    let lastSentMs = Number.NaN;
    let lastArrivedMs = Number.NaN;
    let leastQueueMs = Infinity;
    for (let index = 0; index < report.count; index += 1) {
      const seqExt = report.baseSeqExt + index;
      if (!history.has(seqExt)) {
        continue;
      }
      const sentAtMs = history.sentAtMs(seqExt);
      const isNews = seqExt > this.#answeredSeqExt;
      const packetBytes = history.bytes(seqExt);
      if (isNews) {
        newCount += 1;
        bytes += packetBytes;
        lastSentMs = sentAtMs;
      }
      const wireMs = report.arrivedMs[index] ?? Number.NaN;
      if (Number.isNaN(wireMs)) {
        lostCount += isNews ? 1 : 0;
        continue;
      }
      if (!history.markArrived(seqExt)) {
        continue;
      }
      const arrivedAtMs = this.#clock.unwrap(wireMs);
      lastArrivedMs = arrivedAtMs;
      lastSentMs = sentAtMs;
      leastQueueMs = Math.min(leastQueueMs, this.#observeDelay(arrivedAtMs - sentAtMs, nowMs));
      ARRIVAL.seqExt = seqExt;
      ARRIVAL.sentAtMs = sentAtMs;
      ARRIVAL.arrivedAtMs = arrivedAtMs;
      ARRIVAL.bytes = packetBytes;
      this.#observePacket(ARRIVAL, sink);
    }
    this.#answeredSeqExt = Math.max(this.#answeredSeqExt, report.baseSeqExt + report.count - 1);
    this.#lostCount = lostCount;
    this.#isLossObserved =
      newCount > 0 && this.loss.onFeedback({ sentCount: newCount, lostCount, bytes, sentAtMs: lastSentMs });
    if (!Number.isNaN(lastArrivedMs)) {
      this.#queuePeakMs = leastQueueMs;
      this.#observeRtt(nowMs - lastSentMs, nowMs);
    }
    return true;
  }

  /**
   * Feedback is told once and not sent again: packets between two that came were in one that was lost. They are taken as come, as late as their
   * neighbour; what did not is asked for again. Else a lost feedback would look like a GOP that was never shown.
   */
  #bridge(report: ArrivalReport, sink: ArrivalSink): void {
    const { history } = this;
    let index = 0;
    while (index < report.count && Number.isNaN(report.arrivedMs[index] ?? Number.NaN)) {
      index += 1;
    }
    const neighbour = report.baseSeqExt + index;
    if (index === report.count || !history.has(neighbour)) {
      return;
    }
    const delayMs = this.#clock.unwrap(report.arrivedMs[index] ?? 0) - history.sentAtMs(neighbour);
    const fromSeqExt = Math.max(this.#answeredSeqExt + 1, report.baseSeqExt - HISTORY_MAX_COUNT);
    for (let seqExt = fromSeqExt; seqExt < report.baseSeqExt; seqExt += 1) {
      const videoSeqExt = history.has(seqExt) ? history.videoSeqExt(seqExt) : -1;
      if (videoSeqExt >= 0) {
        sink.onGuessed(videoSeqExt, history.sentAtMs(seqExt) + delayMs);
      }
    }
  }

  #observePacket(
    packet: { seqExt: number; sentAtMs: number; arrivedAtMs: number; bytes: number },
    sink: ArrivalSink | undefined,
  ): void {
    const { history } = this;
    const kind = history.kind(packet.seqExt);
    this.detector.onPacket(packet.sentAtMs, packet.arrivedAtMs);
    this.acked.onPacket(packet.sentAtMs, packet.arrivedAtMs, packet.bytes);
    if (this.probe.covers(packet.seqExt)) {
      this.probe.onArrived(packet);
      this.trains.end();
    } else {
      this.trains.onPacket(packet);
    }
    const videoSeqExt = history.videoSeqExt(packet.seqExt);
    if (sink !== undefined && videoSeqExt >= 0) {
      sink.onArrival(videoSeqExt, packet.arrivedAtMs, kind !== 'video');
    }
  }

  #observeDelay(delayMs: number, nowMs: number): number {
    if (Number.isNaN(this.#baseSinceMs)) {
      this.#baseSinceMs = nowMs;
    }
    if (nowMs - this.#baseSinceMs > BASE_HALF_WINDOW_MS) {
      this.#baseBeforeMs = this.#baseMs;
      this.#baseMs = Infinity;
      this.#baseSinceMs = nowMs;
    }
    const baseMs = Math.min(this.#baseMs, this.#baseBeforeMs);
    if (delayMs < baseMs) {
      this.#forgivenMs = Math.max(0, this.#forgivenMs - (baseMs - delayMs));
    }
    this.#baseMs = Math.min(this.#baseMs, delayMs);
    const queueMs = delayMs - Math.min(baseMs, delayMs);
    this.#queueMs += QUEUE_SMOOTHING * (queueMs - this.#queueMs);
    return queueMs;
  }

  /** From a packet's sending to the word of it: a little too long, since feedback waits at the receiver. Reports know better. */
  #observeRtt(sampleMs: number, nowMs: number): void {
    if (!this.#isRttReported && sampleMs <= RTT_MAX_MS) {
      this.#noteLeastRtt(sampleMs, nowMs);
      this.#rttMs = this.#isRttKnown ? this.#rttMs + RTT_SMOOTHING * (sampleMs - this.#rttMs) : sampleMs;
      this.#isRttKnown = true;
    }
  }

  #noteLeastRtt(rttMs: number, nowMs: number): void {
    if (Number.isNaN(this.#leastRttSinceMs) || nowMs - this.#leastRttSinceMs > BASE_HALF_WINDOW_MS) {
      this.#leastRttBeforeMs = this.#leastRttMs;
      this.#leastRttMs = Infinity;
      this.#leastRttSinceMs = nowMs;
    }
    this.#leastRttMs = Math.min(this.#leastRttMs, rttMs);
  }
}
