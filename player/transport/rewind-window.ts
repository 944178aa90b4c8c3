/**
 * How far back one may go: the first date of the `?dvr=1` playlist. Of that playlist, which is long after hours, only the beginning is read.
 */
const READ_MAX_CHARS = 65_536;
const FETCH_MAX_MS = 8000;
/** Without a recording the window slides on; with one it only ends when a day is full. */
const AGAIN_AFTER_MS = 20_000;
const DATE = /^#EXT-X-PROGRAM-DATE-TIME:(\S+)\r?$/m;

/** First media playlist that a multivariant one names; null when it names none. */
export const firstVariantUrl = (text: string, baseUrl: string): string | null => {
  const match = /^#EXT-X-STREAM-INF:.*\r?\n(?:#.*\r?\n)*([^#\s].*)$/m.exec(text);
  const uri = match?.[1]?.trim() ?? '';
  return uri !== '' && URL.canParse(uri, baseUrl) ? new URL(uri, baseUrl).href : null;
};

/** Unix milliseconds of a playlist's first whole date line; null when there is none yet. A line without its end may lack digits. */
export const firstDateMs = (text: string): number | null => {
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  const atMs = Date.parse(DATE.exec(whole)?.[1] ?? '');
  return Number.isNaN(atMs) ? null : atMs;
};

export class RewindWindow {
  readonly #playlistUrl: string;
  readonly #abort = new AbortController();
  #askedAtMs: number | null = null;
  #startAtWallMs: number | null = null;

  /** `playlistUrl`: the multivariant playlist of the whole broadcast. */
  constructor(playlistUrl: string) {
    this.#playlistUrl = playlistUrl;
  }

  /** Null until it is known. */
  get startAtWallMs(): number | null {
    return this.#startAtWallMs;
  }

  /** Another broadcast of the same name has begun. */
  forget(): void {
    this.#startAtWallMs = null;
    this.#askedAtMs = null;
  }

  /** The viewer looks at the bar: asks, at most now and then. */
  want(nowMs: number): void {
    const isRecent = this.#askedAtMs !== null && nowMs - this.#askedAtMs < AGAIN_AFTER_MS;
    if (!isRecent && !this.#abort.signal.aborted) {
      this.#askedAtMs = nowMs;
      this.#load().catch(() => undefined);
    }
  }

  close(): void {
    this.#abort.abort();
  }

  async #load(): Promise<void> {
    const signal = AbortSignal.any([this.#abort.signal, AbortSignal.timeout(FETCH_MAX_MS)]);
    const response = await fetch(this.#playlistUrl, { signal });
    const url = response.ok ? firstVariantUrl(await response.text(), response.url) : null;
    if (url !== null) {
      this.#startAtWallMs = (await readFirstDate(url, signal)) ?? this.#startAtWallMs;
    }
  }
}

const readFirstDate = async (url: string, signal: AbortSignal): Promise<number | null> => {
  const response = await fetch(url, { signal });
  if (!response.ok || response.body === null) {
    return null;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  let atMs: number | null = null;
  for (let isDone = false; !isDone && atMs === null && text.length < READ_MAX_CHARS;) {
    const { value, done } = await reader.read();
    text += value ?? '';
    isDone = done;
    atMs = firstDateMs(text);
  }
  await reader.cancel();
  return atMs;
};
