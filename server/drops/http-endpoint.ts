/**
 * Drops over HTTP: `POST` and `GET /api/broadcasts/NAME/drops/ID/claims`, `GET /api/broadcasts/NAME/drops/ID`, `GET /api/drops/keys`. A plain function, since
 * claims come in by a short way of their own. Refusals that many get are made once. Shops are pages of other origins: everything may be read by them.
 */
import type { HttpAnswer, HttpEndpoint, HttpRequest } from '../base/http-exchange.ts';
import { refuse } from '../base/http-exchange.ts';
import type { ClaimOutcome, ClaimRefusalCode } from './claim-outcome.ts';
import type { DropRef } from './drop-desk.ts';
import type { Drops } from './drops.ts';

export type DropsEndpointParts = {
  readonly drops: Pick<Drops, 'claim' | 'status' | 'claims' | 'ticketKeys'>;
  /** Whether this key may see who claimed what: the admin key, or the one this name is published with. */
  readonly mayList: (bearer: string | undefined, broadcast: string) => boolean;
};

/** All that `createDropsEndpoint` answers below `/api/broadcasts/`. */
const PATH_FORM = /^\/api\/broadcasts\/([A-Za-z0-9_-]{1,64})\/drops\/([A-Za-z0-9_.-]{1,64})(\/claims)?$/;
const KEYS_PATH = '/api/drops/keys';
const PLAYER_FORM = /^[A-Za-z0-9_-]{1,64}$/;
const BEARER_FORM = /^Bearer +([\x21-\x7e]{1,4096})$/i;
const PAGE_MAX_COUNT = 1_000;
const PAGE_COUNT = 100;

const CORS = { 'access-control-allow-origin': '*', 'access-control-expose-headers': 'Retry-After, WWW-Authenticate' };
const JSON_HEADERS = { 'content-type': 'application/json', 'cache-control': 'no-store', ...CORS };
const PREFLIGHT: HttpAnswer = {
  status: 204,
  headers: {
    ...CORS,
    'access-control-allow-methods': 'GET, POST',
    'access-control-allow-headers': 'authorization, content-type',
    'access-control-max-age': '7200',
  },
};

const REFUSALS: Readonly<Record<ClaimRefusalCode, readonly [status: number, detail: string]>> = {
  VIEWER_TOKEN_MISSING: [401, 'a viewer token of the shop is needed: Authorization: Bearer TOKEN'],
  VIEWER_TOKEN_INVALID: [401, 'this viewer token was not signed by the shop, or says not enough (sub, exp, aud)'],
  VIEWER_TOKEN_EXPIRED: [401, 'this viewer token has expired, or is not good yet'],
  VIEWER_TOKEN_AUDIENCE_WRONG: [401, 'this viewer token is for another broadcast'],
  // Not 425: that means a replayed TLS handshake, and browsers act on it.
  DROP_NOT_OPEN: [403, 'not yet: claims count from the instant on'],
  DROP_UNKNOWN: [404, 'there is no such drop'],
  DROP_SOLD_OUT: [409, 'all tickets are given'],
  DROP_OVER: [410, 'this drop is over'],
  CLAIMS_TOO_MANY: [429, 'too many claims from this address within a second'],
  DROP_ADDRESS_FULL: [429, 'this address has as many tickets of this drop as one address may have'],
  DROP_JOURNAL_FAILED: [503, 'the claim could not be written down, so it does not count; try again'],
  DROP_JOURNAL_DAMAGED: [503, 'what was given cannot be read any more, so nothing is given'],
};

export const createDropsEndpoint = (parts: DropsEndpointParts): HttpEndpoint => {
  const refusals = new Refusals();
  return async (request) => {
    if (request.method === 'OPTIONS') {
      return PREFLIGHT;
    }
    const [, broadcast, id, claims] = PATH_FORM.exec(request.path) ?? [];
    if (broadcast === undefined || id === undefined) {
      return request.path === KEYS_PATH && isRead(request)
        ? answer(200, parts.drops.ticketKeys, KEYS_HEADERS)
        : NOT_FOUND;
    }
    const ref = { broadcast, id };
    if (claims !== undefined && request.method === 'POST') {
      return claim(ref, request, { drops: parts.drops, refusals });
    }
    if (!isRead(request)) {
      return WRONG_METHOD;
    }
    return claims === undefined ? status(ref, parts) : list(ref, request, parts);
  };
};

const isRead = ({ method }: HttpRequest): boolean => method === 'GET' || method === 'HEAD';

