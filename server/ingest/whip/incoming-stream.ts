/**
 * One RTP stream of a publisher with what repeats it: unwraps numbers and stamps, puts repeats (RTX, RFC 4588) in their place, notes what is missing and
 * when to ask for it, and keeps the numbers of receiver reports (RFC 3550 A.3, A.8). Pure: told what time it is.
 */
import { Unwrapper } from '../../base/wrap.ts';
import { NackScheduler } from '../../media/rtp/nack-scheduler.ts';
import type { NtpTime } from '../../media/rtp/ntp.ts';
import { ntpMiddle32 } from '../../media/rtp/ntp.ts';
import type { ReceptionReport } from '../../media/rtp/rtcp.ts';
import type { RtpPacket } from '../../media/rtp/rtp-header.ts';
import { SequenceTally } from '../../media/rtp/sequence-tally.ts';
import type { JitterBufferOptions, JitterEvent } from './jitter-buffer.ts';
import { JitterBuffer } from './jitter-buffer.ts';

export type IncomingStreamOptions = JitterBufferOptions & {
  readonly payloadType: number;
  readonly rtxPayloadType: number | undefined;
  readonly clockHz: number;
  /** Whether the publisher repeats what is asked for. */
  readonly hasNack: boolean;
};

export type IncomingPacket = {
  readonly seqExt: number;
  readonly timestampExt: number;
  readonly isMarked: boolean;
  readonly payload: Uint8Array;
  readonly bytes: number;
  readonly arrivedAtMs: number;
};

/** Another SSRC takes over only from one that has been silent for so long. */
const SSRC_CHANGE_AFTER_MS = 1_000;
const RTX_HEAD_BYTES = 2;
/** Of a packet in memory, beside its payload. */
const PACKET_OVERHEAD_BYTES = 200;

export type Pushed = {
  /** The unwrapped number of the packet, or of the one it repeats; undefined for what belongs nowhere. */
  readonly seqExt: number | undefined;
  /** It had been asked for. */
  readonly hasRepaired: boolean;
  /** The publisher began the stream anew, under another SSRC. */
  readonly hasRestarted: boolean;
  /** Where this repeat told it. */
  readonly rttMs: number | undefined;
};

const NOTHING: Pushed = { seqExt: undefined, hasRepaired: false, hasRestarted: false, rttMs: undefined };

export type StreamCounts = {
  packets: number;
  bytes: number;
  /** Repeats that filled a hole. */
  repaired: number;
  nacks: number;
  /** Of another SSRC, or repeats of nothing. */
  stray: number;
};

export class IncomingStream {
  readonly counts: StreamCounts = { packets: 0, bytes: 0, repaired: 0, nacks: 0, stray: 0 };
  readonly #options: IncomingStreamOptions;
  #timestamps = new Unwrapper(32);
  #sequence = new SequenceTally();
  #nacks = new NackScheduler();
  #buffer: JitterBuffer<IncomingPacket>;
  #lostBefore = 0;
  #lateBefore = 0;
  #ssrc: number | undefined;
  #lastPacketAtMs = Number.NEGATIVE_INFINITY;
  #jitterTicks = 0;
  #lastTransitTicks: number | undefined;
  #report: { readonly lastSenderReport: number; readonly atMs: number } | undefined;

  constructor(options: IncomingStreamOptions) {
    this.#options = options;
    this.#buffer = new JitterBuffer(options);
  }

  /** Undefined before the first packet. */
  get ssrc(): number | undefined {
    return this.#ssrc;
  }

  get clockHz(): number {
    return this.#options.clockHz;
  }

  get lostCount(): number {
    return this.#lostBefore + this.#buffer.lostCount;
  }

  get lateCount(): number {
    return this.#lateBefore + this.#buffer.lateCount;
  }

  get bufferedBytes(): number {
    return this.#buffer.bufferedBytes;
  }

  get lastPacketAtMs(): number {
    return this.#lastPacketAtMs;
  }

  /** Whether packets of this payload type belong here. */
  takes(payloadType: number): boolean {
    return payloadType === this.#options.payloadType || payloadType === this.#options.rtxPayloadType;
  }

