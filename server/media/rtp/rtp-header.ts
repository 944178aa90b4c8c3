/**
 * RTP headers (RFC 3550 5.1) with one-byte header extensions (RFC 8285 4.2).
 *
 *     V=2 P X CC (8) | M PT (8) | sequence number (16) | timestamp (32) | SSRC (32)
 *     0xBEDE | length in words | { id (4) length−1 (4) | bytes }… | padding
 *
 * What a stream's packets carry is fixed when it is made, so that every one of its headers has the same length.
 */
import { ByteReader } from '../../base/byte-reader.ts';
import { ProtocolError } from '../../base/errors.ts';

export const RTP_HEADER_BYTES = 12;
const EXTENSION_PROFILE = 0xbede;
const EXTENSION_HEADER_BYTES = 4;
/** The playout-delay extension counts in 10 ms, in 12 bits. */
const PLAYOUT_DELAY_UNIT_MS = 10;
const PLAYOUT_DELAY_MAX_UNITS = 0xfff;

/** Negotiated ids of the extensions a stream writes; 0 where one was not negotiated. */
export type RtpExtensionIds = { readonly transportSeq: number; readonly playoutDelay: number };

/** Everything that differs from packet to packet. A stream keeps one and changes it in place: the packet path allocates nothing. */
export type RtpFields = {
  payloadType: number;
  isMarked: boolean;
  /** Its low 16 bits go on the wire. */
  seqExt: number;
  timestampTs32: number;
  ssrc: number;
  /** Transport-wide number; its low 16 bits go on the wire. */
  transportSeqExt: number;
  /** The least time a picture waits at the viewer, rounded to 10 ms. */
  playoutDelayMs: number;
  /** The longest; less than the least counts as the least. */
  playoutDelayMaxMs: number;
};

/** Length of every header written with these ids. */
export const rtpHeaderBytes = (ids: RtpExtensionIds): number => {
  const bytes = (ids.transportSeq > 0 ? 3 : 0) + (ids.playoutDelay > 0 ? 4 : 0);
  return bytes === 0 ? RTP_HEADER_BYTES : RTP_HEADER_BYTES + EXTENSION_HEADER_BYTES + 4 * Math.ceil(bytes / 4);
};

/** Writes a header at `offset` and returns the offset after it. The caller sees to the room. */
export const writeRtpHeader = (target: Buffer, offset: number, fields: RtpFields, ids: RtpExtensionIds): number => {
  const hasExtension = ids.transportSeq > 0 || ids.playoutDelay > 0;
  target[offset] = hasExtension ? 0x90 : 0x80;
  target[offset + 1] = (fields.isMarked ? 0x80 : 0) | fields.payloadType;
  target.writeUInt16BE(fields.seqExt & 0xffff, offset + 2);
  target.writeUInt32BE(fields.timestampTs32, offset + 4);
  target.writeUInt32BE(fields.ssrc, offset + 8);
  const end = offset + RTP_HEADER_BYTES;
  return hasExtension ? writeExtensions(target, end, fields, ids) : end;
};

const writeExtensions = (target: Buffer, start: number, fields: RtpFields, ids: RtpExtensionIds): number => {
  let at = start + EXTENSION_HEADER_BYTES;
  if (ids.transportSeq > 0) {
    target[at] = (ids.transportSeq << 4) | 1;
    target.writeUInt16BE(fields.transportSeqExt & 0xffff, at + 1);
    at += 3;
  }
  if (ids.playoutDelay > 0) {
    const delay24 = playoutDelayWord(fields);
    target[at] = (ids.playoutDelay << 4) | 2;
    target[at + 1] = delay24 >> 16;
    target[at + 2] = (delay24 >> 8) & 0xff;
    target[at + 3] = delay24 & 0xff;
    at += 4;
  }
  while ((at - start) % 4 !== 0) {
    target[at] = 0;
    at += 1;
  }
  target.writeUInt16BE(EXTENSION_PROFILE, start);
  target.writeUInt16BE((at - start - EXTENSION_HEADER_BYTES) / 4, start + 2);
  return at;
};

/** The extension's 24 bits: the least delay and the most, 12 bits each. */
export const playoutDelayWord = ({ playoutDelayMs, playoutDelayMaxMs }: RtpFields): number => {
  const minUnits = playoutDelayUnits(playoutDelayMs);
  return (minUnits << 12) | Math.max(minUnits, playoutDelayUnits(playoutDelayMaxMs));
};

/** A minimum of 0 switches Chrome's jitter buffer off (CONGESTION 0, decision 6), so 10 ms is the least. */
const playoutDelayUnits = (delayMs: number): number =>
  Math.min(PLAYOUT_DELAY_MAX_UNITS, Math.max(1, Math.round(delayMs / PLAYOUT_DELAY_UNIT_MS)));

export type RtpPacket = {
  readonly payloadType: number;
  readonly isMarked: boolean;
  readonly seq16: number;
  readonly timestampTs32: number;
  readonly ssrc: number;
  /** By id; views of the packet. */
  readonly extensions: ReadonlyMap<number, Uint8Array>;
  /** A view of the packet, without padding. */
  readonly payload: Uint8Array;
};

const INVALID = 'RTP_PACKET_INVALID';

/** Reads one packet. Throws `ProtocolError` `RTP_PACKET_INVALID`. */
export const parseRtpPacket = (bytes: Uint8Array): RtpPacket => {
  const reader = new ByteReader(bytes, INVALID);
  const first = reader.u8();
  if (first >> 6 !== 2) {
    throw new ProtocolError(INVALID, `version is ${first >> 6}, expected 2`);
  }
  const second = reader.u8();
  const seq16 = reader.u16();
  const timestampTs32 = reader.u32();
  const ssrc = reader.u32();
  reader.skip(4 * (first & 0x0f));
  const extensions = (first & 0x10) === 0 ? new Map<number, Uint8Array>() : readExtensions(reader);
  const body = reader.rest();
  const paddingBytes = (first & 0x20) === 0 ? 0 : (body.at(-1) ?? 0);
  if (paddingBytes > body.byteLength || ((first & 0x20) !== 0 && paddingBytes === 0)) {
    throw new ProtocolError(INVALID, `padding of ${paddingBytes} bytes in a payload of ${body.byteLength}`);
  }
  return {
    payloadType: second & 0x7f,
    isMarked: second >> 7 === 1,
    seq16,
    timestampTs32,
    ssrc,
    extensions,
    payload: body.subarray(0, body.byteLength - paddingBytes),
  };
};

const readExtensions = (reader: ByteReader): Map<number, Uint8Array> => {
  const profile = reader.u16();
  const block = new ByteReader(reader.bytes(4 * reader.u16()), INVALID);
  const extensions = new Map<number, Uint8Array>();
  if (profile !== EXTENSION_PROFILE) {
    return extensions;
  }
  while (block.remainingBytes > 0) {
    const head = block.u8();
    const id = head >> 4;
    if (id === 15) {
      break;
    }
    if (id !== 0) {
      extensions.set(id, block.bytes((head & 0x0f) + 1));
    }
  }
  return extensions;
};
