/** Open bitstream units of AV1 (AV1 specification 5.3): how a temporal unit is cut, and whether decoding can start at it. */
import { ProtocolError } from '../../base/errors.ts';

export const OBU_SEQUENCE_HEADER = 1;
export const OBU_TEMPORAL_DELIMITER = 2;
const OBU_FRAME_HEADER = 3;
const OBU_FRAME = 6;
export const OBU_TILE_LIST = 8;
export const OBU_PADDING = 15;

const CODE = 'AV1_OBU_INVALID';

export type Obu = {
  readonly type: number;
  /** Header byte(s) as sent, without the size field. */
  readonly header: Uint8Array;
  readonly hasSize: boolean;
  /** From the header byte to the end of the payload. */
  readonly whole: Uint8Array;
  readonly payload: Uint8Array;
};

/** Views of the OBUs in `bytes`. The last may come without a size field. Throws `ProtocolError` `AV1_OBU_INVALID`. */
export const splitObus = (bytes: Uint8Array): Obu[] => {
  const obus: Obu[] = [];
  let offset = 0;
  while (offset < bytes.byteLength) {
    const first = bytes[offset] ?? 0;
    if ((first & 0x80) !== 0) {
      throw new ProtocolError(CODE, `forbidden bit set at ${offset}`);
    }
    const hasSize = (first & 0x02) !== 0;
    const headerBytes = (first & 0x04) === 0 ? 1 : 2;
    const size = hasSize ? readLeb128(bytes, offset + headerBytes) : { value: 0, bytes: 0 };
    const start = offset + headerBytes + size.bytes;
    const end = hasSize ? start + size.value : bytes.byteLength;
    if (start > bytes.byteLength || end > bytes.byteLength) {
      throw new ProtocolError(CODE, `OBU at ${offset} ends at ${end}, ${bytes.byteLength} bytes are there`);
    }
    obus.push({
      type: (first >> 3) & 0x0f,
      header: bytes.subarray(offset, offset + headerBytes),
      hasSize,
      whole: bytes.subarray(offset, end),
      payload: bytes.subarray(start, end),
    });
    offset = end;
  }
  return obus;
};

/** A fresh copy of the temporal unit: every OBU with a size field, no temporal delimiters. */
export const joinTemporalUnit = (obus: readonly Obu[]): Uint8Array => {
  const pieces: Uint8Array[] = [];
  for (const obu of obus) {
    if (obu.type === OBU_TEMPORAL_DELIMITER) {
      continue;
    }
    if (obu.hasSize) {
      pieces.push(obu.whole);
    } else {
      const header = Uint8Array.from(obu.header);
      header[0] = (header[0] ?? 0) | 0x02;
      pieces.push(header, writeLeb128(obu.payload.byteLength), obu.payload);
    }
  }
  const joined = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
  let offset = 0;
  for (const piece of pieces) {
    joined.set(piece, offset);
    offset += piece.byteLength;
  }
  return joined;
};

/** True when the first frame header is that of a shown key frame (`show_existing_frame` 0, `frame_type` 0; 5.9.2). */
export const isAv1Keyframe = (obus: readonly Obu[]): boolean => {
  const frame = obus.find((obu) => obu.type === OBU_FRAME || obu.type === OBU_FRAME_HEADER);
  const first = frame?.payload[0];
  return first !== undefined && (first & 0xe0) === 0;
};

const readLeb128 = (bytes: Uint8Array, offset: number): { value: number; bytes: number } => {
  let value = 0;
  for (let index = 0; index < 8; index += 1) {
    const byte = bytes[offset + index];
    if (byte === undefined) {
      break;
    }
    value += (byte & 0x7f) * 2 ** (7 * index);
    if ((byte & 0x80) === 0) {
      return { value, bytes: index + 1 };
    }
  }
  throw new ProtocolError(CODE, `leb128 at ${offset} does not end`);
};

/** Little-endian, seven bits a byte (4.10.5). */
export const writeLeb128 = (value: number): Uint8Array => {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest & 0x7f;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return Uint8Array.from(bytes);
};
