/**
 * One FLV tag body, which is one RTMP message of type 8, 9 or 18 (Adobe FLV 10.1 annex E; Enhanced RTMP v1 and v2).
 *
 *     legacy video:   frameType (4) codecId (4) | packetType (8) | compositionTime (s24, ms) | …
 *     enhanced video: 1 frameType (3) packetType (4) | [ModEx]… | [multitrack] | FourCC (32) | [compositionTime (s24)] | …
 *     legacy audio:   format (4) rate (2) size (1) type (1) | packetType (8, AAC only) | …
 *     enhanced audio: 9 (4) packetType (4) | [ModEx]… | [multitrack] | FourCC (32) | …
 *
 * Nothing is copied: what an event carries are views of the message.
 */
import { ByteReader } from '../../base/byte-reader.ts';
import { ProtocolError } from '../../base/errors.ts';
import type { AudioCodec, VideoCodec } from '../track.ts';
import type { AmfObject, AmfValue } from './amf0.ts';
import { isAmfObject, readAmf0 } from './amf0.ts';

export const FLV_AUDIO = 8;
export const FLV_VIDEO = 9;
export const FLV_SCRIPT = 18;

export type FlvTagType = typeof FLV_AUDIO | typeof FLV_VIDEO | typeof FLV_SCRIPT;

export type FlvEvent =
  | { readonly type: 'video-config'; readonly codec: VideoCodec; readonly config: Uint8Array }
  | {
      readonly type: 'video-frame';
      readonly codec: VideoCodec;
      /** Presentation minus decoding time; may be negative. */
      readonly compositionMs: number;
      readonly payload: Uint8Array;
    }
  | { readonly type: 'audio-config'; readonly codec: AudioCodec; readonly config: Uint8Array }
  | { readonly type: 'audio-frame'; readonly codec: AudioCodec; readonly payload: Uint8Array }
  | { readonly type: 'metadata'; readonly values: AmfObject }
  /** Legal, and of no use here; the reason is for a counter. */
  | { readonly type: 'ignored'; readonly reason: FlvIgnoredReason };

export type FlvIgnoredReason =
  'empty' | 'sequence_end' | 'video_command' | 'second_track' | 'hdr_metadata' | 'script' | 'script_invalid';

const CODE = 'FLV_TAG_INVALID';

const CODEC_ID_AVC = 7;
/** Not Adobe's: what Chinese encoders sent before enhanced RTMP. */
const CODEC_ID_HEVC = 12;
const FORMAT_EX_HEADER = 9;
const FORMAT_AAC = 10;
const FRAME_TYPE_COMMAND = 5;

const VIDEO_SEQUENCE_START = 0;
const VIDEO_CODED_FRAMES = 1;
const VIDEO_SEQUENCE_END = 2;
const VIDEO_CODED_FRAMES_X = 3;
const VIDEO_METADATA = 4;
const VIDEO_MULTITRACK = 6;
const AUDIO_SEQUENCE_START = 0;
const AUDIO_CODED_FRAMES = 1;
const AUDIO_SEQUENCE_END = 2;
const AUDIO_MULTICHANNEL = 4;
const AUDIO_MULTITRACK = 5;
const MOD_EX = 7;
const MULTITRACK_ONE = 0;
const MULTITRACK_MANY_CODECS = 2;

const VIDEO_FOUR_CCS: ReadonlyMap<string, VideoCodec> = new Map([
  ['avc1', 'h264'],
  ['hvc1', 'hevc'],
  ['av01', 'av1'],
]);
const AUDIO_FOUR_CCS: ReadonlyMap<string, AudioCodec> = new Map([
  ['mp4a', 'aac'],
  ['Opus', 'opus'],
]);

