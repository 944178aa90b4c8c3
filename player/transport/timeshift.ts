/**
 * The past in one video element: the rewind playlist of a broadcast, or a replay, by hls.js (loaded only now) or the browser's own player on Safari. It
 * plays at the viewer's speed and place: nothing here steers towards now. What fails is asked for again, a few times.
 */
import type { LevelDetails } from 'hls.js';
import type { PlayerClock } from '../clock.ts';
import { StallTally } from '../playout/stall-tally.ts';
import { DatedCues, type ListedCues } from '../cues/dated-cues.ts';
import { mediaTimeAt, wallTimeAt, type TimedPieces } from '../playout/wall-timeline.ts';
import type { Source } from '../rewind-machine.ts';
import { Backoff, jitterRatio } from './backoff.ts';
import { LoadedRate } from './bit-rate.ts';
import { FrameRate } from './frame-rate.ts';
import type { HlsFailure, HlsLoading } from './hls-engine.ts';
import { HlsEngine, piecesOf } from './hls-engine.ts';
import { nativeTimeS, nativeWallMs, playsNatively } from './native-hls.ts';
import type { PlaybackSample } from './playback-sample.ts';

export type TimeshiftEvent =
  /** There is a picture, for the first time or again; standing, if the viewer has paused. */
  | { readonly type: 'picture' }
  | { readonly type: 'stalled' }
  /** The element is about to be emptied and filled anew. */
  | { readonly type: 'rebuilding' }
  | { readonly type: 'ended' }
  /** Given up. */
  | { readonly type: 'gone' };

/** A place: an instant of the broadcast, or so much from the beginning. */
export type Place =
  { readonly kind: 'wall'; readonly atMs: number } | { readonly kind: 'offset'; readonly atMs: number };

export type TimeshiftOptions = {
  readonly source: Extract<Source, 'rewind' | 'replay'>;
  readonly playlistUrl: string;
  readonly video: HTMLVideoElement;
  readonly clock: PlayerClock;
  readonly place: Place;
  /** Where the playlist begins, as far as known: spares a look at the wrong place. */
  readonly startAtWallMs: number | null;
  /** With each playlist that has dates. */
  onCues?(listed: ListedCues): void;
  onEvent(event: TimeshiftEvent): void;
};

const STALL_MS = 1000;
/** No movement for this long while there should be: build everything anew. */
const REBUILD_AFTER_MS = 10_000;
/** Attempts without any picture between them. */
const ATTEMPT_MAX_COUNT = 6;
/** A loader that gave up is told to go on this often before everything is built anew: the picture stays meanwhile. */
const RELOAD_MAX_COUNT = 3;
/** A refusal of the whole (404, 401) is asked about this often: a server may be just restarting. */
const REFUSAL_MAX_COUNT = 2;
/** Further from the asked place than this, it was found wrongly. */
const PLACE_ERROR_MAX_S = 0.75;
/** Sound may begin a little after the pictures, and hls.js begins at the live edge with whatever is asked for before its beginning. */
const START_MIN_S = 0.25;
const FRAME_DEFAULT_S = 1 / 30;

const LOADING: HlsLoading = { retryMaxCount: 3, retryDelayMs: 400, loadMaxMs: 30_000 };
const BUFFER_S = { maxBufferLength: 20, backBufferLength: 60 };

export class TimeshiftPlayback {
  readonly #options: TimeshiftOptions;
  readonly #native: boolean;
  readonly #abort = new AbortController();
  readonly #backoff = new Backoff({ minMs: 400, maxMs: 4000 });
  readonly #engine: HlsEngine;
  readonly #stalls = new StallTally();
  readonly #frameRate = new FrameRate();
  readonly #loadedRate = new LoadedRate();
  readonly #datedCues = new DatedCues();
  #details: LevelDetails | undefined;
  /** Where it is to go, until it is there. */
  #wanted: Place | null;
  /** Where hls.js was told to begin, before any playlist was known. */
  #builtForS = 0;
  /** Built a second time, because the first playlist told that it was not the right place. */
  #isCorrected = false;
  #isPlaced = false;
  /** Only the loader has failed. */
  #canReload = false;
  /** A place that the element will not go to must not be asked for without end. */
  #hasTriedPlacing = false;
  #hasPicture = false;
  #isStalled = false;
  #hasEnded = false;
  #attemptCount = 0;
  #refusalCount = 0;
  #reloadCount = 0;
  #retryAtMs: number | null = null;
  #movedAtMs: number;
  #sampledAtMs: number;
  #lastTimeS = 0;
  #rateRatio = 1;
  #isClosed = false;

