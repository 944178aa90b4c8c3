/**
 * One WHEP receiver without a decoder and nearly without cost: real ICE, DTLS and encrypted RTCP, but media is only counted by its headers,
 * which SRTP leaves readable; opened are packets up to the first keyframe, and retransmissions. Sends what a browser sends: consent,
 * receiver reports once a second, transport-wide feedback ten times a second where the answer has it, NACKs for gaps, PLI while no
 * keyframe has come.
 */
import { randomBytes } from 'node:crypto';
import { Prng } from '../../../server/base/prng.ts';
import { ntpMiddle32 } from '../../../server/media/rtp/ntp.ts';
import {
  buildNack,
  buildPli,
  buildReceiverReport,
  buildTransportCc,
  parseRtcp,
  type ReceptionReport,
} from '../../../server/media/rtp/rtcp.ts';
import { parseRtpPacket } from '../../../server/media/rtp/rtp-header.ts';
import { buildTransportFeedback } from '../../../server/media/rtp/transport-cc.ts';
import { SrtcpContext } from '../../../server/webrtc-transport/srtp.ts';
import { openSrtp, type WeriftRtpSession } from '../../support/werift-srtp.ts';
import { WhepTransport, type WhepStages } from '../../support/whep-transport.ts';
import { offerSdp } from '../../support/whep-client.ts';
import type { CrowdReader } from './crowd-reader.ts';
import { beginsKeyframe } from './h264-keyframe.ts';
import { NACK_TICK_MS } from '../../../server/media/rtp/nack-scheduler.ts';
import { readAnswer, type WhepAnswer } from './whep-answer.ts';
import { readTransportSeq } from './rtp-peek.ts';
import { SequenceTally } from '../../../server/media/rtp/sequence-tally.ts';
import { TransportFeedbackRecorder } from '../../../server/media/rtp/feedback-recorder.ts';
import { VideoReception } from './video-reception.ts';
import { deleteSession, postOffer } from './whep-http.ts';

const FEEDBACK_EVERY_MS = 100;
/** In ticks of feedback. */
const REPORT_EVERY_COUNT = 10;
const PLI_EVERY_COUNT = 5;
/** Chrome's guess before it knows the round trip. */
const RTT_DEFAULT_MS = 100;
const SILENT_MAX_MS = 10_000;
/** A datagram of 1200 bytes holds more. */
const NACK_MAX_COUNT = 250;
const OPEN_MAX_COUNT = 5_000;
/** Servers send a backlog at the start, some with bent timestamps. */
const SETTLE_MS = 2_000;
const SENDER_MAX_COUNT = 8;
/** Media that comes with the last of the handshake, read in one go, before we know the keys. */
const EARLY_MAX_COUNT = 512;

/** From the POST, in ms; null: did not happen. */
export type WhepJoin = WhepStages & {
  readonly firstPacketMs: number | null;
  readonly firstKeyframeMs: number | null;
  readonly firstFrameMs: number | null;
};

export type WhepCounts = {
  readonly packetCount: number;
  readonly byteCount: number;
  /** Of pictures: missing and neither come late nor recovered. */
  readonly lostCount: number;
  /** Of sound, which nobody asks for again. */
  readonly soundLostCount: number;
  readonly recoveredCount: number;
  readonly nackCount: number;
  readonly frameCount: number;
  readonly brokenFrameCount: number;
  readonly unreadableCount: number;
};

export type WhepViewerOptions = {
  readonly whepUrl: string;
  readonly bearer?: string;
  /** Of the media that comes, so much is dropped unread. */
  readonly lossRatio?: number;
  /** Reads for all viewers of the process; without it, each for himself. */
  readonly reader?: CrowdReader | undefined;
  /** The session is over and nobody here wanted it: `ENDED_BY_SERVER`, `CONSENT_LOST`. */
  readonly onEnd?: (reason: string) => void;
};

type Sender = { readonly sequence: SequenceTally; reportNtp32: number; reportAtMs: number };

