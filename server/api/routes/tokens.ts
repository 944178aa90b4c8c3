/** Playback tokens, for whoever holds the admin key, or a publish key for what is published under its name; and the keys that sign them. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { AccessView, KeysView, ReplaysView, TokensView } from '../views.ts';
import { bearerOf, notAllowed } from './admin-guard.ts';

export type TokenRoutesOptions = {
  readonly tokens: TokensView;
  readonly keys: KeysView;
  readonly replays: Pick<ReplaysView, 'find'>;
  readonly access: AccessView;
};

type TokenBody = { Body: { audience: string; durationS?: number; subject?: string } };
type KeyParams = { Params: { id: string } };

const TOKEN_BODY = {
  type: 'object',
  required: ['audience'],
  additionalProperties: false,
  properties: {
    audience: {
      type: 'string',
      pattern: '^(?:(?:live|replay)/(?:[A-Za-z0-9_-]{1,64}|[A-Za-z0-9_-]{0,64}\\*)|\\*)$',
      description: 'live/NAME, replay/ID, or with * at its end',
    },
    durationS: { type: 'integer', minimum: 1, maximum: 999_999_999, description: 'How long it is good' },
    subject: { type: 'string', maxLength: 48, description: 'Whom it is for; never read here' },
  },
};
const SECURITY = [{ admin: [] }];

export const registerTokens = async (server: FastifyInstance, options: TokenRoutesOptions): Promise<void> => {
  const { tokens } = options;
  server.post<TokenBody>(
    '/api/tokens',
    {
      schema: {
        summary: 'Make a playback token (admin key, or the publish key of the name)',
        tags: ['tokens'],
        security: SECURITY,
        body: TOKEN_BODY,
      },
    },
    async (request, reply) => {
      const { audience, durationS, subject = '' } = request.body;
      if (!mayGrant(request, audience, options)) {
        return notAllowed(
          reply,
          'tokens are made with the admin key, or with the publish key of the name they are for',
        );
      }
      const made = tokens.make({ audience, durationS, subject });
      return reply
        .code(201)
        .header('cache-control', 'no-store')
        .send({ ...made, ...urlsFor(request, audience, made.token) });
    },
  );
  await server.register(async (scope) => registerTokenKeys(scope, options));
};

const registerTokenKeys = async (server: FastifyInstance, { tokens, access }: TokenRoutesOptions): Promise<void> => {
  server.addHook('onRequest', async (request, reply) => {
    if (!access.isAdmin(bearerOf(request))) {
      await notAllowed(reply, 'the keys of tokens are managed with the admin key');
    }
  });

  server.get(
    '/api/tokens/keys',
    { schema: { summary: 'Ids of the keys whose tokens are believed', tags: ['tokens'], security: SECURITY } },
    async () => ({ ids: tokens.keyIds }),
  );

  server.post(
    '/api/tokens/keys',
    {
      schema: {
        summary: 'Make a new signing key; tokens of the others stay good until their key is removed',
        tags: ['tokens'],
        security: SECURITY,
      },
    },
    async (_request, reply) => {
      const made = tokens.rotateKey();
      return made === undefined
        ? reply.code(409).send({ error: 'TOKEN_KEYS_FULL', detail: 'there are eight keys; remove one first' })
        : reply.code(201).header('cache-control', 'no-store').send(made);
    },
  );

  server.delete<KeyParams>(
    '/api/tokens/keys/:id',
    {
      schema: {
        summary: 'Refuse all tokens of a key from now on',
        tags: ['tokens'],
        security: SECURITY,
        params: { type: 'object', required: ['id'], properties: { id: { type: 'string', maxLength: 16 } } },
      },
    },
    async (request, reply) => (tokens.removeKey(request.params.id) ? reply.code(204).send() : absentKey(reply)),
  );
};

const absentKey = (reply: FastifyReply): FastifyReply =>
  reply.code(404).send({ error: 'TOKEN_KEY_ABSENT', detail: 'there is no such key, or it is the one that signs' });

/** A publisher may let people watch what is his: the broadcast of his name and what was recorded under it. */
const mayGrant = (
  request: FastifyRequest,
  audience: string,
  { replays, keys, access }: TokenRoutesOptions,
): boolean => {
  const bearer = bearerOf(request);
  if (bearer === undefined || access.isAdmin(bearer)) {
    return bearer !== undefined;
  }
  const [kind, what = ''] = audience.split('/');
  const name = kind === 'live' ? what : replays.find(what)?.name;
  return name !== undefined && keys.isPublishKey(name, bearer);
};

/** Ready to hand on, where the audience is one thing. The host is the one this request came to. */
const urlsFor = (request: FastifyRequest, audience: string, token: string): Record<string, string> => {
  const [kind, what = ''] = audience.split('/');
  if (what === '' || what.endsWith('*')) {
    return {};
  }
  const origin = `${request.protocol}://${request.host}`;
  return kind === 'live'
    ? {
        watchUrl: `${origin}/watch/${what}#token=${token}`,
        playlistUrl: `${origin}/hls/~${token}/${what}/index.m3u8`,
      }
    : {
        watchUrl: `${origin}/replay/${what}?token=${token}`,
        playlistUrl: `${origin}/replay/~${token}/${what}/index.m3u8`,
      };
};
