/** What machines ask: is it alive, may it be sent traffic, how is it doing. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Metrics } from '../../observability/metrics.ts';
import type { AccessView, HealthView } from '../views.ts';
import { bearerOf, notAllowed } from './admin-guard.ts';

export type OperationsOptions = { readonly metrics: Metrics; readonly health: HealthView; readonly access: AccessView };

export const registerOperations = (server: FastifyInstance, { metrics, health, access }: OperationsOptions): void => {
  server.get('/healthz', { schema: { summary: 'The process answers', tags: ['operations'] } }, async () => ({
    status: 'ok',
  }));

  server.get(
    '/readyz',
    { schema: { summary: 'Traffic may be sent here', tags: ['operations'] } },
    async (_request, reply) => {
      const { isReady, problems } = health.readiness();
      return reply.code(isReady ? 200 : 503).send({ status: isReady ? 'ready' : 'not ready', problems });
    },
  );

  server.get(
    '/metrics',
    { schema: { summary: 'Prometheus metrics', tags: ['operations'] } },
    async (request, reply) => {
      if (!isFromHere(request, access) && !access.isAdmin(bearerOf(request))) {
        return notAllowed(reply, 'metrics are for loopback, or need the admin key');
      }
      return reply.type(metrics.contentType).send(await metrics.render());
    },
  );
};

/** A proxy on this machine that nobody named as trusted must not lend its loopback to strangers: what came through one says so. */
const isFromHere = (request: FastifyRequest, access: AccessView): boolean =>
  access.isLoopback(request.ip) &&
  (request.ips !== undefined ||
    (request.headers['x-forwarded-for'] === undefined && request.headers['forwarded'] === undefined));
