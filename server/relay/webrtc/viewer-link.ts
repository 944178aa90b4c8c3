/**
 * Everything between one viewer's pictures and its transport: the streams, what waits, the controller, and what the viewer says by RTCP.
 * It is told the time and says when it wants to be woken; it knows no broadcast, no HTTP and no timer, so that it could live in another thread.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { ProtocolError } from '../../base/errors.ts';
import type {
  CongestionController,
  Decision,
  GopOffer,
  JoinOffer,
  JoinPlan,
  PlayerReport,
} from '../../congestion/controller.ts';
import { ntpDelayMs, ntpFromWallMs } from '../../media/rtp/ntp.ts';
import type { ReceptionReport, RtcpItem } from '../../media/rtp/rtcp.ts';
import { buildDlrr, buildGoodbye, parseRtcp } from '../../media/rtp/rtcp.ts';
import { TransportReport } from '../../media/rtp/transport-cc.ts';
import type { PeerTransport } from '../../webrtc-transport/peer-transport.ts';
import type { ChosenMedia } from '../../webrtc-transport/sdp-codecs.ts';
import type { MediaSender } from './media-sender.ts';
import type { WebRtcOutOptions } from './options.ts';
import type { OutMetrics } from './out-metrics.ts';
import { OutgoingStream, randomSsrc } from './outgoing-stream.ts';
import { PacketOutlet } from './packet-outlet.ts';
import type { CarriedCodec, PacketisedFrame, PacketisedRendition } from './packetised-rendition.ts';
import { RtpClock } from './rtp-clock.ts';
import { MappingTeller } from './rtp-mapping.ts';
import { VideoFlow } from './video-flow.ts';

export type ViewerLinkOptions = {
  readonly peer: PeerTransport;
  readonly video: ChosenMedia | undefined;
  readonly audio: ChosenMedia | undefined;
  /** What the viewer was told of its streams before; drawn when left out. */
  readonly streamNames?: StreamNames | undefined;
  readonly controller: CongestionController;
  readonly sender: MediaSender;
  readonly metrics: OutMetrics;
  /** What of `WebRtcOutOptions` is about a viewer once it plays. */
  readonly settings: Pick<
    WebRtcOutOptions,
    'followSoundMaxMs' | 'soundLagMs' | 'soundStartsAfterMs' | 'retransmitWindowMs'
  >;
  /** Unix time at which media time was captured (`Timeline.wallMsAt`). */
  readonly wallMsAt: (mediaMs: number) => number;
};

/** What a viewer's SDP says of what it will be sent. */
export type StreamNames = {
  readonly cname: string;
  readonly video: { readonly ssrc: number; readonly rtxSsrc: number };
  readonly audioSsrc: number;
};

export const drawStreamNames = (): StreamNames => ({
  cname: randomBytes(8).toString('hex'),
  video: { ssrc: randomSsrc(), rtxSsrc: randomSsrc() },
  audioSsrc: randomSsrc(),
});

const VIDEO_CLOCK_HZ = 90_000;
const AUDIO_CLOCK_HZ = 48_000;
const REPLAY_MIN_MS = 500;
const REPORT_EVERY_MS = 1_000;
/** The receiver needs two reports before it can map anything. */
const REPORT_SECOND_AFTER_MS = 200;
const FORGED_FEEDBACK_MAX_COUNT = 10;
/** RTCP that does not parse, from a peer that holds the keys. */
const RTCP_REJECTED_MAX_COUNT = 20;
const NOT_VIDEO = -1;
/** Between these a browser does as it likes: less it never waits, and more the extension cannot say. */
const OWN_DELAY_MIN_MS = 10;
const OWN_DELAY_MAX_MS = 40_950;

/** Viewers are decided on together, so that one timer wakes many: a decision may come so much later than the controller asked. */
const DECIDE_TOGETHER_MS = 5;
/** At a pace of more than a packet a millisecond those of two leave together, in fewer and larger writes. Slower ones leave when they may. */
const DEPART_TOGETHER_MS = 2;
const DEPART_TOGETHER_MIN_BPS = 10_000_000;

/** Read and used within one call, whoever's it is. */
const REPORT = new TransportReport();

