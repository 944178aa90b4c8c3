/**
 * Asks the board of cues at each frame that comes on screen, so that what belongs to a frame appears in the same painting of the page; and by a timer where
 * the server's clock decides. Where no frames are told (sound alone, hidden tabs) it goes by the element's time.
 */
import type { PlayerClock } from '../clock.ts';
import type { Stage } from '../ui/stage.ts';
import type { CueBoard, CueMoment, CuePlace, CueView } from './cue-board.ts';

export type ShownFrame = {
  readonly video: HTMLVideoElement;
  /** In the element's own time. */
  readonly mediaTimeS: number;
  /** WebRTC only, and where the browser tells. */
  readonly rtpTimestamp: number | null;
};

export type CueFollowerOptions = {
  readonly stage: Stage;
  readonly clock: PlayerClock;
  readonly board: CueBoard;
  /** Null while unknown: the place of the frame before stands. */
  placeOf(frame: ShownFrame): CuePlace | null;
  /** All but the place. */
  momentNow(): Omit<CueMoment, 'place'>;
  onView(view: CueView): void;
};

/** No frame for so long, where there are none to tell: the element's time counts. */
const FRAMELESS_MS = 1000;
const TIMER_MAX_MS = 60_000;
/** A timer that is off by less is left: the browser's own grain. */
const TIMER_OFF_MAX_MS = 1;

export class CueFollower {
  readonly #options: CueFollowerOptions;
  #video: HTMLVideoElement | undefined;
  #callback: number | undefined;
  #place: CuePlace | null = null;
  #frameAtMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** On our clock; infinite: none is set. */
  #timerDueAtMs = Number.POSITIVE_INFINITY;

  constructor(options: CueFollowerOptions) {
    this.#options = options;
    this.#frameAtMs = options.clock.nowMs();
    options.stage.followShown((video) => this.#follow(video));
  }

  /** Of the frame on screen; null while unknown. */
  get place(): CuePlace | null {
    return this.#place;
  }

  /** Something was told of cues: what belongs to the frame on screen is shown at once. */
  refresh(): void {
    const moment = { ...this.#options.momentNow(), place: this.#place };
    const view = this.#options.board.update(moment);
    this.#setTimer(view.nextClockAtWallMs, moment.serverWallMs);
    this.#options.onView(view);
  }

  /** To be called a few times a second. */
  tick(): void {
    const video = this.#video;
    const isSilent = this.#options.clock.nowMs() - this.#frameAtMs > FRAMELESS_MS;
    if (isSilent && video !== undefined && tellsNoFrames(video) && isPlaying(video)) {
      this.#note({ video, mediaTimeS: video.currentTime, rtpTimestamp: null });
    }
    this.refresh();
  }

  /** Another broadcast: where the last frame was means nothing any more. */
  forgetPlace(): void {
    this.#place = null;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#options.stage.followShown(null);
    this.#unfollow();
  }

  #follow(video: HTMLVideoElement): void {
    if (video === this.#video) {
      return;
    }
    this.#unfollow();
    this.#video = video;
    this.#frameAtMs = this.#options.clock.nowMs();
    if ('requestVideoFrameCallback' in video) {
      this.#awaitFrame(video);
    }
  }

  #awaitFrame(video: HTMLVideoElement): void {
    this.#callback = video.requestVideoFrameCallback((_nowMs, { mediaTime, rtpTimestamp }) => {
      if (video === this.#video) {
        this.#awaitFrame(video);
        this.#frameAtMs = this.#options.clock.nowMs();
        this.#note({ video, mediaTimeS: mediaTime, rtpTimestamp: rtpTimestamp ?? null });
        this.refresh();
      }
    });
  }

  #note(frame: ShownFrame): void {
    this.#place = this.#options.placeOf(frame) ?? this.#place;
  }

  #unfollow(): void {
    if (this.#callback !== undefined) {
      this.#video?.cancelVideoFrameCallback(this.#callback);
    }
    this.#callback = undefined;
    this.#video = undefined;
  }

  /** A better reading of the server's clock moves it, also while it waits; should it have come early, it is set once more. */
  #setTimer(atWallMs: number | null, serverWallMs: number | null): void {
    const nowMs = this.#options.clock.nowMs();
    const waitMs = atWallMs === null || serverWallMs === null ? Number.POSITIVE_INFINITY : atWallMs - serverWallMs;
    if (Math.abs(nowMs + waitMs - this.#timerDueAtMs) < TIMER_OFF_MAX_MS) {
      return;
    }
    clearTimeout(this.#timer);
    // What is further off is looked at again meanwhile.
    this.#timerDueAtMs = waitMs > TIMER_MAX_MS ? Number.POSITIVE_INFINITY : nowMs + waitMs;
    if (waitMs <= TIMER_MAX_MS) {
      this.#timer = setTimeout(() => {
        this.#timerDueAtMs = Number.POSITIVE_INFINITY;
        this.refresh();
      }, waitMs);
    }
  }
}

/** A picture that stands is none of these: it is still the frame that counts. */
const tellsNoFrames = (video: HTMLVideoElement): boolean =>
  document.visibilityState === 'hidden' || video.videoWidth === 0 || !('requestVideoFrameCallback' in video);

const isPlaying = (video: HTMLVideoElement): boolean =>
  !video.paused && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
