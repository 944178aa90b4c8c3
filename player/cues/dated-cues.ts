/** Cues that an LL-HLS or replay playlist lists (`EXT-X-DATERANGE` with `X-SLUICE-CUE`), read once though each playlist names them again. Pure. */
import type { DateRange, LevelDetails } from 'hls.js';
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
    const read = new Map<string, Cue | null>();
    const cues = new Map<string, Cue>();
    for (const range of Object.values(dateRanges).filter(isOfCue).toSorted(byVersion).slice(-READ_MAX_COUNT)) {
      const text = range.attr['X-SLUICE-CUE'] ?? '';
      const known = this.#read.get(text);
      const cue = known === undefined ? readDatedCue(text) : known;
      read.set(text, cue);
      if (cue !== null) {
        cues.set(`${cue.id} ${cue.mediaMs}`, endingWith(cue, range.duration));
      }
    }
    this.#read = read;
    return fromWallMs === null ? null : { cues: [...cues.values()], fromWallMs };
  }
}

const isOfCue = (range: DateRange | undefined): range is DateRange => typeof range?.attr['X-SLUICE-CUE'] === 'string';

/** A cue that was edited goes on as `ID~2`, `ID~3`, at the same instant: what playlists have told does not change. At another instant it is shown again. */
const versionOf = ({ id }: DateRange): number => Number(/~(\d{1,9})$/.exec(id)?.[1] ?? 1);
const byVersion = (a: DateRange, b: DateRange): number => versionOf(a) - versionOf(b);

/** One without an end that was withdrawn is given one; the cue's own text stays what it was. */
const endingWith = (cue: Cue, durationS: number | null): Cue =>
  cue.durationMs === null && durationS !== null ? { ...cue, durationMs: durationS * 1000 } : cue;