  constructor(options: TimeshiftOptions) {
    this.#options = options;
    this.#native = playsNatively(options.video);
    this.#engine = new HlsEngine({
      ...{ video: options.video, playlistUrl: options.playlistUrl, loading: LOADING, readsDeltas: true },
      onPlaylist: (details) => this.#onPlaylist(details),
      onFailure: (failure) => this.#onFailure(failure),
      onAppended: (piece) => this.#loadedRate.note(piece),
    });
    this.#wanted = options.place;
    this.#movedAtMs = options.clock.nowMs();
    this.#sampledAtMs = this.#movedAtMs;
  }

  /** Begins to load and, unless the element is to stand, to play. Never rejects. */
  async start(): Promise<void> {
    const { video, clock } = this.#options;
    const { signal } = this.#abort;
    video.preservesPitch = true;
    video.addEventListener('loadeddata', () => this.#onMedia(), { signal });
    video.addEventListener('seeked', () => this.#onMedia(), { signal });
    video.addEventListener('playing', () => this.#onMedia(), { signal });
    video.addEventListener('pause', () => this.#stalls.forgive(), { signal });
    video.addEventListener('waiting', () => this.#hasPicture && !video.seeking && this.#stalls.waiting(clock.nowMs()), {
      signal,
    });
    video.addEventListener('ended', () => this.#onEnded(), { signal });
    if (this.#native) {
      video.addEventListener('error', () => this.#retryLater(), { signal });
    }
    await this.#build();
  }

  close(): void {
    this.#isClosed = true;
    this.#abort.abort();
    this.#engine.close();
  }

  /** Goes to another place; the last picture stands until the new one is there. */
  seek(place: Place): void {
    this.#hasEnded = false;
    this.#wanted = place;
    this.#stalls.forgive();
    this.#movedAtMs = this.#options.clock.nowMs();
    if (this.#isPlaced || this.#native) {
      this.#goToWanted();
    }
  }

  /** One picture back or on; of use while it stands. */
  step(frameCount: number): void {
    const { video } = this.#options;
    video.currentTime = Math.max(0, video.currentTime + frameCount * FRAME_DEFAULT_S);
  }

  setRate(ratio: number): void {
    this.#rateRatio = ratio;
    this.#options.video.defaultPlaybackRate = ratio;
    this.#options.video.playbackRate = ratio;
  }

  /** Unix milliseconds of the picture on screen, or of the one that is on its way; null while unknown. */
  get positionWallMs(): number | null {
    if (this.#wanted?.kind === 'wall') {
      return this.#wanted.atMs;
    }
    const { video } = this.#options;
    return wallTimeAt(this.#pieces, video.currentTime) ?? nativeWallMs(video, video.currentTime);
  }

  /** Of a picture at this place of the element's time; null while unknown. */
  wallMsAt(timeS: number): number | null {
    return this.#engine.wallMsAt(timeS) ?? nativeWallMs(this.#options.video, timeS);
  }

  get positionMs(): number {
    return this.#wanted?.kind === 'offset' ? this.#wanted.atMs : this.#options.video.currentTime * 1000;
  }

  /** Of all there is so far; null while unknown. */
  get durationMs(): number | null {
    const { video } = this.#options;
    const endS = this.#details?.edge ?? (video.seekable.length > 0 ? video.seekable.end(video.seekable.length - 1) : 0);
    const durationS = Number.isFinite(video.duration) ? video.duration : endS;
    return durationS > 0 ? durationS * 1000 : null;
  }

  get video(): HTMLVideoElement {
    return this.#options.video;
  }

  get hasPicture(): boolean {
    return this.#hasPicture;
  }

  /** Notes stalls and movement, retries what is due. To be called a few times a second. */
  sample(): PlaybackSample | null {
    if (this.#isClosed) {
      return null;
    }
    const nowMs = this.#options.clock.nowMs();
    this.#noteMovement(nowMs);
    if (this.#retryAtMs !== null && nowMs >= this.#retryAtMs) {
      this.#retry();
    }
    return this.#hasPicture ? this.#toSample(nowMs) : null;
  }

  // ---- loading

  #retry(): void {
    this.#retryAtMs = null;
    if (this.#canReload && this.#reloadCount < RELOAD_MAX_COUNT) {
      this.#reloadCount += 1;
      this.#engine.hls?.startLoad();
      return;
    }
    if (this.#hasPicture) {
      this.#isStalled = true;
      this.#options.onEvent({ type: 'rebuilding' });
    }
    void this.#build();
  }

  async #build(): Promise<void> {
    this.#canReload = false;
    this.#reloadCount = 0;
    this.#attemptCount += 1;
    if (this.#attemptCount > ATTEMPT_MAX_COUNT || this.#refusalCount > REFUSAL_MAX_COUNT) {
      this.#options.onEvent({ type: 'gone' });
      return;
    }
    this.#movedAtMs = this.#options.clock.nowMs();
    if (this.#native) {
      this.#options.video.src = this.#options.playlistUrl;
      return;
    }
    await this.#buildAt(this.#guessedStartS());
  }

  async #buildAt(startS: number): Promise<void> {
    this.#details = undefined;
    this.#isPlaced = false;
    this.#builtForS = startS;
    try {
      await this.#engine.build({ ...BUFFER_S, startPosition: startS });
    } catch {
      this.#retryLater();
    }
  }

  /** Exact unless the encoder was away meanwhile: then the playlist is shorter than the time it spans. */
  #guessedStartS(): number {
    const { startAtWallMs } = this.#options;
    if (this.#wanted === null) {
      return 0;
    }
    const { kind, atMs } = this.#wanted;
    return kind === 'offset' ? atMs / 1000 : Math.max(START_MIN_S, (atMs - (startAtWallMs ?? atMs)) / 1000);
  }

  #onPlaylist(details: LevelDetails): void {
    this.#details = details;
    const listed = this.#datedCues.of(details);
    if (listed !== null) {
      this.#options.onCues?.(listed);
    }
    if (this.#isPlaced) {
      return;
    }
    const wantedS = this.#wantedS();
    const isElsewhere = wantedS !== null && Math.abs(wantedS - this.#builtForS) > PLACE_ERROR_MAX_S / 2;
    if (isElsewhere && !this.#isCorrected) {
      // Nothing was shown yet. Told a place behind the end, hls.js would wait for it; told another one now, it loads nothing.
      this.#isCorrected = true;
      queueMicrotask(() => this.#isClosed || void this.#buildAt(wantedS));
      return;
    }
    this.#isCorrected = false;
    this.#isPlaced = true;
    if (isElsewhere) {
      this.#goToWanted();
    }
  }

  #onFailure({ kind, status }: HlsFailure): void {
    this.#refusalCount += status >= 400 && status < 500 && this.#details === undefined ? 1 : 0;
    if (kind === 'media' && this.#hasPicture && !this.#isStalled) {
      this.#engine.hls?.recoverMediaError();
    } else {
      this.#canReload = kind === 'network' && this.#details !== undefined;
      this.#retryLater();
    }
  }

  #retryLater(): void {
    this.#wanted ??= this.#hereAsPlace();
    this.#retryAtMs ??= this.#options.clock.nowMs() + this.#backoff.nextMs(jitterRatio());
  }

  #hereAsPlace(): Place {
    const wallMs = this.#options.source === 'rewind' ? this.positionWallMs : null;
    return wallMs === null ? { kind: 'offset', atMs: this.positionMs } : { kind: 'wall', atMs: wallMs };
  }

  // ---- placing

  get #pieces(): TimedPieces {
    return piecesOf(this.#details);
  }

  /** Where in the element's time the wanted place is, kept clear of the end: there would be nothing to play. */
  #wantedS(): number | null {
    const { video } = this.#options;
    if (this.#wanted === null) {
      return null;
    }
    const { kind, atMs } = this.#wanted;
    const atS = kind === 'offset' ? atMs / 1000 : (mediaTimeAt(this.#pieces, atMs) ?? nativeTimeS(video, atMs));
    if (atS === null || this.#details === undefined) {
      return atS;
    }
    const { edge, live, fragmentStart } = this.#details;
    return Math.max(live ? fragmentStart + START_MIN_S : 0, Math.min(atS, edge - (live ? 1.5 : 0.1)));
  }

  #goToWanted(): void {
    const wantedS = this.#wantedS();
    if (wantedS !== null) {
      this.#options.video.currentTime = wantedS;
    }
  }

  #onMedia(): void {
    const { video } = this.#options;
    if (video.seeking || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) {
      return;
    }
    const wantedS = this.#wantedS();
    const isElsewhere = wantedS !== null && Math.abs(video.currentTime - wantedS) > PLACE_ERROR_MAX_S;
    if (isElsewhere && !this.#hasTriedPlacing) {
      this.#hasTriedPlacing = true;
      video.currentTime = wantedS;
      return;
    }
    this.#hasTriedPlacing = false;
    this.#wanted = null;
    this.#notePicture();
  }

  #notePicture(): void {
    const { video, clock } = this.#options;
    this.#movedAtMs = clock.nowMs();
    if (video.playbackRate !== this.#rateRatio && !this.#hasPicture) {
      video.playbackRate = this.#rateRatio;
    }
    const isNews = !this.#hasPicture || this.#isStalled;
    this.#hasPicture = true;
    this.#isStalled = false;
    this.#attemptCount = 0;
    this.#refusalCount = 0;
    this.#reloadCount = 0;
    this.#backoff.reset();
    if (isNews) {
      this.#options.onEvent({ type: 'picture' });
    }
  }

  #onEnded(): void {
    this.#hasEnded = true;
    this.#stalls.forgive();
    this.#options.onEvent({ type: 'ended' });
  }

  // ---- watching

  #isWatched(): boolean {
    return !this.#options.video.paused && !this.#hasEnded && document.visibilityState === 'visible';
  }

  #noteMovement(nowMs: number): void {
    const { video } = this.#options;
    const advancedMs = Math.abs(video.currentTime - this.#lastTimeS) * 1000;
    const hasMoved = advancedMs > 0.3 * this.#rateRatio * (nowMs - this.#sampledAtMs) && !video.seeking;
    this.#lastTimeS = video.currentTime;
    this.#sampledAtMs = nowMs;
    if (hasMoved && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) {
      this.#stalls.moving(nowMs);
      this.#onMedia();
    } else if (!this.#isWatched() && this.#hasPicture) {
      this.#movedAtMs = nowMs;
    } else {
      this.#noteStandstill(nowMs);
    }
  }

  #noteStandstill(nowMs: number): void {
    const standsMs = nowMs - this.#movedAtMs;
    if (standsMs > STALL_MS && this.#hasPicture && !this.#isStalled) {
      this.#isStalled = true;
      this.#options.onEvent({ type: 'stalled' });
    }
    if (standsMs > REBUILD_AFTER_MS && document.visibilityState === 'visible') {
      this.#canReload = false;
      this.#retryLater();
    }
  }

  #toSample(nowMs: number): PlaybackSample {
    const { video, source } = this.#options;
    const frames = video.getVideoPlaybackQuality();
    return {
      transport: source,
      latencyMs: null,
      ...this.#stalls.totals(nowMs),
      framesDecoded: frames.totalVideoFrames,
      framesDropped: frames.droppedVideoFrames,
      widthPx: video.videoWidth,
      heightPx: video.videoHeight,
      frameRateFps: this.#frameRate.note(frames.totalVideoFrames - frames.droppedVideoFrames, nowMs),
      bitrateBps: this.#loadedRate.bps,
      targetLatencyMs: null,
      playbackRate: video.playbackRate,
    };
  }
}
