/**
 * LL-HLS over HTTP: everything below `/hls/NAME/`. Answers are made once and shared; a request for what is about to come
 * waits on its broadcast's board and is answered in one piece.
 *
 *     /hls/NAME/index.m3u8             multivariant playlist; waits a moment for a broadcast that is just starting
 *     /hls/NAME/ID/video.m3u8          media playlists: blocking reload, delta updates
 *     /hls/NAME/ID/{init,part,segment}-…   immutable
 */
import type { Clock } from '../../base/clock.ts';
import { ProtocolError } from '../../base/errors.ts';
import type { HttpAnswer, HttpEndpoint, HttpRequest } from '../../base/http-exchange.ts';
import { TARGET_DURATION_S } from '../../media/segment-plan.ts';
import type { Log } from '../../observability/log.ts';
import type { Metrics } from '../../observability/metrics.ts';
import type { Broadcast } from '../broadcast.ts';
import type { ReloadDirectives, WaitOptions } from './blocking-reload.ts';
import { WaitBoard, checkReach, isReached, parseDirectives } from './blocking-reload.ts';
import type { HlsBroadcastOptions } from './hls-broadcast.ts';
import { HLS_BROADCAST_DEFAULTS, HlsBroadcast } from './hls-broadcast.ts';
import type { HlsMetrics } from './hls-metrics.ts';
import { createHlsMetrics } from './hls-metrics.ts';
import { CORS, SharedAnswers, refuse } from './answers.ts';
import { chooseEncoding } from './content-coding.ts';
import type { DateRangeSource } from './date-ranges.ts';
import type { Encoding, HlsRendition, PlaylistVariant } from './hls-rendition.ts';
import { REWIND_QUERY, pack } from './hls-rendition.ts';
import type { Skip } from './playlist.ts';
import { renderMultivariantPlaylist } from './playlist.ts';
import { RewindReads } from './rewind-reads.ts';
import type { RewindSource } from './rewind-source.ts';
import { ViewerTally } from './viewer-tally.ts';

export type HlsOptions = HlsBroadcastOptions & {
  /** So long the first request waits for a broadcast that is starting. */
  readonly startWaitMs: number;
  /** So long playlists and media stay after the end. */
  readonly keepAfterEndMs: number;
  /** Requests of one broadcast that may wait at the same time. */
  readonly waitersMaxCount: number;
};

export const HLS_DEFAULTS: HlsOptions = {
  ...HLS_BROADCAST_DEFAULTS,
  startWaitMs: 4_000,
  keepAfterEndMs: 15_000,
  waitersMaxCount: 20_000,
};

/** A blocked request ends after three target durations (RFC 8216bis 6.2.5.2). */
const BLOCK_MAX_MS = 3 * TARGET_DURATION_S * 1000;
/** Six target durations: a blocked answer stays true for its URL (RFC 8216bis appendix B). */
const CACHE_BLOCKED = `public, max-age=${6 * TARGET_DURATION_S}`;
/** Browsers ask each time (and are told 304), shared caches once a second. */
const CACHE_LIVE = 'public, max-age=0, s-maxage=1';
/** Reads of the past that run at a time, over all broadcasts. */
const REWIND_READ_MAX_COUNT = 64;
const ETAG_SKIP: Readonly<Record<Skip, string>> = { none: '', segments: 'd', 'segments-and-dates': 'D' };
const ETAG_ENCODING: Readonly<Record<Encoding, string>> = { identity: '', gzip: 'z', br: 'b' };

type Hosted = {
  readonly hls: HlsBroadcast;
  readonly board: WaitBoard<HttpAnswer>;
  readonly viewers: ViewerTally;
  readonly answers: SharedAnswers;
  /** The list of renditions, written once a change and variant. */
  readonly lists: Map<string, HttpAnswer>;
};

export class HlsServer {
  readonly #options: HlsOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #metrics: HlsMetrics;
  readonly #byName = new Map<string, Hosted>();
  readonly #byUrlId = new Map<string, Hosted>();
  readonly #removalTimers = new Map<Hosted, NodeJS.Timeout>();
  readonly #rewind: RewindSource | undefined;
  readonly #rewindReads: RewindReads | undefined;
  readonly #dates: DateRangeSource | undefined;

