/** A cue as fields of a form, and back. Pure: what the server would refuse is said here already, beside its field. */
import type { CueDraft, HostedCue } from '../../../server/api/contract/cues-host.ts';
import type { StudioText } from './texts.ts';

export type CueField = 'kind' | 'title' | 'price' | 'picture' | 'link' | 'duration' | 'mode' | 'stock';
export type CueValues = Readonly<Record<CueField, string>>;
export type CueProblems = Readonly<Partial<Record<CueField, StudioText>>>;

/** What the form says; what it does not say (the payload of a shop's own kind) is kept from the cue it began with. */
export type CueWords = Omit<CueDraft, 'id' | 'at' | 'encoderDelayMs' | 'sawMediaMs'>;

export type CueReading =
  { readonly ok: true; readonly words: CueWords } | { readonly ok: false; readonly problems: CueProblems };

export const EMPTY_VALUES: CueValues = {
  ...{ kind: 'product', title: '', price: '', picture: '', link: '', duration: '30000', mode: 'media', stock: '' },
};

/** Durations on offer; the empty one stays until it is taken off. Another that a cue came with is offered too. */
export const DURATIONS_MS = ['10000', '30000', '60000', '120000', '300000', ''] as const;
export const KINDS = ['product', 'message'] as const;

const TITLE_MAX_LENGTH = 200;
const PRICE_MAX_LENGTH = 60;
const URL_MAX_LENGTH = 2_048;
const STOCK_MAX_COUNT = 10_000_000;

export const valuesOf = (cue: HostedCue): CueValues => ({
  kind: cue.kind,
  title: cue.title ?? '',
  price: cue.price ?? '',
  picture: cue.picture ?? '',
  link: cue.link ?? '',
  duration: cue.durationMs === null ? '' : String(cue.durationMs),
  mode: cue.mode,
  stock: cue.stock === undefined ? '' : String(cue.stock),
});

export const readCue = (values: CueValues, from?: HostedCue): CueReading => {
  const text = Object.fromEntries(Object.entries(values).map(([field, value]) => [field, value.trim()])) as CueValues;
  const problems: CueProblems = {
    ...(text.title === '' || text.title.length > TITLE_MAX_LENGTH ? { title: 'problemTitle' } : {}),
    ...(text.price.length > PRICE_MAX_LENGTH ? { price: 'problemPrice' } : {}),
    ...(isWebUrl(text.picture) ? {} : { picture: 'problemUrl' }),
    ...(isWebUrl(text.link) ? {} : { link: 'problemUrl' }),
    ...(isStock(text.stock) ? {} : { stock: 'problemStock' }),
  };
  if (Object.keys(problems).length > 0) {
    return { ok: false, problems };
  }
  const filled = (['title', 'price', 'picture', 'link'] as const).filter((field) => text[field] !== '');
  const words: CueWords = {
    kind: text.kind,
    mode: text.mode === 'clock' ? 'clock' : 'media',
    durationMs: text.duration === '' ? null : Number(text.duration),
    ...Object.fromEntries(filled.map((field) => [field, text[field]])),
    ...(text.stock === '' ? {} : { stock: Number(text.stock) }),
    ...(from?.payload === undefined ? {} : { payload: from.payload }),
  };
  return { ok: true, words };
};

/** The same to show once more, as a cue of its own. */
export const wordsOf = (cue: HostedCue): CueWords => {
  const reading = readCue(valuesOf(cue), cue);
  const { kind, mode, durationMs, payload } = cue;
  return reading.ok ? reading.words : { kind, mode, durationMs, ...(payload === undefined ? {} : { payload }) };
};

/** Empty is well too. */
const isWebUrl = (text: string): boolean =>
  text === '' || (text.length <= URL_MAX_LENGTH && URL.canParse(text) && /^https?:$/.test(new URL(text).protocol));

const isStock = (text: string): boolean =>
  text === '' || (/^\d{1,8}$/.test(text) && Number(text) >= 1 && Number(text) <= STOCK_MAX_COUNT);
