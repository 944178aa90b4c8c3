/** What a decoder must know of one elementary stream. Immutable: when an encoder changes its parameters, a new track object replaces it. */

export type VideoCodec = 'h264' | 'hevc' | 'av1';
export type AudioCodec = 'aac' | 'opus';

export type VideoTrack = {
  readonly kind: 'video';
  readonly codec: VideoCodec;
  /** Always 90 000, the RTP clock. */
  readonly timescaleHz: number;
  /** AVCDecoderConfigurationRecord, HEVCDecoderConfigurationRecord or AV1CodecConfigurationRecord (ISO/IEC 14496-15; AV1-ISOBMFF). */
  readonly decoderConfig: Uint8Array;
  /** RFC 6381, as in `CODECS`: `avc1.64001f`, `hvc1.…`, `av01.…`. */
  readonly codecString: string;
  readonly widthPx: number;
  readonly heightPx: number;
};

export type AudioTrack = {
  readonly kind: 'audio';
  readonly codec: AudioCodec;
  /** The sample rate; 48 000 for Opus. */
  readonly timescaleHz: number;
  /** AudioSpecificConfig (ISO/IEC 14496-3) for AAC; the OpusHead packet (RFC 7845 5.1) for Opus. */
  readonly decoderConfig: Uint8Array;
  /** `mp4a.40.2`, `opus`. */
  readonly codecString: string;
  readonly channelCount: number;
  /** Duration of one access unit: 1024 for AAC-LC, 960 for 20 ms of Opus. */
  readonly samplesPerUnit: number;
};

export type Track = VideoTrack | AudioTrack;
export type TrackKind = Track['kind'];

export const VIDEO_TIMESCALE_HZ = 90_000;
