/**
 * A viewer's Chrome, packet by packet (CONGESTION 3.0, 5.4): packet buffer, NACKs, references by continuity, clock fit, playout delay or
 * its own jitter buffer, decoding one picture at a time, the screen's refresh, freezes; transport-cc feedback and reports.
 */
import { ClockFit } from '../../server/congestion/receiver-twin/clock-fit.ts';
import { FreezeRule } from '../../server/congestion/receiver-twin/freeze-rule.ts';
import { RandomStream } from '../latency/link/random-streams.ts';
import { ChromeJitter } from './chrome-jitter.ts';
import type { PacketTable, SimPicture } from './packet-table.ts';
import type { ScoreKeeper } from './score.ts';

export type ReceiverOptions = {
  readonly feedbackEveryMs: number;
  /** Median and spread (of the logarithm) of decoding one picture, by rung. */
  readonly decodeMs: readonly number[];
  readonly qualityRatios: readonly number[];
  readonly rejectsOutliers: boolean;
  /** By extended reports (`rrtr`), which Chrome offers to nobody as of version 156: it asks again after 100 ms, and its own buffer knows no round trip. */
  readonly knowsRtt: boolean;
  /** When the screen refreshes; drawn from the seed when left out. */
  readonly refreshPhaseMs?: number | undefined;
  /** A page of the server's own, which tells it what the player did. */
  readonly hasPlayerReports: boolean;
};

/** What goes back to the sender. */
export type UpMessage =
  | { readonly kind: 'feedback'; readonly bytes: number; readonly baseSeq: number; readonly arrivedMs: Float64Array }
  | { readonly kind: 'nack'; readonly bytes: number; readonly seqs: readonly number[] }
  | {
      readonly kind: 'reception';
      readonly bytes: number;
      readonly lostRatio: number;
      /** When the last sound was sent, and how long ago it came: what a sender report and its delay amount to. */
      readonly echoSentAtMs: number;
      readonly echoHeldMs: number;
    }
  | {
      readonly kind: 'player';
      readonly bytes: number;
      readonly intervalMs: number;
      readonly freezeCount: number;
      readonly freezeMs: number;
      readonly framesDecoded: number;
      readonly framesDropped: number;
      readonly bufferDelayMs: number | undefined;
      readonly receivedBps: number;
    };

const SEQ_RING = 1 << 14;
const TRANSPORT_RING = 1 << 13;
const PICTURE_RING = 1 << 11;
const NACK_TICK_MS = 20;
const NACK_RETRY_MAX = 100;
const NACK_LIST_MAX_COUNT = 1_000;
const RTT_DEFAULT_MS = 100;
const RENDER_DELAY_MS = 10;
const LATE_MAX_MS = 5;
const LOW_LATENCY_MAX_MS = 500;
const MIN_PACING_MS = 8;
const VSYNC_MS = 1000 / 60;
/** The decoder is handed pictures on ticks of 64 Hz (libwebrtc's decode synchroniser with Chrome's metronome). */
const TICK_MS = 1000 / 64;
const DECODE_SIGMA = 0.25;
/** e^(1.645 σ): the percentile that Chrome keeps of decode times. */
const DECODE_P95_FACTOR = Math.exp(1.645 * DECODE_SIGMA);
const DELTA_UNIT_MS = 0.25;
const FEEDBACK_BASE_BYTES = 28 + 8 + 12 + 14;
const NACK_BASE_BYTES = 28 + 12 + 14;
const RECEPTION_EVERY_MS = 1_000;
const PLAYER_EVERY_MS = 2_000;
const RTCP_REPORT_BYTES = 100;
const PLAYER_REPORT_BYTES = 250;
const AUDIO_LATE_MS = 150;

