/**
 * Replay over HTTP: everything below `/replay/`. Names in these paths are numbers and ids that are looked up, never parts of a path on disk.
 *
 *     /replay/ID/index.m3u8                    multivariant playlist; /replay/ID/track-T.m3u8 one track's
 *     /replay/ID/{init-T-I.mp4,media-T-F.m4s}  immutable, in byte ranges
 *     /replay/ID/{chapters.json,chapters.vtt}  its cues at the replay's positions
 *     /replay/ID/{poster.jpg,storyboard.vtt,sprite-G-N.jpg}
 *     /replay/ID.mp4?from=&to=                 the whole or a range as one file
 */
import type { Clock } from '../base/clock.ts';
import { ProtocolError, WorldError } from '../base/errors.ts';
import type { HttpAnswer, HttpEndpoint, HttpRequest } from '../base/http-exchange.ts';
import { refuse } from '../base/http-exchange.ts';
import type { Log } from '../observability/log.ts';
import type { Metrics } from '../observability/metrics.ts';
import { chooseRange, isNotModified } from './byte-range.ts';
import { ChapterTexts } from './chapter-texts.ts';
import { contentDisposition } from './download-name.ts';
import { streamMp4 } from './file-stream.ts';
import type { Mp4Download, Mp4Range } from './mp4-download.ts';
import { planMp4 } from './mp4-download.ts';
import type { MediaFilePlace } from './rebased-media.ts';
import { findMediaFile, streamRebased } from './rebased-media.ts';
import type { OpenRecording, Recordings } from './recording.ts';
import type { StoryboardFiles } from './storyboard.ts';
import { parseTimeText } from './time-text.ts';
import type { ViewingLeases } from './viewing-leases.ts';
import { OneAtATime, WeighedCache } from './vod-cache.ts';
import { VodPlaylists } from './vod-playlists.ts';
import type { VodTimeline } from './vod-timeline.ts';

/** Who may have how much at once. Undefined: this address has its share already; else call the function when it is over (more often does no harm). */
export type DownloadCaps = { take(address: string): (() => void) | undefined };

export type ReplayServerOptions = {
  readonly recordings: Recordings;
  readonly leases: ViewingLeases;
  readonly storyboards: StoryboardFiles;
  readonly downloads: DownloadCaps;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
};

const PLAYLIST_TYPE = 'application/vnd.apple.mpegurl';
/** A name never changes its content. */
const CACHE_FOREVER = 'public, max-age=31536000, immutable';
/** Nothing changes any more, but it may be removed. */
const CACHE_ENDED = 'public, max-age=300';
const CACHE_GROWING = 'public, max-age=0, s-maxage=1';
/** For what is decided anew by each request: caches ask. */
const CACHE_ASK = 'no-cache';
/** Ranges up to this are read at once; beyond, they are streamed and count as downloads. */
const PIECE_MAX_BYTES = 8 * 2 ** 20;
/** Planned downloads kept for their next range. One of eight hours is about 30 MB. */
const PLANS_MAX_BYTES = 64 * 2 ** 20;
const CORS = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'Accept-Ranges, Age, Content-Length, Content-Range, Date, ETag, Retry-After',
};

type Asked = { readonly recording: OpenRecording; readonly file: string; readonly request: HttpRequest };

/** Something with a size of which ranges may be asked for. */
type Representation = {
  readonly sizeBytes: number;
  /** Its bytes stay what they are, but more follow: the whole length is not told. */
  readonly isGrowing?: boolean;
  readonly etag: string;
  readonly headers: Readonly<Record<string, string>>;
  /** A small piece at once; absent: all is streamed. */
  readonly read?: (range: { startByte: number; endByte: number }) => Promise<Uint8Array>;
  /** Counts against the caps. Absent: all is small. */
  readonly stream?: (range: { startByte: number; endByte: number }) => AsyncIterable<Uint8Array>;
};

export class ReplayServer {
  readonly #options: ReplayServerOptions;
  readonly #playlists = new VodPlaylists();
  readonly #chapters = new ChapterTexts();
  readonly #plans = new WeighedCache<Mp4Download>(PLANS_MAX_BYTES);
  readonly #planning = new OneAtATime<Mp4Download>();
  readonly #outBytes: ReturnType<Metrics['counter']>;
  readonly #downloads: ReturnType<Metrics['counter']>;

