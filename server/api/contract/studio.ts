/** What the host's page asks: with the publish key of the name, or with the admin key. */
import type { DoctorFinding, WatchState } from './socket.ts';

/** `GET /api/studio/NAME`: what to say to whom, before anything is live. */
export type StudioFacts = {
  readonly name: string;
  /** Asked with the admin key: a stream key can be made (`POST /api/keys/NAME`). */
  readonly isAdmin: boolean;
  /** The name has a publish key. */
  readonly hasKey: boolean;
  readonly rtmpPort: number;
  /** An encoder on the server's own machine may leave the key out. */
  readonly isLoopbackOpen: boolean;
  /** Its cues may carry a stock: a shop's keys are known, or it is the demo. */
  readonly mayHaveDrops: boolean;
  /** To watch with where tokens are required, for a few hours; null where nobody needs one. */
  readonly watchToken: string | null;
};

/** `GET /api/broadcasts/NAME/health`: also while nobody publishes, for then it says what kept the last one from it. */
export type BroadcastHealth = {
  readonly state: WatchState;
  /** What the doctor says of the publisher, worst first. */
  readonly findings: readonly DoctorFinding[];
  readonly viewers: ViewerPaths;
  /** Distance of two points. */
  readonly everyMs: number;
  /** The last quarter of an hour, oldest first; with `?after=` only what is newer than this `atWallMs`. */
  readonly history: HealthHistory;
};

export type ViewerPaths = {
  /** Over WebRTC, media by UDP or by TCP. */
  readonly udpCount: number;
  readonly tcpCount: number;
  /** Players that asked for an LL-HLS playlist in the last ten seconds. */
  readonly hlsCount: number;
};

/** A value for each point in each column; null where it cannot be said. */
export type HealthHistory = {
  readonly atWallMs: readonly number[];
} & Readonly<Record<HealthColumn, readonly (number | null)[]>>;

export type HealthColumn =
  /** Of what came in, picture and sound. */
  | 'bitrateBps'
  | 'frameRateFps'
  /** The longest distance between keyframes, one still open included. */
  | 'keyframeIntervalMs'
  /** Pictures the encoder left out, and pictures that came later than its others by more than 150 ms. */
  | 'missingCount'
  | 'lateCount'
  | 'viewerCount'
  /** As players report it: from camera to glass. */
  | 'latencyMedianMs'
  | 'latencyP95Ms'
  /** Of these viewers' time, standing still; 0 … 1. */
  | 'stallRatio';