export class ChromeReceiver {
  readonly #options: ReceiverOptions;
  readonly #packets: PacketTable;
  readonly #score: ScoreKeeper;
  readonly #decodeDraws: RandomStream;
  readonly #fit: ClockFit;
  readonly #jitter = new ChromeJitter();
  readonly #freezes = new FreezeRule();
  readonly #vsyncPhaseMs: number;
  readonly #tickPhaseMs: number;
  readonly #clockOffsetMs: number;
  readonly out: UpMessage[] = [];
  // Transport-wide arrivals not yet told.
  readonly #transportArrivedMs = new Float64Array(TRANSPORT_RING).fill(Number.NaN);
  #transportFrom = -1;
  #transportTo = -1;
  #feedbackAtMs: number;
  // Video packets.
  readonly #seqState = new Int32Array(SEQ_RING).fill(-1);
  #newestSeq = -1;
  #nackSeqs: number[] = [];
  #nackSentMs: number[] = [];
  #nackRetries: number[] = [];
  #clearedSeq = 0;
  #nackTickMs = Infinity;
  // Pictures by their order of sending.
  readonly #pictures: (SimPicture | undefined)[] = Array.from({ length: PICTURE_RING }, () => undefined);
  #lastDecoded = -1;
  #newestPicture = -1;
  #newestKeyframe = -1;
  // Timing, as VCMTiming.
  #minDelayMs = 0;
  #maxDelayMs = 10_000;
  #jitterDelayMs = 0;
  #currentDelayMs = 0;
  #decodeP95Ms = 0;
  #rttMs: number | undefined;
  // The decoder.
  #next: SimPicture | undefined;
  #decodeAtMs = Infinity;
  #decoderFreeMs = 0;
  #decodeCount = 0;
  #lastDecodeMs = Number.NEGATIVE_INFINITY;
  #waiting: { picture: SimPicture; doneMs: number } | undefined;
  #showAtMs = Infinity;
  #lastPacketMs = Number.NEGATIVE_INFINITY;
  // Reports.
  #receptionAtMs: number;
  #playerAtMs: number;
  #expectedSeq = -1;
  #receivedSince = 0;
  #echoSentAtMs = Number.NaN;
  #echoArrivedMs = 0;
  #audioLeastMs = Infinity;
  #player = { freezeCount: 0, freezeMs: 0, decoded: 0, dropped: 0, bufferMs: 0, bytes: 0 };

  constructor(
    options: ReceiverOptions,
    world: { packets: PacketTable; score: ScoreKeeper; seed: number; startMs: number },
  ) {
    this.#options = options;
    this.#packets = world.packets;
    this.#score = world.score;
    this.#fit = new ClockFit(options.rejectsOutliers);
    this.#decodeDraws = new RandomStream(world.seed, 'receiver/decode');
    const start = new RandomStream(world.seed, 'receiver/start');
    this.#vsyncPhaseMs = options.refreshPhaseMs ?? start.ratio(0) * VSYNC_MS;
    this.#tickPhaseMs = start.ratio(4) * TICK_MS;
    this.#clockOffsetMs = Math.floor(start.ratio(1) * 1e6);
    this.#feedbackAtMs = world.startMs + start.ratio(2) * options.feedbackEveryMs;
    this.#receptionAtMs = world.startMs + RECEPTION_EVERY_MS * (0.5 + start.ratio(3));
    this.#playerAtMs = options.hasPlayerReports ? world.startMs + PLAYER_EVERY_MS : Infinity;
  }

  get nextAtMs(): number {
    return Math.min(
      this.#feedbackAtMs,
      this.#nackTickMs,
      this.#decodeAtMs,
      this.#showAtMs,
      this.#receptionAtMs,
      this.#playerAtMs,
    );
  }

  /** The round trip by extended reports, where it is told. */
  setRtt(rttMs: number): void {
    this.#rttMs = this.#options.knowsRtt ? rttMs : undefined;
  }

  openGapMs(nowMs: number): number {
    return this.#freezes.openMs(nowMs);
  }

