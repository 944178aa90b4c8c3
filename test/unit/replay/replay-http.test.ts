// Replay over HTTP, asked as a plain function: ranges, caching, names, downloads, caps.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { ManualClock } from '../../../server/base/clock.ts';
import type { HttpAnswer, HttpRequest } from '../../../server/base/http-exchange.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { Metrics } from '../../../server/observability/metrics.ts';
import { chooseRange, isNotModified } from '../../../server/replay/byte-range.ts';
import { contentDisposition } from '../../../server/replay/download-name.ts';
import { ReplayServer } from '../../../server/replay/http-handler.ts';
import { parseTimeText } from '../../../server/replay/time-text.ts';
import { ViewingLeases } from '../../../server/replay/viewing-leases.ts';
import { MemoryRecordings, recordingSummary } from '../../support/memory-recordings.ts';
import { SAMPLE_ID, makeSampleRecording } from '../../support/sample-recording.ts';
import { syntheticAudio, syntheticVideo } from '../../support/synthetic-media.ts';
import { tempFolder } from '../../support/temp-folder.ts';

let folder = '';
before(() => (folder = tempFolder('replay-http')));

type Fixture = {
  readonly ask: (
    path: string,
    options?: { method?: string; headers?: Record<string, string>; signal?: AbortSignal },
  ) => Promise<HttpAnswer>;
  readonly leases: ViewingLeases;
  readonly heldCount: () => number;
};

const makeServer = (options: { isEnded?: boolean; title?: string; downloadMaxCount?: number } = {}): Fixture => {
  const recording = makeSampleRecording(
    folder,
    [
      {
        startMs: 0,
        video: syntheticVideo({ frameRateFps: 30, durationS: 9, gopFrames: 60 }),
        audio: syntheticAudio({ durationS: 9 }),
      },
    ],
    options,
  );
  const recordings = new MemoryRecordings([recordingSummary(1, { id: SAMPLE_ID })], new Map([[SAMPLE_ID, recording]]));
  const leases = new ViewingLeases();
  let heldCount = 0;
  const server = new ReplayServer({
    recordings,
    leases,
    storyboards: { answer: async () => undefined },
    downloads: {
      take: () => {
        if (heldCount >= (options.downloadMaxCount ?? 4)) {
          return undefined;
        }
        heldCount += 1;
        let isHeld = true;
        return () => {
          heldCount -= isHeld ? 1 : 0;
          isHeld = false;
        };
      },
    },
    clock: new ManualClock(),
    log: silentLog,
    metrics: new Metrics({ collectDefaults: false }),
  });
  const ask: Fixture['ask'] = async (path, { method = 'GET', headers = {}, signal } = {}) => {
    const [plain = '', query = ''] = path.split('?');
    const request: HttpRequest = {
      method,
      path: plain,
      query: new URLSearchParams(query),
      headers,
      body: new Uint8Array(),
      remoteAddress: '192.0.2.1',
      signal: signal ?? new AbortController().signal,
    };
    return server.endpoint(request);
  };
  return { ask, leases, heldCount: () => heldCount };
};

const ROOT = `/replay/${SAMPLE_ID}`;

const bodyOf = async ({ body, stream }: HttpAnswer): Promise<Buffer> => {
  const chunks: Uint8Array[] = stream === undefined ? [Buffer.from(body ?? '')] : [];
  for await (const chunk of stream ?? []) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
};

const codeOf = (answer: HttpAnswer): string => (JSON.parse(String(answer.body)) as { error: string }).error;

test('playlists: compressed on wish, 304 for who has them, kept longer when nothing changes any more', async () => {
  const { ask } = makeServer();
  const plain = await ask(`${ROOT}/track-0.m3u8`);
  assert.equal(plain.status, 200);
  assert.match(plain.headers['cache-control'] ?? '', /max-age=300/);
  const packed = await ask(`${ROOT}/track-0.m3u8`, { headers: { 'accept-encoding': 'br, gzip' } });
  const same = await ask(`${ROOT}/index.m3u8`, {
    headers: { 'if-none-match': `W/"x", ${(await ask(`${ROOT}/index.m3u8`)).headers['etag'] ?? ''}` },
  });
  assert.equal(same.status, 304);
  assert.equal(packed.headers['content-encoding'], 'gzip');
  assert.deepEqual(gunzipSync(await bodyOf(packed)), await bodyOf(plain));
  const growing = await makeServer({ isEnded: false }).ask(`${ROOT}/track-0.m3u8`);
  assert.match(growing.headers['cache-control'] ?? '', /max-age=0/);
});

