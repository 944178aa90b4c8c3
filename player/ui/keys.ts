/** What each key asks for. Pure: the element does it. */
export type KeyDeed =
  | { readonly type: 'toggle-play' }
  | { readonly type: 'toggle-sound' }
  | { readonly type: 'toggle-fullscreen' }
  | { readonly type: 'toggle-picture-in-picture' }
  | { readonly type: 'louder'; readonly byRatio: number }
  | { readonly type: 'seek-by'; readonly byMs: number }
  | { readonly type: 'seek-to-ratio'; readonly ratio: number }
  | { readonly type: 'seek-chapter'; readonly direction: 1 | -1 }
  | { readonly type: 'toggle-health' }
  | { readonly type: 'go-live-or-end' }
  | { readonly type: 'step'; readonly frameCount: number };

/** What has the focus: buttons keep their own keys, a volume slider its arrows. */
export type KeyPlace = 'frame' | 'seek-bar' | 'button' | 'input';

const VOLUME_STEP_RATIO = 0.1;
const ARROW_MS = 5000;
const JUMP_MS = 10_000;

const LETTERS: Readonly<Record<string, KeyDeed>> = {
  k: { type: 'toggle-play' },
  m: { type: 'toggle-sound' },
  f: { type: 'toggle-fullscreen' },
  p: { type: 'toggle-picture-in-picture' },
  j: { type: 'seek-by', byMs: -JUMP_MS },
  l: { type: 'seek-by', byMs: JUMP_MS },
  i: { type: 'toggle-health' },
  '[': { type: 'seek-chapter', direction: -1 },
  ']': { type: 'seek-chapter', direction: 1 },
  ',': { type: 'step', frameCount: -1 },
  '.': { type: 'step', frameCount: 1 },
};

const MOVES: Readonly<Record<string, KeyDeed>> = {
  ArrowLeft: { type: 'seek-by', byMs: -ARROW_MS },
  ArrowRight: { type: 'seek-by', byMs: ARROW_MS },
  PageDown: { type: 'seek-by', byMs: -60_000 },
  PageUp: { type: 'seek-by', byMs: 60_000 },
  Home: { type: 'seek-to-ratio', ratio: 0 },
  End: { type: 'go-live-or-end' },
};

const LOUDNESS: Readonly<Record<string, KeyDeed>> = {
  ArrowUp: { type: 'louder', byRatio: VOLUME_STEP_RATIO },
  ArrowDown: { type: 'louder', byRatio: -VOLUME_STEP_RATIO },
};

/** On the bar itself up and down move it too, as sliders do (ARIA practices). */
const SLIDER: Readonly<Record<string, KeyDeed>> = {
  ArrowUp: { type: 'seek-by', byMs: ARROW_MS },
  ArrowDown: { type: 'seek-by', byMs: -ARROW_MS },
};

/** Undefined: not ours, the browser may have it. */
export const deedOf = (key: string, place: KeyPlace): KeyDeed | undefined => {
  const letter = LETTERS[key.length === 1 ? key.toLowerCase() : key];
  if (letter !== undefined) {
    return letter;
  }
  if (place === 'input') {
    return undefined;
  }
  if (/^\d$/.test(key)) {
    return { type: 'seek-to-ratio', ratio: Number(key) / 10 };
  }
  if (place === 'button') {
    return key.startsWith('Arrow') ? (LOUDNESS[key] ?? MOVES[key]) : undefined;
  }
  return key === ' ' ? { type: 'toggle-play' } : ((place === 'seek-bar' ? SLIDER[key] : LOUDNESS[key]) ?? MOVES[key]);
};
