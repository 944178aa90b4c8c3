/** What may be configured of recording. */

export type FsyncPolicy = 'never' | 'interval' | 'segment';

export type RecorderOptions = {
  readonly enabled: boolean;
  /** Renditions of LL-HLS that are kept; empty: all of them. */
  readonly renditions: readonly string[];
  /** When bytes must have reached the disk itself: when the system pleases, every `fsyncEveryMs`, or with each segment. */
  readonly fsync: FsyncPolicy;
  readonly fsyncEveryMs: number;
  /** Media files hold so much each: what a damaged file costs at most. */
  readonly fileRollMs: number;
  /** What may wait for the disk, per recording; beyond it whole segments are left out. */
  readonly queueMaxBytes: number;
  /** Recording pauses when less than this is free, and goes on when there is a quarter more. */
  readonly freeMinBytes: number;
  /** How often a paused recording looks whether it can go on. */
  readonly retryEveryMs: number;
};

export const RECORDER_DEFAULTS: RecorderOptions = {
  enabled: true,
  renditions: [],
  fsync: 'interval',
  fsyncEveryMs: 5_000,
  fileRollMs: 600_000,
  queueMaxBytes: 32 * 2 ** 20,
  freeMinBytes: 256 * 2 ** 20,
  retryEveryMs: 2_000,
};
