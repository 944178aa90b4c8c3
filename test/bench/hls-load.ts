/**
 * Viewers of LL-HLS as a process of its own, to be pinned to a core: `node test/bench/hls-load.ts JSON`. Prints `{"ready":true}` when all are
 * connected and one line of JSON at the end.
 *
 * `blocked`: every connection asks for the same next part of one playlist, again and again. `viewer`: each viewer holds two connections per
 * rendition, one for blocking reloads, one for the hinted parts. `files`: each viewer fetches a playlist and a part per rendition, from a
 * folder of files, at the pace of the parts. Over HTTP/2 a viewer has one connection, and those are its streams.
 */
import { Prng } from '../../server/base/prng.ts';
import { RawConnection, type RawRequest, type RawResponse } from '../support/raw-http.ts';
import { RawHttp2Session } from '../support/raw-http2.ts';

export type HlsLoadOptions = {
  readonly mode: 'blocked' | 'viewer' | 'files';
  /** HTTP/1.1 in the clear, each connection of its own, when left out. */
  readonly protocol?: 'http1' | 'http2';
  readonly port: number;
  /** Paths of media playlists, each in the folder of its parts. */
  readonly playlists: readonly string[];
  readonly viewerCount: number;
  readonly durationS: number;
  /** So long all are served before it is counted: a server that has just begun still compiles its code. */
  readonly warmUpS: number;
  /** `files`: how often, and how many part files there are per rendition (`part-0.m4s`…). */
  readonly partMs?: number;
  readonly partCount?: number;
};

export type HlsLoadReport = {
  readonly responseCount: number;
  readonly bytes: number;
  readonly failures: readonly string[];
  /** `blocked`: from the first byte of the first answer to the last byte of the last, per round of complete answers. */
  readonly spreadsMs: readonly number[];
  /** `viewer`: parts that came, and playlists. */
  readonly partCount: number;
  readonly elapsedMs: number;
  /** CPU of this process, to tell whether it was the client that had no time. */
  readonly cpuMs: number;
};

const options = JSON.parse(process.argv[2] ?? '{}') as HlsLoadOptions;
const CONNECT_BATCH_COUNT = 50;
const prng = new Prng(1);

const tally = { responseCount: 0, bytes: 0, failures: new Map<string, number>(), partCount: 0 };
let isOver = false;
let isCounting = false;

const count = (response: RawResponse): void => {
  if (isCounting) {
    tally.responseCount += 1;
    tally.bytes += response.bodyBytes;
  }
  if (response.status !== 200) {
    fail(`status ${response.status}`);
  }
};

const fail = (reason: string): void => {
  if (!isOver) {
    tally.failures.set(reason, (tally.failures.get(reason) ?? 0) + 1);
  }
};

/** Where one viewer sends one request after the other. */
type Lane = {
  readonly isBusy: boolean;
  send(request: RawRequest, onResponse: (response: RawResponse) => void, onFailure: (reason: string) => void): void;
  close(): void;
};

/** One viewer's way of opening lanes. */
const laneOpener = (): (() => Lane) => {
  const address = { host: '127.0.0.1', port: options.port };
  if (options.protocol !== 'http2') {
    return () => new RawConnection(address);
  }
  const session = new RawHttp2Session(address);
  return () => session.lane();
};

type Position = { readonly query: string; readonly hint: string };

/** What a player asks for next. */
const positionOf = (playlist: string): Position => {
  const first = Number(/MEDIA-SEQUENCE:(\d+)/.exec(playlist)?.[1]);
  const segments = playlist.split('#EXTINF');
  const skipped = Number(/SKIPPED-SEGMENTS=(\d+)/.exec(playlist)?.[1] ?? 0);
  const part = segments.at(-1)?.match(/#EXT-X-PART:/g)?.length ?? 0;
  const hint = /PRELOAD-HINT:TYPE=PART,URI="([^"]+)"/.exec(playlist)?.[1] ?? '';
  return { query: `?_HLS_msn=${first + skipped + segments.length - 1}&_HLS_part=${part}`, hint };
};

/** One parse for all connections that were handed the same answer. */
class SharedPosition {
  #etag = '';
  #position: Position = { query: '', hint: '' };

  read(response: RawResponse): Position {
    const etag = /^etag: (.*)$/im.exec(response.head)?.[1] ?? '';
    if (etag !== this.#etag) {
      this.#etag = etag;
      this.#position = positionOf(response.body.toString('latin1'));
    }
    return this.#position;
  }
}

