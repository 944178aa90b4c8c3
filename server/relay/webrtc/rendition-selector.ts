/** Which rendition WebRTC viewers get: one a browser can decode in time, or none yet. Pure. */
import { isShownByBrowsers } from '../../media/h264/avc-config.ts';
import type { AccessUnitSource } from '../../media/stream-source.ts';
import { isAv1RungId, isRungId } from '../broadcast.ts';

/** Ids that other parts of the server give to what they make (relay/broadcast.ts, transcode). */
export const SOURCE_VIDEO_ID = 'source-video';
export const REPAIRED_VIDEO_ID = 'repaired-video';
export const SOURCE_AUDIO_ID = 'source-audio';
export const OPUS_AUDIO_ID = 'opus-audio';

const FED_IDS: ReadonlySet<string> = new Set([SOURCE_VIDEO_ID, REPAIRED_VIDEO_ID, SOURCE_AUDIO_ID, OPUS_AUDIO_ID]);
/** Whether viewers may be fed from a rendition of this id. */
export const isFed = (renditionId: string): boolean => FED_IDS.has(renditionId) || isRungId(renditionId);

const GOP_MAX_MS = 2_000;
/** Measured in whole milliseconds by the publisher. */
const GOP_SLACK_MS = 100;

type Renditions = ReadonlyMap<string, AccessUnitSource>;

/**
 * The source as it is when it is H.264 without reordering and its GOP is known to be at most 2 s; else the repaired one; else the
 * source even with a long or unknown GOP, which costs joiners time but plays. Never one with B-frames: browsers show only its keyframes.
 */
export const selectVideo = (renditions: Renditions): AccessUnitSource | undefined => {
  const source = playable(renditions.get(SOURCE_VIDEO_ID));
  const repaired = playable(renditions.get(REPAIRED_VIDEO_ID));
  if (source === undefined || repaired === undefined) {
    return source ?? repaired;
  }
  const { isGopKnown, gopMaxMs } = source.facts;
  return isGopKnown && gopMaxMs <= GOP_MAX_MS + GOP_SLACK_MS ? source : repaired;
};

const playable = (rendition: AccessUnitSource | undefined): AccessUnitSource | undefined =>
  rendition !== undefined && isPlayable(rendition) ? rendition : undefined;

/** Whether browsers that take its codec show all its pictures. AV1 is sent as a rung alone, to who asks for it: it is nobody's only picture. */
export const isPlayable = ({ id, track, facts }: AccessUnitSource): boolean =>
  track?.kind === 'video' &&
  ((track.codec === 'h264' && isShownByBrowsers(track.codecString)) || (track.codec === 'av1' && isAv1RungId(id))) &&
  !facts.hasReordering;

/** The publisher's own Opus, else the one made for it. */
export const selectAudio = (renditions: Renditions): AccessUnitSource | undefined =>
  [SOURCE_AUDIO_ID, OPUS_AUDIO_ID]
    .map((id) => renditions.get(id))
    .find((rendition) => rendition?.track?.kind === 'audio' && rendition.track.codec === 'opus');
