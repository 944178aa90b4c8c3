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

/**
 * Pictures that x264 has taken before it lets the first go (its `i_delay`): the lookahead, a picture for each thread that works on one of its own, and
 * what the thread that looks ahead holds. Counted by feeding x264 (build 164) picture by picture, 2026-11-26: rc_lookahead 10, bframes 3, threads 3:
 * 16; threads 1: 10; bframes 0, threads 3: 13; ultrafast, threads 4: 4; zerolatency: 0.
 */
export const heldPictureCount = (settings: EncoderSettings): number => {
  const numberOf = (name: string): number => Number(settings.get(name) ?? 0) || 0;
  const bframes = numberOf('bframes');
  const threads = settings.get('sliced_threads') === '1' ? 1 : Math.max(1, numberOf('threads'));
  return Math.max(numberOf('rc_lookahead'), bframes) + (threads > 1 ? threads - 1 + bframes + 1 : 0);
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
