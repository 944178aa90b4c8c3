/** NAL units inside an access unit payload: each behind a 4-byte big-endian length (ISO/IEC 14496-15, "AVCC"). */
import { ProtocolError } from '../../base/errors.ts';

export const NAL_NON_IDR = 1;
export const NAL_IDR = 5;
export const NAL_SEI = 6;
export const NAL_SPS = 7;
export const NAL_PPS = 8;
export const NAL_AUD = 9;
export const NAL_FILLER = 12;

/** `nal_unit_type` of H.264 (ITU-T H.264 7.3.1). */
export const nalTypeOf = (nalUnit: Uint8Array): number => (nalUnit[0] ?? 0) & 0x1f;

/**
 * Views of the NAL units in `payload`, whose length fields have `lengthBytes` bytes. Empty units are left out.
 * Throws `ProtocolError` `NAL_LENGTH_INVALID` when a length runs past the end.
 */
export const splitNalUnits = (payload: Uint8Array, lengthBytes = 4): Uint8Array[] => {
  const nalUnits: Uint8Array[] = [];
  let offset = 0;
  while (offset < payload.byteLength) {
    let length = 0;
    for (let index = 0; index < lengthBytes; index += 1) {
      length = length * 256 + (payload[offset + index] ?? 0);
    }
    const start = offset + lengthBytes;
    const end = start + length;
    if (end > payload.byteLength) {
      throw new ProtocolError(
        'NAL_LENGTH_INVALID',
        `NAL unit at ${offset} claims ${length} bytes, ${payload.byteLength - start} are there`,
      );
    }
    if (length > 0) {
      nalUnits.push(payload.subarray(start, end));
    }
    offset = end;
  }
  return nalUnits;
};

/** The opposite: NAL units behind 4-byte lengths, in one buffer. */
export const joinNalUnits = (nalUnits: readonly Uint8Array[]): Uint8Array => {
  const joined = new Uint8Array(nalUnits.reduce((sum, nalUnit) => sum + 4 + nalUnit.byteLength, 0));
  const view = new DataView(joined.buffer);
  let offset = 0;
  for (const nalUnit of nalUnits) {
    view.setUint32(offset, nalUnit.byteLength);
    joined.set(nalUnit, offset + 4);
    offset += 4 + nalUnit.byteLength;
  }
  return joined;
};
