/**
 * What one viewer saw of one stream, as plain JSON: what the lab's runner collects, compares and draws. All instants are
 * milliseconds since `play()` (a bare page: since the first request of the stream; a server's own page: since the navigation).
 * Definitions: README.md of this folder.
 */
import type { Freeze } from './freezes.ts';

/**
 * `ll-hls` is hls.js in its low-latency mode, `hls` is hls.js without it; `http-flv` is mpegts.js; `page` is a server's own page,
 * of which only a `<video>` is needed.
 */
export type PlayTarget = {
  readonly kind: 'whep' | 'll-hls' | 'hls' | 'http-flv' | 'page';
  readonly url: string;
};

export type Percentiles = { readonly p50: number; readonly p95: number; readonly p99: number };

/** Numbers of one second. What the player does not tell is not there; counters count since the peer connection began. */
export type StatsSample = { readonly atMs: number } & { readonly [Name in StatName]?: number };

export type StatName =
  /** Means over the second before. */
  | 'jitterBufferDelayMs'
  | 'jitterBufferTargetMs'
  | 'decodeMs'
  /** Counters of the incoming video. */
  | 'bytesReceived'
  | 'packetsReceived'
  | 'packetsLost'
  | 'retransmittedPacketsReceived'
  | 'nackCount'
  | 'pliCount'
  | 'framesReceived'
  | 'framesDecoded'
  | 'framesDropped'
  | 'keyFramesDecoded'
  | 'freezeCount'
  | 'freezesMs'
  | 'pauseCount'
  | 'pausesMs'
  | 'lastPacketAtMs'
  /** Counters of the incoming sound, in samples. */
  | 'audioSamplesReceived'
  | 'audioConcealedSamples'
  | 'audioSilentConcealedSamples'
  /** The transport. */
  | 'rttMs'
  | 'availableBps'
  /** The playing element. */
  | 'bufferedMs'
  | 'playbackRateRatio'
  | 'elementDroppedFrames';

/** An answer to a WHEP request that was not 201. */
export type Refusal = { readonly atMs: number; readonly status: number; readonly text: string };

export type ViewerReport = {
  readonly target: PlayTarget;
  readonly startedAtWallMs: number;
  /** First picture on the glass; null: none within `joinMaxMs`, and then `stallRatio` is 1 over `joinMaxMs`. */
  readonly joinMs: number | null;
  /** The observation `[observedFromMs, observedFromMs + durationMs]`: all sums and percentiles are of it. */
  readonly observedFromMs: number;
  readonly durationMs: number;
  /** Glass to glass over viewer-seconds: each frame weighted by its time on screen. Null without a readable frame. */
  readonly latencyMs: (Percentiles & { readonly min: number; readonly mean: number }) | null;
  /** Age of what is on the screen, over time: a frozen picture ages. Null without a readable frame. */
  readonly ageMs: Percentiles | null;
  readonly freezes: readonly (Omit<Freeze, 'startedAtWallMs'> & { readonly startedAtMs: number })[];
  /** Frozen time, pauses and the open gap among it, over the time of the observation. */
  readonly stallRatio: number;
  /** Distinct pictures a second that reached the screen. */
  readonly pictureFps: number;
  readonly unreadableCount: number;
  readonly backwardCount: number;
  /** Every frame that was read since `play()`, those before the observation too. */
  readonly frames: { readonly shownAtMs: readonly number[]; readonly latencyMs: readonly (number | null)[] };
  /** The picture's size at first and whenever it changed, since `play()`. */
  readonly resolution: readonly { readonly atMs: number; readonly widthPx: number; readonly heightPx: number }[];
  /** Each second since `play()`. */
  readonly stats: readonly StatsSample[];
  /** Chrome's own count during the observation; null where nothing came by WebRTC. */
  readonly chrome: {
    readonly freezeCount: number;
    readonly freezesMs: number;
    readonly pauseCount: number;
    readonly pausesMs: number;
  } | null;
  /** Sound minus picture (flash and beep), the probe's own offset taken off; null unless asked for, or where none were found. */
  readonly avOffsetMs: {
    readonly p50: number;
    readonly p95: number;
    readonly count: number;
    readonly probeOffsetMs: number;
  } | null;
  /** How far the source was behind its own clock, at most, during the observation: over ~80 ms the run says little. */
  readonly sourceLateMaxMs?: number;
  /** For how long of the observation the reading script did not run: a page short of CPU. Over a few percent, frames went unseen. */
  readonly scriptAwayMs: number;
  /** The server's refusals while joining, oldest first; at most 20. */
  readonly refusals: readonly Refusal[];
  /** Why there was no picture, in the player's words. */
  readonly failure?: string;
};
