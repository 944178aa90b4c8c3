/**
 * One viewer's sender, as production's is to be: it asks the controller, fills the send queue, gives numbers and stamps to what leaves, and
 * answers NACKs. Everything it decides by itself is bookkeeping.
 */
import type { CongestionController, Decision, PacketKind } from '../../server/congestion/controller.ts';
import { ProbeCopies } from '../../server/congestion/probe-copies.ts';
import { SendQueue } from '../../server/congestion/send-queue.ts';
import type { UpMessage } from './chrome-receiver.ts';
import type { FrameSource } from './ladder-source.ts';
import type { PacketTable, SimPicture } from './packet-table.ts';

export type SenderOptions = {
  readonly controller: CongestionController;
  /** CONGESTION 3.8: stamps that advance with the sending while a backlog is caught up. */
  readonly hasMatchedStamps: boolean;
  readonly hasTransportFeedback: boolean;
};

export type ByteCounts = { audio: number; video: number; rtx: number; probe: number };

type Repair = { readonly picture: SimPicture; readonly packetIndex: number };

const PACKET_MAX_BYTES = 1_236;
const RTX_EXTRA_BYTES = 2;
const AUDIO_BYTES = 236;
const SEQ_RING = 1 << 12;
const RETRANSMIT_WINDOW_MS = 2_000;
/** `webrtc.retransmitWindowMs`. */
const COPY_WINDOW_MS = 1_000;
const STAMP_STEP_MIN_MS = 0.5;
const TIMER_STEP_MS = 1;

export const packetCountOf = (bytes: number): number => Math.max(1, Math.ceil(bytes / PACKET_MAX_BYTES));

const packetBytes = (picture: SimPicture, index: number): number =>
  index < picture.packetCount - 1
    ? PACKET_MAX_BYTES
    : Math.max(100, picture.bytes - PACKET_MAX_BYTES * (picture.packetCount - 1));

