/** What the host's page asks for: with the publish key of the name, or with the admin key. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { StudioView } from '../views.ts';
import { bearerOf, notAllowed } from './admin-guard.ts';

type Holder = 'host' | 'admin';
type NameParams = { Params: { name: string } };
type AfterQuery = { Querystring: { after: number } };

const SECURITY = [{ admin: [] }];
const NAME_PARAMS = {
  type: 'object',
  required: ['name'],
  properties: { name: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,64}$', description: 'Name of the broadcast' } },
};
const AFTER_QUERY = {
  type: 'object',
  properties: {
    after: { type: 'number', minimum: 0, default: 0, description: 'Only points newer than this `atWallMs`' },
  },
};

export const registerStudio = async (server: FastifyInstance, studio: StudioView): Promise<void> => {
  await server.register(async (scope) => {
    const holders = new WeakMap<FastifyRequest, Holder>();
    scope.addHook<NameParams>('onRequest', async (request, reply: FastifyReply) => {
      const holder = studio.holderOf(bearerOf(request), request.params.name);
      if (holder === undefined) {
        await notAllowed(reply, 'this needs the publish key of this name, or the admin key', 'KEY_NEEDED');
      } else {
        holders.set(request, holder);
      }
    });
    const schema = { tags: ['studio'], params: NAME_PARAMS, security: SECURITY };

    scope.get<NameParams>(
      '/api/studio/:name',
      { schema: { ...schema, summary: 'How to publish under this name (admin key, or the publish key of the name)' } },
      async (request, reply) =>
        reply
          .header('cache-control', 'no-store')
          .send(studio.factsOf(request.params.name, holders.get(request) === 'admin')),
    );

    scope.get<NameParams & AfterQuery>(
      '/api/broadcasts/:name/health',
      {
        schema: {
          ...schema,
          tags: ['broadcasts'],
          summary: 'The last quarter of an hour of a broadcast (admin key, or the publish key of the name)',
          querystring: AFTER_QUERY,
        },
      },
      async (request, reply) =>
        reply.header('cache-control', 'no-store').send(studio.healthOf(request.params.name, request.query.after)),
    );
  });
};
