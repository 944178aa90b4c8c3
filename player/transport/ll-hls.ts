/**
 * LL-HLS in one video element: hls.js (loaded only now) in its low-latency mode, or the browser's own player on Safari. Its speed
 * and its place are the latency controller's. It never gives up by itself: what fails is asked for again until it is closed.
 */
import type Hls from 'hls.js';
import type { HlsConfig, LevelDetails } from 'hls.js';
import type { PlaybackHints } from '../../server/api/contract/socket.ts';
import type { PlayerClock } from '../clock.ts';
import { DatedCues, type ListedCues } from '../cues/dated-cues.ts';
import { LatencyController } from '../playout/latency-controller.ts';
import { PartNeeds, startLatencyMs } from '../playout/part-needs.ts';
import { StallTally } from '../playout/stall-tally.ts';
import { Backoff, jitterRatio } from './backoff.ts';
import { LoadedRate } from './bit-rate.ts';
import { FrameRate } from './frame-rate.ts';
import type { AppendedPiece, HlsFailure, HlsLoading } from './hls-engine.ts';
import { HlsEngine } from './hls-engine.ts';
import { nativeWallMs, playsNatively } from './native-hls.ts';
import type { LatencyClocks, Loading, PlaybackSample } from './playback-sample.ts';

export type LlHlsEvent =
  | { readonly type: 'picture' }
  | { readonly type: 'stalled' }
  /** The element is about to be emptied; `picture` follows. */
  | { readonly type: 'rebuilding' };

export type LlHlsOptions = {
  readonly playlistUrl: string;
  readonly video: HTMLVideoElement;
  readonly clock: PlayerClock;
  readonly latencyClocks: LatencyClocks;
  /** λ, the viewer's own; null: as the server hints. */
  readonly smoothnessRatio: number | null;
  /** With each playlist that has dates. */
  onCues(listed: ListedCues): void;
  onEvent(event: LlHlsEvent): void;
};

/** Held when neither playlist nor server says anything (CONGESTION 8.3, table). */
const TARGET_DEFAULT_MS = 1500;
const PART_DEFAULT_MS = 333;
const FAST_DEFAULT_RATIO = 0.08;
const SLOW_DEFAULT_RATIO = 0.05;
/** No movement for this long while there should be: build everything anew. Twice the segment, and then some. */
const REBUILD_AFTER_MS = 8000;
const STALL_MS = 1000;
/** Less media than this per time is no movement. */
const MOVING_RATIO = 0.3;

/** Playlists are asked for through the 30 s a host may be gone and on. */
const LOADING: HlsLoading = { retryMaxCount: 8, retryDelayMs: 500, loadMaxMs: 20_000 };
const SMOOTHNESS_DEFAULT_RATIO = 0.5;
/** hls.js's word for: the one that the network carries. */
const LEVEL_AUTO = -1;
const CONFIG: Partial<HlsConfig> = { liveSyncOnStallIncrease: 0, backBufferLength: 10 };

