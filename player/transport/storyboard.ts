/** Thumbnails of a recording for the seek bar: a WebVTT whose cues name a rectangle of a picture (`sheet.jpg#xywh=160,90,160,90`). */

export type Thumbnail = {
  readonly imageUrl: string;
  readonly xPx: number;
  readonly yPx: number;
  readonly widthPx: number;
  readonly heightPx: number;
};

type ThumbnailCue = Thumbnail & { readonly startMs: number; readonly endMs: number };

const TEXT_MAX_CHARS = 512 * 1024;
const CUE_MAX_COUNT = 5000;
const SIZE_MAX_PX = 10_000;
const FETCH_MAX_MS = 8000;
/** While it is not made yet, or made of less than there is now. */
const AGAIN_AFTER_MS = 10_000;
/** The last thumbnail of a whole recording ends with it. */
const WHOLE_SLACK_MS = 1000;

/** Cues in order of time. Lines of other making are skipped; a text that is too long is cut. Pictures come from `baseUrl`'s own origin only. */
export const parseStoryboard = (text: string, baseUrl: string): readonly ThumbnailCue[] => {
  const cues: ThumbnailCue[] = [];
  const pattern = /^([\d:.]+)[ \t]+-->[ \t]+([\d:.]+).*\r?\n(.+)$/gm;
  for (const [, from = '', to = '', target = ''] of text.slice(0, TEXT_MAX_CHARS).matchAll(pattern)) {
    const cue = cueOf({ from, to, target: target.trim(), baseUrl });
    if (cue !== null && cues.length < CUE_MAX_COUNT) {
      cues.push(cue);
    }
  }
  return cues.toSorted((a, b) => a.startMs - b.startMs);
};

const cueOf = (raw: { from: string; to: string; target: string; baseUrl: string }): ThumbnailCue | null => {
  const [startMs, endMs] = [vttMs(raw.from), vttMs(raw.to)];
  const area = /^(.+)#xywh=(?:pixel:)?(\d+),(\d+),(\d+),(\d+)$/.exec(raw.target);
  if (startMs === null || endMs === null || area === null || !URL.canParse(area[1] ?? '', raw.baseUrl)) {
    return null;
  }
  const url = new URL(area[1] ?? '', raw.baseUrl);
  const [xPx = 0, yPx = 0, widthPx = 0, heightPx = 0] = area.slice(2).map(Number);
  const isSane = [xPx, yPx, widthPx, heightPx].every((px) => px <= SIZE_MAX_PX) && widthPx > 0 && heightPx > 0;
  return isSane && url.origin === new URL(raw.baseUrl).origin
    ? { startMs, endMs, imageUrl: url.href, xPx, yPx, widthPx, heightPx }
    : null;
};

const vttMs = (text: string): number | null => {
  const match = /^(?:(\d{1,5}):)?(\d{1,2}):(\d{1,2})\.(\d{3})$/.exec(text);
  if (match === null) {
    return null;
  }
  const [hours = 0, minutes = 0, seconds = 0, ms = 0] = match.slice(1).map((part) => Number(part ?? 0));
  return ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms;
};

/** The thumbnail that stands for an instant; after the last cue (the recording has grown since) none. */
export const thumbnailAt = (cues: readonly ThumbnailCue[], positionMs: number): Thumbnail | null =>
  cues.findLast(({ startMs, endMs }) => startMs <= positionMs && positionMs < endMs) ?? null;

/** Fetches a storyboard when somebody is interested, and again while it is missing or lacks the end. Failing is no matter: there are no thumbnails then. */
export class Storyboard {
  readonly #findUrl: () => Promise<string | null>;
  readonly #endMs: () => number;
  #cues: readonly ThumbnailCue[] = [];
  #askedAtMs: number | null = null;

  /** `findUrl`: null while it is not known. `endMs`: as far as there is something to look at. */
  constructor(options: { findUrl: () => Promise<string | null>; endMs: () => number }) {
    this.#findUrl = options.findUrl;
    this.#endMs = options.endMs;
  }

  /** The viewer looks at the bar. */
  want(nowMs: number): void {
    const isWhole = (this.#cues.at(-1)?.endMs ?? -Infinity) >= this.#endMs() - WHOLE_SLACK_MS;
    if (isWhole || (this.#askedAtMs !== null && nowMs - this.#askedAtMs < AGAIN_AFTER_MS)) {
      return;
    }
    this.#askedAtMs = nowMs;
    this.#load().catch(() => undefined);
  }

  /** Of something else from now on. */
  forget(): void {
    this.#cues = [];
    this.#askedAtMs = null;
  }

  at(positionMs: number): Thumbnail | null {
    return thumbnailAt(this.#cues, positionMs);
  }

  async #load(): Promise<void> {
    const url = await this.#findUrl();
    const response =
      url === null ? null : await fetch(url, { cache: 'no-cache', signal: AbortSignal.timeout(FETCH_MAX_MS) });
    if (response?.ok === true) {
      this.#cues = parseStoryboard(await response.text(), response.url);
    }
  }
}
