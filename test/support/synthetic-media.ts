/** Access units made of nothing, for tests of what packages and forwards them: right times, sizes and flags, payload of noise. */
import type { AudioUnit, VideoUnit } from '../../server/media/access-unit.ts';
import type { AudioTrack, VideoTrack } from '../../server/media/track.ts';
import { Prng } from '../../server/base/prng.ts';

export const testVideoTrack = (overrides: Partial<VideoTrack> = {}): VideoTrack => ({
  kind: 'video',
  codec: 'h264',
  timescaleHz: 90_000,
  decoderConfig: Uint8Array.from([1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 4, 0x67, 0x42, 0xc0, 0x1e, 1, 0, 2, 0x68, 0xce]),
  codecString: 'avc1.42c01e',
  widthPx: 640,
  heightPx: 360,
  ...overrides,
});

export const testAudioTrack = (overrides: Partial<AudioTrack> = {}): AudioTrack => ({
  kind: 'audio',
  codec: 'aac',
  timescaleHz: 48_000,
  decoderConfig: Uint8Array.from([0x11, 0x90]),
  codecString: 'mp4a.40.2',
  channelCount: 2,
  samplesPerUnit: 1024,
  ...overrides,
});

export type VideoScript = {
  readonly frameRateFps: number;
  readonly durationS: number;
  /** Frames from keyframe to keyframe; a function may answer differently each time. */
  readonly gopFrames: number | (() => number);
  readonly startMs?: number;
  /** Stamps in whole milliseconds, as RTMP has them. */
  readonly isWholeMs?: boolean;
  /** Uniform noise on each stamp, as a share of the frame distance; at most 0.45 keeps them rising. */
  readonly jitterRatio?: number;
  /** Pictures decoded between two that follow each other on screen. */
  readonly bFrames?: number;
  readonly seed?: number;
  readonly track?: VideoTrack;
};

export const syntheticVideo = (script: VideoScript): VideoUnit[] => {
  const prng = new Prng(script.seed ?? 1);
  const track = script.track ?? testVideoTrack();
  const frameMs = 1000 / script.frameRateFps;
  const count = Math.round(script.durationS * script.frameRateFps);
  const nextGop = typeof script.gopFrames === 'number' ? (): number => script.gopFrames as number : script.gopFrames;
  const units: VideoUnit[] = [];
  let untilKeyframe = 0;
  let lastTicks = -1;
  for (let index = 0; index < count; index += 1) {
    const isKeyframe = untilKeyframe === 0;
    untilKeyframe = isKeyframe ? Math.max(1, nextGop()) - 1 : untilKeyframe - 1;
    const jitterMs = (prng.nextRatio() - 0.5) * 2 * (script.jitterRatio ?? 0) * frameMs;
    const exactMs = (script.startMs ?? 0) + index * frameMs + jitterMs;
    const dtsMs = Math.max(0, script.isWholeMs === true ? Math.round(exactMs) : exactMs);
    const dtsTicks = Math.max(lastTicks + 1, Math.round(dtsMs * 90));
    lastTicks = dtsTicks;
    const bFrames = script.bFrames ?? 0;
    const reorderMs = bFrames === 0 ? 0 : (isKeyframe ? 1 : index % (bFrames + 1)) * frameMs;
    units.push({
      track,
      dtsTicks,
      ptsTicks: dtsTicks + Math.round(reorderMs * 90),
      isKeyframe,
      payload: prng.nextBytes(isKeyframe ? 400 : 20 + prng.nextIndex(60)),
      arrivedAtMs: exactMs,
      arrivedAtWallMs: 1_700_000_000_000 + exactMs,
      isDiscontinuity: false,
    });
  }
  return units;
};

export const syntheticAudio = (script: {
  readonly durationS: number;
  readonly startMs?: number;
  readonly isWholeMs?: boolean;
  readonly track?: AudioTrack;
}): AudioUnit[] => {
  const track = script.track ?? testAudioTrack();
  const unitMs = (track.samplesPerUnit * 1000) / track.timescaleHz;
  return Array.from({ length: Math.floor((script.durationS * 1000) / unitMs) }, (_, index) => {
    const exactMs = (script.startMs ?? 0) + index * unitMs;
    const dtsMs = script.isWholeMs === true ? Math.round(exactMs) : exactMs;
    const dtsTicks = Math.round((dtsMs * track.timescaleHz) / 1000);
    return {
      track,
      dtsTicks,
      ptsTicks: dtsTicks,
      isKeyframe: true,
      payload: Uint8Array.from({ length: 32 }, (_value, at) => (index + at) & 0xff),
      arrivedAtMs: exactMs,
      arrivedAtWallMs: 1_700_000_000_000 + exactMs,
      isDiscontinuity: false,
    };
  });
};

/** Both in the order in which they would arrive. */
export const interleave = <T extends { readonly arrivedAtMs: number }>(...tracks: readonly (readonly T[])[]): T[] =>
  tracks.flat().toSorted((a, b) => a.arrivedAtMs - b.arrivedAtMs);
