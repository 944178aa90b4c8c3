/** Which recordings must go: those too old, then the oldest until the rest fits. Never one being recorded or watched. Pure. */
import type { RecordingSummary } from './recording.ts';

export type RetentionOptions = {
  /** Recordings that ended longer ago are removed; 0: none for its age. */
  readonly ageMaxHours: number;
  /** All recordings together, those being made included; 0: no limit. */
  readonly totalMaxBytes: number;
  /** How often this is looked at. */
  readonly lookEveryMs: number;
};

export const RETENTION_DEFAULTS: RetentionOptions = { ageMaxHours: 0, totalMaxBytes: 0, lookEveryMs: 60_000 };

export type Removal = { readonly summary: RecordingSummary; readonly reason: 'age' | 'size' };

const HOUR_MS = 3_600_000;

export const planRemovals = (
  recordings: readonly RecordingSummary[],
  options: {
    readonly retention: RetentionOptions;
    readonly nowWallMs: number;
    readonly isWatched: (id: string) => boolean;
  },
): Removal[] => {
  const { ageMaxHours, totalMaxBytes } = options.retention;
  const oldestFirst = recordings.toSorted((a, b) => a.startedAtWallMs - b.startedAtWallMs);
  let totalBytes = recordings.reduce((sum, { mediaBytes }) => sum + mediaBytes, 0);
  const removals: Removal[] = [];
  for (const summary of oldestFirst) {
    const { id, endedAtWallMs, mediaBytes } = summary;
    const isFree = endedAtWallMs !== undefined && !options.isWatched(id);
    const isOld = ageMaxHours > 0 && options.nowWallMs - (endedAtWallMs ?? options.nowWallMs) > ageMaxHours * HOUR_MS;
    const isTooMuch = totalMaxBytes > 0 && totalBytes > totalMaxBytes;
    if (isFree && (isOld || isTooMuch)) {
      totalBytes -= mediaBytes;
      removals.push({ summary, reason: isOld ? 'age' : 'size' });
    }
  }
  return removals;
};
