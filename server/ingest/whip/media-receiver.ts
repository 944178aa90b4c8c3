/**
 * All that one publisher sends, decrypted, into access units; and what it is to be told in return: what is missing, that a keyframe is needed, what came
 * when. Pure: told what time it is, holds no socket and no timer. Nothing that a peer sends makes it throw, and everything it keeps is capped.
 */
import { ProtocolError } from '../../base/errors.ts';
import type { SourceUnit } from '../../media/access-unit.ts';
import type { RtcpItem } from '../../media/rtp/rtcp.ts';
import { buildNack, buildPli, buildReceiverReport, buildTransportCc, parseRtcp } from '../../media/rtp/rtcp.ts';
import { TransportFeedbackRecorder } from '../../media/rtp/feedback-recorder.ts';
import { H264Depacketiser } from '../../media/rtp/h264-depacketiser.ts';
import type { H264Output } from '../../media/rtp/h264-depacketiser.ts';
import type { RtpPacket } from '../../media/rtp/rtp-header.ts';
import { parseRtpPacket } from '../../media/rtp/rtp-header.ts';
import { buildTransportFeedback } from '../../media/rtp/transport-cc.ts';
import type { TrackKind } from '../../media/track.ts';
import { VIDEO_TIMESCALE_HZ } from '../../media/track.ts';
import { OPUS_TIMESCALE_HZ } from '../../media/opus/opus-config.ts';
import type { ReceivedMedia } from '../../webrtc-transport/sdp-receiving.ts';
import type { IncomingPacket } from './incoming-stream.ts';
import { IncomingStream } from './incoming-stream.ts';
import type { JitterEvent } from './jitter-buffer.ts';
import { KeyframeAsker } from './keyframe-asker.ts';
import type { WhipOptions } from './options.ts';
import { PictureUnits } from './picture-units.ts';
import { RepairedArrivals } from './repaired-arrivals.ts';
import { SenderClock } from './sender-clock.ts';
import { SoundUnits } from './sound-units.ts';

export type MediaReceiverSetup = {
  readonly video: ReceivedMedia | undefined;
  readonly audio: ReceivedMedia | undefined;
  readonly options: WhipOptions;
  /** The SSRC that reports are sent under. */
  readonly ssrc: number;
};

/** One instant on both clocks. */
export type Instant = { readonly nowMs: number; readonly wallMs: number };

export type ReceiverCounts = {
  packets: number;
  bytes: number;
  lost: number;
  repaired: number;
  late: number;
  nacks: number;
  keyframesAsked: number;
  picturesDropped: number;
  /** Packets, RTCP packets and payloads that make no sense. */
  malformed: number;
};

/** Packets of a picture that is waited for, at 50 Mbit/s and a second. */
const BUFFER_MAX_COUNT = 4_096;
const NAL_UNIT_MAX_COUNT = 1_000;
const REPORT_EVERY_MS = 1_000;
/** Until a repeat told: between a neighbour's and another continent's. */
const RTT_GUESS_MS = 100;
const RTT_MIN_MS = 10;
const RTT_MAX_MS = 1_000;
const RTT_SMOOTHING = 0.125;
/** Told one by one; beyond it they stay told as lost. */
const REPAIRED_MAX_COUNT = 50;
/** Units that nobody fetched; the session fetches after each packet. */
const UNIT_MAX_COUNT = 10_000;

export class MediaReceiver {
  readonly #setup: MediaReceiverSetup;
  readonly #clock = new SenderClock();
  readonly #feedback = new TransportFeedbackRecorder();
  readonly #arrivals = new RepairedArrivals();
  /** Repaired since the last feedback. */
  readonly #repaired: { readonly transportSeq16: number; readonly atMs: number }[] = [];
  readonly #asker: KeyframeAsker;
  readonly #video: IncomingStream | undefined;
  readonly #audio: IncomingStream | undefined;
  readonly #depacketiser: H264Depacketiser;
  readonly #pictures: PictureUnits;
  readonly #sounds = new SoundUnits();
  #units: SourceUnit[] = [];
  #rttMs = RTT_GUESS_MS;
  #picturesDroppedCount = 0;
  #malformedCount = 0;
  #lastHandedOnAtMs = Number.NEGATIVE_INFINITY;
  #feedbackAtMs = Number.NEGATIVE_INFINITY;
  #reportAtMs = Number.NEGATIVE_INFINITY;
  #lastMediaAtMs: number | undefined;

