/**
 * Cues as `EXT-X-DATERANGE`: before its instant ID, CLASS and START-DATE, which tell nobody what it is; afterwards `X-SLUICE-CUE`, the JSON of the cue.
 * Pure.
 */
import type { CueRange } from '../../cues/cue.ts';
import type { DateRange, DateRangeSource } from './date-ranges.ts';

const CLASS = 'live.sluice.cue';
/** Of all that is listed, in JSON: playlists are asked for three times a second. Beyond it the oldest are left out. */
const LISTED_MAX_BYTES = 131_072;

/** `rangesOf` must give the same array until something changes: what is made of it is kept. */
export const createCueDates = (cues: { rangesOf(broadcastId: string): readonly CueRange[] }): DateRangeSource => {
  const made = new WeakMap<readonly CueRange[], readonly DateRange[]>();
  return {
    rangesOf: (broadcastId) => {
      const ranges = cues.rangesOf(broadcastId);
      const dates = made.get(ranges) ?? datesOf(ranges);
      made.set(ranges, dates);
      return dates;
    },
  };
};

const datesOf = (ranges: readonly CueRange[]): readonly DateRange[] => {
  let bytes = 0;
  const dates: DateRange[] = [];
  for (const range of ranges.toReversed()) {
    const date = dateOf(range);
    bytes += date.id.length + String(date.attributes['X-SLUICE-CUE'] ?? '').length;
    if (bytes > LISTED_MAX_BYTES) {
      break;
    }
    dates.push(date);
  }
  return dates.reverse();
};

const dateOf = ({ id, mediaMs, startAtWallMs, durationMs, isOpen, cue }: CueRange): DateRange => ({
  ...{ id, class: CLASS, startMediaMs: mediaMs, startAtWallMs, durationMs, isOpen },
  attributes: cue === undefined ? {} : { 'X-SLUICE-CUE': JSON.stringify(cue) },
});
