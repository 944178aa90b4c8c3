/** Access units of an FLV file made by ffmpeg (H.264, AAC), for tests that feed a source without RTMP. */
import type { AccessUnit } from '../../server/media/access-unit.ts';
import type { AudioTrack, Track, VideoTrack } from '../../server/media/track.ts';

/** All units, in file order; `arrivedAtMs` is 0: whoever plays them fills it in. */
export const unitsOfFlv = (file: Buffer, size: { widthPx: number; heightPx: number }): AccessUnit[] => {
  const units: AccessUnit[] = [];
  const tracks = new Map<number, Track>();
  for (let at = 13; at + 11 <= file.length;) {
    const type = file[at];
    const bodyBytes = file.readUIntBE(at + 1, 3);
    const timeMs = file.readUIntBE(at + 4, 3) + file.readUInt8(at + 7) * 2 ** 24;
    const body = file.subarray(at + 11, at + 11 + bodyBytes);
    const isConfig = body[1] === 0;
    if (type === 9 && isConfig) {
      tracks.set(9, videoTrack(body.subarray(5), size));
    } else if (type === 8 && isConfig) {
      tracks.set(8, audioTrack(body.subarray(2)));
    } else if (type === 9 && body[1] === 1) {
      units.push(videoUnit(body, timeMs, tracks.get(9)!));
    } else if (type === 8) {
      units.push(audioUnit(body, timeMs, tracks.get(8)!));
    }
    at += 15 + bodyBytes;
  }
  return units;
};

const videoTrack = (decoderConfig: Uint8Array, size: { widthPx: number; heightPx: number }): VideoTrack => ({
  kind: 'video',
  codec: 'h264',
  timescaleHz: 90_000,
  decoderConfig,
  codecString: 'avc1.64001f',
  ...size,
});

const RATES_HZ = [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000];

const audioTrack = (config: Uint8Array): AudioTrack => {
  const bits = (config[0]! << 8) | config[1]!;
  return {
    kind: 'audio',
    codec: 'aac',
    timescaleHz: RATES_HZ[(bits >> 7) & 15]!,
    decoderConfig: config,
    codecString: 'mp4a.40.2',
    channelCount: (bits >> 3) & 15,
    samplesPerUnit: 1024,
  };
};

const ARRIVAL = { arrivedAtMs: 0, arrivedAtWallMs: 0, isDiscontinuity: false };

const videoUnit = (body: Buffer, timeMs: number, track: Track): AccessUnit => ({
  track,
  dtsTicks: timeMs * 90,
  ptsTicks: (timeMs + body.readIntBE(2, 3)) * 90,
  isKeyframe: body[0]! >> 4 === 1,
  payload: body.subarray(5),
  ...ARRIVAL,
});

const audioUnit = (body: Buffer, timeMs: number, track: Track): AccessUnit => {
  const ticks = Math.round((timeMs * track.timescaleHz) / 1000);
  return { track, dtsTicks: ticks, ptsTicks: ticks, isKeyframe: true, payload: body.subarray(2), ...ARRIVAL };
};
