/** Publish keys, for whoever holds the admin key. A key is shown once, when it is made. */
import type { FastifyInstance } from 'fastify';
import type { AccessView, KeysView } from '../views.ts';
import { bearerOf, notAllowed } from './admin-guard.ts';

export type KeyRoutesOptions = { readonly keys: KeysView; readonly access: AccessView };

type NameParams = { Params: { name: string } };

const NAME_PARAMS = {
  type: 'object',
  required: ['name'],
  properties: { name: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,64}$' } },
};

export const registerKeys = async (server: FastifyInstance, { keys, access }: KeyRoutesOptions): Promise<void> => {
  await server.register(async (scope) => {
    scope.addHook('onRequest', async (request, reply) => {
      if (!access.isAdmin(bearerOf(request))) {
        await notAllowed(reply, 'keys are managed with the admin key');
      }
    });
    const security = [{ admin: [] }];

    scope.get(
      '/api/keys',
      { schema: { summary: 'Names that have a publish key', tags: ['keys'], security } },
      async () => ({
        names: keys.names,
      }),
    );

    scope.post<NameParams>(
      '/api/keys/:name',
      {
        schema: {
          summary: 'Make a new publish key for a name; an old one stops working',
          tags: ['keys'],
          params: NAME_PARAMS,
          security,
        },
      },
      async (request, reply) => {
        const key = keys.renewPublishKey(request.params.name);
        return reply.code(201).send({ name: request.params.name, streamKey: `${request.params.name}?key=${key}` });
      },
    );

    scope.delete<NameParams>(
      '/api/keys/:name',
      { schema: { summary: 'Remove the publish key of a name', tags: ['keys'], params: NAME_PARAMS, security } },
      async (request, reply) =>
        keys.removePublishKey(request.params.name)
          ? reply.code(204).send()
          : reply.code(404).send({ error: 'KEY_ABSENT', detail: `${request.params.name} has no key` }),
    );
  });
};
