/**
 * Small FLV tag bodies for tests. The decoder configurations were made with ffmpeg 5.1 (testsrc2, `-tune zerolatency` for the
 * first, `-bf 2` for the second, x265 at 322x182, SVT-AV1) and read out of its MP4 files; the pictures are invented.
 */
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** 320x180, High, no reordering. */
export const AVC_CONFIG = hex('0164000dffe100186764000dacb40a0cfcf80880000003008000001e478a155001000468ef0fcbfdf8f800');
/** 320x180, High, two B-frames. */
export const AVC_CONFIG_B_FRAMES = hex(
  '0164000dffe1001a6764000dacd941419f9f0110000003001000000303c0f142996001000668ebe3cb22c0fdf8f800',
);
/** 322x182 by a conformance window in 328x184. */
export const HEVC_CONFIG = hex(
  '0101600000009000000000003cf000fcfdf8f800000f03' +
    '200001001840010c01ffff01600000030090000003000003003c959809' +
    '210001002a42010101600000030090000003000003003ca00a480b9c9596566924caf0168080000003008000000f04' +
    '22000100074401c172b46240',
);
/** 320x180. */
export const AV1_CONFIG = hex('81000c000a0b000000043cfecc02f80040');
/** AAC-LC, 48 kHz, stereo. */
export const AAC_CONFIG = hex('1190');
/** Two channels, 48 kHz. */
export const OPUS_HEAD = hex('4f707573486561640102380180bb0000000000');
/** SILK or CELT does not matter: configuration 31, one frame of 20 ms. */
export const OPUS_PACKET = hex('fc0102030405');

/** One NAL unit behind a 4-byte length. */
export const nal = (header: number, size = 20): Buffer => {
  const bytes = Buffer.alloc(4 + size, 0x11);
  bytes.writeUInt32BE(size);
  bytes[4] = header;
  return bytes;
};
export const AVC_IDR = nal(0x65);
export const AVC_NON_IDR = nal(0x41);

const i24 = (value: number): Buffer => hex(((value + 2 ** 24) % 2 ** 24).toString(16).padStart(6, '0'));

export const avcConfigTag = (config: Uint8Array = AVC_CONFIG): Buffer => Buffer.concat([hex('1700000000'), config]);
export const avcTag = (payload: Uint8Array, compositionMs = 0, flags = 0x27): Buffer =>
  Buffer.concat([Uint8Array.of(flags, 1), i24(compositionMs), payload]);
export const aacConfigTag = (config: Uint8Array = AAC_CONFIG): Buffer => Buffer.concat([hex('af00'), config]);
export const aacTag = (payload: Uint8Array = hex('21004980')): Buffer => Buffer.concat([hex('af01'), payload]);

/** Enhanced RTMP video: packet type 0 start, 1 coded frames, 3 coded frames without composition time. */
export const exVideoTag = (fourCc: string, packetType: number, body: Uint8Array): Buffer =>
  Buffer.concat([Uint8Array.of(0x90 | packetType), Buffer.from(fourCc, 'latin1'), body]);
export const exVideoFrameTag = (fourCc: string, compositionMs: number, payload: Uint8Array): Buffer =>
  exVideoTag(fourCc, 1, Buffer.concat([i24(compositionMs), payload]));
export const exAudioTag = (fourCc: string, packetType: number, body: Uint8Array): Buffer =>
  Buffer.concat([Uint8Array.of(0x90 | packetType), Buffer.from(fourCc, 'latin1'), body]);