  constructor(setup: MediaReceiverSetup) {
    const { options, video, audio } = setup;
    this.#setup = setup;
    this.#asker = new KeyframeAsker(options);
    this.#video = video === undefined ? undefined : openStream(video, VIDEO_TIMESCALE_HZ, options);
    this.#audio = audio === undefined ? undefined : openStream(audio, OPUS_TIMESCALE_HZ, options);
    this.#depacketiser = new H264Depacketiser({ ...options, nalUnitMaxCount: NAL_UNIT_MAX_COUNT });
    this.#pictures = new PictureUnits(video?.parameterSets ?? []);
  }

  /** When media came last; undefined before the first. */
  get lastMediaAtMs(): number | undefined {
    return this.#lastMediaAtMs;
  }

  get rttMs(): number {
    return this.#rttMs;
  }

  get bufferedBytes(): number {
    return (this.#video?.bufferedBytes ?? 0) + (this.#audio?.bufferedBytes ?? 0);
  }

  get counts(): ReceiverCounts {
    const streams = [this.#video, this.#audio].filter((stream) => stream !== undefined);
    const sum = (read: (stream: IncomingStream) => number): number =>
      streams.reduce((total, stream) => total + read(stream), 0);
    return {
      packets: sum(({ counts }) => counts.packets),
      bytes: sum(({ counts }) => counts.bytes),
      lost: sum(({ lostCount }) => lostCount),
      repaired: sum(({ counts }) => counts.repaired),
      late: sum(({ lateCount }) => lateCount),
      nacks: sum(({ counts }) => counts.nacks),
      keyframesAsked: this.#asker.askedCount,
      picturesDropped: this.#picturesDroppedCount,
      malformed: this.#malformedCount,
    };
  }

  /** One decrypted RTP packet. */
  onRtp(bytes: Uint8Array, at: Instant): void {
    this.#guard(() => {
      const packet = parseRtpPacket(bytes);
      if (this.#video?.takes(packet.payloadType) === true) {
        this.#onPacket('video', this.#video, packet, at);
      } else if (this.#audio?.takes(packet.payloadType) === true) {
        this.#onPacket('audio', this.#audio, packet, at);
      } else {
        this.#malformedCount += 1;
      }
    });
  }

  /** One decrypted RTCP compound. */
  onRtcp(compound: Uint8Array, nowMs: number): void {
    this.#guard(() => parseRtcp(compound).forEach((item) => this.#onRtcpItem(item, nowMs)));
  }

  /** Time passes: what was waited for too long is given up. To be called every few milliseconds. */
  tick(at: Instant): void {
    this.#drain(at);
  }

  /** What has become whole since the last call, in order. */
  takeUnits(): SourceUnit[] {
    const units = this.#units;
    this.#units = [];
    return units;
  }

