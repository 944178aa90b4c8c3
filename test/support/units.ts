/** Access units for tests, without media in them. */
import type { AccessUnit, SourceUnit } from '../../server/media/access-unit.ts';
import type { AudioTrack, VideoTrack } from '../../server/media/track.ts';

export const TEST_VIDEO_TRACK: VideoTrack = {
  kind: 'video',
  codec: 'h264',
  timescaleHz: 90_000,
  decoderConfig: Uint8Array.of(
    1,
    0x64,
    0,
    0x1f,
    0xff,
    0xe1,
    0,
    4,
    0x67,
    0x64,
    0,
    0x1f,
    1,
    0,
    4,
    0x68,
    0xee,
    0x3c,
    0x80,
  ),
  codecString: 'avc1.64001f',
  widthPx: 640,
  heightPx: 360,
};

export const TEST_AUDIO_TRACK: AudioTrack = {
  kind: 'audio',
  codec: 'aac',
  timescaleHz: 48_000,
  decoderConfig: Uint8Array.of(0x11, 0x90),
  codecString: 'mp4a.40.2',
  channelCount: 2,
  samplesPerUnit: 1024,
};

export type UnitOptions = {
  readonly dtsMs: number;
  readonly ptsMs?: number;
  readonly isKeyframe?: boolean;
  readonly payloadBytes?: number;
  /** Monotonic; the wall clock is this plus 1.7e12. Default: dtsMs + 1000. */
  readonly arrivedAtMs?: number;
  readonly isDiscontinuity?: boolean;
};

export const WALL_AT_ZERO_MS = 1_700_000_000_000;

const stampsOf = (options: UnitOptions, timescaleHz: number): Omit<SourceUnit, 'track' | 'isKeyframe' | 'payload'> => {
  const arrivedAtMs = options.arrivedAtMs ?? options.dtsMs + 1_000;
  return {
    dtsTicks: Math.round((options.dtsMs * timescaleHz) / 1000),
    ptsTicks: Math.round(((options.ptsMs ?? options.dtsMs) * timescaleHz) / 1000),
    arrivedAtMs,
    arrivedAtWallMs: WALL_AT_ZERO_MS + arrivedAtMs,
  };
};

/** A picture with nothing in it: one NAL unit of the right type, filled with zeros. */
export const videoUnit = (options: UnitOptions, track: VideoTrack = TEST_VIDEO_TRACK): AccessUnit<VideoTrack> => {
  const payload = new Uint8Array(Math.max(6, options.payloadBytes ?? 100));
  new DataView(payload.buffer).setUint32(0, payload.byteLength - 4);
  payload[4] = options.isKeyframe === true ? 0x65 : 0x41;
  return {
    track,
    ...stampsOf(options, track.timescaleHz),
    isKeyframe: options.isKeyframe ?? false,
    payload,
    isDiscontinuity: options.isDiscontinuity ?? false,
  };
};

export const audioUnit = (options: UnitOptions, track: AudioTrack = TEST_AUDIO_TRACK): AccessUnit<AudioTrack> => ({
  track,
  ...stampsOf(options, track.timescaleHz),
  isKeyframe: true,
  payload: new Uint8Array(options.payloadBytes ?? 40),
  isDiscontinuity: options.isDiscontinuity ?? false,
});
