/** Everything about WHIP that can be set, with its defaults. */

export type WhipOptions = {
  /** Publishers at once. */
  readonly sessionMaxCount: number;
  /** POST, PATCH and DELETE of one address. */
  readonly requestsPerMinute: number;
  /** A keyframe is asked for when the last one is so old. Longer spares the publisher bits, shorter heals and joins faster. */
  readonly keyframeEveryMs: number;
  /** A lost packet is waited for so long, where the publisher can repeat it. */
  readonly repairWaitMaxMs: number;
  /** A packet out of order is waited for so long, where it cannot. */
  readonly reorderWaitMaxMs: number;
  /** How often the publisher is told which packets came when: its bandwidth estimate lives on it. */
  readonly feedbackEveryMs: number;
  /** What waits for missing packets, of one stream; and the largest picture. */
  readonly bufferMaxBytes: number;
  readonly pictureMaxBytes: number;
  /** Without media for so long, a publisher is turned away. */
  readonly idleTimeoutMs: number;
};

export const WHIP_DEFAULTS: WhipOptions = {
  sessionMaxCount: 50,
  requestsPerMinute: 120,
  keyframeEveryMs: 1_000,
  repairWaitMaxMs: 400,
  reorderWaitMaxMs: 60,
  feedbackEveryMs: 50,
  bufferMaxBytes: 4 * 1024 * 1024,
  pictureMaxBytes: 4 * 1024 * 1024,
  idleTimeoutMs: 15_000,
};