  onPacket(handle: number, nowMs: number): void {
    const packets = this.#packets;
    this.#onTransport(packets.transportSeqs[handle]!, nowMs);
    this.#lastPacketMs = nowMs;
    const kind = packets.kinds[handle]!;
    if (kind === 'audio') {
      const delayMs = nowMs - packets.sentAtMs[handle]!;
      this.#audioLeastMs = Math.min(this.#audioLeastMs, delayMs);
      this.#score.onAudio(delayMs > this.#audioLeastMs + AUDIO_LATE_MS);
      this.#echoSentAtMs = packets.sentAtMs[handle]!;
      this.#echoArrivedMs = nowMs;
      return;
    }
    const seq = packets.seqs[handle]!;
    const picture = packets.pictures[handle];
    if (seq < 0 || picture === undefined) {
      return;
    }
    if (this.#audioLeastMs === Infinity) {
      // Without sound, sender reports tell of the picture.
      this.#echoSentAtMs = packets.sentAtMs[handle]!;
      this.#echoArrivedMs = nowMs;
    }
    if (kind === 'video') {
      this.#receivedSince += 1;
      this.#onNewSeq(seq, nowMs);
    }
    this.#onVideo(seq, picture, kind !== 'video', nowMs);
  }

  step(nowMs: number): void {
    if (this.#showAtMs <= nowMs) {
      this.#show();
    }
    if (this.#decodeAtMs <= nowMs) {
      this.#decode(nowMs);
    }
    if (this.#nackTickMs <= nowMs) {
      this.#nackTick(nowMs);
    }
    if (this.#feedbackAtMs <= nowMs) {
      this.#sendFeedback(nowMs);
    }
    if (this.#receptionAtMs <= nowMs) {
      this.#sendReception(nowMs);
    }
    if (this.#playerAtMs <= nowMs) {
      this.#sendPlayerReport(nowMs);
    }
  }

  /** Shows what waits for the screen; then the session is over. */
  finish(): void {
    if (this.#waiting !== undefined) {
      this.#show();
    }
  }

