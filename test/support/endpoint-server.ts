/** Puts an `HttpEndpoint` behind node:http on loopback, with a page beside it: as little as tests need. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import type { HttpEndpoint } from '../../server/base/http-exchange.ts';

export type EndpointServer = { readonly url: string; close(): Promise<void> };

export const serveEndpoint = async (endpoint: HttpEndpoint, page = ''): Promise<EndpointServer> => {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    const aborter = new AbortController();
    response.on('close', () => aborter.abort());
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://localhost');
      if (url.pathname === '/') {
        response.setHeader('content-type', 'text/html').end(page);
        return;
      }
      const answered = endpoint({
        method: request.method ?? 'GET',
        path: decodeURIComponent(url.pathname),
        query: url.searchParams,
        headers: request.headers as Record<string, string | undefined>,
        body: Buffer.concat(chunks),
        remoteAddress: request.socket.remoteAddress ?? '',
        signal: aborter.signal,
      });
      void Promise.resolve(answered).then((answer) => {
        response.writeHead(answer.status, answer.headers);
        if (answer.stream === undefined) {
          response.end(answer.body);
        } else {
          Readable.from(answer.stream, { objectMode: false }).pipe(response);
        }
      });
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
};
