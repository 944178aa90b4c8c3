/** Sequence headers into tracks: what an encoder says before its media, parsed, and replaced only when it really changed. */
import { ProtocolError } from '../../base/errors.ts';
import { parseAacConfig } from '../aac/audio-specific-config.ts';
import { parseAv1Config } from '../av1/av1-config.ts';
import { avcCodecString, buildAvcConfig, parseAvcConfig } from '../h264/avc-config.ts';
import { NAL_PPS, NAL_SPS, nalTypeOf } from '../h264/nal-units.ts';
import { parseSps } from '../h264/sps.ts';
import { parseHevcConfig } from '../hevc/hevc-config.ts';
import { OPUS_TIMESCALE_HZ, parseOpusHead } from '../opus/opus-config.ts';
import type { AudioCodec, AudioTrack, VideoCodec, VideoTrack } from '../track.ts';
import { VIDEO_TIMESCALE_HZ } from '../track.ts';

/** A track, the record it was made from, and how long the NAL length fields are that its encoder sends. */
export type VideoSetup = {
  readonly track: VideoTrack;
  readonly sentConfig: Uint8Array;
  readonly lengthBytes: number;
};

/** 20 ms: what every encoder of live Opus sends unless told otherwise. Packets that say otherwise replace the track. */
const OPUS_SAMPLES_DEFAULT = 960;
/** Far above real ones, and what a record's 16-bit lengths hold. */
const PARAMETER_SET_MAX_BYTES = 4_096;
const PARAMETER_SET_MAX_COUNT = 16;

/** Throws the `ProtocolError` of the codec's record. Copies what it keeps. */
export const setupVideo = (codec: VideoCodec, config: Uint8Array): VideoSetup => {
  const sentConfig = Uint8Array.from(config);
  const common = { kind: 'video', codec, timescaleHz: VIDEO_TIMESCALE_HZ } as const;
  switch (codec) {
    case 'h264': {
      const avc = parseAvcConfig(sentConfig);
      const decoderConfig = avc.lengthBytes === 4 ? sentConfig : buildAvcConfig(avc.sps, avc.pps);
      const { widthPx, heightPx } = parseSps(avc.sps[0] ?? new Uint8Array());
      const track = { ...common, decoderConfig, codecString: avcCodecString(avc), widthPx, heightPx };
      return { track, sentConfig, lengthBytes: avc.lengthBytes };
    }
    case 'hevc': {
      const { lengthBytes, ...facts } = parseHevcConfig(sentConfig);
      const decoderConfig = Uint8Array.from(sentConfig);
      decoderConfig[21] = (decoderConfig[21] ?? 0) | 0x03;
      return { track: { ...common, decoderConfig, ...facts }, sentConfig, lengthBytes };
    }
    case 'av1':
      return {
        track: { ...common, decoderConfig: sentConfig, ...parseAv1Config(sentConfig) },
        sentConfig,
        lengthBytes: 0,
      };
    default:
      return codec satisfies never;
  }
};

/** Throws the `ProtocolError` of the codec's record. Copies what it keeps. */
export const setupAudio = (codec: AudioCodec, config: Uint8Array): AudioTrack => {
  const decoderConfig = Uint8Array.from(config);
  if (codec === 'opus') {
    return {
      kind: 'audio',
      codec,
      timescaleHz: OPUS_TIMESCALE_HZ,
      decoderConfig,
      codecString: 'opus',
      channelCount: parseOpusHead(decoderConfig).channelCount,
      samplesPerUnit: OPUS_SAMPLES_DEFAULT,
    };
  }
  const { sampleRateHz, channelCount, samplesPerUnit, codecString } = parseAacConfig(decoderConfig);
  return { kind: 'audio', codec, timescaleHz: sampleRateHz, decoderConfig, codecString, channelCount, samplesPerUnit };
};

/**
 * Parameter sets that an H.264 access unit carries itself. When one of them is not in the track, the setup that holds from
 * this unit on; undefined when nothing is new. Throws `AVC_CONFIG_INVALID` and `H264_SPS_INVALID`.
 */
export const setupFromInBand = (setup: VideoSetup, nalUnits: readonly Uint8Array[]): VideoSetup | undefined => {
  const sps = nalUnits.filter((nalUnit) => nalTypeOf(nalUnit) === NAL_SPS);
  const pps = nalUnits.filter((nalUnit) => nalTypeOf(nalUnit) === NAL_PPS);
  if (sps.length + pps.length === 0) {
    return undefined;
  }
  const known = parseAvcConfig(setup.track.decoderConfig);
  const isKnown = (set: Uint8Array): boolean => [...known.sps, ...known.pps].some((other) => sameBytes(set, other));
  if (sps.every(isKnown) && pps.every(isKnown)) {
    return undefined;
  }
  for (const set of [...sps, ...pps]) {
    if (set.byteLength > PARAMETER_SET_MAX_BYTES || sps.length + pps.length > PARAMETER_SET_MAX_COUNT) {
      throw new ProtocolError('AVC_CONFIG_INVALID', `in-band parameter sets are too large or too many`);
    }
  }
  const config = buildAvcConfig(sps.length > 0 ? sps : known.sps, pps.length > 0 ? pps : known.pps);
  return { ...setupVideo('h264', config), sentConfig: setup.sentConfig, lengthBytes: setup.lengthBytes };
};

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