/** Throws `ProtocolError`: `FLV_TAG_INVALID`, `FLV_CODEC_UNSUPPORTED`. */
export const parseFlvTag = (type: FlvTagType, body: Uint8Array): FlvEvent => {
  if (body.byteLength === 0) {
    return { type: 'ignored', reason: 'empty' };
  }
  if (type === FLV_VIDEO) {
    return parseVideo(body);
  }
  return type === FLV_AUDIO ? parseAudio(body) : parseScript(body);
};

const parseVideo = (body: Uint8Array): FlvEvent => {
  const reader = new ByteReader(body, CODE);
  const first = reader.u8();
  if ((first & 0x80) !== 0) {
    return parseEnhancedVideo(reader, first);
  }
  if (first >> 4 === FRAME_TYPE_COMMAND) {
    return { type: 'ignored', reason: 'video_command' };
  }
  const codecId = first & 0x0f;
  if (codecId !== CODEC_ID_AVC && codecId !== CODEC_ID_HEVC) {
    throw new ProtocolError('FLV_CODEC_UNSUPPORTED', `video codec ${codecId}, expected H.264, HEVC or AV1`);
  }
  const packetType = reader.u8();
  const compositionMs = reader.i24();
  return videoEvent({ codec: codecId === CODEC_ID_AVC ? 'h264' : 'hevc', packetType, compositionMs, reader });
};

const parseEnhancedVideo = (reader: ByteReader, first: number): FlvEvent => {
  const frameType = (first >> 4) & 0x07;
  const packetType = skipModEx(reader, first & 0x0f);
  if (packetType !== VIDEO_METADATA && frameType === FRAME_TYPE_COMMAND) {
    return { type: 'ignored', reason: 'video_command' };
  }
  const track = readTrack({ reader, packetType, multitrack: VIDEO_MULTITRACK });
  if (track === undefined) {
    return { type: 'ignored', reason: 'second_track' };
  }
  if (track.packetType === VIDEO_METADATA) {
    return { type: 'ignored', reason: 'hdr_metadata' };
  }
  const codec = VIDEO_FOUR_CCS.get(track.fourCc);
  if (codec === undefined) {
    throw new ProtocolError('FLV_CODEC_UNSUPPORTED', `video ${shown(track.fourCc)}, expected avc1, hvc1 or av01`);
  }
  const hasComposition = track.packetType === VIDEO_CODED_FRAMES && codec !== 'av1';
  const compositionMs = hasComposition ? track.reader.i24() : 0;
  return videoEvent({ codec, packetType: track.packetType, compositionMs, reader: track.reader });
};

const videoEvent = (options: {
  codec: VideoCodec;
  packetType: number;
  compositionMs: number;
  reader: ByteReader;
}): FlvEvent => {
  const { codec, packetType, compositionMs, reader } = options;
  switch (packetType) {
    case VIDEO_SEQUENCE_START:
      return { type: 'video-config', codec, config: reader.rest() };
    case VIDEO_CODED_FRAMES:
    case VIDEO_CODED_FRAMES_X:
      return reader.remainingBytes === 0
        ? { type: 'ignored', reason: 'empty' }
        : { type: 'video-frame', codec, compositionMs, payload: reader.rest() };
    case VIDEO_SEQUENCE_END:
      return { type: 'ignored', reason: 'sequence_end' };
    default:
      throw new ProtocolError(CODE, `video packet type is ${packetType}`);
  }
};

const parseAudio = (body: Uint8Array): FlvEvent => {
  const reader = new ByteReader(body, CODE);
  const first = reader.u8();
  const format = first >> 4;
  if (format === FORMAT_EX_HEADER) {
    return parseEnhancedAudio(reader, first & 0x0f);
  }
  if (format !== FORMAT_AAC) {
    throw new ProtocolError('FLV_CODEC_UNSUPPORTED', `audio format ${format}, expected AAC or Opus`);
  }
  return audioEvent('aac', reader.u8(), reader);
};

