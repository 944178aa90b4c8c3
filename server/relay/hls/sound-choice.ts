/**
 * Which sound LL-HLS and the recording get: the source's own, or, where that is Opus, which Apple's players and many others do not take there, the one in
 * AAC that is made of it. Where none is made in time (no ffmpeg) the source's own after all, and then for as long as it lasts. Pure.
 */
import type { AudioUnit } from '../../media/access-unit.ts';

export type SoundChoiceOptions = { readonly sourceId: string; readonly aacId: string; readonly waitMaxMs: number };

export class SoundChoice {
  readonly #options: SoundChoiceOptions;
  /** Of the source; undefined before its first frame, and where it needs no other. */
  #opusSinceMs: number | undefined;
  #chosen: 'source' | 'aac' | undefined;

  constructor(options: SoundChoiceOptions) {
    this.#options = options;
  }

  /** AAC is waited for. */
  get isUndecided(): boolean {
    return this.#chosen === undefined && this.#opusSinceMs !== undefined;
  }

  /** A frame of the source's sound or of the one made of it. */
  note(renditionId: string, unit: AudioUnit): void {
    const { sourceId, aacId, waitMaxMs } = this.#options;
    if (renditionId === sourceId && unit.track.codec !== 'opus') {
      this.#opusSinceMs = undefined;
      this.#chosen = 'source';
    } else if (renditionId === sourceId) {
      if (this.#opusSinceMs === undefined) {
        this.#opusSinceMs = unit.arrivedAtMs;
        this.#chosen = undefined;
      }
      if (this.#chosen === undefined && unit.arrivedAtMs - this.#opusSinceMs > waitMaxMs) {
        this.#chosen = 'source';
      }
    } else if (renditionId === aacId && this.#opusSinceMs !== undefined) {
      this.#chosen ??= 'aac';
    }
  }

  isServed(renditionId: string): boolean {
    const { sourceId, aacId } = this.#options;
    return (renditionId === sourceId && this.#chosen === 'source') || (renditionId === aacId && this.#chosen === 'aac');
  }
}
