/** Rendered playlists of recordings, kept while they are asked for: one of eight hours takes tens of milliseconds to write. */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { RecordingIndex } from './recording.ts';
import { WeighedCache } from './vod-cache.ts';
import { renderVodMultivariant, renderVodPlaylist } from './vod-playlist.ts';
import type { VodTimeline } from './vod-timeline.ts';
import { readVodTimeline } from './vod-timeline.ts';

/** Four playlists of eight hours. */
const CACHE_MAX_BYTES = 6 * 2 ** 20;
const STRETCHES_MAX_COUNT = 10_000;
const PACKED_MIN_BYTES = 256;
const pack = promisify(gzip);

export type PlaylistText = { readonly body: Uint8Array; readonly etag: string; readonly isPacked: boolean };

export class VodPlaylists {
  /** Weighed by their stretches. Every request for media needs one, and reading it off a long index takes milliseconds. */
  readonly #timelines = new WeighedCache<VodTimeline>(STRETCHES_MAX_COUNT);
  readonly #cache = new WeighedCache<PlaylistText>(CACHE_MAX_BYTES);
  /** Being packed: whoever asks meanwhile gets the same. */
  readonly #making = new Map<string, Promise<PlaylistText>>();

  /** Undefined while nothing was recorded yet. */
  timelineOf(index: RecordingIndex): VodTimeline | undefined {
    const key = `${index.header.id} ${index.version}`;
    const timeline = this.#timelines.get(key) ?? readVodTimeline(index);
    if (timeline !== undefined) {
      this.#timelines.set(key, timeline, timeline.stretches.length + 1);
    }
    return timeline;
  }

  /** `trackId` undefined: the multivariant playlist. Undefined: no such track, or nothing recorded yet. */
  async get(
    index: RecordingIndex,
    options: { readonly trackId: number | undefined; readonly acceptsGzip: boolean },
  ): Promise<PlaylistText | undefined> {
    const { trackId, acceptsGzip } = options;
    const key = `${index.header.id} ${trackId ?? 'all'} ${index.version} ${acceptsGzip}`;
    const known = this.#cache.get(key) ?? this.#making.get(key);
    if (known !== undefined) {
      return known;
    }
    const text = renderOne(index, trackId, this.timelineOf(index));
    if (text === undefined) {
      return undefined;
    }
    const making = packed(text, acceptsGzip).finally(() => this.#making.delete(key));
    this.#making.set(key, making);
    const made = await making;
    this.#cache.set(key, made, made.body.byteLength);
    return made;
  }
}

const packed = async (text: string, acceptsGzip: boolean): Promise<PlaylistText> => {
  const plain = Buffer.from(text);
  const isPacked = acceptsGzip && plain.byteLength >= PACKED_MIN_BYTES;
  const body = isPacked ? await pack(plain, { level: 4 }) : plain;
  const etag = `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}${isPacked ? 'z' : ''}"`;
  return { body, etag, isPacked };
};

const renderOne = (
  index: RecordingIndex,
  trackId: number | undefined,
  timeline: VodTimeline | undefined,
): string | undefined => {
  if (trackId === undefined) {
    return index.tracks.some((track) => index.segmentCount(track.trackId) > 0)
      ? renderVodMultivariant(index)
      : undefined;
  }
  const track = index.tracks[trackId];
  return track === undefined || timeline === undefined ? undefined : renderVodPlaylist(index, timeline, track);
};
