/** Drops: what is claimed, how it stands, who claimed, and the keys to check tickets with. Not under the API's rate: the endpoint counts by itself. */
import type { FastifyInstance } from 'fastify';
import type { BindOptions, BoundRoute } from '../bind-endpoint.ts';
import { bindRoutes } from '../bind-endpoint.ts';
import type { HotRoute } from '../hot-request.ts';

const PATH = '/api/broadcasts/:name/drops/:id';

/** Claims take the short way where they can. */
export const CLAIMS_ROUTE: Omit<HotRoute, 'endpoint'> = {
  method: 'POST',
  prefix: '/api/broadcasts/',
  form: /^\/api\/broadcasts\/[\w-]{1,64}\/drops\/[\w.-]{1,64}\/claims$/,
};

const PARAMS = {
  type: 'object',
  required: ['name', 'id'],
  properties: {
    name: { type: 'string', description: 'Name of the broadcast' },
    id: { type: 'string', description: 'Id of the cue' },
  },
};
const TAGS = ['drops'];

const ROUTES: readonly BoundRoute[] = [
  {
    method: 'POST',
    url: `${PATH}/claims`,
    schema: {
      summary: 'Claim a ticket (viewer token of the shop as bearer; demo: ?player=)',
      description:
        '201 with the ticket, 200 when the viewer has it already; 401, 403 with Retry-After, 404, 409, 410, 429, 503',
      tags: TAGS,
      params: PARAMS,
    },
  },
  {
    method: 'GET',
    url: `${PATH}/claims`,
    schema: {
      summary: 'Who claimed (publish key of the name, or admin key)',
      tags: TAGS,
      params: PARAMS,
      security: [{ admin: [] }],
      querystring: {
        type: 'object',
        properties: {
          offset: { type: 'integer', minimum: 0, default: 0 },
          limit: { type: 'integer', minimum: 1, maximum: 1_000, default: 100 },
        },
      },
    },
  },
  { method: 'GET', url: PATH, schema: { summary: 'How a drop stands', tags: TAGS, params: PARAMS } },
  {
    method: 'GET',
    url: '/api/drops/keys',
    schema: { summary: 'Public keys that tickets are checked with (JWK Set)', tags: TAGS },
  },
  { method: 'OPTIONS', url: `${PATH}/claims`, schema: { hide: true } },
];

export const registerDrops = async (server: FastifyInstance, options: BindOptions): Promise<void> => {
  await bindRoutes(server, { ...options, routes: ROUTES });
};