  /** RTCP to be sent now: repeats asked for, a keyframe asked for, what came when, reports. One compound; empty when nothing is due. */
  takeRtcp(nowMs: number): Buffer {
    return Buffer.concat([...this.#report(nowMs), ...this.#tellArrivals(nowMs), ...this.#ask(nowMs)]);
  }

  #onPacket(kind: TrackKind, stream: IncomingStream, packet: RtpPacket, at: Instant): void {
    this.#lastMediaAtMs = at.nowMs;
    const { hasRestarted, rttMs, seqExt, hasRepaired } = stream.push(packet, at.nowMs);
    if (hasRepaired && seqExt !== undefined) {
      this.#noteRepaired(kind, seqExt);
    }
    this.#noteTransportSeq(kind, packet, { seqExt: hasRepaired ? undefined : seqExt, nowMs: at.nowMs });
    if (hasRestarted) {
      this.#clock.forget(kind);
      if (kind === 'video') {
        this.#onVideoLoss(at.nowMs);
      }
    }
    if (rttMs !== undefined) {
      const rtt = Math.min(RTT_MAX_MS, Math.max(RTT_MIN_MS, rttMs));
      this.#rttMs += RTT_SMOOTHING * (rtt - this.#rttMs);
    }
    this.#drain(at);
  }

  #noteRepaired(kind: TrackKind, seqExt: number): void {
    const found = this.#arrivals.find(kind, seqExt);
    if (found !== undefined && this.#repaired.length < REPAIRED_MAX_COUNT) {
      this.#repaired.push(found);
    }
  }

