/** The library of recordings: find, look at, rename, remove. Whoever holds the publish key of a name, or the admin key, may change what is recorded under it. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ReplaysView } from '../views.ts';
import { bearerOf, notAllowed } from './admin-guard.ts';

export type ReplayRoutesOptions = { readonly replays: ReplaysView };

const TITLE_MAX_LENGTH = 200;
const PAGE_DEFAULT_COUNT = 24;
const PAGE_MAX_COUNT = 100;

const ID_PARAMS = z.strictObject({ id: z.string().regex(/^[0-9a-f]{32}$/) });
const LIST_QUERY = z.object({
  search: z.string().max(100).default('').describe('Words that name or title must all hold, in whatever case'),
  name: z.string().max(64).default('').describe('Only recordings of this broadcast'),
  offset: z.coerce.number().int().min(0).max(1e6).default(0),
  limit: z.coerce.number().int().min(1).max(PAGE_MAX_COUNT).default(PAGE_DEFAULT_COUNT),
});
const RENAME_BODY = z.strictObject({ title: z.string().max(TITLE_MAX_LENGTH).describe('Empty: the broadcast’s name') });
const SUMMARY = z.object({
  id: z.string(),
  name: z.string(),
  title: z.string(),
  state: z.enum(['recording', 'ended']),
  startedAtWallMs: z.number(),
  endedAtWallMs: z.number().nullable(),
  durationMs: z.number(),
  sizeBytes: z.number(),
  playlistUrl: z.string(),
  downloadUrl: z.string(),
  posterUrl: z.string(),
  storyboardUrl: z.string(),
});
const LIST = z.object({ replays: z.array(SUMMARY), totalCount: z.number() });

/** For the document; what comes in is checked by zod itself, so that refusals are its sentences. */
const documented = (schema: z.ZodType): object => {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  return rest;
};

const SECURITY = [{ admin: [] }];

export const registerReplays = async (server: FastifyInstance, { replays }: ReplayRoutesOptions): Promise<void> => {
  await server.register(async (scope) => {
    scope.setValidatorCompiler(() => (value: unknown) => ({ value }));
    scope.setSerializerCompiler(() => (value: unknown) => JSON.stringify(value));

    scope.get(
      '/api/replays',
      {
        schema: {
          summary: 'Recordings, newest first',
          tags: ['replays'],
          querystring: documented(LIST_QUERY),
          response: { 200: documented(LIST) },
        },
      },
      async (request, reply) => {
        const query = LIST_QUERY.safeParse(request.query);
        return query.success ? uncached(reply).send(replays.list(query.data)) : invalid(reply, query.error);
      },
    );

    scope.get(
      '/api/replays/:id',
      {
        schema: {
          summary: 'One recording',
          tags: ['replays'],
          params: documented(ID_PARAMS),
          response: { 200: documented(SUMMARY) },
        },
      },
      async (request, reply) => {
        const found = replays.find(idOf(request));
        return found === undefined ? absent(reply) : uncached(reply).send(found);
      },
    );

    scope.patch(
      '/api/replays/:id',
      {
        schema: {
          summary: 'Give a recording a title (publish key of its name, or admin key)',
          tags: ['replays'],
          params: documented(ID_PARAMS),
          body: documented(RENAME_BODY),
          response: { 200: documented(SUMMARY) },
          security: SECURITY,
        },
      },
      async (request, reply) => {
        const refusal = refuseStranger(request, reply, replays);
        if (refusal !== undefined) {
          return refusal;
        }
        const body = RENAME_BODY.safeParse(request.body);
        if (!body.success) {
          return invalid(reply, body.error);
        }
        const renamed = await replays.rename(idOf(request), body.data.title.trim());
        return renamed === undefined ? absent(reply) : reply.send(renamed);
      },
    );

    scope.delete(
      '/api/replays/:id',
      {
        schema: {
          summary: 'Remove a recording for good (publish key of its name, or admin key)',
          tags: ['replays'],
          params: documented(ID_PARAMS),
          security: SECURITY,
        },
      },
      async (request, reply) => {
        const refusal = refuseStranger(request, reply, replays);
        if (refusal !== undefined) {
          return refusal;
        }
        const outcome = await replays.remove(idOf(request));
        if (outcome === 'removed') {
          return reply.code(204).send();
        }
        return outcome === 'absent'
          ? absent(reply)
          : reply
              .code(409)
              .send({ error: 'REPLAY_RECORDING', detail: 'it is still being recorded; end the broadcast first' });
      },
    );
  });
};

/** Empty for what cannot be an id: then there is none. */
const idOf = (request: FastifyRequest): string => {
  const params = ID_PARAMS.safeParse(request.params);
  return params.success ? params.data.id : '';
};

/** The right key for a recording that is not there would tell nobody anything: absence is said first. */
const refuseStranger = (
  request: FastifyRequest,
  reply: FastifyReply,
  replays: ReplaysView,
): FastifyReply | undefined => {
  const found = replays.find(idOf(request));
  if (found === undefined) {
    return absent(reply);
  }
  return replays.mayChange(bearerOf(request), found.name)
    ? undefined
    : notAllowed(reply, `needs the publish key of ${found.name}, or the admin key`, 'REPLAY_KEY_NEEDED');
};

/** Players on pages of other origins look up the replay of what they watch. */
const uncached = (reply: FastifyReply): FastifyReply =>
  reply.header('cache-control', 'no-store').header('access-control-allow-origin', '*');

const absent = (reply: FastifyReply): FastifyReply =>
  reply.code(404).send({ error: 'REPLAY_UNKNOWN', detail: 'there is no such recording, or none any more' });

const invalid = (reply: FastifyReply, error: z.ZodError): FastifyReply => {
  const detail = error.issues.map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`).join('; ');
  return reply.code(400).send({ error: 'REQUEST_INVALID', detail });
};
