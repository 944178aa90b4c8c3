/** What is live, what the doctor says about it, and the hints players may use. */
import type { FastifyInstance } from 'fastify';
import type { AccessView, BroadcastsView, HintsView } from '../views.ts';
import { bearerOf, notAllowed } from './admin-guard.ts';

export type BroadcastRoutesOptions = {
  readonly broadcasts: BroadcastsView;
  readonly hints: HintsView;
  readonly access: AccessView;
};

type NameParams = { Params: { name: string } };

const NAME_PARAMS = {
  type: 'object',
  required: ['name'],
  properties: { name: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,64}$', description: 'Name of the broadcast' } },
};

export const registerBroadcasts = (
  server: FastifyInstance,
  { broadcasts, hints, access }: BroadcastRoutesOptions,
): void => {
  server.get('/api/broadcasts', { schema: { summary: 'What is live now', tags: ['broadcasts'] } }, async () => ({
    broadcasts: broadcasts.list(),
  }));

  server.get<NameParams>(
    '/api/broadcasts/:name',
    { schema: { summary: 'One broadcast', tags: ['broadcasts'], params: NAME_PARAMS } },
    async (request, reply) => {
      const found = broadcasts.find(request.params.name);
      return (
        found ??
        reply.code(404).send({ error: 'BROADCAST_ABSENT', detail: `nobody publishes ${request.params.name} now` })
      );
    },
  );

  server.delete<NameParams>(
    '/api/broadcasts/:name',
    {
      schema: {
        summary: 'End a broadcast now (admin key)',
        tags: ['broadcasts'],
        params: NAME_PARAMS,
        security: [{ admin: [] }],
      },
    },
    async (request, reply) => {
      if (!access.isAdmin(bearerOf(request))) {
        return notAllowed(reply, 'ending a broadcast needs the admin key');
      }
      const wasThere = broadcasts.end(request.params.name, 'ended_by_admin');
      return wasThere
        ? reply.code(204).send()
        : reply.code(404).send({ error: 'BROADCAST_ABSENT', detail: `nobody publishes ${request.params.name} now` });
    },
  );

  server.get<NameParams>(
    '/api/hints/:name',
    {
      schema: {
        summary: 'Parameters a player may use; never needed to play',
        tags: ['broadcasts'],
        params: NAME_PARAMS,
      },
    },
    async (request, reply) => {
      const body = JSON.stringify(hints.hintsFor(request.params.name));
      return reply
        .header('cache-control', 'public, max-age=5')
        .header('access-control-allow-origin', '*')
        .type('application/json')
        .send(body);
    },
  );
};
