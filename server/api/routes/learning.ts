/** What was learned of viewers' networks, and the switch: for whoever holds the admin key. */
import type { FastifyInstance } from 'fastify';
import type { AccessView, LearningView } from '../views.ts';
import { bearerOf, notAllowed } from './admin-guard.ts';

export type LearningRoutesOptions = { readonly learning: LearningView; readonly access: AccessView };

type ModeBody = { Body: { mode: 'on' | 'off' | 'pinned'; arm?: string } };

const PATH = '/api/learning';
const SECURITY = [{ admin: [] }];
const MODE_BODY = {
  type: 'object',
  required: ['mode'],
  additionalProperties: false,
  properties: {
    mode: {
      type: 'string',
      enum: ['on', 'off', 'pinned'],
      description:
        'on: the learner chooses; off: the built-in parameters for everybody; pinned: one arm for all but the holdout',
    },
    arm: { type: 'string', minLength: 1, maxLength: 64, description: 'With pinned: the name of an arm' },
  },
};

export const registerLearning = async (server: FastifyInstance, options: LearningRoutesOptions): Promise<void> => {
  const { learning, access } = options;
  await server.register(async (scope) => {
    scope.addHook('onRequest', async (request, reply) => {
      if (!access.isAdmin(bearerOf(request))) {
        await notAllowed(reply, 'what was learned is for who holds the admin key');
      }
    });

    scope.get(
      PATH,
      {
        schema: {
          summary: 'What was learned of networks: per class and arm, and against the holdout',
          tags: ['learning'],
          security: SECURITY,
        },
      },
      async (_request, reply) => reply.header('cache-control', 'no-store').send(learning.status()),
    );

    scope.put<ModeBody>(
      PATH,
      {
        schema: {
          summary: 'Turn learning on or off, or pin an arm, until the next start (congestion.learning is for good)',
          tags: ['learning'],
          security: SECURITY,
          body: MODE_BODY,
        },
      },
      async (request, reply) => {
        const { mode, arm } = request.body;
        if (!learning.setMode(mode, arm)) {
          const detail = `arm: expected one of ${learning.armNames.join('; ')}`;
          return reply.code(404).send({ error: 'ARM_UNKNOWN', detail });
        }
        return { mode, pinnedArm: mode === 'pinned' ? arm : null };
      },
    );
  });
};
