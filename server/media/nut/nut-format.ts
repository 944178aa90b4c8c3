/**
 * What NUT's reader and writer share: start codes, variable-length numbers, checksum (the NUT specification, "nut.txt").
 *
 *     v: seven bits a byte, most significant first, top bit = more follow
 *     packet: startcode (64) | forward_ptr (v) | [header checksum (32) when forward_ptr > 4096] | body | checksum (32)
 *     frame:  code (8) | fields its flags announce | payload
 */
export const NUT_FILE_ID = 'nut/multimedia container\0';

/** A start code in two halves, since a number holds only 53 bits. */
export type StartCode = { readonly high: number; readonly low: number };
export const START_MAIN: StartCode = { high: 0x4e4d7a56, low: 0x1f5f04ad };
export const START_STREAM: StartCode = { high: 0x4e531140, low: 0x5bf2f9db };
export const START_SYNCPOINT: StartCode = { high: 0x4e4be4ad, low: 0xeeca4569 };

/** Every start code begins with `N`; frame code `N` is therefore always invalid. */
export const START_BYTE = 0x4e;
/** From this body size on, the packet's header carries a checksum of its own. */
export const LONG_PACKET_MIN_BYTES = 4096;

export const FLAG_KEY = 1;
export const FLAG_CODED_PTS = 8;
export const FLAG_STREAM_ID = 16;
export const FLAG_SIZE_MSB = 32;
export const FLAG_CHECKSUM = 64;
export const FLAG_RESERVED = 128;
export const FLAG_SM_DATA = 256;
export const FLAG_HEADER_IDX = 1024;
export const FLAG_MATCH_TIME = 2048;
export const FLAG_CODED = 4096;
export const FLAG_INVALID = 8192;

export const STREAM_CLASS_VIDEO = 0;
export const STREAM_CLASS_AUDIO = 1;

const CRC_POLYNOMIAL = 0x04c11db7;

const crcTable = Uint32Array.from({ length: 256 }, (_, index) => {
  let crc = index << 24;
  for (let bit = 0; bit < 8; bit += 1) {
    crc = crc & 0x8000_0000 ? (crc << 1) ^ CRC_POLYNOMIAL : crc << 1;
  }
  return crc >>> 0;
});

/** CRC-32 of the specification: most significant bit first, start value 0, no final inversion. */
export const nutChecksum = (bytes: Uint8Array): number => {
  let crc = 0;
  for (const byte of bytes) {
    crc = (crc << 8) ^ (crcTable[((crc >>> 24) ^ byte) & 0xff] ?? 0);
  }
  return crc >>> 0;
};

/** Full time stamp from its low bits and the last one of the stream (`lsb2full`). */
export const fullPtsTicks = (lowBits: number, lastPtsTicks: number, shiftBits: number): number => {
  const range = 2 ** shiftBits;
  const base = lastPtsTicks - Math.floor((range - 1) / 2);
  return ((((lowBits - base) % range) + range) % range) + base;
};
