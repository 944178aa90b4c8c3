/**
 * LL-HLS through a caching proxy that knows nothing of it (nginx, honouring our headers only): the origin is asked a small share of what
 * viewers ask, blocking reloads work through it, and nobody is shown an older playlist than the headers allow.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HttpEndpoint } from '../../server/base/http-exchange.ts';
import { lastCompleteMsn, openPartCount, readMediaPlaylist } from '../hls-check/playlist-reader.ts';
import { createTestBroadcast, createTestHls, hostOverHttp } from '../support/hls-host.ts';
import { testMedia } from '../support/hls-rig.ts';
import { feedLive } from '../support/live-feed.ts';
import { NginxProcess, nginxMissing } from '../support/nginx-process.ts';
import { RawConnection, type RawResponse } from '../support/raw-http.ts';
import { passMs } from '../support/wait.ts';

const isSoak = process.env['SLUICE_SIZE'] === 'soak';
const VIEWER_COUNT = isSoak ? 500 : 30;
const WATCH_S = isSoak ? 60 : 8;
const PAST_S = 8;
/** `s-maxage=1`, and nginx counts in whole seconds: what was stored at 0.99 it calls one second old at 2.0. */
const PLAIN_AGE_MAX_MS = 2_000;
/** The same for the machine: two cores that others use too. */
const SLACK_MS = 500;

const proxyHttp = (originPort: number): string => `
  proxy_cache_path FOLDER/cache keys_zone=hls:10m max_size=512m inactive=120s use_temp_path=off;
  upstream origin { server 127.0.0.1:${originPort}; keepalive 512; }
  server {
    listen LISTEN backlog=4096;
    keepalive_requests 1000000;
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache hls;
      proxy_cache_key $uri$is_args$args;
      proxy_cache_lock on;
      proxy_cache_lock_timeout 15s;
      proxy_cache_lock_age 15s;
      add_header X-Cache $upstream_cache_status always;
    }
  }`;

type Tally = { requests: number; hits: number; reloads: number; parts: number; problems: string[] };

const cacheStatusOf = (response: RawResponse): string => /^x-cache: (\w+)/im.exec(response.head)?.[1] ?? '-';

/** A minimal player: blocking reloads of one playlist, and every hinted part. */
class ProxyViewer {
  readonly #tally: Tally;
  readonly #playlist: string;
  readonly #reloads: RawConnection;
  readonly #parts: RawConnection;
  readonly #hints: string[] = [];
  #position = -1;
  #isOver = false;

  constructor(options: { port: number; playlist: string; tally: Tally }) {
    this.#tally = options.tally;
    this.#playlist = options.playlist;
    this.#reloads = new RawConnection({ host: '127.0.0.1', port: options.port });
    this.#parts = new RawConnection({ host: '127.0.0.1', port: options.port });
    this.#reload('');
  }

  close(): void {
    this.#isOver = true;
    this.#reloads.close();
    this.#parts.close();
  }

  #count(response: RawResponse, what: string): void {
    this.#tally.requests += 1;
    this.#tally.hits += cacheStatusOf(response) === 'HIT' ? 1 : 0;
    if (response.status !== 200) {
      this.#tally.problems.push(`${what}: status ${response.status}`);
    }
  }

  #fail = (reason: string): void => {
    if (!this.#isOver) {
      this.#tally.problems.push(reason);
    }
  };

  #reload(query: string): void {
    const path = `${this.#playlist}${query}`;
    this.#reloads.send({ path, keepsBody: true }, (response) => this.#onPlaylist(path, response), this.#fail);
  }

  #onPlaylist(path: string, response: RawResponse): void {
    this.#count(response, path);
    if (this.#isOver || response.status !== 200) {
      return;
    }
    const playlist = readMediaPlaylist(response.body.toString('utf8'));
    const [msn, part] = [lastCompleteMsn(playlist) + 1, openPartCount(playlist)];
    this.#checkPosition(path, msn * 1000 + part);
    this.#tally.reloads += 1;
    if (playlist.hintUri !== undefined && this.#hints.at(-1) !== playlist.hintUri) {
      this.#hints.push(playlist.hintUri);
      this.#fetchParts();
    }
    this.#reload(`?_HLS_msn=${msn}&_HLS_part=${part}`);
  }

  /** What was asked for must be there, and nothing that was there before may be gone. */
  #checkPosition(path: string, position: number): void {
    const asked = /_HLS_msn=(\d+)&_HLS_part=(\d+)/.exec(path);
    if (asked !== null && position <= Number(asked[1]) * 1000 + Number(asked[2])) {
      this.#tally.problems.push(`${path} was answered with an older playlist`);
    }
    if (position < this.#position) {
      this.#tally.problems.push(`${path}: went back from ${this.#position} to ${position}`);
    }
    this.#position = position;
  }

  #fetchParts(): void {
    const hint = this.#hints[0];
    if (hint === undefined || this.#parts.isBusy || this.#isOver) {
      return;
    }
    const path = `${this.#playlist.slice(0, this.#playlist.lastIndexOf('/') + 1)}${hint}`;
    const onPart = (response: RawResponse): void => {
      this.#count(response, path);
      this.#tally.parts += 1;
      if (this.#hints.length > 1) {
        this.#hints.shift();
        this.#fetchParts();
      }
    };
    this.#parts.send({ path }, onPart, this.#fail);
  }
}

