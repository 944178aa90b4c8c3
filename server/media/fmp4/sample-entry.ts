/** Sample entries: how `stsd` says what codec the samples are of, and what its decoder must know. */
import { ProtocolError } from '../../base/errors.ts';
import { unreachable } from '../../base/assert.ts';
import type { AudioTrack, Track, VideoTrack } from '../track.ts';
import { ascii, box, concatBytes, fullBox, u16, u32, u8 } from './box.ts';

export const sampleEntry = (track: Track): Uint8Array =>
  track.kind === 'video' ? visualEntry(track) : audioEntry(track);

/** ISO/IEC 14496-12 12.1.3: 6 reserved, data reference 1, 16 pre-defined, size, 72 dpi, one frame a sample, name, depth 24. */
const visualEntry = (track: VideoTrack): Uint8Array => {
  const { entryType, configType } = videoBoxTypes(track);
  return box(
    entryType,
    new Uint8Array(6),
    u16(1),
    new Uint8Array(16),
    u16(track.widthPx, track.heightPx),
    u32(0x00480000, 0x00480000, 0),
    u16(1),
    new Uint8Array(32),
    u16(24, 0xffff),
    box(configType, track.decoderConfig),
  );
};

const videoBoxTypes = (track: VideoTrack): { entryType: string; configType: string } => {
  switch (track.codec) {
    case 'h264':
      return { entryType: 'avc1', configType: 'avcC' };
    case 'hevc':
      return { entryType: 'hvc1', configType: 'hvcC' };
    case 'av1':
      return { entryType: 'av01', configType: 'av1C' };
    default:
      return unreachable(track.codec);
  }
};

/** ISO/IEC 14496-12 12.2.3: 6 reserved, data reference 1, 8 reserved, channels, 16 bits, 4 reserved, rate as 16.16. */
const audioEntry = (track: AudioTrack): Uint8Array => {
  const rateHz = track.timescaleHz > 0xffff ? 0 : track.timescaleHz;
  const fields = concatBytes([
    new Uint8Array(6),
    u16(1),
    new Uint8Array(8),
    u16(track.channelCount, 16),
    u32(0),
    u16(rateHz, 0),
  ]);
  return track.codec === 'aac'
    ? box('mp4a', fields, esds(track.decoderConfig))
    : box('Opus', fields, box('dOps', dOps(track)));
};

/** ES_Descriptor (ISO/IEC 14496-1 7.2.6.5) around the AudioSpecificConfig. */
const esds = (audioSpecificConfig: Uint8Array): Uint8Array => {
  const specific = descriptor(0x05, audioSpecificConfig);
  // Object type 0x40 (MPEG-4 audio), stream type 5 (audio), buffer size and bit rates not stated.
  const decoderConfig = descriptor(0x04, concatBytes([u8(0x40, 0x15, 0, 0, 0), u32(0, 0), specific]));
  const slConfig = descriptor(0x06, u8(0x02));
  const elementaryStream = descriptor(0x03, concatBytes([u16(0), u8(0), decoderConfig, slConfig]));
  return fullBox('esds', { version: 0, flags: 0 }, elementaryStream);
};

/** Sizes in the four-byte form: fixed length, so that nothing depends on what is inside. */
const descriptor = (tag: number, payload: Uint8Array): Uint8Array => {
  const size = payload.byteLength;
  return concatBytes([
    u8(tag, 0x80 | (size >> 21), 0x80 | ((size >> 14) & 0x7f), 0x80 | ((size >> 7) & 0x7f), size & 0x7f),
    payload,
  ]);
};

const OPUS_HEAD_MIN_BYTES = 19;

/** OpusHead (RFC 7845 5.1, little-endian) as OpusSpecificBox (big-endian, version 0, without the magic). */
const dOps = (track: AudioTrack): Uint8Array => {
  const head = track.decoderConfig;
  if (head.byteLength < OPUS_HEAD_MIN_BYTES) {
    throw new ProtocolError('OPUS_HEAD_INVALID', `OpusHead has ${head.byteLength} bytes, expected at least 19`);
  }
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const family = view.getUint8(18);
  return concatBytes([
    u8(0, view.getUint8(9)),
    u16(view.getUint16(10, true)),
    u32(view.getUint32(12, true)),
    u16(view.getUint16(16, true)),
    u8(family),
    family === 0 ? new Uint8Array(0) : head.subarray(19),
  ]);
};

/** `hdlr` name and type, and the media header that goes with them. */
export const mediaHandler = (track: Track): { hdlr: Uint8Array; header: Uint8Array } => {
  const isVideo = track.kind === 'video';
  const hdlr = fullBox(
    'hdlr',
    { version: 0, flags: 0 },
    u32(0),
    ascii(isVideo ? 'vide' : 'soun'),
    new Uint8Array(12),
    ascii('Sluice\0'),
  );
  const header = isVideo
    ? fullBox('vmhd', { version: 0, flags: 1 }, new Uint8Array(8))
    : fullBox('smhd', { version: 0, flags: 0 }, new Uint8Array(4));
  return { hdlr, header };
};