test('media: ranges as the playlist names them, immutable, with the whole length; whole files and HEAD too', async () => {
  const { ask } = makeServer();
  const playlist = String(await bodyOf(await ask(`${ROOT}/track-0.m3u8`)));
  const [, length = '', offset = '', file = ''] =
    /BYTERANGE:(\d+)@(\d+)\n(media-0-0\.m4s)\n#EXTINF/.exec(playlist.slice(playlist.indexOf('@0\n') + 3)) ?? [];
  const range = `bytes=${offset}-${Number(offset) + Number(length) - 1}`;
  const part = await ask(`${ROOT}/${file}`, { headers: { range } });
  assert.equal(part.status, 206);
  assert.equal(part.headers['content-length'], length);
  assert.match(part.headers['cache-control'] ?? '', /immutable/);
  const bytes = await bodyOf(part);
  assert.equal(bytes.subarray(4, 8).toString(), 'moof');
  const whole = await bodyOf(await ask(`${ROOT}/${file}`));
  assert.ok(whole.subarray(Number(offset), Number(offset) + Number(length)).equals(bytes));
  assert.equal(part.headers['content-range'], `${range.replace('=', ' ')}/${whole.byteLength}`);
  const head = await ask(`${ROOT}/${file}`, { method: 'HEAD' });
  assert.equal(head.headers['content-length'], String(whole.byteLength));
  assert.equal(head.body, undefined);
});

test('a file that still grows does not tell a whole length, and is not kept whole', async () => {
  const { ask } = makeServer({ isEnded: false });
  const last = String(await bodyOf(await ask(`${ROOT}/track-0.m3u8`)))
    .trimEnd()
    .split('\n')
    .at(-1);
  const part = await ask(`${ROOT}/${last}`, { headers: { range: 'bytes=0-9' } });
  assert.equal(part.headers['content-range'], 'bytes 0-9/*');
  assert.equal((await ask(`${ROOT}/${last}`)).headers['cache-control'], 'no-store');
});

test('ranges out of bounds and several at once are refused by name, with the length', async () => {
  const { ask } = makeServer();
  const far = await ask(`${ROOT}/init-0-0.mp4`, { headers: { range: 'bytes=99999-' } });
  assert.equal(far.status, 416);
  assert.equal(codeOf(far), 'REPLAY_RANGE_BOUNDS');
  assert.match(far.headers['content-range'] ?? '', /^bytes \*\/\d+$/);
  const several = await ask(`${ROOT}.mp4`, { headers: { range: 'bytes=0-1,5-9' } });
  assert.equal(several.status, 416);
  assert.equal(codeOf(several), 'REPLAY_RANGE_SEVERAL');
});

test('ranges: first and last bytes, open ends, nonsense, and another version of the thing', () => {
  const what = { sizeBytes: 100, etag: '"a"' };
  const choose = (range: string, ifRange?: string): unknown =>
    chooseRange({ range, ...(ifRange === undefined ? {} : { 'if-range': ifRange }) }, what);
  assert.deepEqual(choose('bytes=0-0'), { kind: 'part', startByte: 0, endByte: 1 });
  assert.deepEqual(choose('bytes=90-500'), { kind: 'part', startByte: 90, endByte: 100 });
  assert.deepEqual(choose('bytes=90-'), { kind: 'part', startByte: 90, endByte: 100 });
  assert.deepEqual(choose('bytes=-10'), { kind: 'part', startByte: 90, endByte: 100 });
  assert.deepEqual(choose('bytes=-500'), { kind: 'part', startByte: 0, endByte: 100 });
  assert.deepEqual(choose('bytes=-0'), { kind: 'out-of-bounds' });
  assert.deepEqual(choose('bytes=100-'), { kind: 'out-of-bounds' });
  for (const nonsense of ['bytes=', 'bytes=-', 'bytes=9-5', 'lines=0-1', 'bytes=a-b', `bytes=${'9'.repeat(40)}-`]) {
    assert.deepEqual(choose(nonsense), { kind: 'whole' }, nonsense);
  }
  assert.deepEqual(choose('bytes=0-0', '"b"'), { kind: 'whole' });
  assert.deepEqual(choose('bytes=0-0', '"a"'), { kind: 'part', startByte: 0, endByte: 1 });
  assert.ok(isNotModified('"x", W/"a"', '"a"') && isNotModified('*', '"a"') && !isNotModified(undefined, '"a"'));
});

