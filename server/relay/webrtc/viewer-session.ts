/**
 * One viewer: what it is sent, what it asks for again, how it learns the time. Between a rendition's shared packets and one
 * peer's transport. It ends once, with a reason, and says one line about itself.
 */
import { randomBytes, randomInt } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { ProtocolError } from '../../base/errors.ts';
import { ntpDelayMs, ntpFromWallMs } from '../../media/rtp/ntp.ts';
import type { ReceptionReport, RtcpItem } from '../../media/rtp/rtcp.ts';
import { buildDlrr, buildGoodbye, parseRtcp } from '../../media/rtp/rtcp.ts';
import type { TransportFeedback } from '../../media/rtp/transport-cc.ts';
import type { Log } from '../../observability/log.ts';
import type { PeerTransport } from '../../webrtc-transport/peer-transport.ts';
import type { ChosenMedia } from '../../webrtc-transport/sdp-codecs.ts';
import type { IceCredentials } from '../../webrtc-transport/sdp-offer.ts';
import type { MediaSender, OutgoingPacket } from './media-sender.ts';
import type { WebRtcOutOptions } from './options.ts';
import type { OutMetrics } from './out-metrics.ts';
import { OutgoingStream, randomSsrc } from './outgoing-stream.ts';
import { StreamJoin } from '../../media/stream-join.ts';
import type { CarriedCodec, PacketisedFrame, PacketisedRendition } from './packetised-rendition.ts';
import { isNearViewer } from './playout-delay-rule.ts';
import { RetransmissionBudget, RetransmissionRing } from './retransmission-ring.ts';
import { RtpClock } from './rtp-clock.ts';
import { TransportLedger } from './transport-ledger.ts';
import { VideoQueue } from './video-queue.ts';

/** As `rtp-mapping` of api/contract/socket.ts. */
export type RtpMapping = { readonly rtpTimestamp: number; readonly mediaMs: number; readonly wallMs: number };

export type ViewerSessionOptions = {
  readonly name: string;
  readonly peer: PeerTransport;
  readonly remoteIce: IceCredentials;
  readonly video: ChosenMedia | undefined;
  readonly audio: ChosenMedia | undefined;
  readonly clock: Clock;
  readonly sender: MediaSender;
  readonly metrics: OutMetrics;
  readonly log: Log;
  readonly settings: WebRtcOutOptions;
  /** Unix time at which media time was captured (`Timeline.wallMsAt`). */
  readonly wallMsAt: (mediaMs: number) => number;
  /** Told when the backlog needs ticks. */
  readonly onCatchingUp: () => void;
  readonly onClosed: (session: ViewerSession, reason: string) => void;
};

const VIDEO_CLOCK_HZ = 90_000;
const AUDIO_CLOCK_HZ = 48_000;
/** RTT until a report tells. */
const RTT_UNKNOWN_MS = 50;
const REPLAY_MIN_MS = 500;
const REPORT_EVERY_MS = 1_000;
/** The receiver needs two reports before it can map anything. */
const REPORT_SECOND_AFTER_MS = 200;
const FORGED_FEEDBACK_MAX_COUNT = 10;
/** RTCP that does not parse, from a peer that holds the keys. */
const RTCP_REJECTED_MAX_COUNT = 20;
/** Smaller moves of the mapping than these are not worth a message. */
const MAPPING_CATCH_UP_STEP_MS = 50;
const MAPPING_LIVE_STEP_MS = 2;

const [OLD, NEW] = [1, 2];
const PICTURES = {
  timeOf: ({ ptsTicks }: PacketisedFrame): number => ptsTicks,
  isKeyframe: ({ isKeyframe }: PacketisedFrame): boolean => isKeyframe,
};

