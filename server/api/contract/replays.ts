/** What `GET /api/replays` answers, as the pages read it. */

export type ReplaySummary = {
  readonly id: string;
  /** The broadcast's name. */
  readonly name: string;
  /** What people call it; empty until somebody gives it one. */
  readonly title: string;
  readonly state: 'recording' | 'ended';
  readonly startedAtWallMs: number;
  /** Null while it is being recorded. */
  readonly endedAtWallMs: number | null;
  /** What a viewer gets to see: gaps left out. */
  readonly durationMs: number;
  readonly sizeBytes: number;
  /** Addresses from the root. The poster is there soon after the end. */
  readonly playlistUrl: string;
  readonly downloadUrl: string;
  readonly posterUrl: string;
  readonly storyboardUrl: string;
};

export type ReplayList = {
  /** Newest first. */
  readonly replays: readonly ReplaySummary[];
  /** How many match in all. */
  readonly totalCount: number;
};