export class ViewerLink {
  readonly mapping = new MappingTeller();
  readonly cname: string;
  readonly counts = { nacks: 0, rtx: 0, plis: 0 };
  readonly #options: ViewerLinkOptions;
  readonly #controller: CongestionController;
  readonly #outlet: PacketOutlet;
  readonly #video: OutgoingStream | undefined;
  readonly #audio: OutgoingStream | undefined;
  readonly #flow: VideoFlow | undefined;
  /** Of pictures, by what they are encoded with. */
  readonly #payloadTypes: ReadonlyMap<CarriedCodec, number>;
  /** What is begun anew when the viewer asks for a keyframe. */
  #rendition: PacketisedRendition | undefined;
  #renditionIndex = 0;
  #hasJoined = false;
  #decision: Decision | undefined;
  #decideAtMs = Number.POSITIVE_INFINITY;
  #lastReplayAtMs = Number.NEGATIVE_INFINITY;
  #firstPictureAtMs: number | undefined;
  #lastReportAtMs = Number.NEGATIVE_INFINITY;
  #reportCount = 0;
  #rttMs: number | undefined;
  #countedDropped = 0;
  #forgedCount = 0;
  #rejectedCount = 0;

  constructor(options: ViewerLinkOptions) {
    const { peer, sender, metrics, controller, video, audio } = options;
    this.#options = options;
    this.#controller = controller;
    this.#outlet = new PacketOutlet({ peer, sender, metrics, controller });
    const names = options.streamNames ?? drawStreamNames();
    this.cname = names.cname;
    this.#video = video === undefined ? undefined : streamFor(video, VIDEO_CLOCK_HZ, names.video);
    this.#audio = audio === undefined ? undefined : streamFor(audio, AUDIO_CLOCK_HZ, { ssrc: names.audioSsrc });
    this.#payloadTypes = payloadTypesOf(video);
    const { mapping } = this;
    const { wallMsAt } = options;
    const { retransmitWindowMs } = options.settings;
    this.#flow =
      this.#video === undefined
        ? undefined
        : new VideoFlow({
            ...{ stream: this.#video, outlet: this.#outlet, controller },
            ...{ mapping, wallMsAt, retransmitWindowMs, payloadTypes: this.#payloadTypes },
          });
  }

  get videoSsrc(): { readonly ssrc: number; readonly rtxSsrc: number | undefined } | undefined {
    return this.#video === undefined ? undefined : { ssrc: this.#video.ssrc, rtxSsrc: this.#video.rtxSsrc };
  }

  get audioSsrc(): number | undefined {
    return this.#audio?.ssrc;
  }

  /** Whether the viewer's browser said that it decodes these pictures. */
  takes(codec: CarriedCodec): boolean {
    return this.#payloadTypes.has(codec);
  }

  get hasVideo(): boolean {
    return this.#flow !== undefined;
  }

  /** Pictures are being sent, or are about to be. */
  get isPlaying(): boolean {
    return this.#flow !== undefined && this.#flow.state !== 'idle';
  }

  get hasSentPicture(): boolean {
    return (this.#video?.packetCount ?? 0) > 0;
  }

  /** Round trip by the last report that told. */
  get rttMs(): number | undefined {
    return this.#rttMs;
  }

  get totals(): { readonly packets: number; readonly bytes: number; readonly refused: number } {
    return this.#outlet.totals;
  }

  /** What was decided last; undefined before it has joined. Belongs to the controller and changes in place. */
  get decision(): Decision | undefined {
    return this.#decision;
  }

  get droppedCount(): number {
    return this.#flow?.droppedCount ?? 0;
  }

  /** Call `wake` then; `Infinity`: nothing waits. */
  wakeAtMs(nowMs: number): number {
    const departAtMs = this.#flow?.nextAtMs(nowMs) ?? Number.POSITIVE_INFINITY;
    const isFast = this.#decision !== undefined && this.#decision.paceBps >= DEPART_TOGETHER_MIN_BPS;
    const togetherAtMs = isFast ? DEPART_TOGETHER_MS * Math.ceil(departAtMs / DEPART_TOGETHER_MS) : departAtMs;
    return Math.min(this.#decideAtMs, togetherAtMs);
  }

  /** The viewer has connected, and there is something to send. */
  join(offer: JoinOffer, nowMs: number): JoinPlan {
    this.#hasJoined = true;
    return this.#controller.join(offer, nowMs);
  }

  /** A keyframe is about to be offered: which of these renditions is to follow from it on. */
  decideGop(offer: GopOffer, nowMs: number): number {
    this.#flow?.beginGop();
    this.#controller.onGop(offer, nowMs);
    const decision = this.#decide(nowMs);
    if (decision?.isBacklogDropped === true) {
      this.#flow?.dropBacklog();
    }
    return decision?.renditionIndex ?? 0;
  }

  /** From what is cached of this rendition, with matched stamps, until live is caught (CONGESTION 3.8). */
  begin(
    rendition: PacketisedRendition,
    options: { renditionIndex: number; isFromCache: boolean },
    nowMs: number,
  ): void {
    this.#rendition = rendition;
    this.#renditionIndex = options.renditionIndex;
    this.#lastReplayAtMs = nowMs;
    this.#firstPictureAtMs ??= nowMs;
    this.#flow?.begin(rendition, options);
    this.#decide(nowMs);
    this.#drain(nowMs);
  }

  /** Nothing fit is there: the last picture stands. */
  stop(): void {
    this.#rendition = undefined;
    this.#flow?.stop();
  }

  /** A picture of `rendition`, which is the one in use from now on. */
  onPicture(
    frame: PacketisedFrame,
    from: { rendition: PacketisedRendition; renditionIndex: number },
    nowMs: number,
  ): void {
    this.#rendition = from.rendition;
    this.#renditionIndex = from.renditionIndex;
    const flow = this.#flow;
    if (flow !== undefined) {
      flow.offer(frame, from.renditionIndex);
      this.#countDropped(flow);
      this.#drain(nowMs);
    }
  }

  onAudio(frame: PacketisedFrame, nowMs: number): void {
    const stream = this.#audio;
    if (stream === undefined || this.#outlet.isCongested || !this.#mayHear(nowMs)) {
      return;
    }
    const timestampTs32 = stream.clock.stamp(frame.ptsMs);
    for (const payload of frame.payloads) {
      const packet = stream.prepare(payload.byteLength, timestampTs32, false);
      this.#outlet.send(packet, payload, 'audio', NOT_VIDEO, nowMs);
      this.#flow?.charge(stream.packetBytes(payload.byteLength), nowMs);
    }
  }

  onPlayerReport(report: PlayerReport, nowMs: number): void {
    this.#controller.onPlayerReport(report, nowMs);
  }

  /** λ: 0 reacts, 1 is smooth. */
  setSmoothness(smoothnessRatio: number): void {
    this.#controller.setSmoothness(smoothnessRatio);
  }

  /** What is due leaves, what is due is decided. */
  wake(nowMs: number): void {
    if (nowMs >= this.#decideAtMs) {
      this.#decide(nowMs);
    }
    this.#drain(nowMs);
  }

  /** Sender reports about once a second, from when the mapping is the lasting one. To be called a few times a second. */
  reportIfDue(nowMs: number, wallMs: number): void {
    const everyMs = this.#reportCount < 2 ? REPORT_SECOND_AFTER_MS : REPORT_EVERY_MS;
    if (this.#flow?.state === 'catching-up' || nowMs - this.#lastReportAtMs < everyMs) {
      return;
    }
    const mediaMs = wallMs - this.#options.wallMsAt(0);
    for (const stream of [this.#video, this.#audio]) {
      if (stream !== undefined && stream.packetCount > 0) {
        this.#lastReportAtMs = nowMs;
        // Sound is said to be of a little later, so that the browser is content when it lags by that much.
        const lagMs = stream === this.#audio ? this.#options.settings.soundLagMs : 0;
        const timestampTs32 = stream.clock.at(mediaMs - lagMs);
        const { cname } = this;
        this.#options.peer.sendRtcp(stream.report({ ntp: ntpFromWallMs(wallMs), timestampTs32, cname, nowMs }));
      }
    }
    this.#reportCount += this.#lastReportAtMs === nowMs ? 1 : 0;
    this.#decide(nowMs);
  }

  /** A decrypted compound. Answers why the session must end, if it must. */
  onRtcp(compound: Uint8Array, nowMs: number): 'feedback_forged' | 'rtcp_invalid' | undefined {
    try {
      for (const item of parseRtcp(compound)) {
        this.#onRtcpItem(item, nowMs);
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) {
        throw error;
      }
      this.#options.metrics.counts.rtcpRejected += 1;
      this.#rejectedCount += 1;
    }
    this.#drain(nowMs);
    if (this.#forgedCount >= FORGED_FEEDBACK_MAX_COUNT) {
      return 'feedback_forged';
    }
    return this.#rejectedCount > RTCP_REJECTED_MAX_COUNT ? 'rtcp_invalid' : undefined;
  }

  sayGoodbye(): void {
    const ssrcs = [this.#video, this.#audio].flatMap((stream) => (stream === undefined ? [] : [stream.ssrc]));
    if (ssrcs.length > 0) {
      this.#options.peer.sendRtcp(buildGoodbye(ssrcs));
    }
  }

  /**
   * A browser opens its sound device when it shows the first picture: what came before then lies in its buffer, and it takes many seconds to make
   * that up. So sound begins when the device is likely to be open; where there are no pictures, at once.
   */
  #mayHear(nowMs: number): boolean {
    return !this.isPlaying || nowMs - (this.#firstPictureAtMs ?? nowMs) >= this.#options.settings.soundStartsAfterMs;
  }

  /** Who has just caught up with live is no longer sent at the pace of a backlog. */
  #drain(nowMs: number): void {
    if (this.#flow?.drain(nowMs) === true) {
      this.#decide(nowMs);
    }
  }

  #decide(nowMs: number): Decision | undefined {
    const flow = this.#flow;
    if (!this.#hasJoined) {
      return undefined;
    }
    const decision = this.#controller.decide(nowMs, flow?.backlogBytes ?? 0);
    this.#decision = decision;
    this.#decideAtMs = DECIDE_TOGETHER_MS * Math.ceil(decision.nextAtMs / DECIDE_TOGETHER_MS);
    if (flow !== undefined) {
      this.#steer(flow, decision, nowMs);
    }
    return decision;
  }

  #steer(flow: VideoFlow, decision: Decision, nowMs: number): void {
    flow.steer(decision, nowMs);
    this.#countDropped(flow);
    if (decision.playoutDelayMs === undefined) {
      this.#outlet.setPlayoutDelay(OWN_DELAY_MIN_MS, OWN_DELAY_MAX_MS);
      return;
    }
    // Without sound pictures have nothing to wait for; and what waits long by itself does not wait longer for a sound that was held up with it.
    const followMs = (this.#audio?.packetCount ?? 0) > 0 ? this.#options.settings.followSoundMaxMs : 0;
    this.#outlet.setPlayoutDelay(decision.playoutDelayMs, Math.max(decision.playoutDelayMs, followMs));
  }

  #countDropped({ droppedCount }: VideoFlow): void {
    this.#options.metrics.counts.framesDropped += droppedCount - this.#countedDropped;
    this.#countedDropped = droppedCount;
  }

  #onRtcpItem(item: RtcpItem, nowMs: number): void {
    if (item.type === 'transport-cc') {
      this.#onFeedback(item.body, nowMs);
    } else if (item.type === 'nack') {
      this.#onNack(item.mediaSsrc, item.seqs16, nowMs);
    } else if (item.type === 'pli' || item.type === 'fir') {
      this.#onKeyframeWanted(nowMs);
    } else if (item.type === 'reception') {
      this.#onReception(item.report, nowMs);
    } else if (item.type === 'receiver-reference-time' && this.#video !== undefined) {
      const { ssrc } = this.#video;
      this.#options.peer.sendRtcp(buildDlrr({ ssrc, receiverSsrc: item.ssrc, ntp: item.ntp, delayMs: 0 }));
    }
  }

  #onFeedback(body: Uint8Array, nowMs: number): void {
    REPORT.read(body);
    const baseSeqExt = this.#outlet.unwrapTransportSeq(REPORT.baseSeq16);
    const { count, arrivedMs } = REPORT;
    if (this.#controller.onFeedback({ baseSeqExt, count, arrivedMs }, nowMs)) {
      this.#decide(nowMs);
      return;
    }
    this.#options.metrics.counts.feedbackForged += 1;
    this.#forgedCount += 1;
  }

  #onNack(mediaSsrc: number, seqs16: readonly number[], nowMs: number): void {
    const stream = this.#video;
    const { counts } = this.#options.metrics;
    counts.nacks += seqs16.length;
    this.counts.nacks += seqs16.length;
    if (stream === undefined || mediaSsrc !== stream.ssrc) {
      counts.rtxRefused += seqs16.length;
      return;
    }
    for (const seq16 of seqs16) {
      const sentCount = this.#repair(stream, stream.unwrap(seq16), nowMs);
      counts.rtxPackets += sentCount;
      counts.rtxRefused += sentCount === 0 ? 1 : 0;
      this.counts.rtx += sentCount;
    }
    this.#decide(nowMs);
  }