export class LlHlsPlayback {
  readonly #options: LlHlsOptions;
  readonly #native: boolean;
  readonly #abort = new AbortController();
  readonly #backoff = new Backoff({ minMs: 500, maxMs: 5000 });
  readonly #stalls = new StallTally();
  readonly #frameRate = new FrameRate();
  readonly #loadedRate = new LoadedRate();
  readonly #datedCues = new DatedCues();
  readonly #controller = new LatencyController({
    targetLatencyMs: TARGET_DEFAULT_MS,
    partDurationMs: PART_DEFAULT_MS,
    fastRatio: FAST_DEFAULT_RATIO,
    slowRatio: SLOW_DEFAULT_RATIO,
  });
  readonly #engine: HlsEngine;
  readonly #needs: PartNeeds;
  #hintedTargetMs: number | null = null;
  #hints: PlaybackHints | undefined;
  #holdBackMs = 0;
  readonly #firstLoads = { bits: 0, loadMs: 0, mediaMs: 0 };
  /** Null: whichever the network carries. */
  #wantedId: string | null = null;
  #isBuilt = false;
  #edgeIndex: number | null = null;
  #retryAtMs: number | null = null;
  #movedAtMs: number;
  #lastTimeS = 0;
  #sampledAtMs = 0;
  #moving = false;
  #closed = false;

  constructor(options: LlHlsOptions) {
    this.#options = options;
    this.#native = playsNatively(options.video);
    this.#engine = new HlsEngine({
      ...{ video: options.video, playlistUrl: options.playlistUrl, loading: LOADING, readsDeltas: false },
      onLevels: (hls) => (hls.loadLevel = levelOf(hls, this.#wantedId)),
      onPlaylist: (details) => this.#onPlaylist(details),
      onFailure: (failure) => this.#onFailure(failure),
      onAppended: (piece) => this.#onAppended(piece),
    });
    this.#needs = new PartNeeds(options.smoothnessRatio ?? SMOOTHNESS_DEFAULT_RATIO);
    this.#movedAtMs = options.clock.nowMs();
    this.#sampledAtMs = this.#movedAtMs;
  }

  /** Begins to play. Never rejects: a failed load is tried again by `sample`. */
  async start(): Promise<void> {
    const { video, clock } = this.#options;
    const { signal } = this.#abort;
    video.preservesPitch = true;
    video.addEventListener('waiting', () => this.#moving && this.#isWatched() && this.#stalls.waiting(clock.nowMs()), {
      signal,
    });
    video.addEventListener('pause', () => this.#stalls.forgive(), { signal });
    if (this.#native) {
      video.addEventListener('error', () => this.#retryLater(), { signal });
    }
    await this.#build();
  }

  close(): void {
    this.#closed = true;
    this.#abort.abort();
    this.#engine.close();
  }

  /** The server's wishes for this viewer. */
  hint(hints: PlaybackHints): void {
    const { targetLatencyMs, fastRatio, slowRatio } = hints;
    this.#hintedTargetMs = targetLatencyMs;
    this.#hints = hints;
    this.#controller.configure({ targetLatencyMs, fastRatio, slowRatio });
    this.#needs.setSmoothness(this.#options.smoothnessRatio ?? hints.smoothnessRatio ?? SMOOTHNESS_DEFAULT_RATIO);
    const hls = this.#engine.hls;
    if (hls !== undefined) {
      Object.assign(hls.config, abrConfig(hints));
    }
  }

  /** Safari's own player chooses by itself. */
  get canChoose(): boolean {
    return !this.#native;
  }

  /**
   * From now on the rendition of this id, which is there, after what is loaded of the other; null: whichever the network carries. One that was not there when
   * the list of renditions was read is loaded with a new list, while the last picture stands.
   */
  watch(renditionId: string | null): void {
    if (renditionId === this.#wantedId) {
      return;
    }
    this.#wantedId = renditionId;
    const hls = this.#engine.hls;
    if (hls === undefined || hls.levels.length === 0) {
      return;
    }
    const level = levelOf(hls, renditionId);
    if (renditionId === null) {
      hls.loadLevel = LEVEL_AUTO;
    } else if (level === LEVEL_AUTO) {
      void this.#build();
    } else {
      hls.nextLevel = level;
    }
  }

  /** To the live edge at once: the viewer comes back to the tab, or presses play. */
  seekToLive(): void {
    const { video } = this.#options;
    const positionS = this.#engine.hls?.liveSyncPosition ?? endOf(video.seekable);
    if (positionS !== null && positionS > video.currentTime + 0.5) {
      this.#needs.leaveEdge();
      video.currentTime = positionS;
    }
    this.#stalls.forgive();
  }

  /** Unix milliseconds at capture of a picture at this place of the element's time; null while unknown. */
  wallMsAt(timeS: number): number | null {
    return this.#engine.wallMsAt(timeS) ?? nativeWallMs(this.#options.video, timeS);
  }

  /** Steers, notes stalls and movement, retries what is due. To be called a few times a second. */
  sample(): PlaybackSample | null {
    if (this.#closed) {
      return null;
    }
    const nowMs = this.#options.clock.nowMs();
    this.#noteMovement(nowMs);
    this.#retryIfDue(nowMs);
    const latencyMs = this.#latencyMs(nowMs);
    this.#steer(latencyMs, nowMs);
    return this.#toSample(latencyMs, nowMs);
  }

  // ---- loading

  async #build(): Promise<void> {
    this.#retryAtMs = null;
    this.#movedAtMs = this.#options.clock.nowMs();
    const { video, playlistUrl } = this.#options;
    if (this.#isBuilt) {
      this.#moving = false;
      this.#options.onEvent({ type: 'rebuilding' });
    }
    this.#isBuilt = true;
    if (this.#native) {
      video.src = playlistUrl;
      return;
    }
    this.#edgeIndex = null;
    try {
      this.#needs.leaveEdge();
      await this.#engine.build({ ...CONFIG, ...abrConfig(this.#hints) });
    } catch {
      this.#retryLater();
    }
  }

  #onPlaylist(details: LevelDetails): void {
    // Numbers that begin again are another broadcast, or a server that was restarted: hls.js would wait for the old ones.
    const wentBack = this.#edgeIndex !== null && details.endSN < this.#edgeIndex - 1;
    this.#edgeIndex = details.endSN;
    if (wentBack) {
      this.#retryLater();
      return;
    }
    const listed = this.#datedCues.of(details);
    if (listed !== null) {
      this.#options.onCues(listed);
    }
    const partDurationMs = (details.partTarget || details.targetduration) * 1000;
    const holdBackMs = (details.partHoldBack || details.holdBack || details.targetduration * 3) * 1000;
    this.#holdBackMs = holdBackMs;
    const targetLatencyMs = Math.max(holdBackMs, this.#hintedTargetMs ?? 0);
    this.#controller.configure({ partDurationMs, targetLatencyMs });
  }

  #onAppended({ capturedAtWallMs, durationMs, askedAtMs, bytes, loadMs }: AppendedPiece): void {
    this.#loadedRate.note({ bytes, durationMs });
    const nowMs = this.#options.clock.nowMs();
    const { latencyClocks } = this.#options;
    const appendedAtMs = latencyClocks.serverWallMsAt(nowMs);
    const askedAtWallMs = latencyClocks.serverWallMsAt(askedAtMs);
    if (appendedAtMs === null || askedAtWallMs === null) {
      return;
    }
    // What is sent while it is being made comes at the encoder's pace.
    if (askedAtWallMs > capturedAtWallMs + durationMs) {
      this.#firstLoads.bits += 8 * bytes;
      this.#firstLoads.loadMs += loadMs;
      this.#firstLoads.mediaMs += durationMs;
    }
    this.#needs.note({ capturedAtMs: capturedAtWallMs, durationMs, askedAtMs: askedAtWallMs, appendedAtMs });
    this.#controller.wantAtLeast(this.#needs.wantedMs ?? startLatencyMs(this.#holdBackMs, this.#firstLoads));
  }

  #onFailure({ kind }: HlsFailure): void {
    if (kind === 'media' && this.#moving) {
      this.#engine.hls?.recoverMediaError();
    } else {
      this.#retryLater();
    }
  }

  #retryLater(): void {
    this.#retryAtMs ??= this.#options.clock.nowMs() + this.#backoff.nextMs(jitterRatio());
  }

  #retryIfDue(nowMs: number): void {
    const stuck = this.#isWatched() && nowMs - this.#movedAtMs > REBUILD_AFTER_MS;
    if (stuck || (this.#retryAtMs !== null && nowMs >= this.#retryAtMs)) {
      void this.#build();
    }
  }

  // ---- watching

  /** Whether a picture that stands still is our fault. */
  #isWatched(): boolean {
    return !this.#options.video.paused && document.visibilityState === 'visible';
  }

  /** Nudges that free a stuck decoder move the playhead too: only real progress counts as movement. */
  #noteMovement(nowMs: number): void {
    const { video } = this.#options;
    const advancedMs = Math.abs(video.currentTime - this.#lastTimeS) * 1000;
    const elapsedMs = nowMs - this.#sampledAtMs;
    const moved = advancedMs > MOVING_RATIO * elapsedMs && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
    if (moved) {
      this.#movedAtMs = nowMs;
      this.#noteMoving(nowMs);
    } else if (!this.#isWatched()) {
      this.#movedAtMs = nowMs;
    } else if (this.#moving) {
      this.#stalls.waiting(this.#movedAtMs);
      this.#noteStandstill(nowMs);
    }
    this.#lastTimeS = video.currentTime;
    this.#sampledAtMs = nowMs;
  }

  #noteStandstill(nowMs: number): void {
    if (nowMs - this.#movedAtMs > STALL_MS) {
      this.#moving = false;
      this.#options.onEvent({ type: 'stalled' });
    }
  }

  #noteMoving(nowMs: number): void {
    const stallMs = this.#stalls.moving(nowMs);
    if (stallMs > 0) {
      this.#controller.noteStall(stallMs, nowMs);
    }
    if (!this.#moving) {
      this.#moving = true;
      this.#backoff.reset();
      this.#options.onEvent({ type: 'picture' });
    }
  }

  /** Program date time of the picture against the server's clock; without a socket, hls.js's estimate from the playlist. */
  #latencyMs(nowMs: number): number | null {
    const { video, latencyClocks } = this.#options;
    // Not hls.js's `playingDate`: it goes by a fragment that is forgotten when what was played is thrown away, and was then a second off.
    const playingWallMs = this.wallMsAt(video.currentTime);
    const serverWallMs = latencyClocks.serverWallMsAt(nowMs);
    if (playingWallMs !== null && serverWallMs !== null) {
      return serverWallMs - playingWallMs;
    }
    const estimateS = this.#engine.hls?.latency ?? 0;
    return estimateS > 0 ? estimateS * 1000 : null;
  }

  #steer(latencyMs: number | null, nowMs: number): void {
    const { video } = this.#options;
    if (latencyMs === null || video.paused || !this.#moving) {
      return;
    }
    const decision = this.#controller.update({ nowMs, latencyMs, forwardBufferMs: forwardBufferMs(video) });
    if (decision.seekAheadMs > 0) {
      video.currentTime += decision.seekAheadMs / 1000;
    }
    if (Math.abs(video.playbackRate - decision.playbackRate) >= 0.005) {
      video.playbackRate = decision.playbackRate;
    }
  }

  #toSample(latencyMs: number | null, nowMs: number): PlaybackSample {
    const { video } = this.#options;
    const frames = video.getVideoPlaybackQuality();
    return {
      transport: 'll-hls',
      latencyMs,
      ...this.#stalls.totals(nowMs),
      framesDecoded: frames.totalVideoFrames,
      framesDropped: frames.droppedVideoFrames,
      widthPx: video.videoWidth,
      heightPx: video.videoHeight,
      frameRateFps: this.#frameRate.note(frames.totalVideoFrames - frames.droppedVideoFrames, nowMs),
      bitrateBps: this.#loadedRate.bps,
      targetLatencyMs: this.#controller.targetLatencyMs,
      loading: loadingOf(this.#engine.hls),
      playbackRate: video.playbackRate,
    };
  }
}

