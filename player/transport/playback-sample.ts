/** What a transport tells about its picture, several times a second. */
import type { Source } from '../rewind-machine.ts';

export type PlaybackSample = {
  readonly transport: Source;
  /** Age of the picture on screen; null while unknown. */
  readonly latencyMs: number | null;
  readonly stallCount: number;
  readonly stallMs: number;
  readonly framesDecoded: number;
  readonly framesDropped: number;
  /** WHEP only: since the session began. */
  readonly reception?: ReceptionTotals;
  readonly widthPx: number;
  readonly heightPx: number;
  /** Frames a second now shown; null while unknown. */
  readonly frameRateFps: number | null;
  /** Of the pictures, over the last seconds; null while unknown. */
  readonly bitrateBps: number | null;
  /** LL-HLS only: what the controller holds, and how fast it plays for that. */
  readonly targetLatencyMs: number | null;
  /** LL-HLS only: what is loaded (`main`, `h480`) and what hls.js measures of the network; null where it is Safari's own player. */
  readonly loading?: Loading;
  readonly playbackRate: number;
};

export type Loading = { readonly renditionId: string | null; readonly bandwidthBps: number | null };

export type ReceptionTotals = {
  /** Time that pictures spent in the browser's buffer, all together, and how many did. */
  readonly bufferDelayMs: number;
  readonly bufferEmittedCount: number;
  /** Of pictures. */
  readonly receivedBytes: number;
};

/** Clocks that turn a picture's own time into its age. */
export type LatencyClocks = {
  nowMs(): number;
  /** The server's Unix time at an instant of the player's monotonic clock. */
  serverWallMsAt(nowMs: number): number | null;
  /** Unix time at capture of a video RTP timestamp. */
  captureWallMs(rtpTimestamp: number): number | null;
};
