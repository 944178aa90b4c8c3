/** Segments as LL-HLS hands them to the recorder, with one fragment of noise each. */
import { Prng } from '../../server/base/prng.ts';
import { writeFragment } from '../../server/media/fmp4/fragment.ts';
import { writeInitSegment } from '../../server/media/fmp4/init-segment.ts';
import type { PackagedSegment } from '../../server/media/packaged-segment.ts';
import { testAudioTrack, testVideoTrack } from './synthetic-media.ts';

const VIDEO = testVideoTrack();
const AUDIO = testAudioTrack();
const VIDEO_INIT = writeInitSegment(VIDEO);
const AUDIO_INIT = writeInitSegment(AUDIO);
export const SEGMENT_WALL_AT_ZERO_MS = 1_700_000_000_000;

/** Two seconds each, number after number; `payloadBytes` of noise in it. */
export const packagedSegment = (
  msn: number,
  overrides: Partial<PackagedSegment> & { readonly payloadBytes?: number } = {},
): PackagedSegment => {
  const { payloadBytes = 300, ...rest } = overrides;
  const isAudio = rest.renditionId === 'audio';
  const track = isAudio ? AUDIO : VIDEO;
  const durationTicks = 2 * track.timescaleHz;
  const payload = new Prng(msn + (isAudio ? 500_000 : 0)).nextBytes(payloadBytes);
  const sample = { payload, durationTicks, compositionOffsetTicks: 0, isKeyframe: true };
  const part = { startTicks: msn * durationTicks, durationTicks, isIndependent: true, samples: [sample] };
  return {
    broadcastId: 'b'.repeat(32),
    broadcastName: 'shop',
    renditionId: 'video',
    msn,
    track,
    timescaleHz: track.timescaleHz,
    durationTicks,
    startAtWallMs: SEGMENT_WALL_AT_ZERO_MS + msn * 2_000,
    isDiscontinuity: false,
    isIndependent: true,
    init: isAudio ? AUDIO_INIT : VIDEO_INIT,
    body: writeFragment(part, msn + 1),
    ...rest,
  };
};

/** Video and audio of so many numbers, in the order in which LL-HLS completes them. */
export const packagedProgramme = (count: number, firstMsn = 0): PackagedSegment[] =>
  Array.from({ length: count }, (_, index) => [
    packagedSegment(firstMsn + index),
    packagedSegment(firstMsn + index, { renditionId: 'audio', payloadBytes: 80 }),
  ]).flat();
