// The TLS door over real sockets: HTTP/2 and HTTP/1.1 on one port, certificates that change, what strangers can hold open, the end.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2';
import { connect as connectHttp2, constants } from 'node:http2';
import { get } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import test from 'node:test';
import { connect as connectTls } from 'node:tls';
import { WebSocket } from 'ws';
import { createTlsDoor } from '../../../server/api/doors.ts';
import type { HttpServerParts } from '../../../server/api/http-server.ts';
import { DEFAULT_TLS_OPTIONS } from '../../../server/api/http-server.ts';
import type { CertificateOptions } from '../../../server/api/tls/certificate-source.ts';
import { CertificateSource, isTlsWanted } from '../../../server/api/tls/certificate-source.ts';
import { makeSelfMadeCertificate } from '../../../server/api/tls/self-made-certificate.ts';
import { ManualClock, systemClock } from '../../../server/base/clock.ts';
import type { HttpRequest } from '../../../server/base/http-exchange.ts';
import type { Log } from '../../../server/observability/log.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { Metrics } from '../../../server/observability/metrics.ts';
import type { ApiFixture } from '../../support/api-server.ts';
import { TEST_HTTP_OPTIONS, withApiServer } from '../../support/api-server.ts';
import { within } from '../../support/wait.ts';

const DAY_MS = 86_400_000;
const TLS = { ...DEFAULT_TLS_OPTIONS, port: 0, selfMade: true };

const withTls = async (
  run: (fixture: ApiFixture) => Promise<void>,
  change: Partial<HttpServerParts> = {},
): Promise<void> => withApiServer(run, () => ({ tls: TLS, ...change }));

const openSession = async (url: string, windowBytes = 65_535): Promise<ClientHttp2Session> => {
  const settings = { initialWindowSize: windowBytes };
  const session = connectHttp2(url, { rejectUnauthorized: false, settings });
  session.on('error', () => undefined);
  await once(session, 'connect');
  return session;
};

type Answer = { readonly headers: IncomingHttpHeaders & { ':status'?: number }; readonly body: string };

const ask = async (session: ClientHttp2Session, path: string, body?: string): Promise<Answer> => {
  const method = body === undefined ? {} : { ':method': 'POST', 'content-type': 'application/sdp' };
  const stream = session.request({ ':path': path, ...method });
  stream.end(body);
  const [headers] = (await once(stream, 'response')) as [Answer['headers']];
  const chunks = await stream.toArray();
  return { headers, body: Buffer.concat(chunks as Buffer[]).toString() };
};

test('one port speaks HTTP/2 and HTTP/1.1, with the same routes and pages', async () => {
  await withTls(async ({ tlsUrl, requests }) => {
    const session = await openSession(tlsUrl);
    assert.equal(session.alpnProtocol, 'h2');
    assert.equal((await ask(session, '/healthz')).body, '{"status":"ok"}');
    assert.match((await ask(session, '/watch/demo')).body, /watch/);
    assert.equal((await ask(session, '/nothing')).headers[':status'], 404);
    const echoed = await ask(session, '/echo/demo/x?a=1', 'v=0');
    assert.equal(echoed.headers[':status'], 201);
    assert.equal(echoed.body, 'v=0');
    session.close();
    const [old] = (await once(get(`${tlsUrl}/echo/y`, { rejectUnauthorized: false }), 'response')) as [IncomingMessage];
    assert.equal(old.httpVersion, '1.1');
    assert.equal(old.statusCode, 201);
    old.resume();
    assert.deepEqual(
      requests.map(({ path, remoteAddress }) => [path, remoteAddress]),
      [
        ['/echo/demo/x', '127.0.0.1'],
        ['/echo/y', '127.0.0.1'],
      ],
    );
  });
});

test('endpoints see no pseudo headers, but the host', async () => {
  await withTls(async ({ tlsUrl, requests }) => {
    const session = await openSession(tlsUrl);
    await ask(session, '/echo/x');
    session.close();
    assert.deepEqual(
      Object.keys(requests[0]!.headers).filter((name) => name.startsWith(':')),
      [],
    );
    assert.equal(requests[0]!.headers['host'], new URL(tlsUrl).host);
  });
});