const claim = async (
  ref: DropRef,
  request: HttpRequest,
  { drops, refusals }: { drops: Pick<Drops, 'claim'>; refusals: Refusals },
): Promise<HttpAnswer> => {
  const token = bearerOf(request);
  // Only who has no token is asked who he says he is: a query costs more to read than a claim to decide.
  const player = token === undefined ? (request.query.get('player') ?? undefined) : undefined;
  if (player !== undefined && !PLAYER_FORM.test(player)) {
    return PLAYER_INVALID;
  }
  const outcome = await drops.claim({ ...ref, token, player, address: request.remoteAddress });
  return outcome.ok ? answer(outcome.isNew ? 201 : 200, outcome.ticket) : refusals.of(outcome);
};

const status = (ref: DropRef, { drops }: DropsEndpointParts): HttpAnswer => {
  const found = drops.status(ref);
  return found === undefined ? UNKNOWN : answer(200, found);
};

const list = (ref: DropRef, request: HttpRequest, { drops, mayList }: DropsEndpointParts): HttpAnswer => {
  if (!mayList(bearerOf(request), ref.broadcast)) {
    return KEY_NEEDED;
  }
  const offset = numberIn(request, 'offset', { otherwise: 0, max: Number.MAX_SAFE_INTEGER });
  const limit = numberIn(request, 'limit', { otherwise: PAGE_COUNT, max: PAGE_MAX_COUNT });
  if (offset === undefined || limit === undefined || limit < 1) {
    return PAGE_INVALID;
  }
  const found = drops.claims(ref, { offset, limit });
  return found === undefined ? UNKNOWN : answer(200, found);
};

/** Undefined: no whole number, or too large. */
const numberIn = (
  request: HttpRequest,
  name: string,
  bounds: { otherwise: number; max: number },
): number | undefined => {
  const text = request.query.get(name) ?? String(bounds.otherwise);
  const value = Number(text);
  return /^\d{1,16}$/.test(text) && value <= bounds.max ? value : undefined;
};

const bearerOf = (request: HttpRequest): string | undefined =>
  BEARER_FORM.exec(request.headers['authorization'] ?? '')?.[1];

const answer = (
  statusCode: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = JSON_HEADERS,
): HttpAnswer => ({
  status: statusCode,
  headers,
  body: JSON.stringify(body),
});

/** One answer for all who are refused alike; of those that say how long to wait, one a second of waiting. */
class Refusals {
  readonly #answers = new Map<
    ClaimRefusalCode,
    { readonly retryAfterS: number | undefined; readonly answer: HttpAnswer }
  >();

  of({ code, retryAfterMs }: ClaimOutcome & { ok: false }): HttpAnswer {
    const retryAfterS = retryAfterMs === undefined ? undefined : Math.max(1, Math.ceil(retryAfterMs / 1000));
    const known = this.#answers.get(code);
    if (known !== undefined && known.retryAfterS === retryAfterS) {
      return known.answer;
    }
    const [statusCode, detail] = REFUSALS[code];
    const made = refuse(statusCode, code, detail, {
      ...CORS,
      ...(retryAfterS === undefined ? {} : { 'retry-after': String(retryAfterS) }),
      ...(statusCode === 401
        ? { 'www-authenticate': code === 'VIEWER_TOKEN_MISSING' ? 'Bearer' : 'Bearer error="invalid_token"' }
        : {}),
    });
    this.#answers.set(code, { retryAfterS, answer: made });
    return made;
  }
}

const KEYS_HEADERS = {
  ...JSON_HEADERS,
  'content-type': 'application/jwk-set+json',
  'cache-control': 'public, max-age=300',
};
const NOT_FOUND = refuse(404, 'NOT_FOUND', 'there is nothing here', CORS);
const UNKNOWN = refuse(404, 'DROP_UNKNOWN', REFUSALS.DROP_UNKNOWN[1], CORS);
const WRONG_METHOD = refuse(405, 'METHOD_WRONG', 'expected GET, or POST for claims', {
  ...CORS,
  allow: 'GET, HEAD, POST, OPTIONS',
});
const PLAYER_INVALID = refuse(400, 'PLAYER_INVALID', 'player: expected 1 to 64 of A-Z a-z 0-9 _ -', CORS);
const PAGE_INVALID = refuse(400, 'PAGE_INVALID', `expected offset from 0 and limit from 1 to ${PAGE_MAX_COUNT}`, CORS);
const KEY_NEEDED = refuse(401, 'KEY_NEEDED', 'claims are listed with the publish key of the name, or the admin key', {
  ...CORS,
  'www-authenticate': 'Bearer',
});