export class WhepViewer {
  readonly #options: WhepViewerOptions;
  readonly #ownSsrc = randomBytes(4).readUInt32BE(0);
  readonly #video = new VideoReception({ settleMs: SETTLE_MS });
  readonly #feedback = new TransportFeedbackRecorder();
  readonly #senders = new Map<number, Sender>();
  readonly #lossRatio: number;
  readonly #losses = new Prng(this.#ownSsrc);
  #transport: WhepTransport | undefined;
  #sessionUrl: string | undefined;
  #answer: WhepAnswer | undefined;
  #rtcpOut: SrtcpContext | undefined;
  #rtcpIn: SrtcpContext | undefined;
  #srtp: WeriftRtpSession | undefined;
  readonly #early: { readonly datagram: Buffer; readonly atMs: number }[] = [];
  #timer: NodeJS.Timeout | undefined;
  #nackTimer: NodeJS.Timeout | undefined;
  #tickCount = 0;
  #videoSsrc = 0;
  #isOver = false;
  #startedAtMs = 0;
  #firstPacketAtMs: number | undefined;
  #firstKeyframeAtMs: number | undefined;
  #openedCount = 0;
  #packetCount = 0;
  #byteCount = 0;
  #soundLostBefore = 0;
  #unreadableCount = 0;

  constructor(options: WhepViewerOptions) {
    this.#options = options;
    this.#lossRatio = options.lossRatio ?? 0;
  }

