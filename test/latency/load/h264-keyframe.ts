/** Whether an RTP payload of H.264 begins a keyframe (RFC 6184 5.2): an IDR slice or its parameter sets, alone, aggregated or in fragments. Pure. */

const NAL_IDR = 5;
const NAL_SPS = 7;
const NAL_STAP_A = 24;
const NAL_FU_A = 28;

export const beginsKeyframe = (payload: Uint8Array): boolean => {
  const type = (payload[0] ?? 0) & 0x1f;
  if (type === NAL_STAP_A) {
    return stapTypes(payload).some(isKey);
  }
  if (type === NAL_FU_A) {
    const header = payload[1] ?? 0;
    return header >> 7 === 1 && isKey(header & 0x1f);
  }
  return isKey(type);
};

const isKey = (type: number): boolean => type === NAL_IDR || type === NAL_SPS;

/** NAL unit types in a STAP-A: each unit behind its length in two bytes. */
const stapTypes = (payload: Uint8Array): number[] => {
  const types: number[] = [];
  for (let at = 1; at + 2 < payload.byteLength;) {
    types.push((payload[at + 2] ?? 0) & 0x1f);
    at += 2 + (((payload[at] ?? 0) << 8) | (payload[at + 1] ?? 0));
  }
  return types;
};
