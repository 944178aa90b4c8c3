// The short way for LL-HLS over HTTP/2: what it takes, what goes on to the door behind, who leaves while it waits, and answers nobody reads.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, constants, createSecureServer } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, Http2SecureServer, IncomingHttpHeaders } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { HotStreams } from '../../../server/api/hot-streams.ts';
import { makeSelfMadeCertificate } from '../../../server/api/tls/self-made-certificate.ts';
import { systemClock } from '../../../server/base/clock.ts';
import type { HttpAnswer, HttpRequest } from '../../../server/base/http-exchange.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { within } from '../../support/wait.ts';

const DAY_MS = 86_400_000;
/** Takes half of a body of 2,048 unasked. */
const WINDOW_BYTES = 1_024;
const ok = (body: string | Uint8Array): HttpAnswer => ({ status: 200, headers: { 'content-type': 'a/b' }, body });

type Seen = { readonly headers: IncomingHttpHeaders & { readonly ':status'?: number }; readonly body: string };

describe('hot streams', () => {
  let server: Http2SecureServer;
  let hot: HotStreams;
  let session: ClientHttp2Session;
  let requests: HttpRequest[];
  let answerTo: (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>;

  beforeEach(async () => {
    requests = [];
    answerTo = (request) => ok(`hot ${request.path}`);
    const nowWallMs = systemClock.wallMs();
    const pair = makeSelfMadeCertificate({
      ...{ names: ['localhost'], validFromWallMs: nowWallMs - DAY_MS, validToWallMs: nowWallMs + DAY_MS },
    });
    server = createSecureServer({ cert: pair.certificatePem, key: pair.keyPem }, (request, response) => {
      response.end(`behind ${request.method} ${request.url}`);
    });
    const endpoint = (request: HttpRequest): HttpAnswer | Promise<HttpAnswer> => {
      requests.push(request);
      return answerTo(request);
    };
    hot = new HotStreams(
      { hasTrustedProxies: true, idleTimeoutMs: 100, routes: [{ method: 'GET', prefix: '/hls/', endpoint }] },
      { clock: systemClock, log: silentLog },
    );
    hot.attach(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    session = connect(`https://127.0.0.1:${(server.address() as AddressInfo).port}`, {
      rejectUnauthorized: false,
      settings: { initialWindowSize: WINDOW_BYTES },
    });
  });

  afterEach(async () => {
    hot.close();
    session.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  const ask = async (headers: Record<string, string>, body?: string): Promise<Seen> => {
    const stream = session.request(headers, { endStream: body === undefined });
    if (body !== undefined) {
      stream.end(body);
    }
    const [seen] = (await once(stream, 'response')) as [Seen['headers']];
    return { headers: seen, body: Buffer.concat((await stream.toArray()) as Buffer[]).toString() };
  };

  test('a GET below the prefix is answered whole, with length and date; several at once on one connection', async () => {
    const [first, second] = await Promise.all([
      ask({ ':path': '/hls/demo/index.m3u8?_HLS_msn=4', 'accept-encoding': 'gzip' }),
      ask({ ':path': '/hls/demo/second' }),
    ]);
    assert.deepEqual([first.headers[':status'], first.headers['content-length']], [200, '24']);
    assert.ok(Number.isFinite(Date.parse(first.headers.date ?? '')));
    assert.deepEqual([first.body, second.body], ['hot /hls/demo/index.m3u8', 'hot /hls/demo/second']);
    const { query, headers, remoteAddress } = requests[0]!;
    assert.deepEqual(
      [query.get('_HLS_msn'), headers['accept-encoding'], headers['host'], remoteAddress],
      ['4', 'gzip', new URL(session.originSet?.[0] ?? '').host, '127.0.0.1'],
    );
  });

  test('an answer without a body ends with its headers; one that fails is 500', async () => {
    answerTo = () => ({ status: 304, headers: { etag: '"a"' } });
    const unchanged = await ask({ ':path': '/hls/a' });
    assert.deepEqual([unchanged.headers[':status'], unchanged.headers.etag, unchanged.body], [304, '"a"', '']);
    answerTo = () => {
      throw new Error('broken');
    };
    assert.equal((await ask({ ':path': '/hls/a' })).headers[':status'], 500);
    answerTo = async () => Promise.reject(new Error('broken'));
    assert.equal((await ask({ ':path': '/hls/a' })).headers[':status'], 500);
  });

  test('other methods and paths, bodies, and what is forwarded for somebody go to the door behind', async () => {
    for (const [headers, body] of [
      [{ ':path': '/hls/a', ':method': 'HEAD' }],
      [{ ':path': '/hls/a', ':method': 'POST' }, 'x'],
      [{ ':path': '/hls/a' }, 'x'],
      [{ ':path': '/hls/%61' }],
      [{ ':path': '/watch/a' }],
      [{ ':path': '/hls/a', 'x-forwarded-for': '10.0.0.1' }],
    ] as const) {
      const isHead = ':method' in headers && headers[':method'] === 'HEAD';
      assert.match((await ask(headers, body)).body, isHead ? /^$/ : /^behind /);
    }
    assert.equal(requests.length, 0);
  });

  test('a peer that leaves while it waits aborts its request, whether stream or connection; one that was answered does not', async () => {
    const waiting: ((answer: HttpAnswer) => void)[] = [];
    answerTo = async (request) =>
      new Promise((resolve) => {
        assert.equal(request.signal.aborted, false);
        waiting.push(resolve);
      });
    const streams = ['/hls/1', '/hls/2'].map((path): ClientHttp2Stream => session.request({ ':path': path }));
    streams.forEach((stream) => stream.on('error', () => undefined));
    await within(2_000, 'both wait', () => waiting.length === 2);
    streams[0]!.close(constants.NGHTTP2_CANCEL);
    await within(2_000, 'the first is aborted', () => requests[0]!.signal.aborted);
    assert.equal(requests[1]!.signal.aborted, false);
    waiting[0]!(ok('too late'));
    session.destroy();
    await within(2_000, 'the second is aborted', () => requests[1]!.signal.aborted);
  });

  test('an answer that nobody reads is given up, while its connection lives on', async () => {
    answerTo = ({ path }) => ok(path === '/hls/big' ? Buffer.alloc(2 * WINDOW_BYTES) : 'x');
    const stream = session.request({ ':path': '/hls/big' });
    stream.on('error', () => undefined);
    stream.pause();
    await within(5_000, 'it is given up', async () => {
      assert.equal((await ask({ ':path': '/hls/small' })).body, 'x');
      return stream.destroyed || stream.rstCode === constants.NGHTTP2_CANCEL;
    });
  });
});
