/**
 * Whether a first short GOP may be believed. x264 writes into its first keyframe how far apart keyframes may be; where it says farther than a
 * segment can be long, a short GOP may be a scene cut, and who begins with the source would have to switch to the repaired rendition, with a
 * discontinuity, seconds later. Then two GOPs alike are asked for (encoders that are forced to a rhythm also say 250 frames).
 */
import { ProtocolError } from '../../base/errors.ts';
import type { VideoUnit } from '../../media/access-unit.ts';
import { dtsMsOf } from '../../media/access-unit.ts';
import { findX264Settings } from '../../media/h264/encoder-settings.ts';
import { splitNalUnits } from '../../media/h264/nal-units.ts';
import { GOP_MAX_MS } from '../../media/segment-plan.ts';

const ALIKE_RATIO = 0.2;

export class SourceRhythm {
  #keyframeMaxFrames: number | undefined;
  #keyframeAtMs: number | undefined;
  #gopMs = 0;
  #isAlike = false;

  /** Units of the source, in order. */
  add(unit: VideoUnit): void {
    if (!unit.isKeyframe) {
      return;
    }
    const atMs = dtsMsOf(unit);
    if (unit.isDiscontinuity || this.#keyframeAtMs === undefined) {
      this.#keyframeMaxFrames = keyframeMaxFramesOf(unit);
      this.#gopMs = 0;
      this.#isAlike = false;
    } else {
      const gopMs = atMs - this.#keyframeAtMs;
      this.#isAlike ||= Math.abs(gopMs - this.#gopMs) <= gopMs * ALIKE_RATIO;
      this.#gopMs = gopMs;
    }
    this.#keyframeAtMs = atMs;
  }

  /** True while the encoder's own words speak against its GOPs so far. */
  isDoubtful(frameRateFps: number): boolean {
    const announcedMs = ((this.#keyframeMaxFrames ?? 0) * 1000) / frameRateFps;
    return announcedMs > GOP_MAX_MS && !this.#isAlike;
  }
}

const keyframeMaxFramesOf = (unit: VideoUnit): number | undefined => {
  if (unit.track.codec !== 'h264') {
    return undefined;
  }
  try {
    const keyint = findX264Settings(splitNalUnits(unit.payload))?.get('keyint');
    return keyint === undefined ? undefined : keyint === 'infinite' ? Number.POSITIVE_INFINITY : Number(keyint);
  } catch (error) {
    if (error instanceof ProtocolError) {
      // A payload that is not well-formed is a decoder's trouble; here it only says nothing.
      return undefined;
    }
    throw error;
  }
};