  /** One packet. */
  push(packet: RtpPacket, nowMs: number): Pushed {
    this.counts.packets += 1;
    this.counts.bytes += packet.payload.byteLength;
    if (packet.payloadType === this.#options.rtxPayloadType) {
      return this.#pushRepeat(packet, nowMs);
    }
    const isOther = this.#ssrc !== undefined && packet.ssrc !== this.#ssrc;
    if (isOther && nowMs - this.#lastPacketAtMs < SSRC_CHANGE_AFTER_MS) {
      this.counts.stray += 1;
      return NOTHING;
    }
    if (isOther) {
      this.#restart();
    }
    this.#ssrc = packet.ssrc;
    this.#lastPacketAtMs = nowMs;
    this.#noteJitter(packet, nowMs);
    const { seqExt, passedCount } = this.#sequence.take(packet.seq16);
    if (passedCount > 0 && this.#options.hasNack) {
      this.#nacks.noteMissing(seqExt - passedCount, seqExt - 1);
    }
    return { ...this.#place(packet, { seqExt, payload: packet.payload }, nowMs), hasRestarted: isOther };
  }

  /** What can go on now. */
  take(nowMs: number): JitterEvent<IncomingPacket>[] {
    const events = this.#buffer.take(nowMs);
    if (events.length > 0 && this.#buffer.nextExt !== undefined) {
      this.#nacks.forgetBefore(this.#buffer.nextExt);
    }
    return events;
  }

  /** Sequence numbers to be asked for now; they count as asked. */
  nacksDue(nowMs: number, rttMs: number): number[] {
    const due = this.#nacks.pendingCount === 0 ? [] : this.#nacks.due(nowMs, rttMs);
    // How long a packet is waited for is the buffer's business.
    this.#nacks.takeGivenUp();
    this.counts.nacks += due.length;
    return due.map((seqExt) => seqExt & 0xffff);
  }

  /** A sender report of this stream. The unwrapped stamp. */
  onReport(report: { ntp: NtpTime; timestampTs32: number }, nowMs: number): number {
    this.#report = { lastSenderReport: ntpMiddle32(report.ntp), atMs: nowMs };
    return this.#timestamps.unwrap(report.timestampTs32);
  }

  /** For the next receiver report; undefined before the first packet. */
  reception(nowMs: number): ReceptionReport | undefined {
    const report = this.#report;
    return this.#ssrc === undefined
      ? undefined
      : {
          ssrc: this.#ssrc,
          lostRatio: this.#sequence.takeLostRatio(),
          lostCount: Math.min(LOST_MAX_COUNT, this.#sequence.lostCount),
          highestSeqExt: this.#sequence.highestSeqExt,
          jitterTicks: Math.round(this.#jitterTicks),
          lastSenderReport: report?.lastSenderReport ?? 0,
          delaySinceUnits: report === undefined ? 0 : delayUnits(nowMs - report.atMs),
        };
  }

  #restart(): void {
    this.#lostBefore += this.#buffer.lostCount;
    this.#lateBefore += this.#buffer.lateCount;
    this.#timestamps = new Unwrapper(32);
    this.#sequence = new SequenceTally();
    this.#nacks = new NackScheduler();
    this.#buffer = new JitterBuffer(this.#options);
    this.#jitterTicks = 0;
    this.#lastTransitTicks = undefined;
    this.#report = undefined;
  }

  /** The payload begins with the number of what it repeats; padding that only probes the path repeats nothing. */
  #pushRepeat(packet: RtpPacket, nowMs: number): Pushed {
    const { payload } = packet;
    if (payload.byteLength <= RTX_HEAD_BYTES || this.#ssrc === undefined) {
      this.counts.stray += payload.byteLength > RTX_HEAD_BYTES ? 1 : 0;
      return NOTHING;
    }
    const seqExt = this.#sequence.extend(((payload[0] ?? 0) << 8) | (payload[1] ?? 0));
    return this.#place(packet, { seqExt, payload: payload.subarray(RTX_HEAD_BYTES) }, nowMs);
  }

  #place(
    { timestampTs32, isMarked }: RtpPacket,
    { seqExt, payload }: { seqExt: number; payload: Uint8Array },
    nowMs: number,
  ): Pushed {
    const askedAtMs = this.#nacks.askedOnceAtMs(seqExt);
    const hasRepaired = this.#nacks.noteArrived(seqExt) === 'recovered';
    this.counts.repaired += hasRepaired ? 1 : 0;
    const timestampExt = this.#timestamps.unwrap(timestampTs32);
    const bytes = payload.byteLength + PACKET_OVERHEAD_BYTES;
    this.#buffer.push({ seqExt, timestampExt, isMarked, payload, bytes, arrivedAtMs: nowMs }, nowMs);
    const rttMs = askedAtMs === undefined ? undefined : nowMs - askedAtMs;
    return { seqExt, hasRepaired, hasRestarted: false, rttMs };
  }

  #noteJitter({ timestampTs32 }: RtpPacket, nowMs: number): void {
    const transitTicks = (nowMs * this.#options.clockHz) / 1000 - timestampTs32;
    const differenceTicks = Math.abs(transitTicks - (this.#lastTransitTicks ?? transitTicks));
    this.#lastTransitTicks = transitTicks;
    // A wrap of the stamps is no jitter.
    if (differenceTicks < this.#options.clockHz * 10) {
      this.#jitterTicks += (differenceTicks - this.#jitterTicks) / 16;
    }
  }
}

/** Signed 24 bits. */
const LOST_MAX_COUNT = 0x7fffff;

/** In 2^-16 s, as far as 32 bits go. */
const delayUnits = (delayMs: number): number =>
  Math.min(0xffffffff, Math.max(0, Math.round((delayMs * 65_536) / 1000)));