const rounds = new Map<string, { count: number; firstAtMs: number; lastAtMs: number }>();

const countRound = (query: string, response: RawResponse): void => {
  const round = rounds.get(query) ?? { count: 0, firstAtMs: response.firstByteAtMs, lastAtMs: 0 };
  round.count += 1;
  round.firstAtMs = Math.min(round.firstAtMs, response.firstByteAtMs);
  round.lastAtMs = Math.max(round.lastAtMs, response.lastByteAtMs);
  rounds.set(query, round);
};

/** Asks for the part after the last one, for ever. */
const reload = (
  playlist: string,
  { shared, open, onHint }: { shared: SharedPosition; open: () => Lane; onHint: (hint: string) => void },
): void => {
  const connection = open();
  const ask = (query: string): void => {
    connection.send(
      { path: `${playlist}${query}`, keepsBody: true },
      (response) => {
        if (isOver) {
          connection.close();
          return;
        }
        count(response);
        if (isCounting && query !== '') {
          countRound(query, response);
        }
        const position = response.status === 200 ? shared.read(response) : { query: '', hint: '' };
        onHint(position.hint);
        ask(position.query);
      },
      fail,
    );
  };
  ask('');
};

/** Fetches each hinted part once, as soon as it is known. */
const followHints = (playlist: string, open: () => Lane): ((hint: string) => void) => {
  const folder = playlist.slice(0, playlist.lastIndexOf('/') + 1);
  const connection = open();
  const waiting: string[] = [];
  let last = '';
  const next = (): void => {
    const hint = waiting.shift();
    if (hint !== undefined && !isOver) {
      connection.send(
        { path: `${folder}${hint}` },
        (response) => {
          count(response);
          tally.partCount += isCounting ? 1 : 0;
          next();
        },
        fail,
      );
    }
  };
  return (hint) => {
    if (hint !== last && hint !== '') {
      last = hint;
      waiting.push(hint);
      if (!connection.isBusy) {
        next();
      }
    }
  };
};

/** As much as a viewer fetches, at a viewer's pace, from files. */
const fetchFiles = (playlist: string, open: () => Lane): void => {
  const folder = playlist.slice(0, playlist.lastIndexOf('/') + 1);
  const [texts, parts] = [open(), open()];
  const periodMs = options.partMs ?? 333;
  let number = prng.nextIndex(options.partCount ?? 1);
  const once = (): void => {
    if (isOver) {
      return;
    }
    number = (number + 1) % (options.partCount ?? 1);
    if (!texts.isBusy) {
      texts.send({ path: playlist, keepsBody: true }, count, fail);
    }
    if (!parts.isBusy) {
      parts.send(
        { path: `${folder}part-${number}.m4s` },
        (response) => {
          count(response);
          tally.partCount += isCounting ? 1 : 0;
        },
        fail,
      );
    }
  };
  setTimeout(() => setInterval(once, periodMs), prng.nextRatio() * periodMs);
};

const shares = new Map(options.playlists.map((playlist) => [playlist, new SharedPosition()]));
for (let index = 0; index < options.viewerCount; index += 1) {
  const open = laneOpener();
  for (const playlist of options.playlists) {
    const shared = shares.get(playlist) ?? new SharedPosition();
    if (options.mode === 'files') {
      fetchFiles(playlist, open);
    } else {
      const onHint = options.mode === 'viewer' ? followHints(playlist, open) : (): void => undefined;
      reload(playlist, { shared, open, onHint });
    }
  }
  if (index % CONNECT_BATCH_COUNT === CONNECT_BATCH_COUNT - 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
await new Promise((resolve) => setTimeout(resolve, options.warmUpS * 1000));
process.stdout.write('{"ready":true}\n');
isCounting = true;
const startedAtMs = performance.now();
const cpuBefore = process.cpuUsage();
await new Promise((resolve) => setTimeout(resolve, options.durationS * 1000));
const { user, system } = process.cpuUsage(cpuBefore);
isOver = true;
const spreadsMs = [...rounds.values()]
  .filter((round) => round.count === options.viewerCount)
  .map((round) => round.lastAtMs - round.firstAtMs);
const report: HlsLoadReport = {
  ...{ responseCount: tally.responseCount, bytes: tally.bytes, partCount: tally.partCount, spreadsMs },
  failures: [...tally.failures].map(([reason, times]) => `${times} × ${reason}`),
  elapsedMs: performance.now() - startedAtMs,
  cpuMs: (user + system) / 1000,
};
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
