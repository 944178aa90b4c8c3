/** ISO-BMFF boxes (ISO/IEC 14496-12 4.2): size (32) | type (4 characters) | payload; full boxes add version (8) | flags (24). */

/** Big-endian fields, written one after the other. */
export const u8 = (...values: number[]): Uint8Array => Uint8Array.from(values);

export const u16 = (...values: number[]): Uint8Array => {
  const bytes = new Uint8Array(values.length * 2);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => view.setUint16(index * 2, value));
  return bytes;
};

export const u32 = (...values: number[]): Uint8Array => {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => view.setUint32(index * 4, value));
  return bytes;
};

export const ascii = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));

export const concatBytes = (chunks: readonly Uint8Array[]): Uint8Array => {
  const joined = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0));
  let offset = 0;
  for (const chunk of chunks) {
    joined.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return joined;
};

export const box = (type: string, ...payload: Uint8Array[]): Uint8Array => {
  const bytes = payload.reduce((sum, chunk) => sum + chunk.byteLength, 8);
  return concatBytes([u32(bytes), ascii(type), ...payload]);
};

/** `flags` in the low 24 bits. */
export const fullBox = (
  type: string,
  header: { version: number; flags: number },
  ...payload: Uint8Array[]
): Uint8Array => box(type, u32(((header.version << 24) | header.flags) >>> 0), ...payload);
