/** The one number between little latency and little stutter, per broadcast: anybody may read it, who may publish under the name may set it. */
import type { FastifyInstance } from 'fastify';
import type { SmoothnessView } from '../views.ts';
import { bearerOf, notAllowed } from './admin-guard.ts';

type NameParams = { Params: { name: string } };
type Body = { Body: { smoothnessRatio: number } };

const PATH = '/api/broadcasts/:name/smoothness';
const NAME_PARAMS = {
  type: 'object',
  required: ['name'],
  properties: { name: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,64}$', description: 'Name of the broadcast' } },
};
const BODY = {
  type: 'object',
  required: ['smoothnessRatio'],
  additionalProperties: false,
  properties: {
    smoothnessRatio: { type: 'number', minimum: 0, maximum: 1, description: '0: react, 1: smooth' },
  },
};

export const registerSmoothness = (server: FastifyInstance, smoothness: SmoothnessView): void => {
  const absent = (name: string): { error: string; detail: string } => ({
    error: 'BROADCAST_ABSENT',
    detail: `nobody publishes ${name} now`,
  });

  server.get<NameParams>(
    PATH,
    { schema: { summary: 'Between react (0) and smooth (1)', tags: ['broadcasts'], params: NAME_PARAMS } },
    async (request, reply) => {
      const smoothnessRatio = smoothness.smoothnessOf(request.params.name);
      return smoothnessRatio === undefined ? reply.code(404).send(absent(request.params.name)) : { smoothnessRatio };
    },
  );

  server.put<NameParams & Body>(
    PATH,
    {
      schema: {
        summary: 'Set it for all viewers who did not choose themselves (admin key, or the publish key of the name)',
        tags: ['broadcasts'],
        params: NAME_PARAMS,
        body: BODY,
        security: [{ admin: [] }],
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      if (!smoothness.maySet(bearerOf(request), name)) {
        return notAllowed(reply, 'setting it needs the admin key, or the publish key of this name', 'KEY_NEEDED');
      }
      if (smoothness.smoothnessOf(name) === undefined) {
        return reply.code(404).send(absent(name));
      }
      smoothness.setSmoothness(name, request.body.smoothnessRatio);
      return { smoothnessRatio: request.body.smoothnessRatio };
    },
  );
};
