/**
 * One LL-HLS or HLS player without a decoder: multivariant playlist, then for each rendition one loop that reloads the playlist and one that
 * fetches media, hinted parts ahead of their time. What the buffer would do is modelled.
 */
import { ProtocolError } from '../../../server/base/errors.ts';
import { passMs } from '../../support/wait.ts';
import { BufferModel, type Playback } from './buffer-model.ts';
import { DelayHistogram, type DelayBuckets } from '../../support/delay-histogram.ts';
import { HlsFollower, type MediaUnit } from './hls-follower.ts';
import { HlsHttp } from './hls-http.ts';
import { parsePlaylist, type MediaPlaylist, type MultivariantPlaylist } from './hls-playlist.ts';

/** A player gives up when nothing new came for so long. */
const LOST_MAX_MS = 20_000;
const JOIN_MAX_MS = 20_000;
const RETRY_MS = 250;
/** A delta leaves out what an up-to-date player knows; after so long without an answer the whole playlist is asked for. */
const DELTA_MAX_AGE_MS = 6_000;
const EARLY_MAX_COUNT = 16;
const PARSED_MAX_COUNT = 32;
/** An hour of two renditions with three parts a second. */
const AGE_MAX_COUNT = 25_000;

/** From the start, in ms; null: did not happen. */
export type HlsJoin = {
  readonly multivariantMs: number | null;
  readonly playlistsMs: number | null;
  readonly firstMediaMs: number | null;
  readonly playingMs: number | null;
};

export type HlsCounts = {
  requestCount: number;
  failedRequestCount: number;
  byteCount: number;
  reloadCount: number;
  /** Blocking reloads that brought nothing new. */
  reloadMissedCount: number;
  reloadLateCount: number;
  deltaCount: number;
  partCount: number;
  segmentCount: number;
};

const noCounts = (): HlsCounts => ({
  ...{ requestCount: 0, failedRequestCount: 0, byteCount: 0, reloadCount: 0, reloadMissedCount: 0 },
  ...{ reloadLateCount: 0, deltaCount: 0, partCount: 0, segmentCount: 0 },
});

/** One rendition as this player has it. */
type Track = {
  readonly index: number;
  readonly url: URL;
  readonly follower: HlsFollower;
  readonly queue: MediaUnit[];
  /** Hinted parts that came before a playlist listed them: when, on the wall's clock. */
  readonly early: Map<string, number>;
  wake: () => void;
  playlistAtMs: number;
  fetchedS: number;
  isFilled: boolean;
};

export type HlsViewerOptions = {
  readonly url: string;
  readonly bearer?: string;
  /** `ENDED_BY_SERVER` (the playlist ended), `PLAYLIST_LOST` (nothing new for 20 s), or the code of what went wrong. */
  readonly onEnd?: (code: string) => void;
};

