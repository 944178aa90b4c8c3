/**
 * The clock in the picture: two rows of 16 blocks over the top, most significant bit first, black or white. 24 bits are Unix
 * milliseconds modulo 2^24 (4 h 39 min), 8 bits their CRC (polynomial 7, start 0xff). Blocks are a sixteenth of the width and
 * a ninth of the height, large enough to survive compression and scaling. The OBS script of the project's rig draws the same.
 */
export const STAMP_COLUMN_COUNT = 16;
export const STAMP_ROW_COUNT = 2;
/** A block's height is this part of the picture's, rounded down. */
export const STAMP_HEIGHT_DIVISOR = 9;
export const STAMP_MODULUS_MS = 2 ** 24;

/** CRC-8 of a 24-bit value. */
export const stampChecksum = (value: number): number => {
  let crc = 0xff;
  for (let shift = 16; shift >= 0; shift -= 8) {
    crc ^= (value >> shift) & 0xff;
    for (let bit = 0; bit < 8; bit += 1) {
      crc = (crc & 0x80) === 0 ? (crc << 1) & 0xff : ((crc << 1) ^ 0x07) & 0xff;
    }
  }
  return crc;
};

/** The 32 blocks of a wall-clock instant, row by row; true is white. */
export const stampBits = (wallMs: number): boolean[] => {
  const value = Math.floor(wallMs) % STAMP_MODULUS_MS;
  const crc = stampChecksum(value);
  return Array.from({ length: 32 }, (_, k) => (k < 24 ? (value >> (23 - k)) & 1 : (crc >> (31 - k)) & 1) === 1);
};

/** The instant that was stamped, given any instant less than two hours away from it. */
export const unwrapStampMs = (value: number, nearWallMs: number): number => {
  const half = STAMP_MODULUS_MS / 2;
  const off = (((value - nearWallMs + half) % STAMP_MODULUS_MS) + STAMP_MODULUS_MS) % STAMP_MODULUS_MS;
  return nearWallMs + off - half;
};
