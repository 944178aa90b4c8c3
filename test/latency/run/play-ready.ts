/** Waits until a stream can be played, so that join time is the player's and not the encoder's start. */
import { WorldError } from '../../../server/base/errors.ts';
import { passMs, within } from '../../support/wait.ts';
import type { PlayTarget } from '../viewer/viewer-report.ts';

const PLAYLIST_MAX_MS = 30_000;
const REQUEST_MAX_MS = 5_000;
/** A player needs three segments, or three target durations of parts, to have a place to start from. */
const SEGMENT_MIN_COUNT = 3;

/** `warmUpMs` for every kind; HLS in addition until the playlist lists three segments, at most 30 s. */
export const untilPlayable = async (target: PlayTarget, warmUpMs: number): Promise<void> => {
  await passMs(warmUpMs);
  if (target.kind !== 'hls' && target.kind !== 'll-hls') {
    return;
  }
  try {
    await within(PLAYLIST_MAX_MS, `three segments in ${target.url}`, async () => {
      return (await countSegments(target.url)) >= SEGMENT_MIN_COUNT;
    });
  } catch (error) {
    throw new WorldError('LAB_STREAM_NOT_PLAYABLE', `${target.url}: no playlist with segments`, error);
  }
};

/** Segments of the media playlist, or of the first that a multivariant playlist names. */
const countSegments = async (url: string): Promise<number> => {
  const text = await readText(url);
  const lines = text.split('\n').map((line) => line.trim());
  const variantIndex = lines.findIndex((line) => line.startsWith('#EXT-X-STREAM-INF'));
  if (variantIndex < 0) {
    return lines.filter((line) => line.startsWith('#EXTINF')).length;
  }
  const variant = lines.slice(variantIndex + 1).find((line) => line !== '' && !line.startsWith('#'));
  return variant === undefined ? 0 : countSegments(new URL(variant, url).href);
};

/** Empty while there is none. */
const readText = async (url: string): Promise<string> => {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(REQUEST_MAX_MS) });
    const text = await response.text();
    return response.ok ? text : '';
  } catch {
    return ''; // Not yet: the caller's deadline decides.
  }
};
