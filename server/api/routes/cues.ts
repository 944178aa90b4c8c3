/** Cues of a broadcast, for its host: whoever holds the publish key of the name, or the admin key. They may be made before the broadcast begins. */
import { randomBytes } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { CueContent, CueTiming } from '../contract/cues-host.ts';
import type { AccessView, CueAnswer, CuesView, KeysView } from '../views.ts';
import { bearerOf, notAllowed } from './admin-guard.ts';

export type CueRoutesOptions = {
  readonly cues: Omit<CuesView, 'snapshotText' | 'setViewers'>;
  readonly keys: Pick<KeysView, 'isPublishKey'>;
  readonly access: Pick<AccessView, 'isAdmin'>;
};

const PAYLOAD_MAX_BYTES = 8_192;
const TITLE_MAX_LENGTH = 200;
const PRICE_MAX_LENGTH = 60;
const URL_MAX_LENGTH = 2_048;
const DAY_MS = 24 * 3_600_000;
const STOCK_MAX_COUNT = 10_000_000;

const ID_FORM = /^[A-Za-z0-9_.-]{1,64}$/;
const isWebUrl = (text: string): boolean => {
  const protocol = URL.canParse(text) ? new URL(text).protocol : '';
  return protocol === 'http:' || protocol === 'https:';
};
const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value) ?? '');

const ID = z.string().regex(ID_FORM, 'expected 1 to 64 of A-Z a-z 0-9 _ . -');
const TEXT = z.string().regex(/^\P{Cc}*$/u, 'expected no control characters');
const WEB_URL = z.string().max(URL_MAX_LENGTH).refine(isWebUrl, 'expected an http or https URL');
const MEDIA_MS = z.number().min(0).max(1e12);
const AT = z.union(
  [
    z.literal('now'),
    z.strictObject({ countdownMs: z.number().min(0).max(DAY_MS) }),
    z.strictObject({ mediaMs: MEDIA_MS }),
  ],
  `expected "now", {"countdownMs": 0 to ${DAY_MS}} or {"mediaMs": 0 or more}`,
);
const TIMING = {
  encoderDelayMs: z.number().min(0).max(30_000).exactOptional().describe('From capture to arrival; else estimated'),
  sawMediaMs: MEDIA_MS.exactOptional().describe('Media time of the picture that the host saw when pressing'),
};
const CONTENT = {
  kind: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,31}$/, 'expected "product", "message" or another word of a-z, 0-9 and -, 32 at most'),
  mode: z.enum(['media', 'clock']).default('media').describe('media: with the picture; clock: all at once'),
  title: TEXT.max(TITLE_MAX_LENGTH).exactOptional(),
  price: TEXT.max(PRICE_MAX_LENGTH).exactOptional().describe('As shown'),
  picture: WEB_URL.exactOptional(),
  link: WEB_URL.exactOptional(),
  durationMs: z.number().positive().max(DAY_MS).nullable().default(null).describe('null: until it is withdrawn'),
  payload: z
    .unknown()
    .refine((value) => bytesOf(value) <= PAYLOAD_MAX_BYTES, `expected at most ${PAYLOAD_MAX_BYTES} bytes of JSON`)
    .optional()
    .describe('Any JSON, up to 8 kB'),
  stock: z.number().int().min(1).max(STOCK_MAX_COUNT).exactOptional().describe('Tickets to be had'),
};
const CREATE = z.strictObject({ id: ID.exactOptional(), ...CONTENT, at: AT.nullable().default(null), ...TIMING });
const EDIT = z.strictObject({ id: ID.exactOptional(), ...CONTENT, at: AT.nullable().exactOptional(), ...TIMING });
const FIRE = z.strictObject({ at: AT.default('now'), ...TIMING });
const WITHDRAW = z.strictObject({ forget: z.enum(['true', 'false']).default('false') });
const NAME_PARAMS = z.object({
  name: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected 1 to 64 of A-Z a-z 0-9 _ -'),
});
const CUE_PARAMS = NAME_PARAMS.extend({ id: ID });

/** For the document; what comes in is checked by zod itself, so that refusals are its sentences. */
const documented = (schema: z.ZodType): object => {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  return rest;
};

const BASE = { tags: ['cues'], security: [{ admin: [] }] };
const FIRE_PATH = '/api/broadcasts/:name/cues/:id/fire';
const CUE_PATH = '/api/broadcasts/:name/cues/:id';
const LIST_PATH = '/api/broadcasts/:name/cues';

