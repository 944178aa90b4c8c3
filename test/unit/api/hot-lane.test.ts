// The short way for LL-HLS in front of Node's HTTP: what it takes, what it hands over, and that no byte is lost on the way.
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { HotLane } from '../../../server/api/hot-lane.ts';
import { ManualClock, systemClock } from '../../../server/base/clock.ts';
import type { HttpAnswer, HttpRequest } from '../../../server/base/http-exchange.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { within } from '../../support/wait.ts';

let server: Server;
let lane: HotLane;
let clock: ManualClock;
let requests: HttpRequest[];
let answerTo: (request: HttpRequest) => Promise<HttpAnswer>;
const sockets: Socket[] = [];

const ok = (body: string | Uint8Array): HttpAnswer => ({
  status: 200,
  headers: { 'content-type': 'text/plain' },
  body,
});

describe('hot lane', () => {
  beforeEach(async () => {
    clock = new ManualClock();
    requests = [];
    answerTo = async (request) => Promise.resolve(ok(`hot ${request.path}`));
    server = createServer((request, response) => response.end(`http ${request.method} ${request.url}`));
    const endpoint = async (request: HttpRequest): Promise<HttpAnswer> => {
      requests.push(request);
      return answerTo(request);
    };
    lane = new HotLane(
      {
        ...{
          hasTrustedProxies: true,
          headersMaxBytes: 2_048,
          requestTimeoutMs: 15_000,
          idleTimeoutMs: 60_000,
        },
        routes: [
          { method: 'GET', prefix: '/hls/', endpoint },
          { method: 'POST', prefix: '/api/shop/', form: /\/claims$/, endpoint },
        ],
      },
      { clock, log: silentLog },
    );
    lane.attach(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });

  afterEach(async () => {
    sockets.splice(0).forEach((socket) => socket.destroy());
    lane.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  type Line = { readonly socket: Socket; readonly seen: () => string; readonly isClosed: () => boolean };

  const dial = (): Line => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    sockets.push(socket);
    let seen = '';
    let isClosed = false;
    socket.on('data', (bytes) => (seen += bytes.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => (isClosed = true));
    return { socket, seen: () => seen, isClosed: () => isClosed };
  };

  const get = (path: string, lines = ''): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n${lines}\r\n`;
  const countOf = (text: string, part: string): number => text.split(part).length - 1;

  const sees = async (line: Line, text: string): Promise<void> =>
    within(2_000, `the peer sees ${text}`, () => line.seen().includes(text));

  test('a GET below the prefix is answered whole, with length and date, and the connection goes on', async () => {
    const line = dial();
    line.socket.write(
      get('/hls/demo/index.m3u8?dvr=1&_HLS_msn=4', 'Accept-Encoding: gzip\r\nConnection: keep-alive\r\n'),
    );
    await sees(line, 'hot /hls/demo/index.m3u8');
    assert.match(
      line.seen(),
      /^HTTP\/1\.1 200 OK\r\ndate: \w{3}, \d\d .* GMT\r\ncontent-type: text\/plain\r\ncontent-length: 24\r\n\r\nhot/,
    );
    assert.equal(requests[0]!.query.get('_HLS_msn'), '4');
    assert.equal(requests[0]!.headers['accept-encoding'], 'gzip');
    line.socket.write(get('/hls/demo/second'));
    await sees(line, 'hot /hls/demo/second');
  });

  test('a POST without a body of a path that is named is taken too, others are not', async () => {
    const post = (path: string, lines = ''): string => `POST ${path} HTTP/1.1\r\nHost: x\r\n${lines}\r\n`;
    const line = dial();
    line.socket.write(post('/api/shop/1/claims') + post('/api/shop/2/claims?a=b', 'Content-Length: 0\r\n'));
    await sees(line, 'hot /api/shop/2/claims');
    assert.deepEqual(
      requests.map(({ method, path }) => `${method} ${path}`),
      ['POST /api/shop/1/claims', 'POST /api/shop/2/claims'],
    );
    for (const other of [
      post('/api/shop/1'),
      get('/api/shop/1/claims'),
      post('/api/shop/1/claims', 'Content-Length: 00\r\n'),
      `${post('/api/shop/1/claims', 'Content-Length: 2\r\n')}hi`,
      `${post('/api/shop/1/claims', 'Transfer-Encoding: chunked\r\n')}0\r\n\r\n`,
    ]) {
      const behind = dial();
      behind.socket.write(other);
      await sees(behind, `http ${other.slice(0, other.indexOf(' HTTP'))}`);
    }
    assert.equal(requests.length, 2);
  });

  test('anything else goes to the HTTP server behind, bytes and all, also in the middle of a connection', async () => {
    const others = [
      'GET /api/x HTTP/1.1\r\nHost: x\r\n\r\n',
      'HEAD /hls/x HTTP/1.1\r\nHost: x\r\n\r\n',
      'POST /hls/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi',
    ];
    for (const other of [
      ...others,
      get('/hls/%41'),
      get('/hls/a/~b', 'Connection: close\r\n'),
      get('/hls/x', 'X-Forwarded-For: 192.0.2.7\r\n'),
      'GET /hls/x HTTP/1.0\r\n\r\n',
    ]) {
      const line = dial();
      line.socket.write(get('/hls/first'));
      await sees(line, 'hot /hls/first');
      line.socket.write(other);
      await within(2_000, `${other} is answered`, () => countOf(line.seen(), 'HTTP/1.1 200') === 2);
      assert.equal(requests.length, 1, other);
      requests = [];
    }
  });

  test('a connection that was handed over stays there and still works', async () => {
    const line = dial();
    line.socket.write(get('/page'));
    await sees(line, 'http GET /page');
    line.socket.write(get('/hls/x'));
    await sees(line, 'http GET /hls/x');
    assert.equal(requests.length, 0);
  });

  test('a head may come byte by byte', async () => {
    const line = dial();
    line.socket.setNoDelay(true);
    for (const character of get('/hls/slow')) {
      line.socket.write(character);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await sees(line, 'hot /hls/slow');
  });

  test('requests sent ahead are answered in their order, one after the other', async () => {
    const releases: (() => void)[] = [];
    answerTo = async (request) => new Promise((resolve) => releases.push(() => resolve(ok(`hot ${request.path}`))));
    const line = dial();
    line.socket.write(get('/hls/1') + get('/hls/2') + get('/page'));
    await within(2_000, 'the first is asked', () => releases.length === 1);
    releases[0]!();
    await within(2_000, 'the second is asked', () => releases.length === 2);
    assert.ok(!line.seen().includes('/hls/2'));
    releases[1]!();
    await sees(line, 'http GET /page');
    assert.ok(line.seen().indexOf('/hls/1') < line.seen().indexOf('/hls/2'));
  });

  test('a peer that leaves while it waits aborts its request; one that was answered does not', async () => {
    const line = dial();
    answerTo = async (request) =>
      new Promise((resolve) => request.signal.addEventListener('abort', () => resolve(ok('late')), { once: true }));
    line.socket.write(get('/hls/wait'));
    await within(2_000, 'it waits', () => requests.length === 1);
    line.socket.destroy();
    await within(2_000, 'the request is aborted', () => requests[0]!.signal.aborted);
    answerTo = async (request) => Promise.resolve(ok(request.signal.aborted ? 'aborted' : 'fine'));
    const other = dial();
    other.socket.write(get('/hls/quick'));
    await sees(other, 'fine');
    other.socket.destroy();
    await within(2_000, 'it left', () => other.isClosed());
    assert.equal(requests[1]!.signal.aborted, false);
  });

  test('a large answer comes whole and unchanged, and the same one is made into bytes once', async () => {
    const body = Buffer.alloc(3_000_000, 'x');
    const answer = ok(body);
    answerTo = async () => Promise.resolve(answer);
    const lines = [dial(), dial()];
    for (const line of lines) {
      line.socket.write(get('/hls/part'));
    }
    await within(5_000, 'all came', () => lines.every((line) => line.seen().length > 3_000_000));
    assert.ok(lines.every((line) => line.seen().endsWith('xxx') && line.seen().includes('content-length: 3000000')));
  });

  test('a head that is too long is refused by the server behind, half a head that comes too slowly is cut off', async () => {
    const long = dial();
    long.socket.write(get('/hls/x', `X-Filler: ${'a'.repeat(20_000)}\r\n`));
    await sees(long, '431');
    let peer: Socket | undefined;
    server.once('connection', (socket: Socket) => (peer = socket));
    const slow = dial();
    slow.socket.write('GET /hls/x HTTP/1.1\r\nHo');
    await within(2_000, 'half a head is there', () => (peer?.bytesRead ?? 0) > 20);
    clock.advanceMs(15_001);
    slow.socket.write('st: x\r\n');
    await within(2_000, 'it is cut off', () => slow.isClosed());
  });

  test('no header of a request can put lines into an answer, and what is no header is not taken', async () => {
    const line = dial();
    line.socket.write('GET /hls/x HTTP/1.1\r\nHost: x\r\nno header line\r\n\r\n');
    await sees(line, '400');
    assert.equal(requests.length, 0);
  });

  test('an endpoint that fails is answered with 500, and the connection lives', async () => {
    answerTo = async () => Promise.reject(new Error('oops'));
    const line = dial();
    line.socket.write(get('/hls/x'));
    await sees(line, '500 Internal');
    answerTo = async () => Promise.resolve(ok('again'));
    line.socket.write(get('/hls/x'));
    await sees(line, 'again');
  });

  test('closing ends idle connections at once and the others with their answer', async () => {
    const [idle, busy] = [dial(), dial()];
    idle.socket.write(get('/hls/x'));
    await sees(idle, 'hot');
    let release = (): void => undefined;
    answerTo = async () => new Promise((resolve) => (release = () => resolve(ok('last'))));
    busy.socket.write(get('/hls/x'));
    await within(2_000, 'it waits', () => requests.length === 2);
    lane.close();
    await within(2_000, 'the idle one is gone', () => idle.isClosed());
    release();
    await sees(busy, 'last');
    await within(2_000, 'the busy one is gone', () => busy.isClosed());
  });

  test('who says nothing for the idle time, or takes nothing of its answer, is ended; who waits for an answer is not', async () => {
    const big = ok(Buffer.alloc(64_000_000));
    const quick = new HotLane(
      {
        ...{ hasTrustedProxies: false, headersMaxBytes: 2_048, requestTimeoutMs: 15_000, idleTimeoutMs: 100 },
        routes: [
          {
            ...{ method: 'GET', prefix: '/hls/' },
            endpoint: ({ path }) => (path === '/hls/big' ? big : new Promise<HttpAnswer>(() => undefined)),
          },
        ],
      },
      { clock: systemClock, log: silentLog },
    );
    quick.attach(server);
    const [silent, waiting, reader] = [dial(), dial(), dial()];
    reader.socket.pause();
    reader.socket.write(get('/hls/big'));
    waiting.socket.write(get('/hls/wait'));
    await within(5_000, 'the silent one is ended', () => silent.isClosed());
    await within(5_000, 'so is the one that reads nothing', async () => (await connectionCount()) === 1);
    assert.equal(waiting.isClosed(), false);
    quick.close();
  });

  const connectionCount = async (): Promise<number> =>
    new Promise((resolve, reject) => {
      server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
    });
});
