/** The pages and the player, as vite built them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';

export type PagesOptions = {
  /** Folder with `index.html`, `watch.html`, `sluice-player.js` and `assets/`. */
  readonly playerFolder: string;
};

type NameParams = { Params: { name: string } };

export const registerPages = async (server: FastifyInstance, { playerFolder }: PagesOptions): Promise<void> => {
  if (!existsSync(join(playerFolder, 'index.html'))) {
    server.get('/', { schema: { hide: true } }, async (_request, reply) =>
      reply
        .code(503)
        .type('text/plain')
        .send('The player is not built. Start the server with `npm start`, which builds it.\n'),
    );
    return;
  }
  await server.register(fastifyStatic, {
    root: playerFolder,
    index: ['index.html'],
    cacheControl: false,
    preCompressed: true,
    setHeaders: (reply, path) => {
      // Assets carry a hash in their name; everything else is asked for again each time.
      void reply.header(
        'cache-control',
        path.includes('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
      );
      void reply.header('access-control-allow-origin', '*');
    },
  });
  server.get<NameParams>('/watch/:name', { schema: { hide: true } }, async (_request, reply) =>
    reply.sendFile('watch.html'),
  );
  server.get('/studio', { schema: { hide: true } }, async (_request, reply) => reply.sendFile('studio.html'));
  server.get<NameParams>('/studio/:name', { schema: { hide: true } }, async (_request, reply) =>
    reply.sendFile('studio.html'),
  );
  server.get('/replays', { schema: { hide: true } }, async (_request, reply) => reply.sendFile('replays.html'));
  server.get('/dashboard', { schema: { hide: true } }, async (_request, reply) => reply.sendFile('dashboard.html'));
  // Ids only: what else lies below /replay/ is media.
  server.get('/replay/:id([0-9a-f]{32})', { schema: { hide: true } }, async (_request, reply) =>
    reply.sendFile('replay.html'),
  );
};