/** Answers nothing until the peer has gone. */
const blocking = (seen: HttpRequest[]) => ({
  '/block': async (request: HttpRequest) => {
    seen.push(request);
    await new Promise<void>((resolve) => {
      request.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    return { status: 499, headers: {} };
  },
});

test('a blocked request ends when its stream is cancelled, and when its connection breaks', async () => {
  const seen: HttpRequest[] = [];
  await withTls(
    async ({ tlsUrl }) => {
      const session = await openSession(tlsUrl);
      const stream = session.request({ ':path': '/block/1' });
      session.request({ ':path': '/block/2' });
      await within(2_000, 'both arrived', () => seen.length === 2);
      stream.close(constants.NGHTTP2_CANCEL);
      await within(2_000, 'the first ended', () => seen.find(({ path }) => path === '/block/1')!.signal.aborted);
      assert.equal(seen.find(({ path }) => path === '/block/2')!.signal.aborted, false);
      session.destroy();
      await within(2_000, 'the second ended', () => seen.every(({ signal }) => signal.aborted));
    },
    { endpoints: blocking(seen) },
  );
});

test('WebSockets work on the TLS port, over HTTP/1.1', async () => {
  await withTls(async ({ tlsUrl }) => {
    const socket = new WebSocket(`${tlsUrl.replace('https', 'wss')}/ws/demo`, { rejectUnauthorized: false });
    const [first] = (await once(socket, 'message')) as [Buffer];
    assert.match(first.toString(), /"state":"live"/);
    socket.close();
  });
});

test('the server says how many requests a connection may have open', async () => {
  await withTls(
    async ({ tlsUrl }) => {
      const session = await openSession(tlsUrl);
      await within(2_000, 'settings came', () => session.remoteSettings.maxConcurrentStreams === 7);
      session.close();
    },
    { tls: { ...TLS, streamMaxCount: 7 } },
  );
});

test('a handshake that is never finished is cut off, and counted', async () => {
  await withTls(
    async ({ tlsUrl, metrics }) => {
      const socket = connect(Number(new URL(tlsUrl).port), '127.0.0.1');
      socket.on('error', () => undefined);
      await once(socket, 'close');
      assert.match(await metrics.render(), /tls_handshake_failures_total\{code="ERR_TLS_HANDSHAKE_TIMEOUT"\} 1/);
    },
    { tls: { ...TLS, handshakeTimeoutMs: 50 } },
  );
});

test('what is no TLS is refused without harm', async () => {
  await withTls(async ({ tlsUrl, metrics }) => {
    const socket = connect(Number(new URL(tlsUrl).port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await once(socket, 'close');
    assert.match(await metrics.render(), /tls_handshake_failures_total\{code="OTHER"\} 1/);
  });
});

for (const kind of ['whole', 'streamed'] as const) {
  test(`a ${kind} answer that nobody reads is ended, while its connection lives on`, async () => {
    const door = createTlsDoor(
      { ...TEST_HTTP_OPTIONS, ...TLS, idleTimeoutMs: 100 },
      {
        certificates: { pair: pairFor('localhost'), listen: () => undefined },
        metrics: new Metrics({ collectDefaults: false }),
      },
    );
    let isOver = false;
    const big = Buffer.alloc(4_096);
    door.get('/big', async (_request, reply) => {
      reply.raw.once('close', () => (isOver = true));
      return reply.send(kind === 'whole' ? big : Readable.from([big, big]));
    });
    door.get('/small', async () => 'x');
    await door.listen({ host: '127.0.0.1', port: 0 });
    const address = door.server.address() as AddressInfo;
    // It takes a quarter of the answer unasked.
    const session = await openSession(`https://127.0.0.1:${address.port}`, 1_024);
    const stream = session.request({ ':path': '/big' });
    stream.on('error', () => undefined);
    stream.pause();
    await within(5_000, 'the answer is given up', async () => {
      assert.equal((await ask(session, '/small')).body, 'x');
      return isOver;
    });
    session.destroy();
    await door.close();
  });
}

test('one address gets no more connections than its share, over both doors, until it gives some back', async () => {
  await withTls(
    async ({ url, tlsUrl, metrics }) => {
      const sessions = [await openSession(tlsUrl), await openSession(tlsUrl)];
      for (const door of [url, tlsUrl]) {
        const refused = connect(Number(new URL(door).port), '127.0.0.1');
        refused.on('error', () => undefined);
        await once(refused, 'close');
      }
      assert.match(await metrics.render(), /http_connections_refused_total\{cap="address"\} 2/);
      assert.equal((await ask(sessions[0]!, '/healthz')).headers[':status'], 200);
      sessions[1]!.destroy();
      await within(2_000, 'there is room again', async () => /http_connections_open 1\n/.test(await metrics.render()));
      assert.equal((await fetch(`${url}/healthz`, { headers: { connection: 'close' } })).status, 200);
      sessions[0]!.close();
    },
    { settings: { ...TEST_HTTP_OPTIONS, connectionPerAddressMaxCount: 2 } },
  );
});

test('a trusted proxy is not held to the share of one address', async () => {
  await withTls(
    async ({ tlsUrl }) => {
      const sessions = [await openSession(tlsUrl), await openSession(tlsUrl), await openSession(tlsUrl)];
      sessions.forEach((session) => session.close());
    },
    { settings: { ...TEST_HTTP_OPTIONS, connectionPerAddressMaxCount: 2, trustedProxies: ['loopback'] } },
  );
});

test('closing ends sessions, blocked requests and sockets of both doors', async () => {
  const seen: HttpRequest[] = [];
  await withTls(
    async ({ tlsUrl, server, metrics }) => {
      const session = await openSession(tlsUrl);
      const stream = session.request({ ':path': '/block/1' });
      stream.on('error', () => undefined);
      const socket = new WebSocket(`${tlsUrl.replace('https', 'wss')}/ws/demo`, { rejectUnauthorized: false });
      await once(socket, 'open');
      const socketEnd = once(socket, 'close');
      await within(2_000, 'it is blocked', () => seen.length === 1);
      await server.close('server_shutdown');
      const [code, reason] = (await socketEnd) as [number, Buffer];
      assert.deepEqual([code, reason.toString()], [1001, 'server_shutdown']);
      await within(2_000, 'all connections are gone', async () =>
        /http_connections_open 0\n/.test(await metrics.render()),
      );
      assert.ok(seen[0]!.signal.aborted);
    },
    { endpoints: blocking(seen) },
  );
});

// ---- certificates

const pairFor = (name: string, options: { days?: number; nowWallMs?: number } = {}) => {
  const nowWallMs = options.nowWallMs ?? systemClock.wallMs();
  return makeSelfMadeCertificate({
    names: [name],
    validFromWallMs: nowWallMs - DAY_MS,
    validToWallMs: nowWallMs + (options.days ?? 90) * DAY_MS,
  });
};

const nameShownBy = async (url: string): Promise<string> => {
  const socket = connectTls({ port: Number(new URL(url).port), host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { subjectaltname } = socket.getPeerCertificate();
  socket.destroy();
  return String(subjectaltname);
};

test('new certificate files are served to new connections, old ones live on; broken and half-replaced ones are not', async () => {
  let folder = '';
  const write = (file: string, text: string): void => writeFileSync(join(folder, file), text);
  const refusals: unknown[] = [];
  const log: Log = { ...silentLog, error: (event, fields) => refusals.push([event, fields?.['kept']]) };
  await withApiServer(
    async ({ tlsUrl, metrics }) => {
      const old = await openSession(tlsUrl);
      assert.equal(await nameShownBy(tlsUrl), 'DNS:first.test');
      const second = pairFor('second.test');
      write('tls.crt', second.certificatePem);
      await within(2_000, 'the half was refused', () => refusals.length === 1);
      assert.equal(await nameShownBy(tlsUrl), 'DNS:first.test');
      write('tls.key', second.keyPem);
      await within(2_000, 'the whole was taken', async () => (await nameShownBy(tlsUrl)) === 'DNS:second.test');
      write('tls.crt', 'nonsense');
      await within(2_000, 'nonsense was refused', () => refusals.length === 2);
      assert.equal(await nameShownBy(tlsUrl), 'DNS:second.test');
      assert.deepEqual(refusals[1], ['tls.certificate.refused', 'the one in use']);
      assert.equal((await ask(old, '/healthz')).headers[':status'], 200);
      old.close();
      const text = await metrics.render();
      assert.match(text, /tls_reloads_total\{result="taken"\} 1/);
      assert.match(text, /tls_reloads_total\{result="refused"\} 2/);
    },
    (temporary) => {
      folder = temporary;
      const first = pairFor('first.test');
      write('tls.crt', first.certificatePem);
      write('tls.key', first.keyPem);
      const files = { certificateFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') };
      return { tls: { ...DEFAULT_TLS_OPTIONS, ...files, port: 0, reloadEveryMs: 10 }, log };
    },
  );
});

const withSource = async (
  change: Partial<CertificateOptions>,
  run: (parts: { make: () => CertificateSource; clock: ManualClock; folder: string }) => void,
): Promise<void> => {
  await withApiServer(async ({ folder }) => {
    const clock = new ManualClock({ wallAtZeroMs: Date.parse('2026-11-22T00:00:00Z') });
    const sources: CertificateSource[] = [];
    const make = (): CertificateSource => {
      const metrics = new Metrics({ collectDefaults: false });
      sources.push(new CertificateSource({ ...TLS, ...change }, { dataDir: folder, clock, log: silentLog, metrics }));
      return sources.at(-1)!;
    };
    run({ make, clock, folder });
    sources.forEach((source) => source.close());
  });
};

test('a self-made certificate is kept over restarts, renewed a month before its end, and made anew for other names', async () => {
  await withSource({}, ({ make, clock, folder }) => {
    const first = make();
    const { certificatePem } = first.pair;
    assert.equal(make().pair.certificatePem, certificatePem);
    clock.advanceMs(360 * DAY_MS);
    first.look();
    assert.equal(first.pair.certificatePem, certificatePem);
    clock.advanceMs(10 * DAY_MS);
    let told = 0;
    first.listen(() => (told += 1));
    first.look();
    assert.notEqual(first.pair.certificatePem, certificatePem);
    assert.equal(told, 1);
    writeFileSync(join(folder, 'tls/self-made.crt'), 'broken');
    assert.doesNotThrow(() => make());
    assert.match(readFileSync(join(folder, 'tls/self-made.crt'), 'utf8'), /BEGIN CERTIFICATE/);
  });
});

test('without a working certificate there is no start', async () => {
  assert.throws(() => isTlsWanted({ ...TLS, certificateFile: 'a' }), { code: 'TLS_FILES_INCOMPLETE' });
  assert.equal(isTlsWanted(DEFAULT_TLS_OPTIONS), false);
  await withSource({ certificateFile: '/nowhere/a', keyFile: '/nowhere/b' }, ({ make }) => {
    assert.throws(make, { code: 'TLS_FILES_UNREADABLE' });
  });
  const [here, there] = [pairFor('a.test'), pairFor('b.test')];
  await withSource({}, ({ folder }) => {
    const paths = { certificateFile: join(folder, 'a'), keyFile: join(folder, 'b') };
    writeFileSync(paths.certificateFile, here.certificatePem);
    writeFileSync(paths.keyFile, there.keyPem);
    const metrics = new Metrics({ collectDefaults: false });
    const parts = { dataDir: folder, clock: systemClock, log: silentLog, metrics };
    assert.throws(() => new CertificateSource({ ...TLS, ...paths }, parts), { code: 'TLS_PAIR_BROKEN' });
  });
});