const parseEnhancedAudio = (reader: ByteReader, firstPacketType: number): FlvEvent => {
  const packetType = skipModEx(reader, firstPacketType);
  const track = readTrack({ reader, packetType, multitrack: AUDIO_MULTITRACK });
  if (track === undefined) {
    return { type: 'ignored', reason: 'second_track' };
  }
  const codec = AUDIO_FOUR_CCS.get(track.fourCc);
  if (codec === undefined) {
    throw new ProtocolError('FLV_CODEC_UNSUPPORTED', `audio ${shown(track.fourCc)}, expected mp4a or Opus`);
  }
  return audioEvent(codec, track.packetType, track.reader);
};

const audioEvent = (codec: AudioCodec, packetType: number, reader: ByteReader): FlvEvent => {
  switch (packetType) {
    case AUDIO_SEQUENCE_START:
      return { type: 'audio-config', codec, config: reader.rest() };
    case AUDIO_CODED_FRAMES:
      return reader.remainingBytes === 0
        ? { type: 'ignored', reason: 'empty' }
        : { type: 'audio-frame', codec, payload: reader.rest() };
    case AUDIO_SEQUENCE_END:
    case AUDIO_MULTICHANNEL:
      return { type: 'ignored', reason: 'sequence_end' };
    default:
      throw new ProtocolError(CODE, `audio packet type is ${packetType}`);
  }
};

/**
 * ModEx (Enhanced RTMP v2) prefixes more about the packet, for now nanoseconds to add to its time, which are below what
 * anything after us can show: skipped. Gives the packet type behind the prefixes.
 */
const skipModEx = (reader: ByteReader, firstPacketType: number): number => {
  let packetType = firstPacketType;
  while (packetType === MOD_EX) {
    const shortSize = reader.u8() + 1;
    reader.skip(shortSize === 256 ? reader.u16() + 1 : shortSize);
    packetType = reader.u8() & 0x0f;
  }
  return packetType;
};

type TrackHead = { readonly packetType: number; readonly fourCc: string; readonly reader: ByteReader };

/**
 * The FourCC, and with multitrack the bytes of the first track in the message. A message for one track only is taken when it
 * is track 0; undefined for other tracks.
 */
const readTrack = (options: { reader: ByteReader; packetType: number; multitrack: number }): TrackHead | undefined => {
  const { reader, multitrack } = options;
  if (options.packetType !== multitrack) {
    return { packetType: options.packetType, fourCc: reader.fourCc(), reader };
  }
  const head = reader.u8();
  const kind = head >> 4;
  const packetType = head & 0x0f;
  if (kind > MULTITRACK_MANY_CODECS || packetType === multitrack) {
    throw new ProtocolError(CODE, `multitrack type is ${kind} with packet type ${packetType}`);
  }
  const fourCc = reader.fourCc();
  const trackId = reader.u8();
  if (kind === MULTITRACK_ONE) {
    return trackId === 0 ? { packetType, fourCc, reader } : undefined;
  }
  return { packetType, fourCc, reader: new ByteReader(reader.bytes(reader.u24()), CODE) };
};

/**
 * `@setDataFrame` and `onMetaData` in front, then an object; anything else is of no interest. Nothing depends on metadata, so
 * a script that cannot be read costs a count and not the broadcast.
 */
const parseScript = (body: Uint8Array): FlvEvent => {
  const values = readScript(body);
  if (values === undefined) {
    return { type: 'ignored', reason: 'script_invalid' };
  }
  const name = values[0] === '@setDataFrame' ? values[1] : values[0];
  const object = values.find(isAmfObject);
  return name === 'onMetaData' && object !== undefined
    ? { type: 'metadata', values: object }
    : { type: 'ignored', reason: 'script' };
};

const readScript = (body: Uint8Array): AmfValue[] | undefined => {
  try {
    return readAmf0(body);
  } catch (error) {
    if (error instanceof ProtocolError) {
      return undefined;
    }
    throw error;
  }
};

/** A FourCC from a stranger, fit for a log line. */
const shown = (fourCc: string): string => fourCc.replaceAll(/[^\w .-]/gu, '?');
