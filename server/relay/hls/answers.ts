/** Answers made once for all who get the same bytes, headers included. */
import type { Track } from '../../media/track.ts';
import type { HttpAnswer } from '../../base/http-exchange.ts';
import { refuse as plainRefuse } from '../../base/http-exchange.ts';
import type { Encoding } from './hls-rendition.ts';

const PLAYLIST_TYPE = 'application/vnd.apple.mpegurl';
/** A name never changes its content. */
const CACHE_FOREVER = 'public, max-age=31536000, immutable';

/** Players live on pages of other origins. */
export const CORS = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'Age, Date, ETag, Retry-After, Content-Length',
};

export const refuse: typeof plainRefuse = (status, code, detail, headers) =>
  plainRefuse(status, code, detail, { ...CORS, ...headers });

export type PlaylistHead = {
  readonly encoding: Encoding;
  /** `Cache-Control`. */
  readonly cache: string;
  /** Undefined for a playlist that is not compared. */
  readonly etag?: string;
  readonly ifNoneMatch?: string | undefined;
};

/** Forgets an answer with its bytes. */
export class SharedAnswers {
  readonly #playlists = new WeakMap<Uint8Array, Map<string, HttpAnswer>>();
  readonly #media = new WeakMap<Uint8Array, HttpAnswer>();

  /** What `playlist` made of these bytes before. */
  find(body: Uint8Array, cache: string): HttpAnswer | undefined {
    return this.#playlists.get(body)?.get(cache);
  }

  playlist(body: Uint8Array, { encoding, cache, etag, ifNoneMatch }: PlaylistHead): HttpAnswer {
    const headers = {
      ...CORS,
      'content-type': PLAYLIST_TYPE,
      'cache-control': cache,
      vary: 'Accept-Encoding',
      ...(etag === undefined ? {} : { etag }),
      ...(encoding === 'identity' ? {} : { 'content-encoding': encoding }),
    };
    if (etag !== undefined && ifNoneMatch === etag) {
      return { status: 304, headers };
    }
    const answer: HttpAnswer = { status: 200, headers, body };
    const byCache = this.#playlists.get(body) ?? new Map<string, HttpAnswer>();
    this.#playlists.set(body, byCache.set(cache, answer));
    return answer;
  }

  media(kind: Track['kind'], body: Uint8Array): HttpAnswer {
    const known = this.#media.get(body);
    if (known !== undefined) {
      return known;
    }
    const contentType = kind === 'video' ? 'video/mp4' : 'audio/mp4';
    const headers = { ...CORS, 'content-type': contentType, 'cache-control': CACHE_FOREVER };
    const answer: HttpAnswer = { status: 200, headers, body };
    this.#media.set(body, answer);
    return answer;
  }
}