  constructor(options: ReplayServerOptions) {
    this.#options = options;
    this.#outBytes = options.metrics.counter('replay_out_bytes_total', 'Bytes of replays sent');
    this.#downloads = options.metrics.counter('replay_downloads_total', 'Downloads by how they ended', ['end']);
  }

  readonly endpoint: HttpEndpoint = async (request) => {
    const answer = await this.#answer(request);
    const headers = { ...CORS, ...answer.headers };
    if (request.method === 'HEAD') {
      return { status: answer.status, headers };
    }
    this.#outBytes.inc(answer.body?.length ?? 0);
    return { ...answer, headers };
  };

  async #answer(request: HttpRequest): Promise<HttpAnswer> {
    if (request.method === 'OPTIONS') {
      const allow = {
        'access-control-allow-methods': 'GET, HEAD, OPTIONS',
        'access-control-allow-headers': 'range, authorization',
      };
      return { status: 204, headers: { ...allow, 'access-control-max-age': '86400' } };
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return refuse(405, 'REPLAY_METHOD', `${request.method} is not served here, expected GET`, {
        allow: 'GET, HEAD, OPTIONS',
      });
    }
    try {
      return await this.#route(request);
    } catch (error) {
      return this.#refusalOf(error, request);
    }
  }

  /** Nothing of where files lie leaves the server. */
  #refusalOf(error: unknown, request: HttpRequest): HttpAnswer {
    if (!(error instanceof WorldError || error instanceof ProtocolError)) {
      throw error;
    }
    if (error.code === 'REPLAY_RANGE_EMPTY') {
      return refuse(400, error.code, error.detail);
    }
    this.#options.log.warn('replay.request.failed', { path: request.path, code: error.code, detail: error.detail });
    return refuse(410, error.code, 'a part of this recording is gone or damaged on disk; the log says which');
  }

  async #route(request: HttpRequest): Promise<HttpAnswer> {
    const match = /^\/replay\/([0-9a-f]{32})(?:\/([\w.-]{1,64})|(\.mp4))$/.exec(request.path);
    if (match === null) {
      return refuse(
        404,
        'REPLAY_PATH_UNKNOWN',
        'nothing is served there, expected /replay/ID/index.m3u8 or /replay/ID.mp4',
      );
    }
    const [, id = '', file = ''] = match;
    const { recordings, leases, clock } = this.#options;
    const recording = await recordings.open(id);
    if (recording === undefined) {
      return refuse(404, 'REPLAY_UNKNOWN', 'there is no such recording, or none any more');
    }
    leases.touch(id, clock.nowMs());
    const asked = { recording, file, request };
    return match[3] === undefined ? this.#file(asked) : this.#download(asked);
  }

  async #file(asked: Asked): Promise<HttpAnswer> {
    const { file, request, recording } = asked;
    const playlist = /^(?:index|track-(\d{1,2}))\.m3u8$/.exec(file);
    if (playlist !== null) {
      return this.#playlist(asked, playlist[1] === undefined ? undefined : Number(playlist[1]));
    }
    const init = /^init-(\d{1,2})-(\d{1,5})\.mp4$/.exec(file);
    if (init !== null) {
      return this.#init(asked, { trackId: Number(init[1]), initIndex: Number(init[2]) });
    }
    const media = /^media-(\d{1,2})-(\d{1,9})\.m4s$/.exec(file);
    if (media !== null) {
      return this.#media(asked, { trackId: Number(media[1]), fileIndex: Number(media[2]) });
    }
    if (file === 'chapters.json' || file === 'chapters.vtt') {
      return this.#chapterList(asked, file === 'chapters.json' ? 'json' : 'vtt');
    }
    return (await this.#options.storyboards.answer(recording, file, request)) ?? notThere(file);
  }

  async #playlist({ recording, request }: Asked, trackId: number | undefined): Promise<HttpAnswer> {
    const { index } = recording;
    const acceptsGzip = /\bgzip\b/i.test(request.headers['accept-encoding'] ?? '');
    const text = await this.#playlists.get(index, { trackId, acceptsGzip });
    if (text === undefined) {
      return index.endReason === undefined
        ? refuse(503, 'REPLAY_STARTING', 'too little was recorded to play yet', { 'retry-after': '2' })
        : notThere('the track');
    }
    const headers = {
      'content-type': PLAYLIST_TYPE,
      'cache-control': index.endReason === undefined ? CACHE_GROWING : CACHE_ENDED,
      vary: 'Accept-Encoding',
      etag: text.etag,
      ...(text.isPacked ? { 'content-encoding': 'gzip' } : {}),
    };
    return isNotModified(request.headers['if-none-match'], text.etag)
      ? { status: 304, headers }
      : { status: 200, headers, body: text.body };
  }

  #chapterList({ recording: { index }, request }: Asked, form: 'json' | 'vtt'): HttpAnswer {
    const { body, etag, type } = this.#chapters.get(index, this.#playlists.timelineOf(index), form);
    const headers = {
      'content-type': type,
      'cache-control': index.endReason === undefined ? CACHE_GROWING : CACHE_ENDED,
      etag,
    };
    return isNotModified(request.headers['if-none-match'], etag)
      ? { status: 304, headers }
      : { status: 200, headers, body };
  }

  async #init({ recording, request, file }: Asked, place: { trackId: number; initIndex: number }): Promise<HttpAnswer> {
    const { index } = recording;
    const track = index.tracks[place.trackId];
    const bytes = track?.inits[place.initIndex]?.bytes;
    if (track === undefined || bytes === undefined) {
      return notThere(file);
    }
    return this.#ranged(request, index.header.id, {
      sizeBytes: bytes.byteLength,
      etag: `"${index.header.id}-${place.trackId}-i${place.initIndex}"`,
      headers: { 'content-type': `${track.kind}/mp4`, 'cache-control': CACHE_FOREVER },
      read: async ({ startByte, endByte }) => bytes.subarray(startByte, endByte),
    });
  }

  async #media({ recording, request, file }: Asked, place: MediaFilePlace): Promise<HttpAnswer> {
    const { index } = recording;
    const mediaFile = findMediaFile(recording, place);
    const timeline = this.#playlists.timelineOf(index);
    if (mediaFile === undefined || timeline === undefined) {
      return notThere(file);
    }
    const { trackId, fileIndex, endPosition, sizeBytes } = mediaFile;
    const isGrowing = index.endReason === undefined && endPosition === index.segmentCount(trackId);
    const type = index.tracks[trackId]?.kind === 'audio' ? 'audio/mp4' : 'video/mp4';
    const stream: Representation['stream'] = (range) =>
      streamRebased(recording, { file: mediaFile, timeline, ...range });
    return this.#ranged(request, index.header.id, {
      sizeBytes,
      isGrowing,
      etag: `"${index.header.id}-${trackId}-${fileIndex}"`,
      headers: {
        'content-type': type,
        'cache-control': isGrowing && request.headers['range'] === undefined ? 'no-store' : CACHE_FOREVER,
      },
      read: async (range) => Buffer.concat(await Array.fromAsync(stream(range))),
      stream,
    });
  }

  async #download({ recording, request }: Asked): Promise<HttpAnswer> {
    const { index } = recording;
    const timeline = this.#playlists.timelineOf(index);
    if (timeline === undefined) {
      return refuse(503, 'REPLAY_STARTING', 'nothing was recorded yet', { 'retry-after': '2' });
    }
    const range = readRange(request.query, timeline);
    if ('status' in range) {
      return range;
    }
    const counts = index.tracks.map((track) => index.segmentCount(track.trackId)).join('-');
    const key = `${index.header.id}-${counts}-${Math.round(range.fromMs)}-${Math.round(range.toMs)}`;
    const etag = `"${key}"`;
    const { title, name } = index.header;
    const headers = {
      'content-type': 'video/mp4',
      'cache-control': CACHE_ASK,
      'content-disposition': contentDisposition(title || name),
    };
    if (isNotModified(request.headers['if-none-match'], etag)) {
      return { status: 304, headers: { ...headers, etag } };
    }
    // Planning reads through the whole range: it counts as a download too.
    const release = this.#options.downloads.take(request.remoteAddress);
    if (release === undefined) {
      return tooManyDownloads();
    }
    const mp4 = await this.#plan(key, { recording, timeline, range }).finally(release);
    return this.#ranged(request, index.header.id, {
      sizeBytes: mp4.sizeBytes,
      etag,
      headers,
      stream: (bytes) => streamMp4(mp4, bytes),
    });
  }

  async #plan(
    key: string,
    what: { recording: OpenRecording; timeline: VodTimeline; range: Mp4Range },
  ): Promise<Mp4Download> {
    const known = this.#plans.get(key);
    if (known !== undefined) {
      return known;
    }
    const mp4 = await this.#planning.run(key, async () => planMp4(what.recording, what.timeline, what.range));
    this.#plans.set(key, mp4, mp4.head.byteLength + mp4.copies.heldBytes);
    return mp4;
  }

  async #ranged(request: HttpRequest, id: string, what: Representation): Promise<HttpAnswer> {
    const { sizeBytes, etag } = what;
    const headers = { ...what.headers, etag, 'accept-ranges': 'bytes' };
    if (isNotModified(request.headers['if-none-match'], etag)) {
      return { status: 304, headers };
    }
    const choice = chooseRange(request.headers, { sizeBytes, etag });
    const bounds = { 'content-range': `bytes */${sizeBytes}` };
    if (choice.kind === 'several') {
      return refuse(416, 'REPLAY_RANGE_SEVERAL', 'several ranges in one request are not served, expected one', bounds);
    }
    if (choice.kind === 'out-of-bounds') {
      return refuse(
        416,
        'REPLAY_RANGE_BOUNDS',
        `the range begins behind the end, expected less than ${sizeBytes}`,
        bounds,
      );
    }
    const range = choice.kind === 'part' ? choice : { startByte: 0, endByte: sizeBytes };
    const length = range.endByte - range.startByte;
    const sized = {
      ...headers,
      'content-length': String(length),
      ...(choice.kind === 'part'
        ? {
            'content-range': `bytes ${range.startByte}-${range.endByte - 1}/${what.isGrowing === true ? '*' : sizeBytes}`,
          }
        : {}),
    };
    const status = choice.kind === 'part' ? 206 : 200;
    if (request.method === 'HEAD') {
      return { status, headers: sized };
    }
    if (what.read !== undefined && (what.stream === undefined || length <= PIECE_MAX_BYTES)) {
      return { status, headers: sized, body: await what.read(range) };
    }
    const release = this.#options.downloads.take(request.remoteAddress);
    if (release === undefined) {
      return tooManyDownloads();
    }
    // A stream that nobody began to read never ends by itself.
    request.signal.addEventListener('abort', release, { once: true });
    if (request.signal.aborted) {
      release();
    }
    return { status, headers: sized, stream: this.#held(id, what.stream?.(range) ?? [], release) };
  }

  /** Counts what is sent, and keeps the recording and the address's share until it is over, however it ends. */
  async *#held(
    id: string,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    release: () => void,
  ): AsyncGenerator<Uint8Array> {
    const drop = this.#options.leases.hold(id);
    let end = 'left';
    try {
      for await (const bytes of source) {
        this.#outBytes.inc(bytes.byteLength);
        yield bytes;
      }
      end = 'complete';
    } catch (error) {
      end = 'failed';
      throw error;
    } finally {
      this.#downloads.inc({ end });
      drop(this.#options.clock.nowMs());
      release();
    }
  }
}

