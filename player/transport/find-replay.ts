/** Asks the library which recording holds an instant of a broadcast. */
import type { ReplayList, ReplaySummary } from '../../server/api/contract/replays.ts';
import type { ReplayDoors } from './addresses.ts';

const ASK_MAX_MS = 5000;
/** The newest of a name: more reconnects than this are not looked through. */
const LOOK_COUNT = 10;
/** The recording begins and ends with whole segments. */
const SLACK_MS = 5000;

/** The recording of `name` that was made at `atWallMs`; of several the newest. Pure. */
export const replayHolding = (replays: readonly ReplaySummary[], atWallMs: number): ReplaySummary | null =>
  replays.find(
    ({ startedAtWallMs, endedAtWallMs }) =>
      startedAtWallMs - SLACK_MS <= atWallMs && (endedAtWallMs === null || atWallMs <= endedAtWallMs + SLACK_MS),
  ) ?? null;

/** Null when there is none, or nobody answers. */
export const findReplay = async (
  doors: ReplayDoors,
  wanted: { name: string; atWallMs: number },
): Promise<ReplaySummary | null> => {
  const params = new URLSearchParams({ name: wanted.name, limit: String(LOOK_COUNT) });
  try {
    const response = await fetch(`${doors.api}?${params}`, { signal: AbortSignal.timeout(ASK_MAX_MS) });
    const body = response.ok ? ((await response.json()) as Partial<ReplayList>) : null;
    return replayHolding(body?.replays ?? [], wanted.atWallMs);
  } catch {
    return null;
  }
};

export const replayPlaylist = (doors: ReplayDoors, id: string): string => `${doors.folder}${id}/index.m3u8`;
export const replayStoryboard = (doors: ReplayDoors, id: string): string => `${doors.folder}${id}/storyboard.vtt`;
export const replayPoster = (doors: ReplayDoors, id: string): string => `${doors.folder}${id}/poster.jpg`;
