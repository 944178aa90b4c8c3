/** LL-HLS by itself: a broadcast fed by the test, the handler, and a bare HTTP server on loopback. */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../../server/base/clock.ts';
import type { Clock } from '../../server/base/clock.ts';
import type { HttpEndpoint, HttpRequest } from '../../server/base/http-exchange.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Broadcast } from '../../server/relay/broadcast.ts';
import type { DateRangeSource } from '../../server/relay/hls/date-ranges.ts';
import type { HlsOptions } from '../../server/relay/hls/http-handler.ts';
import { HLS_DEFAULTS, HlsServer } from '../../server/relay/hls/http-handler.ts';
import type { RewindSource } from '../../server/relay/hls/rewind-source.ts';

export const createTestBroadcast = (clock: Clock = systemClock, name = 'demo'): Broadcast =>
  new Broadcast({ name, clock, gopCache: { cacheMaxBytes: 2 ** 24, cacheMaxCount: 1_000 } });

export type TestHlsOptions = {
  readonly clock?: Clock;
  readonly settings?: Partial<HlsOptions>;
  readonly rewind?: RewindSource;
  readonly dates?: DateRangeSource;
};

export const createTestHls = (options: TestHlsOptions = {}): { server: HlsServer; metrics: Metrics } => {
  const metrics = new Metrics({ collectDefaults: false });
  const settings = { ...HLS_DEFAULTS, ...options.settings };
  const { clock = systemClock, rewind, dates } = options;
  return { server: new HlsServer({ settings, clock, log: silentLog, metrics, rewind, dates }), metrics };
};

export type HttpHost = { readonly origin: string; close(): Promise<void> };

const toRequest = (incoming: IncomingMessage, signal: AbortSignal): HttpRequest => {
  const url = new URL(incoming.url ?? '/', 'http://host');
  return {
    method: incoming.method ?? 'GET',
    path: decodeURIComponent(url.pathname),
    query: url.searchParams,
    headers: Object.fromEntries(
      Object.entries(incoming.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
    ),
    body: new Uint8Array(),
    remoteAddress: incoming.socket.remoteAddress ?? '',
    signal,
  };
};

/** `page` is served at `/`, `script` at `/script.js`, all else goes to the endpoint. */
export const hostOverHttp = async (
  endpoint: HttpEndpoint,
  files: { page: string; script: Uint8Array } = { page: '', script: new Uint8Array() },
): Promise<HttpHost> => {
  const respond = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (incoming.url === '/') {
      response.setHeader('content-type', 'text/html').end(files.page);
      return;
    }
    if (incoming.url === '/script.js') {
      response.setHeader('content-type', 'text/javascript').end(files.script);
      return;
    }
    const aborter = new AbortController();
    response.on('close', () => aborter.abort());
    const answer = await endpoint(toRequest(incoming, aborter.signal));
    const length = answer.body === undefined ? {} : { 'content-length': Buffer.byteLength(answer.body) };
    response.writeHead(answer.status, { ...answer.headers, ...length }).end(answer.body);
  };
  const server = createServer((incoming, response) => {
    respond(incoming, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