export const registerCues = async (
  server: FastifyInstance,
  { cues, keys, access }: CueRoutesOptions,
): Promise<void> => {
  await server.register(async (scope) => {
    scope.setValidatorCompiler(() => (value: unknown) => ({ value }));
    scope.setSerializerCompiler(() => (value: unknown) => JSON.stringify(value));
    scope.addHook('onRequest', async (request, reply) => {
      const params = NAME_PARAMS.safeParse(request.params);
      const bearer = bearerOf(request);
      if (!params.success) {
        await refuse(reply, 400, { code: 'REQUEST_INVALID', detail: sentenceOf(params.error, request.params) });
      } else if (bearer === undefined || !(access.isAdmin(bearer) || keys.isPublishKey(params.data.name, bearer))) {
        await notAllowed(reply, `cues of ${params.data.name} need its publish key, or the admin key`, 'KEY_NEEDED');
      }
    });

    scope.get(
      LIST_PATH,
      { schema: { ...BASE, summary: 'Cues by media time, prepared ones last', params: documented(NAME_PARAMS) } },
      async (request, reply) => uncached(reply).send(cues.list(nameOf(request))),
    );

    scope.post(
      LIST_PATH,
      {
        schema: {
          ...BASE,
          summary: 'Make a cue: prepared without `at`, else with its instant. The same again changes nothing',
          params: documented(NAME_PARAMS),
          body: documented(CREATE),
        },
      },
      async (request, reply) => {
        const body = CREATE.safeParse(request.body ?? {});
        if (!body.success) {
          return refuse(reply, 400, { code: 'REQUEST_INVALID', detail: sentenceOf(body.error, request.body) });
        }
        const { at, encoderDelayMs, sawMediaMs, ...content } = body.data;
        const id = content.id ?? `cue-${randomBytes(6).toString('hex')}`;
        const timing = at === null ? undefined : timingOf(at, { encoderDelayMs, sawMediaMs });
        const answer = await cues.create(nameOf(request), contentOf(content, id), timing);
        return answer.ok
          ? uncached(reply)
              .code(answer.isNew ? 201 : 200)
              .send(answer.cue)
          : refuse(reply, statusOf(answer), answer.refusal);
      },
    );

    scope.put(
      CUE_PATH,
      {
        schema: {
          ...BASE,
          summary: 'Put other content in its place; without `at` its instant stays, with null it has none any more',
          params: documented(CUE_PARAMS),
          body: documented(EDIT),
        },
      },
      async (request, reply) => {
        const id = idOf(request);
        const body = EDIT.safeParse(request.body ?? {});
        if (!body.success) {
          return refuse(reply, 400, { code: 'REQUEST_INVALID', detail: sentenceOf(body.error, request.body) });
        }
        const { at, encoderDelayMs, sawMediaMs, ...content } = body.data;
        if (content.id !== undefined && content.id !== id) {
          const detail = `id is ${JSON.stringify(content.id)}, expected ${JSON.stringify(id)} as in the path, or none`;
          return refuse(reply, 400, { code: 'REQUEST_INVALID', detail });
        }
        const timing = at === undefined || at === null ? at : timingOf(at, { encoderDelayMs, sawMediaMs });
        return answerWith(reply, await cues.edit(nameOf(request), contentOf(content, id), timing));
      },
    );

    scope.delete(
      CUE_PATH,
      {
        schema: {
          ...BASE,
          summary: 'Withdraw it; with forget=true it is taken out of the recording as well',
          params: documented(CUE_PARAMS),
          querystring: documented(WITHDRAW),
        },
      },
      async (request, reply) => {
        const query = WITHDRAW.safeParse(request.query);
        if (!query.success) {
          return refuse(reply, 400, { code: 'REQUEST_INVALID', detail: sentenceOf(query.error, request.query) });
        }
        const isForgotten = query.data.forget === 'true';
        const answer = await cues.withdraw(nameOf(request), idOf(request), { isForgotten });
        return answer.ok ? reply.code(204).send() : refuse(reply, statusOf(answer), answer.refusal);
      },
    );

    scope.post(
      FIRE_PATH,
      {
        schema: {
          ...BASE,
          summary: 'Give it its instant: now, after a countdown, or at a media time. One that has fired stays as it is',
          params: documented(CUE_PARAMS),
          body: documented(FIRE),
        },
      },
      async (request, reply) => {
        const body = FIRE.safeParse(request.body ?? {});
        if (!body.success) {
          return refuse(reply, 400, { code: 'REQUEST_INVALID', detail: sentenceOf(body.error, request.body) });
        }
        const { at, ...rest } = body.data;
        return answerWith(reply, await cues.fire(nameOf(request), idOf(request), timingOf(at, rest)));
      },
    );
  });
};

const nameOf = (request: FastifyRequest): string => NAME_PARAMS.parse(request.params).name;

/** What has no such form is no cue of ours: it is looked up and not found. */
const idOf = (request: FastifyRequest): string => String((request.params as { id?: unknown }).id);

type Parsed = Omit<z.infer<typeof CREATE>, 'id' | 'at' | 'encoderDelayMs' | 'sawMediaMs'>;

const contentOf = ({ payload, ...rest }: Parsed & { id?: string }, id: string): CueContent => ({
  ...rest,
  id,
  ...(payload === undefined ? {} : { payload }),
});

const timingOf = (
  at: CueTiming['at'],
  how: { encoderDelayMs?: number | undefined; sawMediaMs?: number | undefined },
): CueTiming => ({
  at,
  ...(how.encoderDelayMs === undefined ? {} : { encoderDelayMs: how.encoderDelayMs }),
  ...(how.sawMediaMs === undefined ? {} : { sawMediaMs: how.sawMediaMs }),
});

/** The first fault: the field, what it is, what was expected. */
const sentenceOf = (error: z.ZodError, given: unknown): string => {
  const [issue] = error.issues;
  const path = issue?.path.join('.') ?? '';
  let value = given;
  for (const step of issue?.path ?? []) {
    value = typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[step] : undefined;
  }
  const text = value === undefined ? 'absent' : (JSON.stringify(value) ?? '').slice(0, GIVEN_MAX_LENGTH);
  return `${path === '' ? 'the body' : path} is ${text}: ${issue?.message ?? 'expected a cue'}`;
};

const GIVEN_MAX_LENGTH = 80;

const statusOf = ({ refusal }: CueAnswer & { ok: false }): number => (refusal.code === 'CUE_UNKNOWN' ? 404 : 409);

const answerWith = (reply: FastifyReply, answer: CueAnswer): FastifyReply =>
  answer.ok ? uncached(reply).send(answer.cue) : refuse(reply, statusOf(answer), answer.refusal);

const refuse = (reply: FastifyReply, status: number, refusal: { code: string; detail: string }): FastifyReply =>
  reply.code(status).send({ error: refusal.code, detail: refusal.detail });

const uncached = (reply: FastifyReply): FastifyReply => reply.header('cache-control', 'no-store');
