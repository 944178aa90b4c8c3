/**
 * RTCP (RFC 3550 6, RFC 4585 6, RFC 5104 4.3.1, RFC 3611 4.4): what a viewer tells us, and what we tell it. Each packet of a compound:
 *
 *     V=2 P count/format (8) | type (8) | length in words − 1 (16) | body
 */
import { ByteReader } from '../../base/byte-reader.ts';
import { ProtocolError } from '../../base/errors.ts';
import type { NtpTime } from './ntp.ts';
import { ntpMiddle32 } from './ntp.ts';

const INVALID = 'RTCP_PACKET_INVALID';
const SENDER_REPORT = 200;
const RECEIVER_REPORT = 201;
const SOURCE_DESCRIPTION = 202;
const GOODBYE = 203;
const TRANSPORT_FEEDBACK = 205;
const PAYLOAD_FEEDBACK = 206;
const EXTENDED_REPORT = 207;
const FORMAT_NACK = 1;
const FORMAT_TRANSPORT_CC = 15;
const FORMAT_PLI = 1;
const FORMAT_FIR = 4;
const BLOCK_RECEIVER_REFERENCE_TIME = 4;
const BLOCK_DLRR = 5;
/** A datagram holds fewer; what a peer says beyond it is not read. */
const NACK_MAX_COUNT = 1_024;

export type ReceptionReport = {
  readonly ssrc: number;
  /** 0…1, since the last report. */
  readonly lostRatio: number;
  readonly lostCount: number;
  /** The highest sequence number that came, unwrapped. Written by our own clients; not read. */
  readonly highestSeqExt?: number;
  readonly jitterTicks: number;
  /** Middle 32 bits of the sender report answered, 0 when none. */
  readonly lastSenderReport: number;
  /** In units of 2^-16 s. */
  readonly delaySinceUnits: number;
};

export type RtcpItem =
  | { readonly type: 'sender-report'; readonly ssrc: number; readonly ntp: NtpTime; readonly timestampTs32: number }
  | { readonly type: 'reception'; readonly report: ReceptionReport }
  | { readonly type: 'nack'; readonly mediaSsrc: number; readonly seqs16: readonly number[] }
  | { readonly type: 'pli'; readonly mediaSsrc: number }
  | { readonly type: 'fir'; readonly mediaSsrc: number; readonly commandSeq: number }
  /** Its body after the two SSRCs, unread: a view of the datagram, for `TransportReport`. */
  | { readonly type: 'transport-cc'; readonly body: Uint8Array }
  | { readonly type: 'receiver-reference-time'; readonly ssrc: number; readonly ntp: NtpTime }
  | { readonly type: 'bye' };

/**
 * Reads a compound packet; kinds we do not know are passed over. Throws `ProtocolError` (`RTCP_PACKET_INVALID`).
 * Bounded by the datagram: at most 1024 sequence numbers per NACK are read.
 */
export const parseRtcp = (bytes: Uint8Array): RtcpItem[] => {
  const reader = new ByteReader(bytes, INVALID);
  const items: RtcpItem[] = [];
  while (reader.remainingBytes > 0) {
    const first = reader.u8();
    const type = reader.u8();
    if (first >> 6 !== 2) {
      throw new ProtocolError(INVALID, `version is ${first >> 6}, expected 2`);
    }
    const body = withoutPadding(reader.bytes(4 * reader.u16()), (first & 0x20) !== 0);
    readPacket(items, { type, format: first & 0x1f, body: new ByteReader(body, INVALID) });
  }
  return items;
};

const withoutPadding = (body: Uint8Array, isPadded: boolean): Uint8Array =>
  isPadded ? body.subarray(0, Math.max(0, body.byteLength - (body.at(-1) ?? 0))) : body;

type RawPacket = { readonly type: number; readonly format: number; readonly body: ByteReader };

const readPacket = (items: RtcpItem[], { type, format, body }: RawPacket): void => {
  if (type === SENDER_REPORT) {
    const ssrc = body.u32();
    const ntp = { seconds: body.u32(), fraction: body.u32() };
    items.push({ type: 'sender-report', ssrc, ntp, timestampTs32: body.u32() });
    body.skip(8);
    readReports(items, body, format);
  } else if (type === RECEIVER_REPORT) {
    body.skip(4);
    readReports(items, body, format);
  } else if (type === TRANSPORT_FEEDBACK) {
    readTransportFeedback(items, format, body);
  } else if (type === PAYLOAD_FEEDBACK) {
    readPayloadFeedback(items, format, body);
  } else if (type === EXTENDED_REPORT) {
    readExtended(items, body);
  } else if (type === GOODBYE) {
    items.push({ type: 'bye' });
  }
};

