/** The way back: RTP payloads (RFC 6184, packetization-mode 1) of one access unit to its NAL units. The second opinion on our packetiser. */
import { ByteReader } from '../../server/base/byte-reader.ts';
import { ProtocolError } from '../../server/base/errors.ts';

const INVALID = 'RTP_H264_INVALID';
const STAP_A = 24;
const FU_A = 28;
/** A NAL unit larger than this is no picture of ours. */
const NAL_UNIT_MAX_BYTES = 8_388_608;

/**
 * NAL units of `payloads`, which are whole and in order. Throws `ProtocolError` `RTP_H264_INVALID` on a type we never negotiate, on
 * fragments that do not join, and on a NAL unit above 8 MiB.
 */
export const depacketiseH264 = (payloads: readonly Uint8Array[]): Uint8Array[] => {
  const nalUnits: Uint8Array[] = [];
  let open: Uint8Array[] = [];
  for (const payload of payloads) {
    const type = (payload[0] ?? 0) & 0x1f;
    if (type === FU_A) {
      open = addFragment(open, payload, nalUnits);
    } else if (open.length > 0) {
      throw new ProtocolError(INVALID, 'a fragmented NAL unit was not finished');
    } else if (type === STAP_A) {
      nalUnits.push(...readAggregate(payload));
    } else if (type >= 1 && type <= 23) {
      nalUnits.push(payload);
    } else {
      throw new ProtocolError(INVALID, `payload type ${type}, expected 1 to 24 or 28`);
    }
  }
  if (open.length > 0) {
    throw new ProtocolError(INVALID, 'the last NAL unit was not finished');
  }
  return nalUnits;
};

const readAggregate = (payload: Uint8Array): Uint8Array[] => {
  const reader = new ByteReader(payload.subarray(1), INVALID);
  const nalUnits: Uint8Array[] = [];
  while (reader.remainingBytes > 0) {
    nalUnits.push(reader.bytes(reader.u16()));
  }
  return nalUnits;
};

const addFragment = (open: Uint8Array[], payload: Uint8Array, nalUnits: Uint8Array[]): Uint8Array[] => {
  const reader = new ByteReader(payload, INVALID);
  const indicator = reader.u8();
  const header = reader.u8();
  const isStart = (header & 0x80) !== 0;
  if (isStart !== (open.length === 0)) {
    throw new ProtocolError(INVALID, isStart ? 'a second start fragment' : 'a fragment without a start');
  }
  const parts = isStart ? [Uint8Array.of((indicator & 0xe0) | (header & 0x1f))] : open;
  parts.push(reader.rest());
  const bytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
  if (bytes > NAL_UNIT_MAX_BYTES) {
    throw new ProtocolError(INVALID, `NAL unit over ${NAL_UNIT_MAX_BYTES} bytes`);
  }
  if ((header & 0x40) === 0) {
    return parts;
  }
  nalUnits.push(new Uint8Array(Buffer.concat(parts)));
  return [];
};
