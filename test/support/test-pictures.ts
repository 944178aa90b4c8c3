/** Pictures of H.264 that tell which they are, for tests of WebRTC out: the payload's second byte is the picture's number, its third the rendition's. */
import { systemClock } from '../../server/base/clock.ts';
import type { AccessUnit } from '../../server/media/access-unit.ts';
import { buildAvcConfig } from '../../server/media/h264/avc-config.ts';
import { joinNalUnits } from '../../server/media/h264/nal-units.ts';
import type { VideoTrack } from '../../server/media/track.ts';

export const testTrack = (widthPx: number, heightPx: number): VideoTrack => ({
  kind: 'video',
  codec: 'h264',
  timescaleHz: 90_000,
  decoderConfig: buildAvcConfig([Uint8Array.of(0x67, 0x42, 0xe0, 0x1f, 1, 2)], [Uint8Array.of(0x68, 1, 2)]),
  codecString: 'avc1.42e01f',
  widthPx,
  heightPx,
});

/** Picture `index` of 30 a second, a keyframe every `gopCount`. Below one packet's length. */
export const testPicture = (
  index: number,
  options: { track: VideoTrack; mark: number; gopCount: number; bytes: number },
): AccessUnit => {
  const isKeyframe = index % options.gopCount === 0;
  const nalUnit = new Uint8Array(options.bytes);
  nalUnit.set([isKeyframe ? 0x65 : 0x41, index & 0xff, options.mark]);
  return {
    track: options.track,
    dtsTicks: index * 3_000,
    ptsTicks: index * 3_000,
    isKeyframe,
    payload: joinNalUnits([nalUnit]),
    arrivedAtMs: systemClock.nowMs(),
    arrivedAtWallMs: systemClock.wallMs(),
    isDiscontinuity: false,
  };
};