const readReports = (items: RtcpItem[], body: ByteReader, count: number): void => {
  for (let index = 0; index < count; index += 1) {
    const ssrc = body.u32();
    const lostRatio = body.u8() / 256;
    const lostCount = body.i24();
    body.skip(4);
    const jitterTicks = body.u32();
    const report = {
      ssrc,
      lostRatio,
      lostCount,
      jitterTicks,
      lastSenderReport: body.u32(),
      delaySinceUnits: body.u32(),
    };
    items.push({ type: 'reception', report });
  }
};

const readTransportFeedback = (items: RtcpItem[], format: number, body: ByteReader): void => {
  body.skip(4);
  const mediaSsrc = body.u32();
  if (format === FORMAT_TRANSPORT_CC) {
    items.push({ type: 'transport-cc', body: body.rest() });
  } else if (format === FORMAT_NACK) {
    const seqs16: number[] = [];
    while (body.remainingBytes >= 4 && seqs16.length < NACK_MAX_COUNT) {
      pushNackPair(seqs16, body.u16(), body.u16());
    }
    items.push({ type: 'nack', mediaSsrc, seqs16 });
  }
};

/** A sequence number and a bit mask of the sixteen after it (RFC 4585 6.2.1). */
const pushNackPair = (seqs16: number[], packetId: number, mask: number): void => {
  seqs16.push(packetId);
  for (let bit = 0; bit < 16; bit += 1) {
    if ((mask & (1 << bit)) !== 0) {
      seqs16.push((packetId + bit + 1) & 0xffff);
    }
  }
};

const readPayloadFeedback = (items: RtcpItem[], format: number, body: ByteReader): void => {
  body.skip(4);
  const mediaSsrc = body.u32();
  if (format === FORMAT_PLI) {
    items.push({ type: 'pli', mediaSsrc });
  } else if (format === FORMAT_FIR) {
    while (body.remainingBytes >= 8) {
      const ssrc = body.u32();
      items.push({ type: 'fir', mediaSsrc: ssrc, commandSeq: body.u8() });
      body.skip(3);
    }
  }
};

const readExtended = (items: RtcpItem[], body: ByteReader): void => {
  const ssrc = body.u32();
  while (body.remainingBytes >= 4) {
    const type = body.u8();
    body.skip(1);
    const block = new ByteReader(body.bytes(4 * body.u16()), INVALID);
    if (type === BLOCK_RECEIVER_REFERENCE_TIME) {
      items.push({ type: 'receiver-reference-time', ssrc, ntp: { seconds: block.u32(), fraction: block.u32() } });
    }
  }
};

export type SenderReportFields = {
  readonly ssrc: number;
  readonly ntp: NtpTime;
  readonly timestampTs32: number;
  readonly packetCount: number;
  readonly octetCount: number;
  readonly cname: string;
};

/** SR followed by SDES with the CNAME, as RFC 3550 6.1 demands of every compound. */
export const buildSenderReport = (fields: SenderReportFields): Buffer => {
  const report = packet({ type: SENDER_REPORT, format: 0, bodyBytes: 24 });
  report.writeUInt32BE(fields.ssrc, 4);
  report.writeUInt32BE(fields.ntp.seconds, 8);
  report.writeUInt32BE(fields.ntp.fraction, 12);
  report.writeUInt32BE(fields.timestampTs32, 16);
  report.writeUInt32BE(fields.packetCount >>> 0, 20);
  report.writeUInt32BE(fields.octetCount % 2 ** 32, 24);
  return Buffer.concat([report, buildSourceDescription(fields.ssrc, fields.cname)]);
};

const buildSourceDescription = (ssrc: number, cname: string): Buffer => {
  const name = Buffer.from(cname, 'utf8').subarray(0, 255);
  const description = packet({
    type: SOURCE_DESCRIPTION,
    format: 1,
    bodyBytes: 4 * Math.ceil((4 + 2 + name.byteLength + 1) / 4),
  });
  description.writeUInt32BE(ssrc, 4);
  description[8] = 1;
  description[9] = name.byteLength;
  name.copy(description, 10);
  return description;
};