export class ViewerSession {
  /** In the session's URL: 128 random bits. */
  readonly id = randomBytes(16).toString('hex');
  /** Binds the WebSocket to this session: 128 random bits, never logged. */
  readonly secret = randomBytes(16).toString('hex');
  readonly name: string;
  readonly peer: PeerTransport;
  readonly mid: string;
  /** The peer's own credentials: others in a PATCH mean an ICE restart. */
  remoteIce: IceCredentials;
  readonly #options: ViewerSessionOptions;
  readonly #clock: Clock;
  readonly #openedAtMs: number;
  readonly #video: OutgoingStream | undefined;
  readonly #audio: OutgoingStream | undefined;
  readonly #cname = randomBytes(8).toString('hex');
  readonly #queue = new VideoQueue();
  readonly #ring: RetransmissionRing;
  readonly #budget = new RetransmissionBudget();
  readonly #ledger = new TransportLedger(randomInt(2 ** 15));
  readonly #mappingListeners = new Set<(mapping: RtpMapping) => void>();
  readonly #totals = { packets: 0, bytes: 0, refused: 0, nacks: 0, rtx: 0, plis: 0 };
  #rendition: PacketisedRendition | undefined;
  /** To another rendition, while its keyframe is waited for. */
  #change: { readonly next: PacketisedRendition; readonly join: StreamJoin<PacketisedFrame> } | undefined;
  #lastPtsTicks = Number.NEGATIVE_INFINITY;
  #mapping: RtpMapping | undefined;
  #firstPictureMs: number | undefined;
  #lastReplayAtMs = Number.NEGATIVE_INFINITY;
  #lastReportAtMs = Number.NEGATIVE_INFINITY;
  #reportCount = 0;
  #rttMs: number | undefined;
  #lastLossAtMs = Number.NEGATIVE_INFINITY;
  #isNear = false;
  #forgedCount = 0;
  #rtcpRejectedCount = 0;
  #playoutDelayMs: number;
  #endReason: string | undefined;
  #pathKind = 'none';

  constructor(options: ViewerSessionOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.name = options.name;
    this.peer = options.peer;
    this.remoteIce = options.remoteIce;
    this.mid = options.video?.mid ?? options.audio?.mid ?? '0';
    this.#openedAtMs = options.clock.nowMs();
    this.#playoutDelayMs = options.settings.playoutDelayFarMs;
    this.#ring = new RetransmissionRing(options.settings.retransmitWindowMs);
    this.#video = options.video === undefined ? undefined : streamFor(options.video, VIDEO_CLOCK_HZ);
    this.#audio = options.audio === undefined ? undefined : streamFor(options.audio, AUDIO_CLOCK_HZ);
    options.peer.listen({
      onConnected: () => this.#onConnected(),
      onRtcp: (compound) => this.#onRtcp(compound),
      onClosed: (reason) => this.#onClosed(reason),
    });
  }

  get cname(): string {
    return this.#cname;
  }

  get videoSsrc(): { readonly ssrc: number; readonly rtxSsrc: number | undefined } | undefined {
    return this.#video === undefined ? undefined : { ssrc: this.#video.ssrc, rtxSsrc: this.#video.rtxSsrc };
  }

  get audioSsrc(): number | undefined {
    return this.#audio?.ssrc;
  }

  get isConnected(): boolean {
    return this.peer.isConnected;
  }

  get isCatchingUp(): boolean {
    return this.#queue.state === 'catching-up';
  }

  /** Without sound pictures have nothing to wait for. */
  get #followSoundMaxMs(): number {
    return (this.#audio?.packetCount ?? 0) > 0 ? this.#options.settings.followSoundMaxMs : 0;
  }

  /** Round trip by the last report that told. */
  get rttMs(): number | undefined {
    return this.#rttMs;
  }

  get endReason(): string | undefined {
    return this.#endReason;
  }