export class SimSender {
  readonly counts: ByteCounts = { audio: 0, video: 0, rtx: 0, probe: 0 };
  readonly #options: SenderOptions;
  readonly #source: FrameSource;
  readonly #packets: PacketTable;
  readonly #transmit: (handle: number, bytes: number, nowMs: number) => void;
  readonly #queue = new SendQueue<SimPicture, Repair>({
    pictureBytes: packetBytes,
    repairBytes: ({ picture, packetIndex }) => packetBytes(picture, packetIndex) + RTX_EXTRA_BYTES,
  });
  readonly #sentPictures: (SimPicture | undefined)[] = Array.from({ length: SEQ_RING }, () => undefined);
  readonly #sentAtMs = new Float64Array(SEQ_RING);
  readonly #packet = { transportSeqExt: 0, bytes: 0, kind: 'audio' as PacketKind, videoSeqExt: -1 };
  #decision: Decision | undefined;
  #nextTransportSeq = 1_000;
  #nextSeq = 500;
  #nextPicture = 0;
  #rungIndex = -1;
  #isCut = false;
  #isWaiting = true;
  #isCatchingUp = false;
  #lastStampMs = Number.NEGATIVE_INFINITY;
  #probeId = -1;
  readonly #copies = new ProbeCopies();
  #nextAtMs = Infinity;
  #nackCount = 0;

  constructor(
    options: SenderOptions,
    world: {
      source: FrameSource;
      packets: PacketTable;
      transmit: (handle: number, bytes: number, nowMs: number) => void;
    },
  ) {
    this.#options = options;
    this.#source = world.source;
    this.#packets = world.packets;
    this.#transmit = world.transmit;
  }

  get nextAtMs(): number {
    return this.#nextAtMs;
  }

  get decision(): Decision | undefined {
    return this.#decision;
  }

  get rungIndex(): number {
    return this.#rungIndex;
  }

  get backlogBytes(): number {
    return this.#queue.backlogBytes;
  }

  get queue(): SendQueue<SimPicture, Repair> {
    return this.#queue;
  }

  get nackCount(): number {
    return this.#nackCount;
  }

  /** The viewer has connected; `latestFrame` is the newest picture there is. */
  join(latestFrame: number, latestCaptureMs: number, nowMs: number): void {
    const keyframe = latestFrame - (latestFrame % this.#source.framesPerGop);
    const keyframeAgeMs = nowMs - latestCaptureMs + (latestFrame - keyframe) * this.#source.frameIntervalMs;
    const plan = this.#options.controller.join({ ...this.#source.offer(keyframe), keyframeAgeMs }, nowMs);
    this.#rungIndex = plan.renditionIndex;
    if (plan.isFromCache) {
      this.#isWaiting = false;
      this.#isCatchingUp = this.#options.hasMatchedStamps;
      for (let frame = keyframe; frame <= latestFrame; frame += 1) {
        const captureMs = latestCaptureMs - (latestFrame - frame) * this.#source.frameIntervalMs;
        this.#push(frame, captureMs, nowMs);
      }
    }
    this.#decide(nowMs);
    this.#drain(nowMs);
  }

  /** All rungs' pictures of this frame have come. */
  onFrame(frame: number, captureMs: number, nowMs: number): void {
    const { controller } = this.#options;
    if (this.#source.isKeyframe(frame)) {
      controller.onGop(this.#source.offer(frame), nowMs);
      this.#decide(nowMs);
      this.#rungIndex = this.#decision!.renditionIndex;
      this.#isWaiting = false;
      this.#isCut = this.#decision!.isGopCut;
      if (this.#decision!.isBacklogDropped) {
        this.#queue.cut();
      }
    }
    if (!this.#isWaiting && !this.#isCut) {
      this.#push(frame, captureMs, nowMs);
    }
    this.#decide(nowMs);
    this.#drain(nowMs);
  }

  onAudio(nowMs: number): void {
    this.#queue.pacer.charge(AUDIO_BYTES, nowMs);
    this.#send('audio', -1, AUDIO_BYTES, undefined, nowMs);
  }

  onMessage(message: UpMessage, nowMs: number): number | undefined {
    const { controller } = this.#options;
    let rttMs: number | undefined;
    if (message.kind === 'feedback') {
      controller.onFeedback(
        { baseSeqExt: message.baseSeq, count: message.arrivedMs.length, arrivedMs: message.arrivedMs },
        nowMs,
      );
    } else if (message.kind === 'nack') {
      this.#onNack(message.seqs, nowMs);
    } else if (message.kind === 'reception') {
      rttMs = Number.isNaN(message.echoSentAtMs) ? undefined : nowMs - message.echoSentAtMs - message.echoHeldMs;
      controller.onReception({ lostRatio: message.lostRatio, rttMs }, nowMs);
    } else {
      controller.onPlayerReport(message, nowMs);
    }
    this.#decide(nowMs);
    this.#drain(nowMs);
    return rttMs;
  }

  step(nowMs: number): void {
    if (this.#decision !== undefined && nowMs >= this.#decision.nextAtMs) {
      this.#decide(nowMs);
    }
    this.#drain(nowMs);
  }

  #push(frame: number, captureMs: number, nowMs: number): void {
    const bytes = this.#source.bytes(frame, this.#rungIndex);
    if (bytes === 0) {
      return;
    }
    const picture: SimPicture = {
      sentIndex: -1,
      sourceFrame: frame,
      rungIndex: this.#rungIndex,
      isKeyframe: this.#source.isKeyframe(frame),
      captureMs,
      arrivedAtMs: nowMs,
      bytes,
      packetCount: packetCountOf(bytes),
      firstSeq: -1,
      stampMs: 0,
      playoutDelayMs: -1,
      receivedCount: 0,
      completeAtMs: Number.NaN,
      isRepeated: false,
      isHanded: false,
    };
    if (!this.#queue.pushPicture(picture)) {
      this.#queue.cut();
      this.#isCut = true;
    }
  }

  #decide(nowMs: number): void {
    const decision = this.#options.controller.decide(nowMs, this.#queue.backlogBytes);
    this.#decision = decision;
    if (decision.isGopCut && !this.#isCut && !this.#isWaiting) {
      this.#isCut = true;
      this.#queue.cut();
    }
    this.#queue.pacer.set(decision.paceBps, decision.burstBytes, nowMs);
    const probeId = decision.probe?.id ?? -1;
    if (probeId !== this.#probeId) {
      this.#probeId = probeId;
      this.#queue.setProbe(decision.probe?.bytes ?? 0);
    }
  }

  #drain(nowMs: number): void {
    for (;;) {
      const departure = this.#queue.next(nowMs);
      if (departure === undefined) {
        break;
      }
      if (departure.kind === 'video') {
        this.#sendVideo(departure.picture, departure.packetIndex, nowMs);
      } else if (departure.kind === 'rtx') {
        const { picture, packetIndex } = departure.repair;
        const bytes = packetBytes(picture, packetIndex) + RTX_EXTRA_BYTES;
        this.#send('rtx', picture.firstSeq + packetIndex, bytes, picture, nowMs);
      } else {
        this.#sendProbe(nowMs);
      }
    }
    this.#sleep(Math.min(this.#queue.nextAtMs(nowMs), this.#decision?.nextAtMs ?? Infinity), nowMs);
  }

  /** Production's timers know whole milliseconds (relay/webrtc/wake-ups): where little may leave at once, a packet each two or three is slower than the pace. */
  #sleep(wantedAtMs: number, nowMs: number): void {
    this.#nextAtMs = nowMs + Math.max(TIMER_STEP_MS, Math.ceil((wantedAtMs - nowMs) / TIMER_STEP_MS) * TIMER_STEP_MS);
  }

  #sendVideo(picture: SimPicture, packetIndex: number, nowMs: number): void {
    if (packetIndex === 0) {
      this.#begin(picture, nowMs);
    }
    const seq = picture.firstSeq + packetIndex;
    this.#sentPictures[seq % SEQ_RING] = picture;
    this.#sentAtMs[seq % SEQ_RING] = nowMs;
    this.#send('video', seq, packetBytes(picture, packetIndex), picture, nowMs);
  }

  #begin(picture: SimPicture, nowMs: number): void {
    picture.sentIndex = this.#nextPicture;
    this.#nextPicture += 1;
    picture.firstSeq = this.#nextSeq;
    this.#nextSeq += picture.packetCount;
    if (picture.isKeyframe) {
      this.#copies.onKeyframe(picture.firstSeq, picture.packetCount);
    }
    if (this.#isCatchingUp && nowMs - picture.captureMs <= this.#source.frameIntervalMs) {
      this.#isCatchingUp = false;
    }
    const wantedMs = this.#isCatchingUp ? nowMs : picture.captureMs;
    picture.stampMs = Math.max(wantedMs, this.#lastStampMs + STAMP_STEP_MIN_MS);
    this.#lastStampMs = picture.stampMs;
    picture.playoutDelayMs = this.#decision?.playoutDelayMs ?? -1;
    this.#options.controller.onPicture(
      {
        firstSeqExt: picture.firstSeq,
        packetCount: picture.packetCount,
        isKeyframe: picture.isKeyframe,
        stampMs: picture.stampMs,
        arrivedAtMs: picture.arrivedAtMs,
        renditionIndex: picture.rungIndex,
      },
      nowMs,
    );
  }

  #sendProbe(nowMs: number): void {
    const lastSeqExt = this.#nextSeq - 1;
    const packetMaxBytes = this.#decision?.probe?.packetMaxBytes ?? 0;
    const bytesOf = (seq: number): number | undefined => this.#copyBytes(seq, nowMs);
    const seq = this.#copies.next({ lastSeqExt, packetMaxBytes, bytesOf });
    const picture = seq === undefined ? undefined : this.#sentPictures[seq % SEQ_RING];
    if (seq === undefined || picture === undefined) {
      this.#queue.setProbe(0);
      return;
    }
    const bytes = bytesOf(seq) ?? 0;
    this.#send('probe', seq, bytes, picture, nowMs);
    this.#queue.chargeProbe(bytes, nowMs);
  }

  /** Undefined for what production would have forgotten. */
  #copyBytes(seq: number, nowMs: number): number | undefined {
    const picture = this.#sentPictures[seq % SEQ_RING];
    const isThere = picture !== undefined && seq >= picture.firstSeq && seq < picture.firstSeq + picture.packetCount;
    return isThere && nowMs - this.#sentAtMs[seq % SEQ_RING]! <= COPY_WINDOW_MS
      ? packetBytes(picture, seq - picture.firstSeq) + RTX_EXTRA_BYTES
      : undefined;
  }

  #onNack(seqs: readonly number[], nowMs: number): void {
    this.#nackCount += seqs.length;
    for (const seq of seqs) {
      const picture = this.#sentPictures[seq % SEQ_RING];
      const packetIndex = picture === undefined ? -1 : seq - picture.firstSeq;
      const isKnown = picture !== undefined && packetIndex >= 0 && packetIndex < picture.packetCount;
      if (!isKnown || nowMs - this.#sentAtMs[seq % SEQ_RING]! > RETRANSMIT_WINDOW_MS) {
        continue;
      }
      const copies = this.#options.controller.onNack(seq, packetBytes(picture, packetIndex), nowMs);
      for (let copy = 0; copy < copies; copy += 1) {
        this.#queue.pushRepair({ picture, packetIndex });
      }
    }
  }

  #send(kind: PacketKind, seq: number, bytes: number, picture: SimPicture | undefined, nowMs: number): void {
    const transportSeq = this.#options.hasTransportFeedback ? this.#nextTransportSeq : -1;
    this.#nextTransportSeq += 1;
    const handle = this.#packets.add({ kind, seq, transportSeq, picture }, nowMs);
    this.counts[kind] += bytes;
    const packet = this.#packet;
    packet.transportSeqExt = transportSeq;
    packet.bytes = bytes;
    packet.kind = kind;
    packet.videoSeqExt = seq;
    this.#options.controller.onPacketSent(packet, nowMs);
    this.#transmit(handle, bytes, nowMs);
  }
}
