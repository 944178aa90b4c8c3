/**
 * Writes FLV tags of H.264 or AAC (Adobe's FLV specification 10.1, annex E), for ffmpeg's standard input.
 *
 *     tag: type (8) | size (24) | time (24, low) | time (8, high) | stream id = 0 (24) | body | size of all that (32)
 */
import type { SourceUnit } from '../access-unit.ts';
import type { Track } from '../track.ts';

const TAG_AUDIO = 8;
const TAG_VIDEO = 9;
const TAG_HEADER_BYTES = 11;
/** Sound format 10 (AAC), 44 kHz, 16 bit, stereo: fixed values, decoders read the AudioSpecificConfig. */
const AAC_FLAGS = 0xaf;
const AVC_CODEC_ID = 7;

/** The file header for one elementary stream, followed by its decoder configuration. */
export const flvHeader = (track: Track, timeMs: number): Uint8Array => {
  const flags = track.kind === 'video' ? 1 : 4;
  const head = Uint8Array.from([0x46, 0x4c, 0x56, 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]);
  return Buffer.concat([head, configTag(track, timeMs)]);
};

/**
 * One unit as a tag. Times are whole milliseconds on the writer's own clock, 0 … 2^32 − 1; the composition offset is their
 * signed difference. The payload is copied.
 */
export const flvTag = (unit: SourceUnit, times: { dtsMs: number; ptsMs: number }): Uint8Array =>
  tag(unit.track, times.dtsMs, [bodyHeader(unit, times.ptsMs - times.dtsMs), unit.payload]);

const bodyHeader = (unit: SourceUnit, compositionMs: number): Uint8Array => {
  if (unit.track.kind === 'audio') {
    return Uint8Array.from([AAC_FLAGS, 1]);
  }
  const frameType = unit.isKeyframe ? 1 : 2;
  const offset = [(compositionMs >> 16) & 0xff, (compositionMs >> 8) & 0xff, compositionMs & 0xff];
  return Uint8Array.from([(frameType << 4) | AVC_CODEC_ID, 1, ...offset]);
};

const configTag = (track: Track, timeMs: number): Uint8Array => {
  const head = track.kind === 'video' ? [(1 << 4) | AVC_CODEC_ID, 0, 0, 0, 0] : [AAC_FLAGS, 0];
  return tag(track, timeMs, [Uint8Array.from(head), track.decoderConfig]);
};

const tag = (track: Track, timeMs: number, body: readonly Uint8Array[]): Uint8Array => {
  const bodyBytes = body.reduce((sum, part) => sum + part.byteLength, 0);
  const bytes = Buffer.allocUnsafe(TAG_HEADER_BYTES + bodyBytes + 4);
  bytes.writeUInt8(track.kind === 'video' ? TAG_VIDEO : TAG_AUDIO, 0);
  bytes.writeUIntBE(bodyBytes, 1, 3);
  bytes.writeUIntBE(timeMs & 0xff_ffff, 4, 3);
  bytes.writeUInt8(Math.floor(timeMs / 2 ** 24) & 0xff, 7);
  bytes.writeUIntBE(0, 8, 3);
  let offset = TAG_HEADER_BYTES;
  for (const part of body) {
    bytes.set(part, offset);
    offset += part.byteLength;
  }
  bytes.writeUInt32BE(TAG_HEADER_BYTES + bodyBytes, offset);
  return bytes;
};
