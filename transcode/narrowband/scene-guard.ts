/**
 * Notices within a few pictures that what is shown is no longer what was probed, from the sizes of what an encoder makes at one CRF: a cut makes a
 * picture as large as a keyframe, movement makes all of them larger, and another scene's keyframes have another size. Pure.
 */

export type GuardedPicture = { readonly bytes: number; readonly isKeyframe: boolean };

/** `cut`: another scene. `drift`: the same one, or its like, but no longer as it was: worth another look. */
export type SceneChange = 'none' | 'cut' | 'drift';

/**
 * A picture between keyframes that is this large beside the last keyframe, and beside the usual one, shows something new. Pictures of the clips this was
 * tried on reach 0.2 in one scene, 0.3 to 0.5 at a cut between alike scenes, 1 and more else.
 */
const CUT_KEYFRAME_RATIO = 0.3;
const CUT_PICTURE_RATIO = 3.5;
/** A keyframe that comes so much sooner than the last did is where the publisher's encoder saw a cut: the rungs have theirs where the source has. */
const EARLY_KEYFRAME_RATIO = 0.8;
/** Keyframes of one scene differ by less than the first, either way; beyond the second it is another. */
const KEYFRAME_DRIFT_RATIO = 1.4;
const KEYFRAME_CUT_RATIO = 1.8;
/** The pictures between, averaged over so many, may grow so far: a hand that comes into the picture trebles them, and is no harder to show, as movement hides errors. */
const PICTURE_DRIFT_RATIO = 3;
const PICTURE_OTHER_RATIO = 8;
const PICTURE_WINDOW_COUNT = 12;
/** Small pictures grow for nothing: below this share of a keyframe that tells nothing. */
const PICTURE_DRIFT_KEYFRAME_RATIO = 0.08;

export class SceneGuard {
  #keyframeBytes: number | undefined;
  #isFirst = true;
  #gopCount = 0;
  #sinceKeyframeCount = 0;
  #recent: number[] = [];
  #baseKeyframeBytes: number | undefined;
  #basePictureBytes: number | undefined;

  /** Another encoder, another CRF: its sizes cannot be held against those before. */
  restart(): void {
    this.#keyframeBytes = undefined;
    this.#isFirst = true;
    this.#gopCount = 0;
    this.#sinceKeyframeCount = 0;
    this.#recent = [];
    this.rebase();
  }

  /** What is shown now has been probed: from here on it is the usual. */
  rebase(): void {
    this.#baseKeyframeBytes = undefined;
    this.#basePictureBytes = undefined;
  }

  /** Pictures in the order shown. After a change what comes next is the new usual. */
  push({ bytes, isKeyframe }: GuardedPicture): SceneChange {
    const change = isKeyframe ? this.#pushKeyframe(bytes) : this.#pushPicture(bytes);
    if (change !== 'none') {
      this.#recent = [];
      this.rebase();
    }
    return change;
  }

  #pushKeyframe(bytes: number): SceneChange {
    this.#keyframeBytes = bytes;
    const isEarly = this.#sinceKeyframeCount < this.#gopCount * EARLY_KEYFRAME_RATIO;
    // An encoder begins with a keyframe of its own, somewhere in a GOP.
    this.#gopCount = this.#isFirst ? 0 : this.#sinceKeyframeCount;
    this.#sinceKeyframeCount = 0;
    if (isEarly) {
      return 'cut';
    }
    const base = this.#baseKeyframeBytes;
    if (base === undefined) {
      // The first of an encoder, which knows nothing yet, may be half as large again as the second.
      this.#baseKeyframeBytes = this.#isFirst ? undefined : bytes;
      this.#isFirst = false;
      return 'none';
    }
    const ratio = Math.max(bytes / base, base / bytes);
    return ratio > KEYFRAME_CUT_RATIO ? 'cut' : ratio > KEYFRAME_DRIFT_RATIO ? 'drift' : 'none';
  }

  #pushPicture(bytes: number): SceneChange {
    this.#sinceKeyframeCount += 1;
    const keyframeBytes = this.#keyframeBytes;
    const usual = this.#recent.length === 0 ? undefined : mean(this.#recent);
    if (
      keyframeBytes !== undefined &&
      usual !== undefined &&
      bytes > keyframeBytes * CUT_KEYFRAME_RATIO &&
      bytes > usual * CUT_PICTURE_RATIO
    ) {
      return 'cut';
    }
    this.#recent = [...this.#recent.slice(1 - PICTURE_WINDOW_COUNT), bytes];
    if (this.#recent.length < PICTURE_WINDOW_COUNT || keyframeBytes === undefined) {
      return 'none';
    }
    const now = mean(this.#recent);
    this.#basePictureBytes ??= now;
    const ratio = now > keyframeBytes * PICTURE_DRIFT_KEYFRAME_RATIO ? now / this.#basePictureBytes : 0;
    return ratio > PICTURE_OTHER_RATIO ? 'cut' : ratio > PICTURE_DRIFT_RATIO ? 'drift' : 'none';
  }
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
