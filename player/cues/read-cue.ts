/**
 * Cues as they come in, from socket, playlist and chapters, turned into what the rest may trust: right types, and links and pictures that are http(s)
 * whatever the server let through. Pure.
 */
import type { Chapter, Cue, CueMark, CueMessage } from '../../server/api/contract/cues.ts';

const ID = /^[A-Za-z0-9_.-]{1,64}$/;
const KIND = /^[a-z][a-z0-9-]{0,31}$/;
const TEXT_MAX_CHARS = 1000;
const CHAPTER_MAX_COUNT = 2000;

type Fields = Readonly<Record<string, unknown>>;

/** Null for what is no mark. */
export const readMark = (value: unknown): CueMark | null => {
  if (!isFields(value)) {
    return null;
  }
  const { id, mode, mediaMs, programWallMs, showAtWallMs } = value;
  const isSound = typeof id === 'string' && ID.test(id) && (mode === 'media' || mode === 'clock');
  return isSound && isTime(mediaMs) && isTime(programWallMs) && (showAtWallMs === null || isTime(showAtWallMs))
    ? { id, mode, mediaMs, programWallMs, showAtWallMs }
    : null;
};

/** Null for what is no cue; a text or an address that may not be shown is left out. */
export const readCue = (value: unknown): Cue | null => {
  const mark = readMark(value);
  if (mark === null || !isFields(value)) {
    return null;
  }
  const { kind, durationMs, payload, stock } = value;
  if (typeof kind !== 'string' || !KIND.test(kind)) {
    return null;
  }
  const [title, price] = [textOf(value['title']), textOf(value['price'])];
  const [picture, link] = [webAddress(value['picture']), webAddress(value['link'])];
  return {
    ...mark,
    kind,
    ...(title === null ? {} : { title }),
    ...(price === null ? {} : { price }),
    ...(picture === null ? {} : { picture }),
    ...(link === null ? {} : { link }),
    durationMs: isTime(durationMs) ? durationMs : null,
    ...(payload === undefined ? {} : { payload }),
    ...(typeof stock === 'number' && stock >= 0 ? { stock } : {}),
  };
};

/** What a socket says of cues, with everything that is none left out; null when nothing is left to say. */
export const readCueMessage = (message: CueMessage): CueMessage | null => {
  if (message.type === 'cues') {
    return { type: 'cues', marks: allOf(message.marks, readMark), cues: allOf(message.cues, readCue) };
  }
  if (message.type === 'cue-withdrawn') {
    return typeof message.id === 'string' ? message : null;
  }
  if (message.type === 'cue-mark') {
    const mark = readMark(message.mark);
    return mark === null ? null : { type: 'cue-mark', mark };
  }
  const cue = readCue(message.cue);
  return cue === null ? null : { type: 'cue', cue };
};

/** `X-SLUICE-CUE` of a playlist, percent-encoded as the server does where a quoted string asks for it; null for what is no cue. */
export const readDatedCue = (attribute: string): Cue | null => {
  try {
    return readCue(JSON.parse(decodeURIComponent(attribute)));
  } catch {
    return null;
  }
};

/** `chapters.json`, by time. */
export const readChapters = (value: unknown): readonly Chapter[] =>
  allOf(isFields(value) ? value['chapters'] : null, readChapter)
    .slice(0, CHAPTER_MAX_COUNT)
    .toSorted((a, b) => a.startMs - b.startMs);

const readChapter = (value: unknown): Chapter | null => {
  if (!isFields(value)) {
    return null;
  }
  const { startMs, endMs, title } = value;
  const cue = readCue(value['cue']);
  return cue !== null && isTime(startMs) && isTime(endMs) && endMs >= startMs
    ? { startMs, endMs, title: textOf(title) ?? cue.title ?? '', cue }
    : null;
};

/** Null for what is no http(s) address. */
export const webAddress = (value: unknown): string | null => {
  if (typeof value !== 'string' || !URL.canParse(value)) {
    return null;
  }
  const url = new URL(value);
  return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : null;
};

const allOf = <T>(values: unknown, read: (value: unknown) => T | null): T[] =>
  Array.isArray(values) ? values.flatMap((value: unknown) => read(value) ?? []) : [];

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;

const isTime = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);

const textOf = (value: unknown): string | null =>
  typeof value === 'string' && value !== '' ? value.slice(0, TEXT_MAX_CHARS) : null;
