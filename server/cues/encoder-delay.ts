/**
 * How long a picture takes from its capture to this server, estimated from the stream itself. The media timeline is fixed to the wall clock by the
 * promptest pictures (`media/capture-clock`), so theirs is the delay that counts: with B-frames those are the P-frames, which leave the encoder before
 * pictures that are shown earlier. Pure.
 */
import { ProtocolError } from '../base/errors.ts';
import type { VideoUnit } from '../media/access-unit.ts';
import { dtsMsOf, ptsMsOf } from '../media/access-unit.ts';
import type { EncoderSettings } from '../media/h264/encoder-settings.ts';
import { findX264Settings, heldPictureCount } from '../media/h264/encoder-settings.ts';
import { splitNalUnits } from '../media/h264/nal-units.ts';

export type EncoderDelayOptions = {
  /** What it is when a request does not say; `auto`: estimated. */
  readonly encoderDelayMs: number | 'auto';
  /** Added to the estimate: capture, the encoder's own work, the way to the server. */
  readonly uplinkDelayMs: number;
};

export type EncoderDelay = { readonly delayMs: number; readonly from: 'config' | 'x264' | 'guess' };

/** Encoders that say nothing of themselves: hardware and browsers, which hold a picture or two. */
const UNKNOWN_HELD_COUNT = 2;
/** The encoder's first keyframe carries x264's settings. */
const SEARCHED_KEYFRAME_MAX_COUNT = 4;
const FRAME_RATE_DEFAULT_FPS = 30;

/** Watches one broadcast's source video. */
export class EncoderWatch {
  readonly #options: EncoderDelayOptions;
  #settings: EncoderSettings | undefined;
  #searchedCount = 0;
  #keyframeOffsetMs: number | undefined;
  /** By how much a picture left the encoder ahead of its turn to be shown, the most seen. */
  #aheadMs = 0;

  constructor(options: EncoderDelayOptions) {
    this.#options = options;
  }

  onUnit(unit: VideoUnit): void {
    if (unit.isDiscontinuity) {
      this.#settings = undefined;
      this.#searchedCount = 0;
      this.#keyframeOffsetMs = undefined;
      this.#aheadMs = 0;
    }
    const offsetMs = ptsMsOf(unit) - dtsMsOf(unit);
    if (unit.isKeyframe) {
      // Nothing that is shown before a keyframe is decoded after it, so its offset is what all pictures have in common.
      this.#keyframeOffsetMs = offsetMs;
      this.#search(unit);
    }
    this.#aheadMs = Math.max(this.#aheadMs, offsetMs - (this.#keyframeOffsetMs ?? offsetMs));
  }

  delay(frameRateFps: number | undefined): EncoderDelay {
    const { encoderDelayMs, uplinkDelayMs } = this.#options;
    if (encoderDelayMs !== 'auto') {
      return { delayMs: encoderDelayMs, from: 'config' };
    }
    const frameMs = 1_000 / (frameRateFps ?? FRAME_RATE_DEFAULT_FPS);
    const settings = this.#settings;
    const heldMs =
      settings === undefined
        ? UNKNOWN_HELD_COUNT * frameMs
        : Math.max(0, heldPictureCount(settings) * frameMs - this.#aheadMs);
    return { delayMs: Math.round(uplinkDelayMs + heldMs), from: settings === undefined ? 'guess' : 'x264' };
  }

  #search(unit: VideoUnit): void {
    const isWorthwhile = unit.track.codec === 'h264' && this.#searchedCount < SEARCHED_KEYFRAME_MAX_COUNT;
    if (this.#settings === undefined && isWorthwhile) {
      this.#searchedCount += 1;
      this.#settings = settingsIn(unit.payload);
    }
  }
}

/** A picture that does not check out says nothing; whether it may be passed on is for others to judge. */
const settingsIn = (payload: Uint8Array): EncoderSettings | undefined => {
  try {
    return findX264Settings(splitNalUnits(payload));
  } catch (error) {
    if (error instanceof ProtocolError) {
      return undefined;
    }
    throw error;
  }
};