  /** Resolves when the session stands. Rejects with `WorldError`: what `WhepTransport.connect` and `postOffer` say. */
  async start(): Promise<void> {
    this.#startedAtMs = performance.now();
    const transport = await WhepTransport.connect({
      offer: (own) => offerSdp(own),
      isCrowd: true,
      post: async (offer) => {
        const answer = await postOffer({ url: this.#options.whepUrl, bearer: this.#options.bearer, offer });
        this.#sessionUrl = answer.sessionUrl;
        this.#answer = answer.status === 201 ? readAnswer(String(answer.body)) : undefined;
        return answer;
      },
      mediaHost: new URL(this.#options.whepUrl).hostname.replaceAll(/[[\]]/gu, ''),
      readBy: (socket, onDatagram) => this.#options.reader?.take(socket, onDatagram),
      onMedia: (datagram, atMs) => this.#onMedia(datagram, atMs),
      // Before it has joined, that is a join that failed.
      onEnd: () => {
        if (this.#transport !== undefined) {
          this.#end('ENDED_BY_SERVER');
        }
      },
    }).catch((error: unknown) => {
      this.#isOver = true;
      throw error;
    });
    this.#transport = transport;
    const { profile, localKey, localSalt, remoteKey, remoteSalt } = transport.keys;
    this.#rtcpOut = new SrtcpContext({ profile, key: localKey, salt: localSalt });
    this.#rtcpIn = new SrtcpContext({ profile, key: remoteKey, salt: remoteSalt });
    this.#srtp = openSrtp(transport.keys);
    this.#early.splice(0).forEach(({ datagram, atMs }) => this.#onMedia(datagram, atMs));
    this.#timer = setInterval(() => this.#tick(), FEEDBACK_EVERY_MS);
  }

  get join(): WhepJoin {
    const since = (atMs: number | undefined): number | null => (atMs === undefined ? null : atMs - this.#startedAtMs);
    return {
      ...(this.#transport?.stages ?? { answerMs: 0, iceMs: 0, dtlsMs: 0 }),
      firstPacketMs: since(this.#firstPacketAtMs),
      firstKeyframeMs: since(this.#firstKeyframeAtMs),
      firstFrameMs: since(this.#video.frames.firstFrameAtMs),
    };
  }

  /** Since the start, or since `resetCounts`. */
  get counts(): WhepCounts {
    return {
      packetCount: this.#packetCount,
      byteCount: this.#byteCount,
      lostCount: this.#video.lostCount,
      soundLostCount: Math.max(0, this.#soundLostCount - this.#soundLostBefore),
      recoveredCount: this.#video.recoveredCount,
      nackCount: this.#video.nackCount,
      frameCount: this.#video.frames.frameCount,
      brokenFrameCount: this.#video.frames.brokenCount,
      unreadableCount: this.#unreadableCount,
    };
  }

  /** When each frame was whole, over this viewer's fastest. */
  frameDelaysMs(): number[] {
    return this.#video.frames.delaysMs();
  }

  get localPort(): number {
    return this.#transport?.localPort ?? 0;
  }

  /** Counts start from here again; how it joined stays. */
  resetCounts(): void {
    this.#packetCount = 0;
    this.#byteCount = 0;
    this.#unreadableCount = 0;
    this.#soundLostBefore = this.#soundLostCount;
    this.#video.reset();
  }

  /** Ends the session as WHEP says: DELETE. */
  async close(): Promise<void> {
    const sessionUrl = this.#sessionUrl;
    this.#sessionUrl = undefined;
    this.#isOver = true;
    if (sessionUrl !== undefined) {
      await deleteSession({ url: sessionUrl, bearer: this.#options.bearer });
    }
    this.vanish();
  }

  /** As a viewer whose machine is switched off. */
  vanish(): void {
    this.#isOver = true;
    clearInterval(this.#timer);
    clearTimeout(this.#nackTimer);
    this.#transport?.close();
  }

  get #soundLostCount(): number {
    let lostCount = 0;
    for (const [ssrc, sender] of this.#senders) {
      lostCount += ssrc === this.#videoSsrc ? 0 : sender.sequence.lostCount;
    }
    return lostCount;
  }

  #onMedia(datagram: Buffer, atMs: number): void {
    if (this.#srtp === undefined) {
      if (this.#early.length < EARLY_MAX_COUNT) {
        this.#early.push({ datagram: Buffer.from(datagram), atMs });
      }
      return;
    }
    if (this.#lossRatio > 0 && this.#losses.nextRatio() < this.#lossRatio) {
      return;
    }
    const second = datagram[1] ?? 0;
    if (datagram.byteLength < 12 || this.#answer === undefined) {
      this.#unreadableCount += 1;
    } else if (second >= 192 && second <= 223) {
      this.#onRtcp(datagram, atMs);
    } else {
      this.#onRtp(datagram, this.#answer, atMs);
    }
  }

  #onRtp(datagram: Buffer, answer: WhepAnswer, nowMs: number): void {
    this.#firstPacketAtMs ??= nowMs;
    this.#packetCount += 1;
    this.#byteCount += datagram.byteLength;
    const transportSeq = readTransportSeq(datagram, answer.transportSeqId);
    if (transportSeq !== undefined) {
      this.#feedback.take(transportSeq, nowMs);
    }
    const second = datagram[1] ?? 0;
    const payloadType = second & 0x7f;
    if (answer.rtxTypes.has(payloadType)) {
      this.#onRetransmission(datagram, nowMs);
      return;
    }
    const ssrc = datagram.readUInt32BE(8);
    if (!answer.videoTypes.has(payloadType)) {
      this.#sender(ssrc, () => new SequenceTally())?.sequence.take(datagram.readUInt16BE(2));
      return;
    }
    this.#videoSsrc = ssrc;
    this.#sender(ssrc, () => this.#video.sequence);
    if (this.#isBeforeKeyframe) {
      this.#lookForKeyframe(datagram, nowMs);
    }
    if (this.#isBeforeKeyframe) {
      // Nothing of it can be decoded: a frame before the first keyframe is none.
      return;
    }
    const packet = { seq16: datagram.readUInt16BE(2), ts32: datagram.readUInt32BE(4), isMarked: second >= 128 };
    this.#video.take(packet, nowMs);
    if (this.#video.isAwaiting && this.#nackTimer === undefined) {
      this.#askAgain();
    }
  }

  /** Of what can tell: of other codecs than H.264, every frame counts. */
  get #isBeforeKeyframe(): boolean {
    return this.#firstKeyframeAtMs === undefined && this.#answer?.isH264 === true;
  }

  #sender(ssrc: number, open: () => SequenceTally): Sender | undefined {
    let sender = this.#senders.get(ssrc);
    if (sender === undefined && this.#senders.size < SENDER_MAX_COUNT) {
      sender = { sequence: open(), reportNtp32: 0, reportAtMs: 0 };
      this.#senders.set(ssrc, sender);
    }
    return sender;
  }

  /** RFC 4588 4: the original number stands before the payload. A payload of nothing is a probe. */
  #onRetransmission(datagram: Buffer, nowMs: number): void {
    const packet = this.#open(datagram);
    if (packet !== undefined && packet.payload.byteLength >= 2 && !this.#isBeforeKeyframe) {
      const seq16 = ((packet.payload[0] ?? 0) << 8) | (packet.payload[1] ?? 0);
      this.#video.takeRetransmitted({ seq16, ts32: packet.timestampTs32, isMarked: packet.isMarked }, nowMs);
    }
  }

  #lookForKeyframe(datagram: Buffer, nowMs: number): void {
    this.#openedCount += 1;
    const packet = this.#openedCount > OPEN_MAX_COUNT ? undefined : this.#open(datagram);
    if (packet !== undefined && beginsKeyframe(packet.payload)) {
      this.#firstKeyframeAtMs = nowMs;
    }
  }

  #open(datagram: Buffer): ReturnType<typeof parseRtpPacket> | undefined {
    try {
      return this.#srtp === undefined ? undefined : parseRtpPacket(this.#srtp.decrypt(datagram));
    } catch {
      this.#unreadableCount += 1;
      return undefined;
    }
  }

  #onRtcp(datagram: Buffer, nowMs: number): void {
    try {
      const items = this.#rtcpIn === undefined ? [] : parseRtcp(this.#rtcpIn.unprotect(datagram));
      for (const item of items) {
        const sender = item.type === 'sender-report' ? this.#senders.get(item.ssrc) : undefined;
        if (item.type === 'sender-report' && sender !== undefined) {
          sender.reportNtp32 = ntpMiddle32(item.ntp);
          sender.reportAtMs = nowMs;
        } else if (item.type === 'bye') {
          this.#end('ENDED_BY_SERVER');
        }
      }
    } catch {
      this.#unreadableCount += 1;
    }
  }

  #askAgain(): void {
    const due = this.#video.dueNacks(performance.now(), this.#transport?.rttMs ?? RTT_DEFAULT_MS);
    if (due.length > 0 && this.#answer?.hasNack === true) {
      const seqs16 = due.slice(0, NACK_MAX_COUNT);
      this.#sendRtcp([buildReceiverReport(this.#ownSsrc, []), buildNack(this.#ownSsrc, this.#videoSsrc, seqs16)]);
    }
    this.#nackTimer =
      this.#video.isAwaiting && !this.#isOver ? setTimeout(() => this.#askAgain(), NACK_TICK_MS) : undefined;
  }

  #tick(): void {
    this.#tickCount += 1;
    const feedback = this.#feedback.build();
    if (feedback !== undefined) {
      const body = buildTransportFeedback(feedback);
      this.#sendRtcp([buildReceiverReport(this.#ownSsrc, []), buildTransportCc(this.#ownSsrc, this.#videoSsrc, body)]);
    }
    if (this.#tickCount % REPORT_EVERY_COUNT === 0) {
      this.#sendRtcp([buildReceiverReport(this.#ownSsrc, this.#reports())]);
    }
    if (this.#videoSsrc !== 0 && this.#isBeforeKeyframe && this.#tickCount % PLI_EVERY_COUNT === 0) {
      this.#sendRtcp([buildReceiverReport(this.#ownSsrc, []), buildPli(this.#ownSsrc, this.#videoSsrc)]);
    }
    if ((this.#transport?.silentMs ?? 0) > SILENT_MAX_MS) {
      this.#end('CONSENT_LOST');
    }
  }

  #reports(): ReceptionReport[] {
    const nowMs = performance.now();
    return [...this.#senders].map(([ssrc, { sequence, reportNtp32, reportAtMs }]) => ({
      ssrc,
      lostRatio: Math.min(255 / 256, sequence.takeLostRatio()),
      lostCount: Math.min(0x7fffff, sequence.lostCount),
      highestSeqExt: sequence.highestSeqExt,
      jitterTicks: 0,
      lastSenderReport: reportNtp32,
      delaySinceUnits: reportNtp32 === 0 ? 0 : Math.round(((nowMs - reportAtMs) * 65_536) / 1000),
    }));
  }

  #sendRtcp(packets: readonly Buffer[]): void {
    if (this.#rtcpOut !== undefined && !this.#isOver) {
      this.#transport?.send(this.#rtcpOut.protect(Buffer.concat(packets)));
    }
  }

  #end(reason: string): void {
    if (!this.#isOver) {
      this.vanish();
      this.#options.onEnd?.(reason);
    }
  }
}
