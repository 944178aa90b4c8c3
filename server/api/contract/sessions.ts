/** Viewers as `GET /api/sessions` tells of them. Whose they are is not told: no address, no token, no name in their URL. */
export type SessionSummary = {
  /** For this API alone. */
  readonly number: number;
  readonly broadcast: string;
  /** Over LL-HLS the server knows no more than what players report; those that report nothing are not listed. */
  readonly transport: 'whep' | 'll-hls';
  readonly startedAtWallMs: number;
  readonly durationMs: number;
  readonly endedAtWallMs: number | null;
  readonly endReason: string | null;
  /** `udp` or `tcp`; `none` before it has connected; `http` over LL-HLS. */
  readonly path: string;
  readonly renditionId: string | null;
  /** What the link is believed to carry; over LL-HLS by the player. */
  readonly estimateBps: number | null;
  /** `constrained|outage`, `lossy|long|volatile`, `stable|jittery`; null while it is not known, and over LL-HLS. */
  readonly networkClass: string | null;
  readonly playoutDelayMs: number | null;
  /** Over LL-HLS: the latency that the player holds. */
  readonly targetLatencyMs: number | null;
  readonly rttMs: number | null;
  /** As the player reports: from camera to glass, and since it began; null without reports. */
  readonly latencyMs: number | null;
  readonly stallCount: number | null;
  readonly stallMs: number | null;
  /** λ: 0 reacts, 1 is smooth; null over LL-HLS, where it is the player's own. */
  readonly smoothnessRatio: number | null;
};

/** The last five minutes, a row a second, over LL-HLS a row a report (2 s); null where nothing was known. */
export type SessionDetail = SessionSummary & {
  readonly timeline: {
    /** Since it began. */
    readonly atMs: readonly number[];
    readonly estimateBps: readonly (number | null)[];
    readonly sentBps: readonly (number | null)[];
    readonly playoutDelayMs: readonly (number | null)[];
    /** Playout delay with which no picture of the last GOP would have come late. */
    readonly needMs: readonly (number | null)[];
    readonly targetLatencyMs: readonly (number | null)[];
    readonly queueDelayMs: readonly (number | null)[];
    readonly rttMs: readonly (number | null)[];
    readonly latencyMs: readonly (number | null)[];
    readonly frozenMs: readonly (number | null)[];
    readonly renditionId: readonly string[];
  };
};