  /** Called with the mapping now in force, if any, and with each change of it. The returned function ends it. */
  listenMapping(listener: (mapping: RtpMapping) => void): () => void {
    this.#mappingListeners.add(listener);
    if (this.#mapping !== undefined) {
      listener(this.#mapping);
    }
    return () => this.#mappingListeners.delete(listener);
  }

  /** Whether the viewer's browser said that it decodes this. */
  takes(codec: CarriedCodec): boolean {
    return this.#payloadTypeOf(codec) !== undefined;
  }

  /** Whether its pictures are sent, or will be. */
  isOn(rendition: PacketisedRendition): boolean {
    return rendition === this.#rendition || rendition === this.#change?.next;
  }

  /**
   * From now on this rendition. A viewer that plays goes on with the old one until a keyframe that both have, if the old one is still fit
   * for it; else it begins with what is cached. Undefined: nothing fit is there, the last picture stands.
   */
  useRendition(
    next: PacketisedRendition | undefined,
    options: { isOldUsable: (old: PacketisedRendition) => boolean },
  ): void {
    const old = this.#rendition;
    if (next === old || (next !== undefined && next === this.#change?.next)) {
      this.#change = next === old ? undefined : this.#change;
      return;
    }
    if (next !== undefined && old !== undefined && this.#queue.state !== 'idle' && options.isOldUsable(old)) {
      this.#change = { next, join: new StreamJoin({ ...PICTURES, from: { stream: OLD, time: this.#lastPtsTicks } }) };
      return;
    }
    this.#change = undefined;
    this.#rendition = next;
    this.#queue.stop();
    this.#begin();
  }

  /** One picture of `rendition`, for all who watch it. */
  onVideo(frame: PacketisedFrame, rendition: PacketisedRendition): void {
    if (!this.peer.isConnected || this.#video === undefined || !this.isOn(rendition)) {
      return;
    }
    const change = this.#change;
    if (change === undefined) {
      this.#offer(frame);
      return;
    }
    const frames = change.join.push(rendition === change.next ? NEW : OLD, frame);
    if (change.join.isCurrent(NEW)) {
      this.#rendition = change.next;
      this.#change = undefined;
    }
    frames.forEach((each) => this.#offer(each));
  }

  #offer(frame: PacketisedFrame): void {
    this.#lastPtsTicks = frame.ptsTicks;
    const droppedCount = this.#queue.droppedCount;
    if (this.#queue.offer(frame, this.peer.path?.isCongested ?? true)) {
      this.#sendPicture(frame, frame.ptsMs);
    }
    this.#options.metrics.counts.framesDropped += this.#queue.droppedCount - droppedCount;
  }

  onAudio(frame: PacketisedFrame): void {
    const stream = this.#audio;
    if (stream !== undefined && this.peer.isConnected && this.peer.path?.isCongested === false) {
      this.#sendPayloads(stream, frame, stream.clock.stamp(frame.ptsMs));
    }
  }

  /** Sends what of the backlog is due. To be called every few milliseconds while `isCatchingUp`. */
  tick(): void {
    if (this.#queue.state !== 'catching-up' || this.#rendition === undefined) {
      return;
    }
    const nowMs = this.#clock.nowMs();
    if (this.peer.path?.isCongested === true) {
      return;
    }
    for (const frame of this.#queue.take(nowMs)) {
      this.#sendPicture(frame, Math.max(frame.ptsMs, this.#rendition.mediaMsAt(nowMs)));
    }
    this.reportIfDue();
  }

  /** Sender reports about once a second, from when the mapping is the lasting one. To be called a few times a second. */
  reportIfDue(): void {
    const nowMs = this.#clock.nowMs();
    const everyMs = this.#reportCount < 2 ? REPORT_SECOND_AFTER_MS : REPORT_EVERY_MS;
    if (!this.peer.isConnected || this.isCatchingUp || nowMs - this.#lastReportAtMs < everyMs) {
      return;
    }
    const streams = [this.#video, this.#audio].filter((stream) => stream !== undefined && stream.packetCount > 0);
    if (streams.length === 0) {
      return;
    }
    this.#lastReportAtMs = nowMs;
    this.#reportCount += 1;
    const wallMs = this.#clock.wallMs();
    const mediaMs = wallMs - this.#options.wallMsAt(0);
    for (const stream of streams) {
      const ntp = ntpFromWallMs(wallMs);
      const timestampTs32 = stream?.clock.at(mediaMs) ?? 0;
      const report = stream?.report({ ntp, timestampTs32, cname: this.#cname, nowMs });
      if (report !== undefined) {
        this.peer.sendRtcp(report);
      }
    }
    this.#choosePlayoutDelay(nowMs);
  }

  /** May be called twice. The viewer is told by BYE. */
  close(reason: string): void {
    const ssrcs = [this.#video, this.#audio].flatMap((stream) => (stream === undefined ? [] : [stream.ssrc]));
    if (this.peer.isConnected && ssrcs.length > 0) {
      this.peer.sendRtcp(buildGoodbye(ssrcs));
    }
    this.peer.close(reason);
  }

  #onConnected(): void {
    this.#pathKind = this.peer.path?.kind ?? 'none';
    this.#begin();
  }

  #onClosed(reason: string): void {
    this.#endReason = reason;
    this.#rendition = undefined;
    this.#change = undefined;
    this.#queue.stop();
    this.#mappingListeners.clear();
    this.#options.log.info('webrtc.session.closed', {
      reason,
      durationMs: Math.round(this.#clock.nowMs() - this.#openedAtMs),
      firstPictureMs: this.#firstPictureMs === undefined ? null : Math.round(this.#firstPictureMs),
      path: this.#pathKind,
      rttMs: this.#rttMs === undefined ? null : Math.round(this.#rttMs),
      ...this.#totals,
      framesDropped: this.#queue.droppedCount,
    });
    this.#options.onClosed(this, reason);
  }

  /** From the cached GOP, with matched stamps, until live is caught (CONGESTION 3.8). */
  #begin(): void {
    const rendition = this.#rendition;
    if (rendition === undefined || this.#video === undefined || !this.peer.isConnected) {
      return;
    }
    const nowMs = this.#clock.nowMs();
    this.#lastReplayAtMs = nowMs;
    this.#queue.begin(rendition.gop, { bitrateBps: rendition.source.facts.bitrateBps, nowMs });
    if (this.#queue.state === 'catching-up') {
      this.#options.onCatchingUp();
      this.tick();
    }
  }

  #payloadTypeOf(codec: CarriedCodec): number | undefined {
    const { video, audio } = this.#options;
    return codec === 'opus' ? audio?.payloadType : codec === 'av1' ? video?.av1?.payloadType : video?.payloadType;
  }

  #sendPicture(frame: PacketisedFrame, stampMs: number): void {
    const stream = this.#video;
    const payloadType = this.#payloadTypeOf(frame.codec);
    if (stream === undefined || payloadType === undefined) {
      return;
    }
    stream.usePayloadType(payloadType);
    const timestampTs32 = stream.clock.stamp(stampMs);
    this.#noteMapping(timestampTs32, frame.ptsMs);
    this.#sendPayloads(stream, frame, timestampTs32);
    if (this.#firstPictureMs === undefined) {
      this.#firstPictureMs = this.#clock.nowMs() - this.#openedAtMs;
      this.#options.metrics.observeJoin(this.#firstPictureMs);
    }
  }