  /** Once per process: it registers its gauges. Without `rewind`, `?dvr=1` shows the live window; without `dates` no dates are listed. */
  constructor(options: {
    settings: HlsOptions;
    clock: Clock;
    log: Log;
    metrics: Metrics;
    rewind?: RewindSource | undefined;
    dates?: DateRangeSource | undefined;
  }) {
    this.#rewind = options.rewind;
    this.#dates = options.dates;
    this.#rewindReads =
      options.rewind === undefined
        ? undefined
        : new RewindReads({ source: options.rewind, readMaxCount: REWIND_READ_MAX_COUNT, log: options.log });
    this.#options = options.settings;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#metrics = createHlsMetrics(options.metrics, {
      blockedRequestCount: () => this.#sum((hosted) => hosted.board.waiterCount),
      storeBytes: () => this.#sum((hosted) => hosted.hls.store.bytes),
    });
  }

  /** From now on the broadcast is served, until a while after its end. */
  attach(broadcast: Broadcast): void {
    const board = new WaitBoard<HttpAnswer>({ waitersMaxCount: this.#options.waitersMaxCount });
    const hls = new HlsBroadcast({
      broadcast,
      settings: this.#options,
      clock: this.#clock,
      log: this.#log,
      metrics: this.#metrics,
      onChange: () => this.#onChange(hosted),
      rewind: this.#rewind,
      dates: this.#dates,
    });
    const hosted: Hosted = { hls, board, viewers: new ViewerTally(), answers: new SharedAnswers(), lists: new Map() };
    this.#byName.set(broadcast.name, hosted);
    this.#byUrlId.set(hls.urlId, hosted);
  }

  /** Players that asked for a playlist in the last 10 s. */
  viewerCount(name: string): number {
    return this.#byName.get(name)?.viewers.count(this.#clock.nowMs()) ?? 0;
  }

  /** Latency that the playlists of `name` allow; undefined while there is nothing to play. */
  holdBackMs(name: string): number | undefined {
    const hls = this.#byName.get(name)?.hls;
    return hls?.isReady === true ? hls.partHoldBackS * 1000 : undefined;
  }

  /** What the playlists of `name` add to media time for program dates; undefined before the first. */
  programOffsetMs(name: string): number | undefined {
    return this.#byName.get(name)?.hls.programOffsetMs;
  }

  /** Ends all, at once. */
  close(): void {
    for (const hosted of new Set([...this.#byUrlId.values()])) {
      this.#remove(hosted);
    }
  }

  /** Who gets the same bytes gets the same object: doors may keep what they make of it. */
  readonly endpoint: HttpEndpoint = (request) => {
    const answer = this.#answer(request);
    const finish = request.method === 'HEAD' ? withoutBody : this.#counted;
    return answer instanceof Promise ? answer.then(finish, refusalOf) : finish(answer);
  };

  readonly #counted = (answer: HttpAnswer): HttpAnswer => {
    this.#metrics.outBytes.inc(answer.body?.length ?? 0);
    return answer;
  };

  #answer(request: HttpRequest): HttpAnswer | Promise<HttpAnswer> {
    if (request.method === 'OPTIONS') {
      return {
        status: 204,
        headers: { ...CORS, 'access-control-allow-methods': 'GET, HEAD, OPTIONS', 'access-control-max-age': '86400' },
      };
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return refuse(405, 'HLS_METHOD', `${request.method} is not served here, expected GET`, {
        allow: 'GET, HEAD, OPTIONS',
      });
    }
    try {
      return this.#route(request);
    } catch (error) {
      return refusalOf(error);
    }
  }

  #route(request: HttpRequest): HttpAnswer | Promise<HttpAnswer> {
    const [, root, name = '', second = '', third, ...more] = request.path.split('/');
    if (root !== 'hls' || more.length > 0) {
      return unknownPath(request.path);
    }
    if (third === undefined) {
      return second === 'index.m3u8' ? this.#multivariant(name, request) : unknownPath(request.path);
    }
    const hosted = this.#byUrlId.get(second);
    if (hosted === undefined || hosted.hls.name !== name) {
      return refuse(404, 'HLS_BROADCAST_GONE', `this broadcast of ${name} is over, expected a fresh index.m3u8`);
    }
    const output = hosted.hls.outputs.find((candidate) => candidate.uri === third);
    if (output !== undefined) {
      const userAgent = request.headers['user-agent'] ?? '';
      hosted.viewers.see({ remoteAddress: request.remoteAddress, userAgent }, this.#clock.nowMs());
      return this.#playlist(hosted, output, request);
    }
    return this.#media(hosted, third, request);
  }

  #multivariant(name: string, request: HttpRequest): HttpAnswer | Promise<HttpAnswer> {
    const hosted = this.#byName.get(name);
    if (hosted === undefined || hosted.hls.isEnded) {
      return refuse(404, 'HLS_NAME_UNKNOWN', `nobody is live under ${name}`);
    }
    const variant = {
      isRewind: isRewindAsked(request),
      encoding: chooseEncoding(request.headers['accept-encoding']),
    };
    const starting = (): HttpAnswer =>
      refuse(503, 'HLS_STARTING', `${name} is live, but has sent too little to play yet`, { 'retry-after': '1' });
    const look = (): HttpAnswer | undefined => {
      if (hosted.hls.isEnded) {
        return refuse(404, 'HLS_NAME_UNKNOWN', `${name} has just ended`);
      }
      return hosted.hls.isReady ? multivariantAnswer(hosted, variant) : undefined;
    };
    const { startWaitMs } = this.#options;
    return this.#wait(hosted, {
      key: `index ${variant.isRewind} ${variant.encoding}`,
      look,
      atTimeout: starting,
      timeoutMs: startWaitMs,
      request,
    });
  }

  #playlist(hosted: Hosted, output: HlsRendition, request: HttpRequest): HttpAnswer | Promise<HttpAnswer> {
    const encoding = chooseEncoding(request.headers['accept-encoding']);
    const isRewind = isRewindAsked(request);
    if (output.isEnded) {
      return this.#playlistAnswer(hosted, output, { encoding, isRewind, skip: 'none', request, cache: CACHE_LIVE });
    }
    const directives = parseDirectives(request.query, { skipsDates: hosted.hls.hasDates });
    checkReach(directives, output.progress);
    const { skip } = directives;
    if (directives.msn === undefined) {
      return this.#playlistAnswer(hosted, output, { encoding, isRewind, skip, request, cache: CACHE_LIVE });
    }
    const answer = (cache: string): HttpAnswer =>
      this.#playlistAnswer(hosted, output, { encoding, isRewind, skip, cache });
    return this.#wait(hosted, {
      key: `${output.prefix} ${directives.msn} ${directives.part ?? ''} ${isRewind} ${skip} ${encoding}`,
      look: () => (output.isEnded || hasReached(output, directives) ? answer(CACHE_BLOCKED) : undefined),
      // While the encoder may still come back nothing is wrong with the server, and players give up after a few 503.
      atTimeout: () => (hosted.hls.isReconnecting ? answer('no-store') : blockedTooLong()),
      timeoutMs: BLOCK_MAX_MS,
      request,
    });
  }

  #playlistAnswer(
    hosted: Hosted,
    output: HlsRendition,
    options: PlaylistVariant & { cache: string; request?: HttpRequest },
  ): HttpAnswer {
    const { encoding, isRewind, skip } = options;
    const { hls } = hosted;
    const rendered = output.render({ encoding, isRewind, skip }, () => ({
      partHoldBackS: hls.partHoldBackS,
      reports: hls.reportsFor(output),
      nowMs: this.#clock.nowMs(),
      dateRanges: hls.dateRanges(),
    }));
    const ifNoneMatch = options.request?.headers['if-none-match'];
    const variant = `${isRewind ? 'r' : ''}${ETAG_SKIP[skip]}${ETAG_ENCODING[encoding]}`;
    const etag = `"${hls.urlId}-${output.prefix}${rendered.version}${variant}"`;
    const known = ifNoneMatch === undefined ? hosted.answers.find(rendered.body, options.cache) : undefined;
    return known ?? hosted.answers.playlist(rendered.body, { encoding, cache: options.cache, etag, ifNoneMatch });
  }

  #media(hosted: Hosted, file: string, request: HttpRequest): HttpAnswer | Promise<HttpAnswer> {
    const parsed = /^(init|part|segment)-(v|a|(?:av1)?h\d{3,4}-)(\d{1,15})\.(mp4|m4s)$/.exec(file);
    const output = hosted.hls.outputs.find((candidate) => candidate.prefix === parsed?.[2]);
    if (parsed === null || output === undefined) {
      return unknownPath(request.path);
    }
    const number = Number(parsed[3]);
    const look = (): HttpAnswer | undefined => {
      const body = findMedia(output, parsed[1] ?? '', number);
      if (body !== undefined) {
        return hosted.answers.media(output.kind, body);
      }
      return output.isEnded ? notKept(file) : undefined;
    };
    if (parsed[1] === 'part' && number === output.window.nextPartNumber) {
      const timeoutMs = BLOCK_MAX_MS;
      return this.#wait(hosted, { key: file, look, atTimeout: blockedTooLong, timeoutMs, request });
    }
    const found = look();
    if (found === undefined || found.status !== 200) {
      return parsed[1] === 'segment' ? this.#rewound(hosted, output, { number, file }) : notKept(file);
    }
    return found;
  }

  /** What left memory, from whoever keeps the past. */
  async #rewound(
    hosted: Hosted,
    output: HlsRendition,
    { number, file }: { number: number; file: string },
  ): Promise<HttpAnswer> {
    const key = output.rewindKey(number);
    const answer = key === undefined ? undefined : await this.#rewindReads?.read(key);
    if (answer === 'busy' || answer === 'failed') {
      return refuse(503, 'HLS_REWIND_BUSY', `${file} cannot be read just now`, { 'retry-after': '1' });
    }
    return answer === undefined ? notKept(file) : hosted.answers.media(output.kind, answer);
  }

  #wait(hosted: Hosted, { request, ...options }: WaitFor): HttpAnswer | Promise<HttpAnswer> {
    const ready = options.look();
    if (ready !== undefined) {
      return ready;
    }
    if (hosted.board.isFull) {
      return refuse(503, 'HLS_TOO_MANY_WAITING', 'too many requests wait for this broadcast', { 'retry-after': '1' });
    }
    return hosted.board.wait({ ...options, signal: request.signal, atLeft: peerLeft });
  }

  #onChange(hosted: Hosted): void {
    hosted.lists.clear();
    hosted.board.wake();
    if (hosted.hls.isEnded && !this.#removalTimers.has(hosted)) {
      const remove = (): void => this.#remove(hosted);
      this.#removalTimers.set(hosted, setTimeout(remove, this.#options.keepAfterEndMs).unref());
    }
  }

  #remove(hosted: Hosted): void {
    hosted.hls.close();
    hosted.board.wake();
    clearTimeout(this.#removalTimers.get(hosted));
    this.#removalTimers.delete(hosted);
    this.#byUrlId.delete(hosted.hls.urlId);
    if (this.#byName.get(hosted.hls.name) === hosted) {
      this.#byName.delete(hosted.hls.name);
    }
  }

  #sum(read: (hosted: Hosted) => number): number {
    let sum = 0;
    for (const hosted of this.#byUrlId.values()) {
      sum += read(hosted);
    }
    return sum;
  }
}

