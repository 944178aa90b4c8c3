/** One SSRC towards one viewer, with its retransmission SSRC (RFC 4588): numbers, counts, and what may be asked for again. */
import { randomInt } from 'node:crypto';
import { seqDistance } from '../../base/wrap.ts';
import type { RtpExtensionIds, RtpFields } from '../../media/rtp/rtp-header.ts';
import { rtpHeaderBytes } from '../../media/rtp/rtp-header.ts';
import type { NtpTime } from '../../media/rtp/ntp.ts';
import { ntpMiddle32 } from '../../media/rtp/ntp.ts';
import { buildSenderReport } from '../../media/rtp/rtcp.ts';
import { SRTP_TAG_MAX_BYTES } from '../../webrtc-transport/srtp.ts';
import type { OutgoingPacket } from './media-sender.ts';
import type { RtpClock } from './rtp-clock.ts';
import type { SentPayload } from './retransmission-ring.ts';

/** Below 2^15, so that the first packets cannot wrap (RFC 3711 3.3.1). */
const SEQ_START_MAX = 2 ** 15;
const REPORT_MEMORY_COUNT = 8;
const IP_UDP_BYTES = 28;
/** The original's sequence number before its payload (RFC 4588 4). */
const RTX_HEAD_BYTES = 2;

export const randomSsrc = (): number => randomInt(1, 2 ** 32 - 1);

export type OutgoingStreamOptions = {
  readonly ssrc: number;
  readonly payloadType: number;
  readonly extensionIds: RtpExtensionIds;
  readonly rtx: { readonly ssrc: number; readonly payloadType: number } | undefined;
  /** Retransmission types of other payload types that the stream may take on, by those. */
  readonly otherRtxPayloadTypes?: ReadonlyMap<number, number>;
  readonly clock: RtpClock;
};

export class OutgoingStream {
  readonly ssrc: number;
  readonly clock: RtpClock;
  /** Read by the sender; everything that changes is set just before. */
  readonly packet: OutgoingPacket;
  readonly #rtxPacket: OutgoingPacket | undefined;
  readonly #rtxPayloadTypes: ReadonlyMap<number, number>;
  readonly #reports: { readonly middle32: number; readonly sentAtMs: number }[] = [];
  #packetCount = 0;
  #octetCount = 0;

  constructor(options: OutgoingStreamOptions) {
    this.ssrc = options.ssrc;
    this.clock = options.clock;
    this.packet = newPacket(options.ssrc, options.payloadType, options.extensionIds);
    this.#rtxPacket =
      options.rtx === undefined
        ? undefined
        : newPacket(options.rtx.ssrc, options.rtx.payloadType, options.extensionIds);
    this.#rtxPayloadTypes = new Map([
      ...(options.rtx === undefined ? [] : [[options.payloadType, options.rtx.payloadType] as const]),
      ...(options.otherRtxPayloadTypes ?? []),
    ]);
  }

  /** Undefined where retransmission was not negotiated. */
  get rtxSsrc(): number | undefined {
    return this.#rtxPacket?.fields.ssrc;
  }

  get packetCount(): number {
    return this.#packetCount;
  }

  /** From the next packet on. */
  usePayloadType(payloadType: number): void {
    this.packet.fields.payloadType = payloadType;
  }

  /** Of the packet that is prepared next. */
  get nextSeqExt(): number {
    return this.packet.fields.seqExt + 1;
  }

  /** The number nearest to the last one given whose low 16 bits are these. */
  unwrap(seq16: number): number {
    const lastSeqExt = this.packet.fields.seqExt;
    return lastSeqExt + seqDistance(lastSeqExt & 0xffff, seq16);
  }

  /** What a payload of this length takes on the link, as an IP packet. */
  packetBytes(payloadBytes: number): number {
    return this.packet.overheadBytes + payloadBytes;
  }

  /** The same for a packet sent again. */
  repairBytes(payloadBytes: number): number {
    return this.packet.overheadBytes + RTX_HEAD_BYTES + payloadBytes;
  }

  /** Makes the next packet of this stream, with a payload of this length, ready to be sent. */
  prepare(payloadBytes: number, timestampTs32: number, isMarked: boolean): OutgoingPacket {
    const { fields } = this.packet;
    fields.seqExt += 1;
    fields.timestampTs32 = timestampTs32;
    fields.isMarked = isMarked;
    this.#packetCount += 1;
    this.#octetCount += payloadBytes;
    return this.packet;
  }

  /** The same for a packet sent again under the retransmission SSRC; undefined where none was negotiated. */
  prepareAgain(original: SentPayload): OutgoingPacket | undefined {
    const again = this.#rtxPacket;
    const payloadType = this.#rtxPayloadTypes.get(original.payloadType);
    if (again === undefined || payloadType === undefined) {
      return undefined;
    }
    again.fields.payloadType = payloadType;
    again.fields.seqExt += 1;
    again.fields.timestampTs32 = original.timestampTs32;
    again.fields.isMarked = original.isMarked;
    return again;
  }

  /** SR that says: at this wall time this stamp would be captured. Remembered, so that answers give the round trip. */
  report(options: { ntp: NtpTime; timestampTs32: number; cname: string; nowMs: number }): Buffer {
    this.#reports.push({ middle32: ntpMiddle32(options.ntp), sentAtMs: options.nowMs });
    if (this.#reports.length > REPORT_MEMORY_COUNT) {
      this.#reports.shift();
    }
    return buildSenderReport({
      ssrc: this.ssrc,
      ntp: options.ntp,
      timestampTs32: options.timestampTs32,
      packetCount: this.#packetCount,
      octetCount: this.#octetCount,
      cname: options.cname,
    });
  }

  /** When the sender report with these middle bits left, if it was one of the last. */
  reportSentAtMs(middle32: number): number | undefined {
    return this.#reports.find((report) => report.middle32 === middle32)?.sentAtMs;
  }
}

/** The payload of what `prepareAgain` made ready. */
export const payloadAgain = ({ seqExt, payload }: SentPayload): Uint8Array => {
  const again = new Uint8Array(RTX_HEAD_BYTES + payload.byteLength);
  again[0] = (seqExt >> 8) & 0xff;
  again[1] = seqExt & 0xff;
  again.set(payload, RTX_HEAD_BYTES);
  return again;
};

const newPacket = (ssrc: number, payloadType: number, extensionIds: RtpExtensionIds): OutgoingPacket => ({
  fields: newFields(ssrc, payloadType),
  extensionIds,
  overheadBytes: rtpHeaderBytes(extensionIds) + SRTP_TAG_MAX_BYTES + IP_UDP_BYTES,
});

const newFields = (ssrc: number, payloadType: number): RtpFields => ({
  payloadType,
  isMarked: false,
  seqExt: randomInt(SEQ_START_MAX),
  timestampTs32: 0,
  ssrc,
  transportSeqExt: 0,
  playoutDelayMs: 0,
  playoutDelayMaxMs: 0,
});
