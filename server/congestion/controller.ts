/**
 * The contract between whoever sends to one viewer and whoever decides for it: events in with `nowMs`, decisions and the next deadline
 * out. One controller a viewer. Pure: no clock, no timer, no socket, no randomness inside, so that the simulator runs what production
 * runs, and a recorded session replays bit for bit. Index 0 is the lowest rendition everywhere.
 */

import type { Parameters } from './parameters.ts';

/** `probe`: copies of pictures, sent to learn what the link carries. */
export type PacketKind = 'audio' | 'video' | 'rtx' | 'probe';

/** Read during the call only: the sender may change one object in place for every packet. */
export type SentPacket = {
  /** Transport-wide number, unwrapped, one more for each packet; −1 where transport-cc was not negotiated. */
  readonly transportSeqExt: number;
  /** As an IP packet: RTP with its head and tag, + 28. */
  readonly bytes: number;
  readonly kind: PacketKind;
  /** Number of the video packet these bytes are, or are a copy of; −1 for sound. Grows by one from packet to packet, over every rendition. */
  readonly videoSeqExt: number;
};

/** A picture whose first packet leaves now. Its packets have the numbers from `firstSeqExt` on. */
export type SentPicture = {
  readonly firstSeqExt: number;
  readonly packetCount: number;
  readonly isKeyframe: boolean;
  /** The RTP stamp given to it, unwrapped, in ms (90 kHz stamp / 90). */
  readonly stampMs: number;
  /** When it came to the sender, on the clock of `nowMs`. */
  readonly arrivedAtMs: number;
  readonly renditionIndex: number;
};

/** One transport-cc message. Read during the call only. */
export type ArrivalReport = {
  /** Number of the first packet told about, unwrapped next to what was sent last. */
  readonly baseSeqExt: number;
  readonly count: number;
  /** On the receiver's clock, wrapping every 2^24 × 64 ms; NaN: not arrived. */
  readonly arrivedMs: ArrayLike<number>;
};

/** What a rendition costs, known at each aligned keyframe. */
export type RenditionCost = {
  /** Mean of the last GOPs, video alone, as IP packets. */
  readonly bitrateBps: number;
  /** Of the GOP about to begin; the last one's where it is not there yet. */
  readonly keyframeBytes: number;
  /** What a viewer gains from it, 0 … 1 (CONGESTION 2.1). */
  readonly qualityRatio: number;
};

export type GopOffer = {
  /** From the lowest bitrate up; at least one, at most `RENDITION_MAX_COUNT`. */
  readonly renditions: readonly RenditionCost[];
  /** Usual time from keyframe to keyframe. */
  readonly gopMs: number;
  readonly frameIntervalMs: number;
};

export const RENDITION_MAX_COUNT = 8;

/** What a viewer is to be sent when it has just connected. */
export type JoinOffer = GopOffer & {
  /** Age of the cached keyframe, per rendition the same since they are aligned. */
  readonly keyframeAgeMs: number;
};

export type JoinPlan = {
  readonly renditionIndex: number;
  /** False: wait for the next keyframe. True: the cached GOP, paced by the decision in force, with matched stamps (CONGESTION 3.8). */
  readonly isFromCache: boolean;
};

/** getStats deltas that the player sends; clipped by the controller, never trusted against transport-cc. */
export type PlayerReport = {
  readonly intervalMs: number;
  readonly freezeCount: number;
  readonly freezeMs: number;
  readonly framesDecoded: number;
  readonly framesDropped: number;
  /** Δ jitterBufferDelay / Δ jitterBufferEmittedCount; undefined where nothing was emitted. */
  readonly bufferDelayMs: number | undefined;
  /** Δ bytesReceived of video in bits a second. */
  readonly receivedBps: number;
};

/** Of an RTCP receiver report about the video. */
export type ReceptionNews = {
  /** Since the last report. */
  readonly lostRatio: number;
  /** Undefined while it cannot be told. */
  readonly rttMs: number | undefined;
};

