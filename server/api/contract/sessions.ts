/** Viewers over WebRTC as `GET /api/sessions` tells of them. Whose they are is not told: no address, no token, no name in their URL. */
export type SessionSummary = {
  /** For this API alone. */
  readonly number: number;
  readonly broadcast: string;
  readonly startedAtWallMs: number;
  readonly durationMs: number;
  readonly endedAtWallMs: number | null;
  readonly endReason: string | null;
  /** `udp` or `tcp`; `none` before it has connected. */
  readonly path: string;
  readonly renditionId: string | null;
  /** What the link is believed to carry. */
  readonly estimateBps: number | null;
  readonly playoutDelayMs: number | null;
  readonly rttMs: number | null;
  /** As the player reports: from camera to glass, and since it began; null without reports. */
  readonly latencyMs: number | null;
  readonly stallCount: number | null;
  readonly stallMs: number | null;
  /** λ: 0 reacts, 1 is smooth. */
  readonly smoothnessRatio: number;
};

/** The last five minutes, a value a second in each column; null where nothing was known. */
export type SessionDetail = SessionSummary & {
  readonly timeline: {
    readonly atMs: readonly number[];
    readonly estimateBps: readonly (number | null)[];
    readonly sentBps: readonly (number | null)[];
    readonly playoutDelayMs: readonly (number | null)[];
    readonly queueDelayMs: readonly (number | null)[];
    readonly rttMs: readonly (number | null)[];
    readonly latencyMs: readonly (number | null)[];
    readonly frozenMs: readonly (number | null)[];
    readonly renditionId: readonly string[];
  };
};
