/**
 * The pictures of one viewer from the moment they are offered until their packets leave: what waits, what is left out, and what a packet
 * is given when it leaves (number, stamp, place in the retransmission ring). It is told the time; the controller's word is the pace.
 */
import type { CongestionController, Decision, SentPicture } from '../../congestion/controller.ts';
import { ProbeCopies } from '../../congestion/probe-copies.ts';
import { SendQueue } from '../../congestion/send-queue.ts';
import { payloadAgain, type OutgoingStream } from './outgoing-stream.ts';
import type { PacketOutlet } from './packet-outlet.ts';
import type { CarriedCodec, PacketisedFrame, PacketisedRendition } from './packetised-rendition.ts';
import type { SentPayload } from './retransmission-ring.ts';
import { RetransmissionRing } from './retransmission-ring.ts';
import type { MappingTeller } from './rtp-mapping.ts';

/**
 * `idle`: waits for a keyframe. `catching-up`: what was cached is being sent, with stamps that advance with the sending (CONGESTION 3.8).
 * `live`: pictures have their own stamps.
 */
export type VideoFlowState = 'idle' | 'catching-up' | 'live';

export type VideoFlowOptions = {
  readonly stream: OutgoingStream;
  readonly outlet: PacketOutlet;
  readonly controller: CongestionController;
  readonly mapping: MappingTeller;
  readonly wallMsAt: (mediaMs: number) => number;
  /** Of each codec that the viewer's browser takes. */
  readonly payloadTypes: ReadonlyMap<CarriedCodec, number>;
  readonly retransmitWindowMs: number;
};

type WaitingPicture = {
  readonly frame: PacketisedFrame;
  readonly packetCount: number;
  readonly isKeyframe: boolean;
  readonly renditionIndex: number;
  /** Its stamp advances with the sending. */
  readonly isBent: boolean;
  /** Given when its first packet leaves. */
  timestampTs32: number;
};

/** A TCP path that is full is looked at again after this. */
const CONGESTED_RETRY_MS = 5;