/** How much of the bandwidth that hls.js measures it may use, and what it is to think at first. */
const abrConfig = (hints: PlaybackHints | undefined): Partial<HlsConfig> => ({
  ...(hints?.bandwidthDownRatio === undefined ? {} : { abrBandWidthFactor: hints.bandwidthDownRatio }),
  ...(hints?.bandwidthUpRatio === undefined ? {} : { abrBandWidthUpFactor: hints.bandwidthUpRatio }),
  ...(hints?.startBandwidthBps === undefined ? {} : { abrEwmaDefaultEstimate: hints.startBandwidthBps }),
});

/** Each rendition has a playlist of its own name: `h480.m3u8`, and `video.m3u8` for the main one. */
const levelOf = (hls: Hls, renditionId: string | null): number => {
  const file = `/${renditionId === 'main' ? 'video' : renditionId}.m3u8`;
  return renditionId === null ? LEVEL_AUTO : hls.levels.findIndex(({ uri }) => uri.split('?')[0]?.endsWith(file));
};

const loadingOf = (hls: Hls | undefined): Loading => {
  const file = /\/(\w+)\.m3u8/.exec(hls?.levels[hls.currentLevel]?.uri ?? '')?.[1];
  const bandwidthBps = hls?.bandwidthEstimate ?? Number.NaN;
  return {
    renditionId: (file === 'video' ? 'main' : file) ?? null,
    bandwidthBps: Number.isFinite(bandwidthBps) ? bandwidthBps : null,
  };
};

const endOf = (ranges: TimeRanges): number | null => (ranges.length === 0 ? null : ranges.end(ranges.length - 1));

/** Media ahead of the playhead up to the first hole. */
const forwardBufferMs = ({ buffered, currentTime }: HTMLVideoElement): number => {
  for (let index = 0; index < buffered.length; index += 1) {
    if (buffered.start(index) <= currentTime + 0.1 && buffered.end(index) > currentTime) {
      return (buffered.end(index) - currentTime) * 1000;
    }
  }
  return 0;
};