  /** How many copies were queued. */
  #repair(stream: OutgoingStream, seqExt: number, nowMs: number): number {
    const found = this.#flow?.findSent(seqExt, nowMs);
    if (found === undefined) {
      return 0;
    }
    const wantedCount = this.#controller.onNack(seqExt, stream.repairBytes(found.payload.byteLength), nowMs);
    let count = 0;
    while (count < wantedCount && this.#flow?.repair(found) === true) {
      count += 1;
    }
    return count;
  }

  /** The publisher cannot be asked for a keyframe: the cached GOP is sent once more, seldom enough that a storm costs nothing. */
  #onKeyframeWanted(nowMs: number): void {
    const { counts } = this.#options.metrics;
    counts.plis += 1;
    this.counts.plis += 1;
    const isTooSoon = nowMs - this.#lastReplayAtMs < REPLAY_MIN_MS;
    if (this.#flow?.state !== 'live' || this.#rendition === undefined || isTooSoon) {
      counts.plisRefused += 1;
      return;
    }
    this.begin(this.#rendition, { renditionIndex: this.#renditionIndex, isFromCache: true }, nowMs);
  }

  #onReception(report: ReceptionReport, nowMs: number): void {
    const stream = [this.#video, this.#audio].find((candidate) => candidate?.ssrc === report.ssrc);
    const sentAtMs = stream?.reportSentAtMs(report.lastSenderReport);
    const rttMs =
      sentAtMs === undefined ? undefined : Math.max(0, nowMs - sentAtMs - ntpDelayMs(report.delaySinceUnits));
    this.#rttMs = rttMs ?? this.#rttMs;
    if (stream !== undefined && stream === (this.#video ?? this.#audio)) {
      this.#controller.onReception({ lostRatio: report.lostRatio, rttMs }, nowMs);
      this.#decide(nowMs);
    }
  }
}

const payloadTypesOf = (video: ChosenMedia | undefined): ReadonlyMap<CarriedCodec, number> =>
  new Map<CarriedCodec, number>([
    ...(video === undefined ? [] : [['h264', video.payloadType] as const]),
    ...(video?.av1 === undefined ? [] : [['av1', video.av1.payloadType] as const]),
  ]);

const streamFor = (
  media: ChosenMedia,
  clockHz: number,
  { ssrc, rtxSsrc = randomSsrc() }: { ssrc: number; rtxSsrc?: number },
): OutgoingStream =>
  new OutgoingStream({
    ssrc,
    payloadType: media.payloadType,
    extensionIds: media.extensionIds,
    rtx: media.rtxPayloadType === undefined ? undefined : { ssrc: rtxSsrc, payloadType: media.rtxPayloadType },
    otherRtxPayloadTypes: new Map(
      media.av1?.rtxPayloadType === undefined ? [] : [[media.av1.payloadType, media.av1.rtxPayloadType]],
    ),
    clock: new RtpClock(clockHz, randomInt(2 ** 32)),
  });