export class VideoFlow {
  readonly #options: VideoFlowOptions;
  readonly #stream: OutgoingStream;
  readonly #queue: SendQueue<WaitingPicture, SentPayload>;
  readonly #ring: RetransmissionRing;
  readonly #picture: { -readonly [Key in keyof SentPicture]: SentPicture[Key] } = {
    firstSeqExt: 0,
    packetCount: 0,
    isKeyframe: false,
    stampMs: 0,
    arrivedAtMs: 0,
    renditionIndex: 0,
  };
  #state: VideoFlowState = 'idle';
  /** Tells which media time would be arriving now. */
  #rendition: PacketisedRendition | undefined;
  #isGopCut = false;
  #droppedCount = 0;
  #probeId: number | undefined;
  #probePacketMaxBytes = 0;
  readonly #copies = new ProbeCopies();

  constructor(options: VideoFlowOptions) {
    const { stream } = options;
    this.#options = options;
    this.#stream = stream;
    this.#queue = new SendQueue({
      pictureBytes: ({ frame }, index) => stream.packetBytes(frame.payloads[index]?.byteLength ?? 0),
      repairBytes: ({ payload }) => stream.repairBytes(payload.byteLength),
      totalBytes: ({ frame, packetCount }) => frame.payloadBytes + packetCount * stream.packetBytes(0),
    });
    this.#ring = new RetransmissionRing(options.retransmitWindowMs);
  }

  get state(): VideoFlowState {
    return this.#state;
  }

  /** Pictures that were to be sent and were not. */
  get droppedCount(): number {
    return this.#droppedCount;
  }

  /** Video that waits, in bytes of IP packets. */
  get backlogBytes(): number {
    return this.#queue.backlogBytes;
  }

  /** Sound does not wait here, but takes its share of the link. */
  charge(bytes: number, nowMs: number): void {
    this.#queue.pacer.charge(bytes, nowMs);
  }

  /** Begins anew with what is cached of this rendition; without a cached GOP, or when told not to use it, waits for the next keyframe. */
  begin(rendition: PacketisedRendition, options: { renditionIndex: number; isFromCache: boolean }): void {
    this.#queue.cut();
    this.#rendition = rendition;
    const frames = options.isFromCache ? rendition.gop : [];
    this.#state = frames.length === 0 ? 'idle' : 'catching-up';
    for (const frame of frames) {
      this.#push(frame, options.renditionIndex);
    }
  }

  /** Forgets what waits; a picture half sent is finished. Waits for a keyframe. */
  stop(): void {
    this.#queue.cut();
    this.#state = 'idle';
  }

  /** A keyframe is about to be offered: decoding can begin there, so what is left of a backlog only costs time. */
  beginGop(): void {
    if (this.#state === 'catching-up') {
      this.#queue.cut();
      this.#state = 'live';
    }
  }

  /** What waits would only delay the GOP that begins; a picture half sent is finished. */
  dropBacklog(): void {
    this.#droppedCount += this.#queue.cut();
  }

  /** A new picture of the rendition in use. */
  offer(frame: PacketisedFrame, renditionIndex: number): void {
    if (this.#isGopCut && !frame.isKeyframe) {
      this.#droppedCount += 1;
    } else if (this.#state === 'catching-up' && !frame.isKeyframe) {
      this.#push(frame, renditionIndex);
    } else if (this.#options.outlet.isCongested) {
      this.#droppedCount += 1 + this.#queue.pictureCount;
      this.stop();
    } else {
      this.#offerLive(frame, renditionIndex);
    }
  }

  /** The controller's word. */
  steer(decision: Pick<Decision, 'paceBps' | 'burstBytes' | 'isGopCut' | 'probe'>, nowMs: number): void {
    this.#queue.pacer.set(decision.paceBps, decision.burstBytes, nowMs);
    if (decision.isGopCut && !this.#isGopCut) {
      this.dropBacklog();
    }
    this.#isGopCut = decision.isGopCut;
    if (decision.probe?.id !== this.#probeId && this.#stream.rtxSsrc !== undefined) {
      this.#probeId = decision.probe?.id;
      this.#probePacketMaxBytes = decision.probe?.packetMaxBytes ?? 0;
      this.#queue.setProbe(decision.probe?.bytes ?? 0);
    }
  }

  /** What a NACK may be answered with; undefined when it is unknown or too old, or cannot be sent again. */
  findSent(seqExt: number, nowMs: number): SentPayload | undefined {
    return this.#stream.rtxSsrc === undefined ? undefined : this.#ring.find(seqExt, nowMs);
  }

  /** False: too many wait. */
  repair(payload: SentPayload): boolean {
    return this.#queue.pushRepair(payload);
  }

  /** Sends what may leave now. True when live was reached by it. */
  drain(nowMs: number): boolean {
    while (!this.#options.outlet.isCongested) {
      const departure = this.#queue.next(nowMs);
      if (departure === undefined) {
        break;
      }
      if (departure.kind === 'video') {
        this.#sendPacket(departure.picture, departure.packetIndex, nowMs);
      } else if (departure.kind === 'rtx') {
        this.#sendAgain(departure.repair, 'rtx', nowMs);
      } else {
        this.#sendProbe(nowMs);
      }
    }
    const isCaughtUp = this.#state === 'catching-up' && this.#queue.pictureCount === 0;
    this.#state = isCaughtUp ? 'live' : this.#state;
    return isCaughtUp;
  }

  /** When `drain` is worth a call; `Infinity`: nothing waits. */
  nextAtMs(nowMs: number): number {
    const atMs = this.#queue.nextAtMs(nowMs);
    return this.#options.outlet.isCongested ? Math.max(atMs, nowMs + CONGESTED_RETRY_MS) : atMs;
  }

  #offerLive(frame: PacketisedFrame, renditionIndex: number): void {
    if (frame.isKeyframe) {
      this.beginGop();
      this.#isGopCut = false;
      this.#state = 'live';
    }
    if (this.#state === 'idle') {
      this.#droppedCount += 1;
    } else {
      this.#push(frame, renditionIndex);
    }
  }

  #push(frame: PacketisedFrame, renditionIndex: number): void {
    const isTaken = this.#queue.pushPicture({
      frame,
      packetCount: frame.payloads.length,
      isKeyframe: frame.isKeyframe,
      renditionIndex,
      isBent: this.#state === 'catching-up',
      timestampTs32: 0,
    });
    if (!isTaken) {
      this.#droppedCount += 1 + this.#queue.pictureCount;
      this.stop();
    }
  }

  #sendPacket(picture: WaitingPicture, index: number, nowMs: number): void {
    if (index === 0) {
      this.#beginPicture(picture, nowMs);
    }
    const payload = picture.frame.payloads[index] ?? EMPTY;
    const isMarked = index === picture.packetCount - 1;
    const packet = this.#stream.prepare(payload.byteLength, picture.timestampTs32, isMarked);
    if (index === 0) {
      this.#ring.begin(picture.frame.payloads, packet.fields, nowMs);
    }
    this.#ring.noteSent(nowMs);
    this.#options.outlet.send(packet, payload, 'video', packet.fields.seqExt, nowMs);
  }

  #beginPicture(picture: WaitingPicture, nowMs: number): void {
    const { frame, isBent, packetCount, isKeyframe, renditionIndex } = picture;
    const { clock, nextSeqExt } = this.#stream;
    const liveMs = isBent ? (this.#rendition?.mediaMsAt(nowMs) ?? frame.ptsMs) : frame.ptsMs;
    this.#stream.usePayloadType(this.#options.payloadTypes.get(frame.codec) ?? 0);
    const { mapping, wallMsAt, controller } = this.#options;
    const { ptsMs } = frame;
    const wallMs = wallMsAt(ptsMs);
    clock.follow(wallMs - ptsMs);
    picture.timestampTs32 = clock.stamp(Math.max(ptsMs, liveMs));
    mapping.note({ rtpTimestamp: picture.timestampTs32, mediaMs: ptsMs, wallMs }, isBent);
    if (isKeyframe) {
      this.#copies.onKeyframe(nextSeqExt, packetCount);
    }
    const told = this.#picture;
    told.firstSeqExt = nextSeqExt;
    told.packetCount = packetCount;
    told.isKeyframe = isKeyframe;
    told.stampMs = clock.lastStampMs;
    told.arrivedAtMs = frame.arrivedAtMs;
    told.renditionIndex = renditionIndex;
    controller.onPicture(told, nowMs);
  }

  #sendAgain(original: SentPayload, kind: 'rtx' | 'probe', nowMs: number): void {
    const packet = this.#stream.prepareAgain(original);
    if (packet !== undefined) {
      this.#options.outlet.send(packet, payloadAgain(original), kind, original.seqExt, nowMs);
    }
  }

  #sendProbe(nowMs: number): void {
    const seqExt = this.#copies.next({
      lastSeqExt: this.#stream.nextSeqExt - 1,
      packetMaxBytes: this.#probePacketMaxBytes,
      bytesOf: (candidate) => this.#copyBytes(this.#ring.find(candidate, nowMs)),
    });
    const original = seqExt === undefined ? undefined : this.#ring.find(seqExt, nowMs);
    if (original === undefined) {
      this.#queue.setProbe(0);
    } else {
      this.#sendAgain(original, 'probe', nowMs);
      this.#queue.chargeProbe(this.#stream.repairBytes(original.payload.byteLength), nowMs);
    }
  }

  #copyBytes(original: SentPayload | undefined): number | undefined {
    return original === undefined ? undefined : this.#stream.repairBytes(original.payload.byteLength);
  }
}

const EMPTY = new Uint8Array(0);