/** DLRR (RFC 3611 4.5): by it a receive-only peer learns its round trip, and times its NACKs. `delayMs`: since its report came. */
export const buildDlrr = (fields: { ssrc: number; receiverSsrc: number; ntp: NtpTime; delayMs: number }): Buffer => {
  const report = packet({ type: EXTENDED_REPORT, format: 0, bodyBytes: 20 });
  report.writeUInt32BE(fields.ssrc, 4);
  report[8] = BLOCK_DLRR;
  report.writeUInt16BE(3, 10);
  report.writeUInt32BE(fields.receiverSsrc, 12);
  report.writeUInt32BE(ntpMiddle32(fields.ntp), 16);
  report.writeUInt32BE(Math.min(0xffffffff, Math.max(0, Math.round((fields.delayMs * 65_536) / 1000))), 20);
  return report;
};

/** BYE for these sources (RFC 3550 6.6). */
export const buildGoodbye = (ssrcs: readonly number[]): Buffer => {
  const goodbye = packet({ type: GOODBYE, format: ssrcs.length, bodyBytes: 4 * ssrcs.length });
  ssrcs.forEach((ssrc, index) => goodbye.writeUInt32BE(ssrc, 4 + 4 * index));
  return goodbye;
};

/** RR with these reports, for our own clients and tests. */
export const buildReceiverReport = (ssrc: number, reports: readonly ReceptionReport[]): Buffer => {
  const built = packet({ type: RECEIVER_REPORT, format: reports.length, bodyBytes: 4 + 24 * reports.length });
  built.writeUInt32BE(ssrc, 4);
  reports.forEach((report, index) => {
    const at = 8 + 24 * index;
    built.writeUInt32BE(report.ssrc, at);
    built.writeUInt8(Math.min(255, Math.round(report.lostRatio * 256)), at + 4);
    built.writeIntBE(report.lostCount, at + 5, 3);
    built.writeUInt32BE((report.highestSeqExt ?? 0) >>> 0, at + 8);
    built.writeUInt32BE(report.jitterTicks, at + 12);
    built.writeUInt32BE(report.lastSenderReport, at + 16);
    built.writeUInt32BE(report.delaySinceUnits, at + 20);
  });
  return built;
};

/** NACK of these sequence numbers, one pair each. */
export const buildNack = (ssrc: number, mediaSsrc: number, seqs16: readonly number[]): Buffer => {
  const body = Buffer.alloc(4 * seqs16.length);
  seqs16.forEach((seq, index) => body.writeUInt16BE(seq, 4 * index));
  return buildFeedback({ type: TRANSPORT_FEEDBACK, format: FORMAT_NACK, ssrc, mediaSsrc, body });
};

export const buildPli = (ssrc: number, mediaSsrc: number): Buffer =>
  buildFeedback({ type: PAYLOAD_FEEDBACK, format: FORMAT_PLI, ssrc, mediaSsrc, body: Buffer.alloc(0) });

export const buildFir = (ssrc: number, mediaSsrc: number, commandSeq: number): Buffer => {
  const body = Buffer.alloc(8);
  body.writeUInt32BE(mediaSsrc, 0);
  body[4] = commandSeq;
  return buildFeedback({ type: PAYLOAD_FEEDBACK, format: FORMAT_FIR, ssrc, mediaSsrc: 0, body });
};

/** transport-cc around a body made by `buildTransportFeedback`. */
export const buildTransportCc = (ssrc: number, mediaSsrc: number, body: Uint8Array): Buffer =>
  buildFeedback({ type: TRANSPORT_FEEDBACK, format: FORMAT_TRANSPORT_CC, ssrc, mediaSsrc, body });

type FeedbackFields = {
  readonly type: number;
  readonly format: number;
  readonly ssrc: number;
  readonly mediaSsrc: number;
  readonly body: Uint8Array;
};

const buildFeedback = ({ type, format, ssrc, mediaSsrc, body }: FeedbackFields): Buffer => {
  const built = packet({ type, format, bodyBytes: 8 + 4 * Math.ceil(body.byteLength / 4) });
  built.writeUInt32BE(ssrc, 4);
  built.writeUInt32BE(mediaSsrc, 8);
  built.set(body, 12);
  return built;
};

const packet = (fields: { type: number; format: number; bodyBytes: number }): Buffer => {
  const built = Buffer.alloc(4 + fields.bodyBytes);
  built[0] = 0x80 | fields.format;
  built[1] = fields.type;
  built.writeUInt16BE(fields.bodyBytes / 4, 2);
  return built;
};
