/** A small HTTP server for test pages and files, so that pages have a secure loopback origin of their own. */
import { createServer, type Server } from 'node:http';
import { readFile } from 'node:fs/promises';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

export type PageServer = { readonly url: string; close(): Promise<void> };

type Content = { readonly type: string } & ({ readonly body: string } | { readonly file: string });

/** Serves the given paths (`/name`) on an ephemeral loopback port. Files are read whole; ranges are answered. */
export const servePages = async (contents: Readonly<Record<string, Content>>): Promise<PageServer> => {
  const server: Server = createServer((request, response) => {
    void (async () => {
      const content = contents[new URL(request.url ?? '/', 'http://localhost').pathname];
      if (content === undefined) {
        response.writeHead(404).end();
        return;
      }
      const body = 'file' in content ? await readFile(content.file) : Buffer.from(content.body);
      const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
      const headers = { 'content-type': content.type, 'accept-ranges': 'bytes', 'access-control-allow-origin': '*' };
      if (range === null) {
        response.writeHead(200, { ...headers, 'content-length': body.length }).end(body);
        return;
      }
      const from = Number(range[1]);
      const to = range[2] === '' || range[2] === undefined ? body.length - 1 : Number(range[2]);
      const part = body.subarray(from, to + 1);
      response
        .writeHead(206, {
          ...headers,
          'content-length': part.length,
          'content-range': `bytes ${from}-${from + part.length - 1}/${body.length}`,
        })
        .end(part);
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
};