export type ProbeRequest = {
  /** A new number for each request. */
  readonly id: number;
  /** Rate of media and probe together while it lasts. */
  readonly totalBps: number;
  /** Bytes to be sent beside the media, as copies of the last keyframe's packets or of pictures since. */
  readonly bytes: number;
  /** In packets no larger than this, where there are such. */
  readonly packetMaxBytes: number;
  readonly endsAtMs: number;
};

/** Belongs to the controller and changes in place; read it before the next call. */
export type Decision = {
  /** For the GOP that begins now. Between keyframes it does not change. */
  readonly renditionIndex: number;
  /**
   * The rest of this GOP is to be dropped, from the first picture of which no packet has left; the next keyframe ends it. Set at the keyframe
   * itself, this GOP is not to be sent at all.
   */
  readonly isGopCut: boolean;
  /** At a keyframe: what still waits of the GOP before is to be dropped, it would only delay this one. */
  readonly isBacklogDropped: boolean;
  /** Media and retransmissions may leave at this rate … */
  readonly paceBps: number;
  /** … with this much at once: a token bucket's depth. Keyframes may use all of it, other pictures a third. */
  readonly burstBytes: number;
  /** To be stamped on every video packet; undefined: none is to be stamped and the browser does as it likes. */
  readonly playoutDelayMs: number | undefined;
  /** Playout delay with which no picture since the keyframe before this one would have come late; NaN before the first. Of controllers that know it. */
  readonly needMs?: number;
  readonly probe: ProbeRequest | undefined;
  /** What the link is believed to carry. */
  readonly estimateBps: number;
  readonly queueDelayMs: number;
  readonly rttMs: number;
  /** Call `decide` again by then, whatever happens. */
  readonly nextAtMs: number;
};

export type CongestionController = {
  /** Once, when the viewer has connected and there is something to send. */
  join(offer: JoinOffer, nowMs: number): JoinPlan;
  /** Before the first packet of an aligned keyframe; then `decide`, whose `renditionIndex` is for the GOP that begins. */
  onGop(offer: GopOffer, nowMs: number): void;
  onPicture(picture: SentPicture, nowMs: number): void;
  onPacketSent(packet: SentPacket, nowMs: number): void;
  /** False: it tells of packets that were never sent, so nothing of it was used. A session that goes on like that is to be closed. */
  onFeedback(report: ArrivalReport, nowMs: number): boolean;
  onReception(news: ReceptionNews, nowMs: number): void;
  onPlayerReport(report: PlayerReport, nowMs: number): void;
  /** How many copies of this packet are to be sent now; 0: none. Charged to the budget when asked. */
  onNack(videoSeqExt: number, packetBytes: number, nowMs: number): number;
  /** `backlogBytes`: video that waits for the pacer. */
  decide(nowMs: number, backlogBytes: number): Decision;
  /** λ: 0 reacts, 1 is smooth (CONGESTION 2.2). */
  setSmoothness(smoothnessRatio: number): void;
  /** Tuned otherwise from now on, by a controller that can be; λ moves these as it moved those before. */
  retune(parameters: Parameters): void;
  /** The class that the viewer's network seems to be of; undefined while it is not known, and where nobody looks. */
  readonly networkClass?: string | undefined;
  /** The session is over. */
  close?(): void;
};

/** What is known before the first packet. */
export type Prior = {
  /** 30th percentile of what viewers like this one could receive. */
  readonly rateBps: number;
  /** 85th percentile of the playout delay they needed. */
  readonly playoutDelayMs: number;
};

export const PRIOR_DEFAULT: Prior = { rateBps: 1_200_000, playoutDelayMs: 80 };

export type ControllerOptions = {
  /** λ; 0.5 where nothing was said. */
  readonly smoothnessRatio: number;
  readonly prior: Prior;
  /** False: control by reception and player reports alone. */
  readonly hasTransportFeedback: boolean;
  /** False: the extension was not negotiated, no delay is decided. */
  readonly hasPlayoutDelay: boolean;
};