export class HlsViewer {
  readonly #options: HlsViewerOptions;
  readonly #http: HlsHttp;
  #tracks: Track[] = [];
  #buffer: BufferModel | undefined;
  #counts = noCounts();
  #agesMs: number[] = [];
  #fetches = new DelayHistogram();
  #startedAtMs = 0;
  #join: { -readonly [Key in keyof HlsJoin]: HlsJoin[Key] } = {
    ...{ multivariantMs: null, playlistsMs: null, firstMediaMs: null, playingMs: null },
  };
  #isOver = false;
  #onPlaying: () => void = () => undefined;
  #onLost: (error: unknown) => void = () => undefined;

  constructor(options: HlsViewerOptions) {
    this.#options = options;
    this.#http = new HlsHttp({ url: options.url, bearer: options.bearer });
  }

  /** Resolves when it would play. Rejects with `WorldError` or `ProtocolError`, as `HlsHttp` and `parsePlaylist` do, and `JOIN_TIMEOUT`. */
  async start(): Promise<void> {
    this.#startedAtMs = performance.now();
    const playing = new Promise<void>((resolve, reject) => {
      this.#onPlaying = resolve;
      this.#onLost = reject;
    });
    playing.catch(() => undefined);
    const timer = setTimeout(
      () => this.#onLost(new ProtocolError('JOIN_TIMEOUT', `does not play after ${JOIN_MAX_MS} ms`)),
      JOIN_MAX_MS,
    );
    try {
      const playlists = await this.#open();
      this.#join.playlistsMs = this.#sinceStartMs();
      const [first] = this.#tracks;
      this.#buffer = new BufferModel({ trackCount: this.#tracks.length, resumeS: first?.follower.stepS ?? 1 });
      this.#tracks.forEach((track, index) => {
        this.#take(track, playlists[index]!);
        void this.#fetchLoop(track);
        void this.#reloadLoop(track);
      });
      await playing;
    } finally {
      clearTimeout(timer);
    }
  }

  get join(): HlsJoin {
    return this.#join;
  }

  get counts(): Readonly<HlsCounts> {
    return this.#counts;
  }

  /** Of the window, up to now. */
  playback(): Playback {
    return this.#buffer?.playback(performance.now()) ?? { playedMs: 0, stalledMs: 0, stallCount: 0 };
  }

  /**
   * Last byte of each part or segment, after its last picture or sound happened by the program date time: signed, and off by whatever lies
   * between the server's clock and ours.
   */
  get agesMs(): readonly number[] {
    return this.#agesMs;
  }

  /** From the request to the last byte, of what was listed already. */
  get fetchBuckets(): DelayBuckets {
    return this.#fetches.buckets;
  }

  resetCounts(): void {
    this.#counts = noCounts();
    this.#agesMs = [];
    this.#fetches = new DelayHistogram();
    this.#buffer?.resetCounts(performance.now());
  }

  /** Its connections close; HTTP knows no other farewell. */
  close(): void {
    this.#isOver = true;
    this.#http.close();
    this.#tracks.forEach((track) => track.wake());
  }

  /** The media playlists of all renditions; a media playlist as the address is one. */
  async #open(): Promise<MediaPlaylist[]> {
    const url = new URL(this.#options.url);
    const top = await this.#playlist(url);
    this.#join.multivariantMs = this.#sinceStartMs();
    if (top.kind === 'media') {
      this.#tracks = [openTrack(0, url)];
      return [top];
    }
    const [variant] = top.variants;
    if (variant === undefined) {
      throw new ProtocolError('PLAYLIST_UNREADABLE', 'has no variant');
    }
    const uris = [variant.uri, ...(variant.audioUri === undefined ? [] : [variant.audioUri])];
    this.#tracks = uris.map((uri, index) => openTrack(index, new URL(uri, url)));
    return Promise.all(this.#tracks.map(async (track) => this.#mediaPlaylist(track.url)));
  }

  async #mediaPlaylist(url: URL): Promise<MediaPlaylist> {
    const playlist = await this.#playlist(url);
    if (playlist.kind !== 'media') {
      throw new ProtocolError('PLAYLIST_UNREADABLE', 'a media playlist was expected');
    }
    return playlist;
  }

  async #playlist(url: URL): Promise<MediaPlaylist | MultivariantPlaylist> {
    this.#counts.requestCount += 1;
    const { text, byteCount } = await this.#http.playlist(url);
    this.#counts.byteCount += byteCount;
    return parsedOnce(text);
  }

  #take(track: Track, playlist: MediaPlaylist): void {
    const nowMs = performance.now();
    const taken = track.follower.take(playlist, nowMs);
    track.playlistAtMs = nowMs;
    this.#counts.deltaCount += playlist.skippedCount > 0 ? 1 : 0;
    this.#counts.reloadMissedCount += !taken.hasAdvanced && playlist.canBlockReload ? 1 : 0;
    this.#counts.reloadLateCount += taken.isLate ? 1 : 0;
    track.queue.push(...taken.units);
    track.wake();
    if (playlist.isEnded) {
      this.#end('ENDED_BY_SERVER');
    }
  }

  async #reloadLoop(track: Track): Promise<void> {
    let advancedAtMs = performance.now();
    while (!this.#isOver) {
      const nowMs = performance.now();
      const { directives, inMs } = track.follower.next({ mayDelta: nowMs - track.playlistAtMs < DELTA_MAX_AGE_MS });
      await passMs(inMs);
      const url = new URL(track.url);
      Object.entries(directives).forEach(([name, value]) => url.searchParams.set(name, value));
      try {
        const playlist = this.#isOver ? undefined : await this.#mediaPlaylist(url);
        if (playlist !== undefined && !this.#isOver) {
          const queuedCount = track.queue.length;
          this.#counts.reloadCount += 1;
          this.#take(track, playlist);
          advancedAtMs = track.queue.length > queuedCount ? performance.now() : advancedAtMs;
        }
      } catch (error) {
        await this.#failed(error);
      }
      if (performance.now() - advancedAtMs > LOST_MAX_MS) {
        this.#end('PLAYLIST_LOST');
      }
    }
  }

  async #fetchLoop(track: Track): Promise<void> {
    await this.#fetchMap(track);
    while (!this.#isOver) {
      const unit = track.queue[0];
      const hintUri = track.follower.hintUri;
      if (unit !== undefined) {
        await this.#fetchUnit(track, unit);
      } else if (hintUri !== undefined && !track.early.has(hintUri)) {
        await this.#fetchHint(track, hintUri);
      } else {
        await new Promise<void>((resolve) => {
          track.wake = resolve;
        });
      }
    }
  }

  async #fetchMap(track: Track): Promise<void> {
    const { mapUri } = track.follower;
    if (mapUri !== undefined) {
      await this.#media(track, mapUri);
    }
  }

  async #fetchUnit(track: Track, unit: MediaUnit): Promise<void> {
    const earlyAtWallMs = track.early.get(unit.uri);
    track.early.delete(unit.uri);
    const requestedAtMs = performance.now();
    const isThere = earlyAtWallMs !== undefined || (await this.#media(track, unit.uri));
    // What cannot be had is left out, as a player does after its retries.
    track.queue.shift();
    if (!isThere || this.#isOver) {
      return;
    }
    if (earlyAtWallMs === undefined) {
      this.#fetches.add(performance.now() - requestedAtMs);
    }
    this.#arrived(track, unit, earlyAtWallMs ?? Date.now());
  }

  #arrived(track: Track, unit: MediaUnit, atWallMs: number): void {
    this.#counts[unit.isPart ? 'partCount' : 'segmentCount'] += 1;
    this.#join.firstMediaMs ??= this.#sinceStartMs();
    if (track.isFilled && unit.endedAtWallMs !== undefined && this.#agesMs.length < AGE_MAX_COUNT) {
      this.#agesMs.push(atWallMs - unit.endedAtWallMs);
    }
    const nowMs = performance.now();
    track.fetchedS += unit.durationS;
    this.#buffer?.append(track.index, unit.durationS, nowMs);
    if (!track.isFilled && track.queue.length === 0) {
      track.isFilled = true;
      if (this.#tracks.every((each) => each.isFilled)) {
        this.#join.playingMs = this.#sinceStartMs();
        const aheadS = Math.min(...this.#tracks.map((each) => Math.min(each.fetchedS, each.follower.holdBackS)));
        this.#buffer?.start(aheadS, nowMs);
        this.#onPlaying();
      }
    }
  }

  /** The server answers when the part is there. */
  async #fetchHint(track: Track, uri: string): Promise<void> {
    if (await this.#media(track, uri)) {
      track.early.set(uri, Date.now());
      const [oldest] = track.early.keys();
      if (track.early.size > EARLY_MAX_COUNT && oldest !== undefined) {
        track.early.delete(oldest);
      }
    }
  }

  async #media(track: Track, uri: string): Promise<boolean> {
    try {
      this.#counts.requestCount += 1;
      const { byteCount } = await this.#http.media(new URL(uri, track.url));
      this.#counts.byteCount += byteCount;
      return true;
    } catch (error) {
      await this.#failed(error);
      return false;
    }
  }

  async #failed(error: unknown): Promise<void> {
    if (this.#isOver) {
      return;
    }
    this.#counts.failedRequestCount += 1;
    if (error instanceof ProtocolError) {
      this.#end(error.code);
      return;
    }
    await passMs(RETRY_MS);
  }

  #end(code: string): void {
    if (!this.#isOver) {
      this.close();
      this.#onLost(new ProtocolError(code, 'ended before it played'));
      this.#options.onEnd?.(code);
    }
  }

  #sinceStartMs(): number {
    return performance.now() - this.#startedAtMs;
  }
}

const openTrack = (index: number, url: URL): Track => ({
  ...{ index, url, follower: new HlsFollower(), queue: [], early: new Map<string, number>() },
  ...{ wake: () => undefined, playlistAtMs: 0, fetchedS: 0, isFilled: false },
});

const parsed = new Map<string, MediaPlaylist | MultivariantPlaylist>();

/** The players of a process get the same playlists: each is read once. */
const parsedOnce = (text: string): MediaPlaylist | MultivariantPlaylist => {
  const known = parsed.get(text);
  if (known !== undefined) {
    return known;
  }
  const playlist = parsePlaylist(text);
  const [oldest] = parsed.keys();
  if (parsed.size >= PARSED_MAX_COUNT && oldest !== undefined) {
    parsed.delete(oldest);
  }
  parsed.set(text, playlist);
  return playlist;
};