test('names from outside never become paths', async () => {
  const { ask } = makeServer();
  for (const path of [
    '/replay/../keys.json',
    `/replay/${'g'.repeat(32)}/index.m3u8`,
    `${ROOT}/../../keys.json`,
    `${ROOT}/..%2f..%2fkeys.json`,
    `${ROOT}/index`,
    `${ROOT}/0-0.m4s`,
    `${ROOT}/media-0-99.m4s`,
    `${ROOT}/media-9-0.m4s`,
    `${ROOT}/media-0-0.m4s/x`,
    `${ROOT}/init-0-9.mp4`,
    `${ROOT}/track-7.m3u8`,
    `/replay/${'0'.repeat(32)}/index.m3u8`,
  ]) {
    assert.equal((await ask(path)).status, 404, path);
  }
  assert.equal((await ask(`${ROOT}/index.m3u8`, { method: 'DELETE' })).status, 405);
});

test('an MP4 tells its size first, and any range of it equals the whole', async () => {
  const { ask, heldCount } = makeServer();
  const whole = await ask(`${ROOT}.mp4?from=1&to=0:06`);
  assert.equal(whole.status, 200);
  const bytes = await bodyOf(whole);
  assert.equal(whole.headers['content-length'], String(bytes.byteLength));
  const part = await ask(`${ROOT}.mp4?from=1s&to=6`, {
    headers: { range: 'bytes=700-5000', 'if-range': whole.headers['etag'] ?? '' },
  });
  assert.equal(part.status, 206);
  assert.ok((await bodyOf(part)).equals(bytes.subarray(700, 5_001)));
  assert.equal(heldCount(), 0, 'nothing is held when all is over');
});

test('times that are none, and ranges without anything in them, are refused in plain words', async () => {
  const { ask } = makeServer();
  for (const query of ['from=x', 'to=1:99', 'from=-1', 'from=1e9']) {
    const answer = await ask(`${ROOT}.mp4?${query}`);
    assert.equal(answer.status, 400);
    assert.equal(codeOf(answer), 'REPLAY_TIME_INVALID', query);
  }
  for (const query of ['from=9&to=3', 'from=3600', 'from=2&to=2']) {
    assert.equal(codeOf(await ask(`${ROOT}.mp4?${query}`)), 'REPLAY_RANGE_EMPTY', query);
  }
});

test('times as people write them', () => {
  const cases: [string, number | undefined][] = [
    ['75', 75_000],
    ['75.5', 75_500],
    ['1:15', 75_000],
    ['1:02:03', 3_723_000],
    ['1h2m3s', 3_723_000],
    ['90m', 5_400_000],
    ['0', 0],
    ['', undefined],
    ['1:60', undefined],
    ['1:2:3:4', undefined],
    ['h', undefined],
    ['99999999', undefined],
  ];
  cases.forEach(([text, ms]) => assert.equal(parseTimeText(text), ms, text));
});

test('a download beyond the share is refused; one whose peer leaves before it starts gives its share back', async () => {
  const { ask, heldCount, leases } = makeServer({ downloadMaxCount: 1 });
  const leaving = new AbortController();
  const first = await ask(`${ROOT}.mp4`, { signal: leaving.signal });
  assert.equal(first.status, 200);
  assert.equal(heldCount(), 1);
  const second = await ask(`${ROOT}.mp4`);
  assert.equal(second.status, 429);
  assert.equal(codeOf(second), 'REPLAY_DOWNLOADS_TOO_MANY');
  leaving.abort();
  assert.equal(heldCount(), 0);
  const third = await ask(`${ROOT}.mp4`);
  const reader = third.stream?.[Symbol.asyncIterator]();
  await reader?.next();
  assert.ok(leases.isWatched(SAMPLE_ID, 1e9), 'held while it is sent, however long');
  await reader?.return?.();
  assert.equal(heldCount(), 0);
  assert.ok(!leases.isWatched(SAMPLE_ID, 1e9));
});

test('a download is named after its title, safely, for old and new clients', async () => {
  assert.equal(contentDisposition('demo'), `attachment; filename="demo.mp4"; filename*=UTF-8''demo.mp4`);
  assert.equal(
    contentDisposition('Frühling/“Sale”\r\nX: y'),
    `attachment; filename="Fruhling__Sale_ X_ y.mp4"; filename*=UTF-8''Fr%C3%BChling_%E2%80%9CSale%E2%80%9D%20X_%20y.mp4`,
  );
  assert.equal(contentDisposition('../../etc/passwd').includes('/'), false);
  assert.match(contentDisposition(' . '), /filename="recording\.mp4"/);
  assert.ok(!contentDisposition('x'.repeat(99) + '\u{1f600}').includes('%EF%BF%BD'));
  const { ask } = makeServer({ title: 'Große Show' });
  assert.match((await ask(`${ROOT}.mp4`)).headers['content-disposition'] ?? '', /Gro%C3%9Fe%20Show\.mp4/);
});
