/**
 * transport-cc feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 3.1), after the RTCP header and the two SSRCs:
 *
 *     base sequence number (16) | packet status count (16) | reference time (24, signed, 64 ms) | feedback count (8)
 *     packet chunks (16 each): 0 symbol (2) run length (13) | 1 0 14 symbols of 1 bit | 1 1 7 symbols of 2 bits
 *     receive deltas in 0.25 ms: 8 bits unsigned for "small", 16 bits signed for "large or negative"
 */
import { ProtocolError } from '../../base/errors.ts';

const INVALID = 'RTCP_TRANSPORT_CC_INVALID';
const REFERENCE_UNIT_MS = 64;
const DELTA_UNIT_MS = 0.25;
const HEAD_BYTES = 8;
/** Feedback every 250 ms at most, at 50 Mbit/s and 1200 bytes: 1300 packets. */
const STATUS_MAX_COUNT = 4_096;

export type TransportFeedback = {
  readonly baseSeq16: number;
  readonly feedbackCount: number;
  /** One entry per packet from the base on: arrival on the receiver's clock in ms, or undefined when it did not arrive. */
  readonly arrivedMs: readonly (number | undefined)[];
};

/** One message, read in place of the one before: the feedback of all viewers passes through one of these and allocates nothing. */
export class TransportReport {
  baseSeq16 = 0;
  feedbackCount = 0;
  /** Packets told about, from the base on. */
  count = 0;
  /** Of each: arrival on the receiver's clock in ms, NaN when it did not arrive. What lies beyond `count` means nothing. */
  readonly arrivedMs = new Float64Array(STATUS_MAX_COUNT);

  /** Reads the body after the two SSRCs. Throws `ProtocolError` `RTCP_TRANSPORT_CC_INVALID`. */
  read(body: Uint8Array): void {
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    if (body.byteLength < HEAD_BYTES) {
      throw tooShort(body);
    }
    this.baseSeq16 = view.getUint16(0);
    this.count = view.getUint16(2);
    this.feedbackCount = view.getUint8(7);
    if (this.count === 0 || this.count > STATUS_MAX_COUNT) {
      throw new ProtocolError(INVALID, `${this.count} packet statuses, expected 1 to ${STATUS_MAX_COUNT}`);
    }
    this.#readArrivals(view, this.#readSymbols(view), (view.getInt32(4) >> 8) * REFERENCE_UNIT_MS);
  }

  /** Puts the symbols where the arrivals will stand; returns where the deltas begin. */
  #readSymbols(view: DataView): number {
    const { count, arrivedMs: symbols } = this;
    let at = HEAD_BYTES;
    let filled = 0;
    while (filled < count) {
      if (at + 2 > view.byteLength) {
        throw tooShort(view);
      }
      const chunk = view.getUint16(at);
      at += 2;
      if (chunk >> 15 === 0) {
        const end = Math.min(count, filled + (chunk & 0x1fff));
        if (end === filled) {
          throw new ProtocolError(INVALID, 'run of length 0');
        }
        symbols.fill((chunk >> 13) & 0x03, filled, end);
        filled = end;
      } else {
        const bits = (chunk & 0x4000) === 0 ? 1 : 2;
        for (let shift = 14 - bits; shift >= 0 && filled < count; shift -= bits) {
          symbols[filled] = (chunk >> shift) & (bits === 1 ? 0x01 : 0x03);
          filled += 1;
        }
      }
    }
    return at;
  }

  #readArrivals(view: DataView, deltasAt: number, referenceMs: number): void {
    const { count, arrivedMs } = this;
    let at = deltasAt;
    let atMs = referenceMs;
    for (let index = 0; index < count; index += 1) {
      const symbol = arrivedMs[index] ?? 0;
      if (symbol === 0) {
        arrivedMs[index] = Number.NaN;
        continue;
      }
      if (symbol === 3) {
        throw new ProtocolError(INVALID, 'reserved packet status 3');
      }
      if (at + symbol > view.byteLength) {
        throw tooShort(view);
      }
      atMs += DELTA_UNIT_MS * (symbol === 1 ? view.getUint8(at) : view.getInt16(at));
      at += symbol;
      arrivedMs[index] = atMs;
    }
  }
}

const tooShort = ({ byteLength }: { readonly byteLength: number }): ProtocolError =>
  new ProtocolError(INVALID, `${byteLength} bytes end too early`);

/** The same as a value, for our own clients and tests. */
export const parseTransportFeedback = (body: Uint8Array): TransportFeedback => {
  const report = new TransportReport();
  report.read(body);
  const { baseSeq16, feedbackCount, count } = report;
  const arrivedMs = Array.from(report.arrivedMs.subarray(0, count), (atMs) => (Number.isNaN(atMs) ? undefined : atMs));
  return { baseSeq16, feedbackCount, arrivedMs };
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
