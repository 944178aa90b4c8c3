/** Chapters as they are asked for, written once a change of their recording. */
import { createHash } from 'node:crypto';
import { chaptersOf, renderChaptersVtt } from './chapters.ts';
import type { RecordingIndex } from './recording.ts';
import { WeighedCache } from './vod-cache.ts';
import type { VodTimeline } from './vod-timeline.ts';

const CACHE_MAX_BYTES = 4 * 2 ** 20;

export type ChapterText = { readonly body: Uint8Array; readonly etag: string; readonly type: string };

export class ChapterTexts {
  readonly #cache = new WeighedCache<ChapterText>(CACHE_MAX_BYTES);

  get(index: RecordingIndex, timeline: VodTimeline | undefined, form: 'json' | 'vtt'): ChapterText {
    const key = `${index.header.id} ${index.version} ${form}`;
    const known = this.#cache.get(key);
    if (known !== undefined) {
      return known;
    }
    const chapters = chaptersOf(index, timeline);
    const body = Buffer.from(form === 'json' ? JSON.stringify({ chapters }) : renderChaptersVtt(chapters));
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
    const type = form === 'json' ? 'application/json; charset=utf-8' : 'text/vtt; charset=utf-8';
    const made = { body, etag, type };
    this.#cache.set(key, made, body.byteLength);
    return made;
  }
}
