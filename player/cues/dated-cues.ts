/** Cues that an LL-HLS or replay playlist lists (`EXT-X-DATERANGE` with `X-SLUICE-CUE`), read once though each playlist names them again. Pure. */
import type { LevelDetails } from 'hls.js';
import type { Cue } from '../../server/api/contract/cues.ts';
import { readDatedCue } from './read-cue.ts';

/** `fromWallMs`: the playlist could list all from there on. */
export type ListedCues = { readonly cues: readonly Cue[]; readonly fromWallMs: number };

const READ_MAX_COUNT = 1000;

export class DatedCues {
  #read = new Map<string, Cue | null>();

  /** Null while the playlist has no dates: it can then place nothing. */
  of({ dateRanges, fragments }: Pick<LevelDetails, 'dateRanges' | 'fragments'>): ListedCues | null {
    const fromWallMs = fragments[0]?.programDateTime ?? null;
    const texts = Object.values(dateRanges).flatMap((range) => {
      const text = range?.attr['X-SLUICE-CUE'];
      return typeof text === 'string' ? [text] : [];
    });
    this.#read = new Map(
      texts.slice(-READ_MAX_COUNT).map((text) => {
        const known = this.#read.get(text);
        return [text, known === undefined ? readDatedCue(text) : known];
      }),
    );
    return fromWallMs === null ? null : { cues: [...this.#read.values()].flatMap((cue) => cue ?? []), fromWallMs };
  }
}
