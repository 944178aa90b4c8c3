/** Who watches over WebRTC now or did lately, and the last minutes of each: for whoever holds the admin key. */
import type { FastifyInstance } from 'fastify';
import type { AccessView, ViewersView } from '../views.ts';
import { bearerOf, notAllowed } from './admin-guard.ts';

export type SessionRoutesOptions = { readonly viewers: ViewersView; readonly access: AccessView };

type NumberParams = { Params: { number: number } };

const SECURITY = [{ admin: [] }];
const NUMBER_PARAMS = {
  type: 'object',
  required: ['number'],
  properties: { number: { type: 'integer', minimum: 1, description: 'As in the list' } },
};

export const registerSessions = async (
  server: FastifyInstance,
  { viewers, access }: SessionRoutesOptions,
): Promise<void> => {
  await server.register(async (scope) => {
    scope.addHook('onRequest', async (request, reply) => {
      if (!access.isAdmin(bearerOf(request))) {
        await notAllowed(reply, 'what viewers see is for who holds the admin key');
      }
    });
    const schema = { tags: ['sessions'], security: SECURITY };
    scope.get(
      '/api/sessions',
      { schema: { ...schema, summary: 'Viewers over WebRTC, now and lately, newest first' } },
      async (_request, reply) => reply.header('cache-control', 'no-store').send({ sessions: viewers.list() }),
    );
    scope.get<NumberParams>(
      '/api/sessions/:number',
      { schema: { ...schema, summary: 'The last five minutes of one viewer', params: NUMBER_PARAMS } },
      async (request, reply) => {
        const found = await viewers.find(request.params.number);
        return found === undefined
          ? reply
              .code(404)
              .send({ error: 'SESSION_ABSENT', detail: `no viewer ${request.params.number} now or lately` })
          : reply.header('cache-control', 'no-store').send(found);
      },
    );
  });
};