/** `from` and `to`, clipped to what there is. */
const readRange = (query: URLSearchParams, timeline: VodTimeline): Mp4Range | HttpAnswer => {
  const [fromText, toText] = [query.get('from') ?? '0', query.get('to')];
  const fromMs = parseTimeText(fromText);
  const toMs = toText === null ? timeline.durationMs : parseTimeText(toText);
  if (fromMs === undefined || toMs === undefined) {
    const wrong = fromMs === undefined ? `from=${fromText}` : `to=${toText}`;
    return refuse(400, 'REPLAY_TIME_INVALID', `${wrong.slice(0, 40)}: expected seconds, h:mm:ss or 1h2m3s`);
  }
  const lastMs = Math.min(toMs, timeline.durationMs);
  return fromMs < lastMs
    ? { fromMs, toMs: lastMs }
    : refuse(
        400,
        'REPLAY_RANGE_EMPTY',
        `nothing lies between from and to, expected from < to and from < ${(timeline.durationMs / 1000).toFixed(3)}`,
      );
};

const notThere = (what: string): HttpAnswer =>
  refuse(404, 'REPLAY_FILE_UNKNOWN', `${what} is not part of this recording`);
const tooManyDownloads = (): HttpAnswer =>
  refuse(429, 'REPLAY_DOWNLOADS_TOO_MANY', 'this address downloads as much at once as it may', { 'retry-after': '5' });
