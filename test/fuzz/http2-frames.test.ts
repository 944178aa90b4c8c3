/** What a hostile HTTP/2 client may do after its handshake: any bytes for frames, requests cancelled as fast as they are made. The door lives on. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ClientHttp2Session } from 'node:http2';
import { connect as connectHttp2, constants } from 'node:http2';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { DEFAULT_TLS_OPTIONS } from '../../server/api/http-server.ts';
import { Prng } from '../../server/base/prng.ts';
import type { HttpAnswer, HttpRequest } from '../../server/base/http-exchange.ts';
import { TEST_HTTP_OPTIONS, withApiServer } from '../support/api-server.ts';
import { within } from '../support/wait.ts';

const CONNECTION_COUNT = process.env['SLUICE_SIZE'] === 'soak' ? 2_000 : 60;
const RESET_COUNT = process.env['SLUICE_SIZE'] === 'soak' ? 50_000 : 1_500;
const TLS = { ...DEFAULT_TLS_OPTIONS, port: 0, selfMade: true };
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** A frame of any type, flags and stream with a length that is mostly its own (RFC 9113, 4.1). */
const frame = (prng: Prng): Uint8Array => {
  const payload = prng.nextBytes(prng.nextIndex(200));
  const head = Buffer.from(prng.nextBytes(9));
  head.writeUIntBE(prng.nextRatio() < 0.9 ? payload.length : prng.nextIndex(2 ** 24), 0, 3);
  head[3] = prng.nextIndex(12);
  head.writeUInt32BE(prng.nextRatio() < 0.5 ? 0 : prng.nextIndex(20), 5);
  return Buffer.concat([head, payload]);
};

const isAlive = async (url: string): Promise<boolean> => {
  const session = connectHttp2(url, { rejectUnauthorized: false });
  const stream = session.request({ ':path': '/healthz' });
  stream.resume();
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
  session.destroy();
  return headers[':status'] === 200;
};

test('any bytes for frames: the connection ends, nothing else does', { timeout: 120_000 }, async () => {
  const prng = new Prng(20);
  await withApiServer(
    async ({ tlsUrl, metrics }) => {
      for (let index = 0; index < CONNECTION_COUNT; index += 1) {
        const options = { port: Number(new URL(tlsUrl).port), host: '127.0.0.1', rejectUnauthorized: false };
        const socket = connectTls({ ...options, ALPNProtocols: ['h2'] });
        socket.on('error', () => undefined);
        await once(socket, 'secureConnect');
        const frames = Array.from({ length: 1 + prng.nextIndex(20) }, () => frame(prng));
        // Some without the preface, some that end in the middle of a frame.
        const bytes = Buffer.concat([prng.nextRatio() < 0.9 ? PREFACE : Buffer.alloc(0), ...frames]);
        socket.end(bytes.subarray(0, bytes.length - prng.nextIndex(4)));
        socket.resume();
        await once(socket, 'close');
      }
      assert.ok(await isAlive(tlsUrl));
      await within(5_000, 'no session is left', async () => /http2_sessions_open 0\n/.test(await metrics.render()));
    },
    () => ({ tls: TLS, settings: { ...TEST_HTTP_OPTIONS, idleTimeoutMs: 500 } }),
  );
});

/** Asks and takes back, until the server has had enough or the count is reached. */
const resetInARow = async (session: ClientHttp2Session, count: number): Promise<void> => {
  for (let index = 0; index < count && !session.destroyed && !session.closed; index += 1) {
    const stream = session.request({ ':path': `/wait/${index}` });
    stream.on('error', () => undefined);
    // Every tenth has reached its endpoint by then.
    if (index % 10 === 0) {
      setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), 50);
    } else {
      stream.close(constants.NGHTTP2_CANCEL);
    }
    if (index % 100 === 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
};

test('requests cancelled as fast as they are made leave nothing behind', { timeout: 120_000 }, async () => {
  let waitingCount = 0;
  let askedCount = 0;
  const wait = async ({ signal }: HttpRequest): Promise<HttpAnswer> => {
    waitingCount += 1;
    askedCount += 1;
    await new Promise<void>((resolve) => {
      if (signal.aborted) {
        resolve();
      }
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    waitingCount -= 1;
    return { status: 499, headers: {} };
  };
  await withApiServer(
    async ({ tlsUrl }) => {
      const session = connectHttp2(tlsUrl, { rejectUnauthorized: false });
      session.on('error', () => undefined);
      await once(session, 'connect');
      await resetInARow(session, RESET_COUNT);
      assert.ok(await isAlive(tlsUrl));
      session.destroy();
      await within(10_000, 'nobody waits any more', () => waitingCount === 0);
      assert.ok(askedCount > 0);
    },
    () => ({ tls: TLS, endpoints: { '/wait': wait } }),
  );
});
