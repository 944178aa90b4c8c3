/**
 * transport-cc feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 3.1), after the RTCP header and the two SSRCs:
 *
 *     base sequence number (16) | packet status count (16) | reference time (24, signed, 64 ms) | feedback count (8)
 *     packet chunks (16 each): 0 symbol (2) run length (13) | 1 0 14 symbols of 1 bit | 1 1 7 symbols of 2 bits
 *     receive deltas in 0.25 ms: 8 bits unsigned for "small", 16 bits signed for "large or negative"
 */
import { ByteReader } from '../../base/byte-reader.ts';
import { ProtocolError } from '../../base/errors.ts';

const INVALID = 'RTCP_TRANSPORT_CC_INVALID';
const REFERENCE_UNIT_MS = 64;
const DELTA_UNIT_MS = 0.25;
/** Feedback every 250 ms at most, at 50 Mbit/s and 1200 bytes: 1300 packets. */
const STATUS_MAX_COUNT = 4_096;

export type TransportFeedback = {
  readonly baseSeq16: number;
  readonly feedbackCount: number;
  /** One entry per packet from the base on: arrival on the receiver's clock in ms, or undefined when it did not arrive. */
  readonly arrivedMs: readonly (number | undefined)[];
};

/** Reads the body after the two SSRCs. Throws `ProtocolError` `RTCP_TRANSPORT_CC_INVALID`. */
export const parseTransportFeedback = (body: Uint8Array): TransportFeedback => {
  const reader = new ByteReader(body, INVALID);
  const baseSeq16 = reader.u16();
  const statusCount = reader.u16();
  if (statusCount === 0 || statusCount > STATUS_MAX_COUNT) {
    throw new ProtocolError(INVALID, `${statusCount} packet statuses, expected 1 to ${STATUS_MAX_COUNT}`);
  }
  const referenceMs = reader.i24() * REFERENCE_UNIT_MS;
  const feedbackCount = reader.u8();
  const symbols = readSymbols(reader, statusCount);
  return { baseSeq16, feedbackCount, arrivedMs: readArrivals(reader, symbols, referenceMs) };
};

const readSymbols = (reader: ByteReader, statusCount: number): number[] => {
  const symbols: number[] = [];
  while (symbols.length < statusCount) {
    const chunk = reader.u16();
    if (chunk >> 15 === 0) {
      const runLength = Math.min(chunk & 0x1fff, statusCount - symbols.length);
      if (runLength === 0) {
        throw new ProtocolError(INVALID, 'run of length 0');
      }
      for (let index = 0; index < runLength; index += 1) {
        symbols.push((chunk >> 13) & 0x03);
      }
    } else {
      pushVector(symbols, chunk, statusCount);
    }
  }
  return symbols;
};

const pushVector = (symbols: number[], chunk: number, statusCount: number): void => {
  const bits = (chunk & 0x4000) === 0 ? 1 : 2;
  for (let shift = 14 - bits; shift >= 0 && symbols.length < statusCount; shift -= bits) {
    symbols.push((chunk >> shift) & (bits === 1 ? 0x01 : 0x03));
  }
};

const readArrivals = (reader: ByteReader, symbols: readonly number[], referenceMs: number): (number | undefined)[] => {
  let atMs = referenceMs;
  return symbols.map((symbol) => {
    if (symbol === 0) {
      return undefined;
    }
    if (symbol === 3) {
      throw new ProtocolError(INVALID, 'reserved packet status 3');
    }
    atMs += DELTA_UNIT_MS * (symbol === 1 ? reader.u8() : (reader.u16() << 16) >> 16);
    return atMs;
  });
};

/** Builds the body after the two SSRCs, with one two-bit symbol per packet. For our own clients and tests. */
export const buildTransportFeedback = (feedback: TransportFeedback): Uint8Array => {
  const first = feedback.arrivedMs.find((atMs) => atMs !== undefined) ?? 0;
  const reference = Math.floor(first / REFERENCE_UNIT_MS);
  const deltas: number[] = [];
  let lastMs = reference * REFERENCE_UNIT_MS;
  const symbols = feedback.arrivedMs.map((atMs) => {
    if (atMs === undefined) {
      return 0;
    }
    const units = Math.round((atMs - lastMs) / DELTA_UNIT_MS);
    lastMs += units * DELTA_UNIT_MS;
    const isSmall = units >= 0 && units <= 0xff;
    deltas.push(...(isSmall ? [units] : [(units >> 8) & 0xff, units & 0xff]));
    return isSmall ? 1 : 2;
  });
  const chunks: number[] = [];
  for (let at = 0; at < symbols.length; at += 7) {
    let chunk = 0xc000;
    for (let index = 0; index < 7; index += 1) {
      chunk |= (symbols[at + index] ?? 0) << (12 - 2 * index);
    }
    chunks.push(chunk >> 8, chunk & 0xff);
  }
  const count = feedback.arrivedMs.length;
  const head = [feedback.baseSeq16 >> 8, feedback.baseSeq16 & 0xff, count >> 8, count & 0xff];
  const time = [(reference >> 16) & 0xff, (reference >> 8) & 0xff, reference & 0xff, feedback.feedbackCount & 0xff];
  return Uint8Array.from([...head, ...time, ...chunks, ...deltas]);
};