  #noteTransportSeq(
    kind: TrackKind,
    { extensions }: RtpPacket,
    { seqExt, nowMs }: { seqExt: number | undefined; nowMs: number },
  ): void {
    const id = this.#setup[kind]?.extensionIds.transportSeq ?? 0;
    const value = id === 0 ? undefined : extensions.get(id);
    if (value !== undefined && value.byteLength >= 2) {
      const transportSeq16 = ((value[0] ?? 0) << 8) | (value[1] ?? 0);
      this.#feedback.take(transportSeq16, nowMs);
      this.#arrivals.note(transportSeq16, { kind, seqExt, atMs: nowMs });
    }
  }

  #onRtcpItem(item: RtcpItem, nowMs: number): void {
    if (item.type !== 'sender-report') {
      return;
    }
    for (const [kind, stream] of [['video', this.#video] as const, ['audio', this.#audio] as const]) {
      if (stream !== undefined && stream.ssrc === item.ssrc) {
        this.#clock.onReport(kind, { ntp: item.ntp, timestampExt: stream.onReport(item, nowMs) });
      }
    }
  }

  #drain(at: Instant): void {
    this.#video?.take(at.nowMs).forEach((event) => this.#onVideo(event, at));
    this.#audio?.take(at.nowMs).forEach((event) => this.#onAudio(event, at));
  }

  #onVideo(event: JitterEvent<IncomingPacket>, at: Instant): void {
    if (event.type === 'loss') {
      this.#onVideoLoss(at.nowMs);
      return;
    }
    const { packet } = event;
    this.#observe('video', packet);
    this.#onPictures(this.#depacketiser.push(packet), at);
  }

  #onPictures({ pictures, hasBroken }: H264Output, at: Instant): void {
    if (hasBroken) {
      this.#picturesDroppedCount += 1;
      this.#onVideoLoss(at.nowMs);
    }
    for (const picture of pictures) {
      this.#guard(() => {
        const commonMs = this.#clock.commonMs('video', picture.timestampExt) ?? 0;
        const ptsTicks = Math.round((commonMs * VIDEO_TIMESCALE_HZ) / 1000);
        const outcome = this.#pictures.push(picture, { ptsTicks, ...this.#arrival(picture.arrivedAtMs, at) });
        if (outcome.type === 'unit') {
          this.#handOn(outcome.unit);
          if (outcome.unit.isKeyframe) {
            this.#asker.onKeyframe(at.nowMs);
          }
        } else if (outcome.reason !== 'no_picture') {
          this.#picturesDroppedCount += 1;
          this.#asker.onBroken(at.nowMs);
        }
      });
    }
  }

  #onVideoLoss(nowMs: number): void {
    this.#depacketiser.onLoss();
    this.#pictures.onLoss();
    this.#asker.onBroken(nowMs);
  }

  /** A sound that never came leaves a hole in the stamps: who plays it, or encodes it anew, fills it. */
  #onAudio(event: JitterEvent<IncomingPacket>, at: Instant): void {
    if (event.type === 'loss' || event.packet.payload.byteLength === 0) {
      return;
    }
    const { packet } = event;
    this.#observe('audio', packet);
    const startMs = this.#clock.commonMs('audio', packet.timestampExt) ?? 0;
    this.#guard(() => {
      const unit = this.#sounds.push(packet.payload, { startMs, ...this.#arrival(packet.arrivedAtMs, at) });
      if (unit !== undefined) {
        this.#handOn(unit);
      }
    });
  }

  #observe(kind: TrackKind, { timestampExt, arrivedAtMs }: IncomingPacket): void {
    const clockHz = kind === 'video' ? VIDEO_TIMESCALE_HZ : OPUS_TIMESCALE_HZ;
    this.#clock.observe(kind, { timestampExt, clockHz, arrivedAtMs });
  }

  /** A unit that waited for a repeat of one before it did not arrive before that one, as far as anybody after us is concerned. */
  #arrival(arrivedAtMs: number, at: Instant): { arrivedAtMs: number; arrivedAtWallMs: number } {
    const laterMs = Math.max(arrivedAtMs, this.#lastHandedOnAtMs);
    return { arrivedAtMs: laterMs, arrivedAtWallMs: at.wallMs - (at.nowMs - laterMs) };
  }

  #handOn(unit: SourceUnit): void {
    this.#lastHandedOnAtMs = unit.arrivedAtMs;
    if (this.#units.length < UNIT_MAX_COUNT) {
      this.#units.push(unit);
    }
  }

  #ask(nowMs: number): Buffer[] {
    const { ssrc } = this.#setup;
    const packets: Buffer[] = [];
    for (const stream of [this.#video, this.#audio]) {
      const due = stream?.nacksDue(nowMs, this.#rttMs) ?? [];
      if (stream?.ssrc !== undefined && due.length > 0) {
        packets.push(buildNack(ssrc, stream.ssrc, due));
      }
    }
    if (this.#video?.ssrc !== undefined && this.#asker.isDue(nowMs, this.#rttMs)) {
      packets.push(buildPli(ssrc, this.#video.ssrc));
    }
    return packets;
  }

  #tellArrivals(nowMs: number): Buffer[] {
    if (nowMs - this.#feedbackAtMs < this.#setup.options.feedbackEveryMs) {
      return [];
    }
    const feedback = this.#feedback.build();
    const mediaSsrc = this.#video?.ssrc ?? this.#audio?.ssrc;
    if (feedback === undefined || mediaSsrc === undefined) {
      return [];
    }
    this.#feedbackAtMs = nowMs;
    const repaired = this.#repaired.splice(0).map((told) => this.#feedback.correct(told));
    return [feedback, ...repaired].map((told) =>
      buildTransportCc(this.#setup.ssrc, mediaSsrc, buildTransportFeedback(told)),
    );
  }

  #report(nowMs: number): Buffer[] {
    if (nowMs - this.#reportAtMs < REPORT_EVERY_MS) {
      return [];
    }
    const reports = [this.#video, this.#audio].flatMap((stream) => stream?.reception(nowMs) ?? []);
    if (reports.length === 0) {
      return [];
    }
    this.#reportAtMs = nowMs;
    return [buildReceiverReport(this.#setup.ssrc, reports)];
  }

  /** The peer's mistakes cost it what they are in, and are counted. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof ProtocolError)) {
        throw error;
      }
      this.#malformedCount += 1;
    }
  }
}

const openStream = (media: ReceivedMedia, clockHz: number, options: WhipOptions): IncomingStream =>
  new IncomingStream({
    payloadType: media.payloadType,
    rtxPayloadType: media.rtxPayloadType,
    clockHz,
    hasNack: media.hasNack,
    waitMaxMs: media.hasNack ? options.repairWaitMaxMs : options.reorderWaitMaxMs,
    bufferMaxCount: BUFFER_MAX_COUNT,
    bufferMaxBytes: options.bufferMaxBytes,
  });
