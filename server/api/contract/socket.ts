/**
 * What passes over `/ws/NAME`, as JSON texts. The player imports these types and nothing else of the server.
 * A viewer's socket is bound to its WHEP session by `?session=SECRET` (from the `Link` header of the WHEP answer,
 * rel `urn:sluice:socket`); without it the socket still carries clock, state and viewer count.
 */

import type { CueMessage } from './cues.ts';

/** `absent`: nobody publishes under this name. The rest as the broadcast's own states. */
export type WatchState = 'absent' | 'waiting' | 'live' | 'reconnecting' | 'ended';

export type ServerMessage =
  | { readonly type: 'state'; readonly state: WatchState; readonly viewerCount: number; readonly broadcastId?: string }
  /** Answer to `ping`. The offset of the exchange with the smallest round trip is the one to trust. */
  | { readonly type: 'pong'; readonly id: number; readonly serverWallMs: number }
  /**
   * From this RTP timestamp of this viewer's video on, media time (and the wall clock at capture) is this. Timestamps that
   * advance by 90 000 a second from there follow by arithmetic, until the next such message.
   */
  | { readonly type: 'rtp-mapping'; readonly rtpTimestamp: number; readonly mediaMs: number; readonly wallMs: number }
  /** What the viewer may choose among; first, and when it changes. */
  | { readonly type: 'renditions'; readonly renditions: readonly RenditionSummary[] }
  /** Parameters for players; never needed to play. */
  | { readonly type: 'hints'; readonly hints: PlaybackHints }
  | CueMessage
  /** The server is about to close the socket or the session, and why. */
  | { readonly type: 'closing'; readonly reason: string };

export type ClientMessage =
  | { readonly type: 'ping'; readonly id: number }
  | { readonly type: 'report'; readonly report: QualityReport }
  /**
   * From now on this rendition over WebRTC, at the next keyframe: the id of a rung, `main`, or `auto` (what the server thinks best). A rung that is
   * not there just now is given when it is; until then what everybody gets. Only on a socket that is bound to a session.
   */
  | { readonly type: 'watch'; readonly rendition: string };

export type RenditionSummary = {
  /** `main` (the publisher's own picture, or what stands for it where browsers cannot show that), or of a rung: `h480`, `av1h480`. */
  readonly id: string;
  /** `h264`, `av1`, `hevc`. Not every browser decodes the last two. */
  readonly codec: string;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly frameRateFps: number | null;
  /** Of late, pictures only. */
  readonly bitrateBps: number;
};

/** Every 2 s. Clipped and rate-limited by the server. */
export type QualityReport = {
  readonly transport: 'whep' | 'll-hls';
  readonly latencyMs: number | null;
  readonly stallCount: number;
  readonly stallMs: number;
  readonly framesDecoded: number;
  readonly framesDropped: number;
  /** WHEP, over the time since the last report: how long pictures waited in the browser's buffer; null while unknown. */
  readonly bufferDelayMs?: number | null;
  /** WHEP, likewise: pictures' bits a second. */
  readonly receivedBps?: number | null;
  /** LL-HLS: the latency that is held, the rendition that is loaded (`main`, `h480`), and what the network is measured to carry. */
  readonly targetLatencyMs?: number | null;
  readonly rendition?: string | null;
  readonly bandwidthBps?: number | null;
};

/** Also served at `GET /api/hints/NAME`. */
export type PlaybackHints = {
  readonly v: 1;
  /** LL-HLS latency to hold; 0: the playlist's own. */
  readonly targetLatencyMs: number;
  /** Largest speeding up and slowing down of playback, as ratios of normal speed. */
  readonly fastRatio: number;
  readonly slowRatio: number;
  /** λ of the broadcast, 0 … 1. */
  readonly smoothnessRatio?: number;
  /** Of the measured bandwidth, what the rendition in use may take, and what the next one up may. */
  readonly bandwidthDownRatio?: number;
  readonly bandwidthUpRatio?: number;
  /** What the network is thought to carry before anything is measured. */
  readonly startBandwidthBps?: number;
};

/** One line of `GET /api/broadcasts`. */
export type BroadcastSummary = {
  readonly name: string;
  readonly id: string;
  readonly state: WatchState;
  readonly startedAtWallMs: number;
  readonly viewerCount: number;
  readonly video: {
    readonly codec: string;
    readonly widthPx: number;
    readonly heightPx: number;
    readonly frameRateFps: number | null;
  } | null;
  readonly audio: { readonly codec: string; readonly channelCount: number } | null;
  readonly bitrateBps: number;
  /** What the doctor found, worst first. */
  readonly findings: readonly DoctorFinding[];
  /** Null when it is not recorded. */
  readonly recording?: RecordingStatus | null;
  /** Null while nothing is planned; without rungs it says why there are none. */
  readonly ladder?: LadderSummary | null;
};

export type LadderSummary = {
  /** Largest first. One that has not begun has no bitrate. */
  readonly rungs: readonly RenditionSummary[];
  /** What makes the H.264 rungs (`software`, `nvenc`, …), and why that. */
  readonly encoder: { readonly name: string; readonly why: string };
  /** Null when the CRFs stay as configured. */
  readonly narrowband: NarrowbandSummary | null;
  /** What was not made, and why, in plain words. */
  readonly leftOut: readonly { readonly id: string; readonly why: string }[];
  /** Media that waits in the encoder. */
  readonly lagMs: number;
  readonly restartCount: number;
};

export type NarrowbandSummary = {
  readonly targetVmaf: number;
  readonly rungs: readonly {
    readonly id: string;
    /** x264's quality it is encoded with: lower is better. */
    readonly crf: number;
    /** What that shows by prediction; null while nobody has looked at this scene. */
    readonly vmafPredicted: number | null;
  }[];
  /** Since the picture was last looked at; null: not yet. */
  readonly probedAgoMs: number | null;
  /** Why the CRFs are what they are; null: nothing has changed yet. */
  readonly lastChange: 'follows_content' | 'quality_low' | 'scene_changed' | null;
};

export type RecordingStatus = {
  /** `paused`: it waits for the disk, see `pauseReason`. */
  readonly state: 'idle' | 'recording' | 'paused' | 'ended';
  /** `disk_full`, `disk_failed`. */
  readonly pauseReason: string | null;
  /** Segments (about 2 s of picture or sound each) that the recording lacks. */
  readonly lostCount: number;
};

export type DoctorFinding = {
  readonly code: string;
  readonly severity: 'info' | 'warning' | 'problem';
  /** A sentence for the streamer: what it is, what it costs, what to set. */
  readonly advice: string;
  /** What it costs in latency, where that can be said. */
  readonly costMs: number | null;
};
