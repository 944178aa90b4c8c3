/** The chapters of a recording: what was shown in it, and when. */
import type { Chapter } from '../../server/api/contract/cues.ts';
import { readChapters } from '../cues/read-cue.ts';
import type { ReplayDoors } from './addresses.ts';

const ASK_MAX_MS = 8000;
const TEXT_MAX_CHARS = 4_000_000;

/** Rejects never: where there are none, or nobody answers, there are none. */
export const fetchChapters = async (doors: ReplayDoors, id: string): Promise<readonly Chapter[]> => {
  try {
    const response = await fetch(`${doors.folder}${id}/chapters.json`, { signal: AbortSignal.timeout(ASK_MAX_MS) });
    const text = response.ok ? await response.text() : '{}';
    return text.length > TEXT_MAX_CHARS ? [] : readChapters(JSON.parse(text));
  } catch {
    return [];
  }
};
