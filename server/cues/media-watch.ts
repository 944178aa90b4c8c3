/** Where the media of one live broadcast stands, from its source's units as they come. Pure: told the time. */
import type { AccessUnit } from '../media/access-unit.ts';
import { isVideoUnit, ptsMsOf } from '../media/access-unit.ts';
import type { MediaNow } from './cue.ts';
import type { EncoderDelay, EncoderDelayOptions } from './encoder-delay.ts';
import { EncoderWatch } from './encoder-delay.ts';

export type MediaWatchOptions = {
  readonly broadcastId: string;
  readonly encoder: EncoderDelayOptions;
  /** The media timeline's own mapping (`Timeline.wallMsAt`). */
  readonly wallMsAt: (mediaMs: number) => number;
  /** What playlists add to media time for their program dates; undefined while there are none. */
  readonly programOffsetMs: () => number | undefined;
  readonly frameRateFps: () => number | undefined;
};

/** Jitter of an uplink. Beyond it the media is not taken to be where the clock says: the encoder hangs, or is gone. */
const AHEAD_MAX_MS = 150;

export class MediaWatch {
  readonly #options: MediaWatchOptions;
  readonly #encoder: EncoderWatch;
  #hasVideo = false;
  #lastPtsMs: number | undefined;

  constructor(options: MediaWatchOptions) {
    this.#options = options;
    this.#encoder = new EncoderWatch(options.encoder);
  }

  get broadcastId(): string {
    return this.#options.broadcastId;
  }

  get encoderDelay(): EncoderDelay {
    return this.#encoder.delay(this.#options.frameRateFps());
  }

  /** The latest picture's media time; of a broadcast without pictures, the latest sound's. */
  get lastPtsMs(): number | undefined {
    return this.#lastPtsMs;
  }

  onUnit(unit: AccessUnit): void {
    if (isVideoUnit(unit)) {
      this.#lastPtsMs = this.#hasVideo ? this.#lastPtsMs : undefined;
      this.#hasVideo = true;
      this.#encoder.onUnit(unit);
    } else if (this.#hasVideo) {
      return;
    }
    this.#lastPtsMs = Math.max(this.#lastPtsMs ?? Number.NEGATIVE_INFINITY, ptsMsOf(unit));
  }

  /** Undefined before the first unit. */
  now(wallMs: number): MediaNow | undefined {
    const lastMs = this.#lastPtsMs;
    if (lastMs === undefined) {
      return undefined;
    }
    const arrivalOffsetMs = this.#options.wallMsAt(lastMs) - lastMs;
    const byClockMs = wallMs - arrivalOffsetMs;
    return {
      ...{ broadcastId: this.broadcastId, arrivalOffsetMs },
      reachedMs: Math.max(lastMs, Math.min(byClockMs, lastMs + AHEAD_MAX_MS)),
      isStalled: byClockMs > lastMs + AHEAD_MAX_MS,
      programOffsetMs: this.#options.programOffsetMs(),
      encoderDelayMs: this.encoderDelay.delayMs,
    };
  }
}