  #onTransport(seq: number, nowMs: number): void {
    if (seq < 0) {
      return;
    }
    this.#transportArrivedMs[seq % TRANSPORT_RING] = nowMs;
    this.#transportFrom = this.#transportFrom < 0 ? seq : Math.min(this.#transportFrom, seq);
    if (seq > this.#transportTo) {
      for (let gap = this.#transportTo + 1; gap < seq; gap += 1) {
        this.#transportArrivedMs[gap % TRANSPORT_RING] = Number.NaN;
      }
      this.#transportTo = seq;
    }
  }

  #sendFeedback(nowMs: number): void {
    this.#feedbackAtMs = nowMs + this.#options.feedbackEveryMs;
    if (this.#transportFrom < 0) {
      return;
    }
    const count = this.#transportTo - this.#transportFrom + 1;
    const arrivedMs = new Float64Array(count);
    for (let index = 0; index < count; index += 1) {
      const atMs = this.#transportArrivedMs[(this.#transportFrom + index) % TRANSPORT_RING]!;
      arrivedMs[index] = Math.round((atMs + this.#clockOffsetMs) / DELTA_UNIT_MS) * DELTA_UNIT_MS;
    }
    const bytes = FEEDBACK_BASE_BYTES + Math.ceil(1.3 * count);
    this.out.push({ kind: 'feedback', bytes, baseSeq: this.#transportFrom, arrivedMs });
    this.#transportFrom = this.#transportTo + 1;
    // Nothing to tell until something comes.
    this.#transportFrom = -1;
  }

  #onNewSeq(seq: number, nowMs: number): void {
    if (this.#newestSeq < 0) {
      this.#newestSeq = seq;
      this.#expectedSeq = seq - 1;
      return;
    }
    if (seq <= this.#newestSeq) {
      return;
    }
    const missing = seq - this.#newestSeq - 1;
    if (this.#nackSeqs.length + missing > NACK_LIST_MAX_COUNT) {
      this.#nackSeqs = [];
      this.#nackSentMs = [];
      this.#nackRetries = [];
    } else if (missing > 0) {
      const seqs: number[] = [];
      for (let gap = this.#newestSeq + 1; gap < seq; gap += 1) {
        if (this.#seqState[gap % SEQ_RING] !== gap) {
          this.#nackSeqs.push(gap);
          this.#nackSentMs.push(nowMs);
          this.#nackRetries.push(1);
          seqs.push(gap);
        }
      }
      this.#sendNack(seqs, nowMs);
    }
    this.#newestSeq = seq;
  }

  #sendNack(seqs: number[], nowMs: number): void {
    if (seqs.length > 0) {
      this.out.push({ kind: 'nack', bytes: NACK_BASE_BYTES + 4 * Math.ceil(seqs.length / 8), seqs });
    }
    if (this.#nackSeqs.length > 0 && this.#nackTickMs === Infinity) {
      this.#nackTickMs = nowMs + NACK_TICK_MS;
    }
  }

  #nackTick(nowMs: number): void {
    const seqs: number[] = [];
    let kept = 0;
    for (let index = 0; index < this.#nackSeqs.length; index += 1) {
      const seq = this.#nackSeqs[index]!;
      let sentMs = this.#nackSentMs[index]!;
      let retries = this.#nackRetries[index]!;
      if (seq < this.#clearedSeq || this.#seqState[seq % SEQ_RING] === seq || retries >= NACK_RETRY_MAX) {
        continue;
      }
      if (nowMs - sentMs >= (this.#rttMs ?? RTT_DEFAULT_MS)) {
        seqs.push(seq);
        sentMs = nowMs;
        retries += 1;
      }
      this.#nackSeqs[kept] = seq;
      this.#nackSentMs[kept] = sentMs;
      this.#nackRetries[kept] = retries;
      kept += 1;
    }
    this.#nackSeqs.length = kept;
    this.#nackSentMs.length = kept;
    this.#nackRetries.length = kept;
    this.#nackTickMs = kept === 0 ? Infinity : nowMs + NACK_TICK_MS;
    if (seqs.length > 0) {
      this.out.push({ kind: 'nack', bytes: NACK_BASE_BYTES + 4 * Math.ceil(seqs.length / 8), seqs });
    }
  }

  #onVideo(seq: number, picture: SimPicture, isCopy: boolean, nowMs: number): void {
    if (this.#seqState[seq % SEQ_RING] === seq || picture.sentIndex <= this.#lastDecoded) {
      return;
    }
    this.#seqState[seq % SEQ_RING] = seq;
    this.#pictures[picture.sentIndex % PICTURE_RING] = picture;
    this.#newestPicture = Math.max(this.#newestPicture, picture.sentIndex);
    picture.receivedCount += 1;
    picture.isRepeated ||= isCopy;
    if (picture.receivedCount < picture.packetCount) {
      return;
    }
    picture.completeAtMs = nowMs;
    this.#player.bytes += picture.bytes;
    if (picture.isKeyframe || this.#isHanded(picture.sentIndex - 1)) {
      this.#handOut(picture, nowMs);
    }
  }

  #pictureAt(index: number): SimPicture | undefined {
    const picture = this.#pictures[index % PICTURE_RING];
    return picture !== undefined && picture.sentIndex === index ? picture : undefined;
  }

  #isHanded(index: number): boolean {
    return this.#pictureAt(index)?.isHanded === true;
  }

  /** References are known by continuity: a picture is given on once all before it were, back to a keyframe. */
  #handOut(first: SimPicture, nowMs: number): void {
    let picture: SimPicture | undefined = first;
    while (picture !== undefined && picture.receivedCount === picture.packetCount && !picture.isHanded) {
      picture.isHanded = true;
      if (picture.isKeyframe) {
        this.#newestKeyframe = Math.max(this.#newestKeyframe, picture.sentIndex);
      }
      if (picture.playoutDelayMs >= 0) {
        this.#minDelayMs = picture.playoutDelayMs;
        this.#maxDelayMs = picture.playoutDelayMs;
      }
      if (!picture.isRepeated) {
        this.#fit.update(picture.completeAtMs, picture.stampMs);
      }
      picture = this.#pictureAt(picture.sentIndex + 1);
    }
    this.#schedule(nowMs);
  }

  #renderAtMs(picture: SimPicture, nowMs: number): number {
    if (this.#minDelayMs === 0 && this.#maxDelayMs <= LOW_LATENCY_MAX_MS) {
      return Math.max(nowMs, this.#lastDecodeMs + MIN_PACING_MS) + this.#decodeP95Ms + RENDER_DELAY_MS;
    }
    const localMs = this.#fit.localMs(picture.stampMs);
    if (Number.isNaN(localMs)) {
      return nowMs;
    }
    return localMs + Math.max(this.#minDelayMs, Math.min(this.#maxDelayMs, this.#currentDelayMs));
  }

  /**
   * Which picture is handed to the decoder next, and when; settled once for each. One that is late is left for a later keyframe that is
   * there. The decoder itself takes pictures as they come and works through them: it delays what is seen, not what is handed over.
   */
  #schedule(nowMs: number): void {
    let next = this.#pictureAt(this.#lastDecoded + 1);
    if (next?.isHanded !== true || this.#lastDecoded < 0) {
      next = this.#keyframeAfter(this.#lastDecoded);
    }
    if (next !== undefined && next === this.#next) {
      return;
    }
    while (next !== undefined) {
      const waitMs = this.#renderAtMs(next, nowMs) - nowMs - this.#decodeP95Ms - RENDER_DELAY_MS;
      if (waitMs > -LATE_MAX_MS || this.#newestKeyframe <= next.sentIndex) {
        this.#next = next;
        this.#decodeAtMs = this.#tickBefore(nowMs + Math.max(0, waitMs), nowMs);
        return;
      }
      this.#player.dropped += 1;
      next = this.#keyframeAfter(next.sentIndex);
    }
    this.#next = undefined;
    this.#decodeAtMs = Infinity;
  }

  /** The last tick at which a picture may still be handed over, for it is due before the next one; at once where it cannot wait for a tick. */
  #tickBefore(latestMs: number, nowMs: number): number {
    const nextTickMs = this.#tickPhaseMs + TICK_MS * (Math.floor((nowMs - this.#tickPhaseMs) / TICK_MS) + 1);
    if (latestMs < nextTickMs - LATE_MAX_MS) {
      return nowMs;
    }
    return nextTickMs + TICK_MS * Math.max(0, Math.floor((latestMs - nextTickMs) / TICK_MS));
  }

  #keyframeAfter(index: number): SimPicture | undefined {
    for (let at = index + 1; at <= this.#newestKeyframe; at += 1) {
      const picture = this.#pictureAt(at);
      if (picture?.isKeyframe === true && picture.isHanded) {
        return picture;
      }
    }
    return undefined;
  }

  #decode(nowMs: number): void {
    const picture = this.#next;
    if (picture === undefined) {
      this.#decodeAtMs = Infinity;
      return;
    }
    const renderMs = this.#renderAtMs(picture, nowMs);
    this.#next = undefined;
    this.#lastDecoded = picture.sentIndex;
    this.#clearedSeq = picture.firstSeq;
    this.#lastDecodeMs = nowMs;
    this.#updateDelay(picture, renderMs, nowMs);
    const medianMs = this.#options.decodeMs[picture.rungIndex] ?? 4;
    const decodeMs = medianMs * Math.exp(DECODE_SIGMA * this.#decodeDraws.normal(this.#decodeCount));
    this.#decodeP95Ms = Math.max(medianMs * DECODE_P95_FACTOR, 0.999 * this.#decodeP95Ms);
    this.#decodeCount += 1;
    const doneMs = Math.max(nowMs, this.#decoderFreeMs) + decodeMs;
    this.#decoderFreeMs = doneMs;
    this.#player.decoded += 1;
    this.#player.bufferMs += nowMs - picture.completeAtMs;
    const frozenMs = this.#freezes.onPicture(doneMs);
    if (frozenMs > 0) {
      this.#score.onFreeze(frozenMs, doneMs, nowMs - Math.max(this.#lastPacketMs, picture.completeAtMs));
      this.#player.freezeCount += 1;
      this.#player.freezeMs += frozenMs;
    }
    this.#queueForScreen(picture, doneMs);
    this.#schedule(nowMs);
  }

  #updateDelay(picture: SimPicture, renderMs: number, nowMs: number): void {
    if (picture.isRepeated) {
      this.#jitter.onRepeatedPicture(nowMs);
      return;
    }
    this.#jitter.onPicture(picture.completeAtMs, picture.stampMs, picture.bytes);
    this.#jitterDelayMs = this.#jitter.delayMs(this.#rttMs ?? 0);
    if (this.#currentDelayMs === 0) {
      this.#currentDelayMs = this.#jitterDelayMs;
    }
    const targetMs = Math.max(this.#minDelayMs, this.#jitterDelayMs + this.#decodeP95Ms + RENDER_DELAY_MS);
    const delayedMs = nowMs - renderMs + this.#decodeP95Ms + RENDER_DELAY_MS;
    if (delayedMs >= 0) {
      this.#currentDelayMs = Math.min(this.#currentDelayMs + delayedMs, targetMs);
    }
  }

  /** The screen takes what was decoded last when it refreshes. */
  #queueForScreen(picture: SimPicture, doneMs: number): void {
    const refreshMs = this.#vsyncPhaseMs + VSYNC_MS * Math.ceil((doneMs - this.#vsyncPhaseMs) / VSYNC_MS);
    if (this.#waiting !== undefined && this.#showAtMs < refreshMs) {
      this.#show();
    }
    this.#waiting = { picture, doneMs };
    this.#showAtMs = refreshMs;
  }

  #show(): void {
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      const qualityRatio = this.#options.qualityRatios[waiting.picture.rungIndex] ?? 0;
      this.#score.onShown({ captureMs: waiting.picture.captureMs, qualityRatio }, this.#showAtMs);
    }
    this.#waiting = undefined;
    this.#showAtMs = Infinity;
  }

  #sendReception(nowMs: number): void {
    this.#receptionAtMs = nowMs + RECEPTION_EVERY_MS;
    const expected = this.#newestSeq - this.#expectedSeq;
    const lostRatio = expected > 0 ? Math.max(0, 1 - this.#receivedSince / expected) : 0;
    this.#expectedSeq = this.#newestSeq;
    this.#receivedSince = 0;
    this.out.push({
      kind: 'reception',
      bytes: RTCP_REPORT_BYTES,
      lostRatio,
      echoSentAtMs: this.#echoSentAtMs,
      echoHeldMs: nowMs - this.#echoArrivedMs,
    });
  }

  #sendPlayerReport(nowMs: number): void {
    this.#playerAtMs = nowMs + PLAYER_EVERY_MS;
    const { freezeCount, freezeMs, decoded, dropped, bufferMs, bytes } = this.#player;
    this.out.push({
      kind: 'player',
      bytes: PLAYER_REPORT_BYTES,
      intervalMs: PLAYER_EVERY_MS,
      freezeCount,
      freezeMs,
      framesDecoded: decoded,
      framesDropped: dropped,
      bufferDelayMs: decoded === 0 ? undefined : bufferMs / decoded,
      receivedBps: (bytes * 8_000) / PLAYER_EVERY_MS,
    });
    this.#player = { freezeCount: 0, freezeMs: 0, decoded: 0, dropped: 0, bufferMs: 0, bytes: 0 };
  }
}