/** The signal is asked of the request only when there is something to wait for: it is made then. */
type WaitFor = Omit<WaitOptions<HttpAnswer>, 'signal' | 'atLeft'> & { readonly request: HttpRequest };

const peerLeft = (): HttpAnswer => refuse(499, 'HLS_PEER_LEFT', 'the peer went away while it waited');

const withoutBody = ({ status, headers }: HttpAnswer): HttpAnswer => ({ status, headers });

/** Of what the peer did wrong; anything else is thrown on. */
const refusalOf = (error: unknown): HttpAnswer => {
  if (error instanceof ProtocolError) {
    return refuse(400, error.code, error.detail);
  }
  throw error;
};

const hasReached = (output: HlsRendition, directives: ReloadDirectives): boolean =>
  isReached(directives, output.progress, (msn) => output.window.segment(msn)?.parts.length);

const findMedia = (output: HlsRendition, kind: string, number: number): Uint8Array | undefined => {
  if (kind === 'init') {
    return output.window.init(number);
  }
  return kind === 'part' ? output.window.part(number) : output.window.segment(number)?.body;
};

const multivariantAnswer = (
  { hls, answers, lists }: Hosted,
  { isRewind, encoding }: { isRewind: boolean; encoding: Encoding },
): HttpAnswer => {
  const key = `${isRewind} ${encoding}`;
  const known = lists.get(key);
  if (known !== undefined) {
    return known;
  }
  const text = renderMultivariantPlaylist(hls.multivariant({ isRewind }), { query: isRewind ? REWIND_QUERY : '' });
  const answer = answers.playlist(pack(Buffer.from(text), encoding), { encoding, cache: CACHE_LIVE });
  lists.set(key, answer);
  return answer;
};

/** Any other value of `dvr` is not ours. */
const isRewindAsked = (request: HttpRequest): boolean => request.query.get('dvr') === '1';

const unknownPath = (path: string): HttpAnswer =>
  refuse(404, 'HLS_PATH_UNKNOWN', `nothing is served at ${path.slice(0, 200)}, expected /hls/NAME/index.m3u8`);

const notKept = (file: string): HttpAnswer =>
  refuse(404, 'HLS_MEDIA_GONE', `${file} is not kept, expected a file that the playlist lists`);

const blockedTooLong = (): HttpAnswer =>
  refuse(503, 'HLS_BLOCKED_TOO_LONG', 'no media came for three target durations', { 'retry-after': '1' });
