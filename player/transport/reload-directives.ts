/**
 * Keeps hls.js from asking too far ahead. When its own thread was held up it takes the playlist for old (as if a cache had served it) and asks for a
 * part several ahead; the server rightly holds that request back until that part exists, while the parts before it, long there, stay unknown
 * to the player and its buffer of half a second runs dry. Asking for the next part only is never later: an old question is answered at once.
 */

/** The newest part (or segment, part −1) a media playlist is known to have. */
export type PlaylistEdge = { readonly msn: number; readonly partIndex: number };

const MSN = '_HLS_msn';
const PART = '_HLS_part';
const SKIP = '_HLS_skip';

/** `url` with its delivery directives no further than the part after `edge`; as it was when it has none or no edge is known. */
export const clampDirectives = (url: string, edge: PlaylistEdge | undefined): string => {
  const parsed = new URL(url);
  const msn = Number(parsed.searchParams.get(MSN) ?? Number.NaN);
  const partText = parsed.searchParams.get(PART);
  if (edge === undefined || partText === null || !Number.isInteger(msn)) {
    return url;
  }
  const partIndex = Number(partText);
  // The first part of the next segment may be the next part: only the server knows how many parts this one has.
  const isNext =
    (msn === edge.msn && partIndex <= edge.partIndex + 1) ||
    (msn === edge.msn + 1 && partIndex === 0) ||
    msn < edge.msn;
  if (isNext) {
    return url;
  }
  parsed.searchParams.set(MSN, String(edge.msn));
  parsed.searchParams.set(PART, String(edge.partIndex + 1));
  return parsed.href;
};

/** The same question, to be answered with the whole playlist. */
export const withoutDelta = (url: string): string => {
  const parsed = new URL(url);
  parsed.searchParams.delete(SKIP);
  return parsed.href;
};

/** The edges of a broadcast's media playlists, by their address without directives. */
export class PlaylistEdges {
  readonly #edges = new Map<string, PlaylistEdge>();

  note(url: string, edge: PlaylistEdge): void {
    this.#edges.set(addressOf(url), edge);
  }

  clamp(url: string): string {
    return clampDirectives(url, this.#edges.get(addressOf(url)));
  }

  clear(): void {
    this.#edges.clear();
  }
}

const addressOf = (url: string): string => url.split('?')[0] ?? url;