  #sendPayloads(stream: OutgoingStream, frame: PacketisedFrame, timestampTs32: number): void {
    const nowMs = this.#clock.nowMs();
    const { payloads } = frame;
    const isVideo = stream === this.#video;
    for (let index = 0; index < payloads.length; index += 1) {
      const payload = payloads[index] ?? EMPTY;
      const isMarked = isVideo && index === payloads.length - 1;
      const packet = stream.prepare(payload, timestampTs32, isMarked);
      this.#send(packet, nowMs);
      if (isVideo) {
        const { seqExt, payloadType } = packet.fields;
        this.#ring.add({ seqExt, payload, payloadType, timestampTs32, isMarked }, nowMs);
      }
    }
    this.#budget.earn(frame.payloadBytes);
  }

  #send(packet: OutgoingPacket, nowMs: number): boolean {
    const { fields, extensionIds } = packet;
    if (extensionIds.transportSeq > 0) {
      fields.transportSeqExt = this.#ledger.next(nowMs);
    }
    fields.playoutDelayMs = this.#playoutDelayMs;
    fields.playoutDelayMaxMs = this.#playoutDelayMs + this.#followSoundMaxMs;
    const bytes = this.#options.sender.send(this.peer, packet);
    const { counts } = this.#options.metrics;
    if (bytes === 0) {
      counts.sendErrors += 1;
      this.#totals.refused += 1;
      return false;
    }
    counts.packets += 1;
    counts.bytes += bytes;
    this.#totals.packets += 1;
    this.#totals.bytes += bytes;
    return true;
  }

  #noteMapping(rtpTimestamp: number, mediaMs: number): void {
    const wallMs = this.#options.wallMsAt(mediaMs);
    const last = this.#mapping;
    const stepMs = this.isCatchingUp ? MAPPING_CATCH_UP_STEP_MS : MAPPING_LIVE_STEP_MS;
    if (last !== undefined) {
      const passedMs = (((rtpTimestamp - last.rtpTimestamp) | 0) * 1000) / VIDEO_CLOCK_HZ;
      const isKept =
        Math.abs(last.mediaMs + passedMs - mediaMs) < stepMs && Math.abs(last.wallMs + passedMs - wallMs) < stepMs;
      // The anchor is renewed well before the 32-bit difference could wrap.
      if (isKept && passedMs < 3_600_000) {
        return;
      }
    }
    this.#mapping = { rtpTimestamp, mediaMs, wallMs };
    for (const listener of this.#mappingListeners) {
      listener(this.#mapping);
    }
  }

  #onRtcp(compound: Buffer): void {
    let items: RtcpItem[];
    try {
      items = parseRtcp(compound);
    } catch (error) {
      if (!(error instanceof ProtocolError)) {
        throw error;
      }
      this.#options.metrics.counts.rtcpRejected += 1;
      this.#rtcpRejectedCount += 1;
      if (this.#rtcpRejectedCount > RTCP_REJECTED_MAX_COUNT) {
        this.close('rtcp_invalid');
      }
      return;
    }
    const nowMs = this.#clock.nowMs();
    for (const item of items) {
      this.#onRtcpItem(item, nowMs);
    }
  }

  #onRtcpItem(item: RtcpItem, nowMs: number): void {
    if (item.type === 'nack') {
      this.#onNack(item.mediaSsrc, item.seqs16, nowMs);
    } else if (item.type === 'pli' || item.type === 'fir') {
      this.#onKeyframeWanted(nowMs);
    } else if (item.type === 'transport-cc') {
      this.#onFeedback(item.feedback, nowMs);
    } else if (item.type === 'reception') {
      this.#onReception(item.report, nowMs);
    } else if (item.type === 'receiver-reference-time' && this.#video !== undefined) {
      this.peer.sendRtcp(buildDlrr({ ssrc: this.#video.ssrc, receiverSsrc: item.ssrc, ntp: item.ntp, delayMs: 0 }));
    }
  }

  #onNack(mediaSsrc: number, seqs16: readonly number[], nowMs: number): void {
    const stream = this.#video;
    const { counts } = this.#options.metrics;
    counts.nacks += seqs16.length;
    this.#totals.nacks += seqs16.length;
    if (stream === undefined || mediaSsrc !== stream.ssrc) {
      counts.rtxRefused += seqs16.length;
      return;
    }
    for (const seq16 of seqs16) {
      const isSent = this.#sendAgain(stream, seq16, nowMs);
      counts[isSent ? 'rtxPackets' : 'rtxRefused'] += 1;
      this.#totals.rtx += isSent ? 1 : 0;
    }
  }

  #sendAgain(stream: OutgoingStream, seq16: number, nowMs: number): boolean {
    const found = this.#ring.take(seq16, { nowMs, rttMs: this.#rttMs ?? RTT_UNKNOWN_MS });
    if (found === undefined || !this.#budget.spend(found.payload.byteLength, nowMs)) {
      return false;
    }
    this.#lastLossAtMs = nowMs;
    const again = stream.prepareAgain(found, seq16);
    return again !== undefined && this.#send(again, nowMs);
  }

  /** The publisher cannot be asked for a keyframe: the cached GOP is sent once more, seldom enough that a storm costs nothing. */
  #onKeyframeWanted(nowMs: number): void {
    const { counts } = this.#options.metrics;
    counts.plis += 1;
    this.#totals.plis += 1;
    if (this.#queue.state !== 'live' || nowMs - this.#lastReplayAtMs < REPLAY_MIN_MS) {
      counts.plisRefused += 1;
      return;
    }
    this.#begin();
  }

  #onFeedback(feedback: TransportFeedback, nowMs: number): void {
    const verdict = this.#ledger.check(feedback);
    if (verdict.isPlausible) {
      this.#lastLossAtMs = verdict.lostCount > 0 ? nowMs : this.#lastLossAtMs;
      return;
    }
    this.#options.metrics.counts.feedbackForged += 1;
    this.#forgedCount += 1;
    if (this.#forgedCount >= FORGED_FEEDBACK_MAX_COUNT) {
      this.close('feedback_forged');
    }
  }

  #onReception(report: ReceptionReport, nowMs: number): void {
    const stream = [this.#video, this.#audio].find((candidate) => candidate?.ssrc === report.ssrc);
    const sentAtMs = stream?.reportSentAtMs(report.lastSenderReport);
    if (sentAtMs !== undefined) {
      this.#rttMs = Math.max(0, nowMs - sentAtMs - ntpDelayMs(report.delaySinceUnits));
    }
    if (stream !== undefined && report.lostRatio > 0) {
      this.#lastLossAtMs = nowMs;
    }
    this.#choosePlayoutDelay(nowMs);
  }

  #choosePlayoutDelay(nowMs: number): void {
    const { playoutDelayMs, playoutDelayFarMs } = this.#options.settings;
    const sinceLossMs = nowMs - this.#lastLossAtMs;
    this.#isNear = isNearViewer({ rttMs: this.#rttMs, sinceLossMs, wasNear: this.#isNear });
    this.#playoutDelayMs = this.#isNear ? playoutDelayMs : playoutDelayFarMs;
  }
}

const EMPTY = new Uint8Array(0);

const streamFor = (media: ChosenMedia, clockHz: number): OutgoingStream =>
  new OutgoingStream({
    ssrc: randomSsrc(),
    payloadType: media.payloadType,
    extensionIds: media.extensionIds,
    rtx: media.rtxPayloadType === undefined ? undefined : { ssrc: randomSsrc(), payloadType: media.rtxPayloadType },
    otherRtxPayloadTypes: new Map(
      media.av1?.rtxPayloadType === undefined ? [] : [[media.av1.payloadType, media.av1.rtxPayloadType]],
    ),
    clock: new RtpClock(clockHz, randomInt(2 ** 32)),
  });