/** When each version of the plain playlist stopped being the newest, seen at the origin. */
const staleness = (
  truth: readonly { readonly etag: string; readonly atMs: number }[],
  etag: string,
  seenAtMs: number,
): number => {
  const index = truth.findIndex((entry) => entry.etag === etag);
  const next = truth[index + 1];
  return index < 0 || next === undefined ? 0 : seenAtMs - next.atMs;
};

test(
  `L23 through nginx, ${VIEWER_COUNT} viewers: most of what they ask is answered by the cache, and nothing stale`,
  { skip: nginxMissing(), timeout: (WATCH_S + 60) * 1000 },
  async (t) => {
    const { server } = createTestHls();
    const broadcast = createTestBroadcast();
    server.attach(broadcast);
    const feed = broadcast.attachPublisher({ keyed: true, remoteAddress: '::1', close: () => undefined });
    const stopFeed = feedLive(testMedia(PAST_S + WATCH_S + 60), (unit) => feed.push(unit), { pastS: PAST_S });
    let originCount = 0;
    const endpoint: HttpEndpoint = async (request) => {
      originCount += 1;
      return server.endpoint(request);
    };
    const origin = await hostOverHttp(endpoint);
    const nginx = await NginxProcess.start({ http: proxyHttp(Number(new URL(origin.origin).port)) });
    const tally: Tally = { requests: 0, hits: 0, reloads: 0, parts: 0, problems: [] };
    const folder = `/hls/demo/${broadcast.id.slice(0, 16)}`;
    const viewers: ProxyViewer[] = [];
    try {
      for (let index = 0; index < VIEWER_COUNT; index += 1) {
        viewers.push(new ProxyViewer({ port: nginx.port, playlist: `${folder}/video.m3u8`, tally }));
        viewers.push(new ProxyViewer({ port: nginx.port, playlist: `${folder}/audio.m3u8`, tally }));
      }
      const poller = new RawConnection({ host: '127.0.0.1', port: nginx.port });
      const direct = new RawConnection({ host: '127.0.0.1', port: Number(new URL(origin.origin).port) });
      const truth: { etag: string; atMs: number }[] = [];
      const etagOf = (response: RawResponse): string => /^etag: (.*)$/im.exec(response.head)?.[1]?.trim() ?? '';
      let oldestMs = 0;
      for (const untilMs = performance.now() + WATCH_S * 1000; performance.now() < untilMs; await passMs(50)) {
        const now = await direct.get(`${folder}/video.m3u8`);
        if (truth.at(-1)?.etag !== etagOf(now)) {
          truth.push({ etag: etagOf(now), atMs: now.firstByteAtMs });
        }
        const cached = await poller.get(`${folder}/video.m3u8`);
        oldestMs = Math.max(oldestMs, staleness(truth, etagOf(cached), cached.sentAtMs));
      }
      const hitRatio = tally.hits / tally.requests;
      t.diagnostic(
        `${tally.requests} requests (${tally.reloads} reloads, ${tally.parts} parts), hit ratio ${hitRatio.toFixed(3)}, origin asked ${originCount} times, oldest plain playlist ${oldestMs.toFixed(0)} ms behind`,
      );
      assert.deepEqual([...new Set(tally.problems)].slice(0, 5), []);
      assert.ok(tally.reloads > VIEWER_COUNT * 2 * WATCH_S, `only ${tally.reloads} reloads`);
      assert.ok(tally.parts > VIEWER_COUNT * 2 * WATCH_S, `only ${tally.parts} parts`);
      assert.ok(hitRatio > 1 - 3 / VIEWER_COUNT, `hit ratio ${hitRatio}`);
      assert.ok(oldestMs <= PLAIN_AGE_MAX_MS + SLACK_MS, `a plain playlist ${oldestMs} ms behind`);
      poller.close();
      direct.close();
    } finally {
      viewers.forEach((viewer) => viewer.close());
      stopFeed();
      await nginx.stop();
      server.close();
      await origin.close();
    }
  },
);
