/**
 * What x264 says about itself: it writes its version and all its settings, as text, into a user-data SEI of the first
 * keyframe (ITU-T H.264 D.1.7). Exact where it is there; hardware encoders and some forks leave it out.
 */
import { NAL_SEI, nalTypeOf } from './nal-units.ts';

/** Settings by x264's own names: `rc_lookahead`, `bframes`, `keyint`, `sliced_threads`, … */
export type EncoderSettings = ReadonlyMap<string, string>;

const MARK = 'options: ';
const TEXT_MAX_BYTES = 4_096;

/** Undefined when none of the NAL units carries x264's text. Never throws. */
export const findX264Settings = (nalUnits: readonly Uint8Array[]): EncoderSettings | undefined => {
  for (const nalUnit of nalUnits) {
    if (nalTypeOf(nalUnit) !== NAL_SEI) {
      continue;
    }
    const text = Buffer.from(nalUnit.subarray(0, TEXT_MAX_BYTES)).toString('latin1');
    const start = text.indexOf(MARK);
    if (start >= 0 && text.includes('x264')) {
      return parseSettings(text.slice(start + MARK.length));
    }
  }
  return undefined;
};

const parseSettings = (text: string): EncoderSettings => {
  const settings = new Map<string, string>();
  for (const word of text.split('\0', 1)[0]?.split(' ') ?? []) {
    const [name, value] = word.split('=', 2);
    if (name !== undefined && value !== undefined) {
      settings.set(name, value);
    }
  }
  return settings;
};
