/**
 * Playback tokens: who carries one may watch what it names until it expires. Whoever has the key can check one, without asking anybody. Pure.
 *
 *     v1.KEYID.EXPIRES.AUDIENCE.SUBJECT.MAC
 *
 *     KEYID     which key signed it: 1 to 16 of A-Z a-z 0-9 _ -
 *     EXPIRES   Unix time in whole seconds, decimal: good until then
 *     AUDIENCE  base64url of `live/NAME`, `replay/ID`, or a beginning of these and `*` (`live/shop-*`, `replay/*`, `*`)
 *     SUBJECT   base64url of whom it was given to, may be empty; means something to the shop only
 *     MAC       base64url of HMAC-SHA-256 with that key over everything before the last dot, as it stands there
 *
 * base64url is without padding (RFC 4648, 5). All characters may stand in a path segment, in a query and after `Bearer` (RFC 6750, 2.1).
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

export type TokenClaims = {
  readonly audience: string;
  /** Unix time in whole seconds, as it stands in the token. */
  readonly expiresAtWallS: number;
  readonly subject: string;
};

export type TokenKey = { readonly id: string; readonly secret: Buffer };

export type TokenRefusal = 'TOKEN_MISSING' | 'TOKEN_INVALID' | 'TOKEN_EXPIRED' | 'TOKEN_AUDIENCE_WRONG';

export type TokenJudgement =
  | { readonly ok: true; readonly claims: TokenClaims }
  | { readonly ok: false; readonly code: TokenRefusal; readonly detail: string };

const FORM =
  /^(v1\.([A-Za-z0-9_-]{1,16})\.(\d{1,12})\.([A-Za-z0-9_-]{1,128})\.([A-Za-z0-9_-]{0,256}))\.([A-Za-z0-9_-]{43})$/;
const AUDIENCE_FORM = /^(?:(?:live|replay)\/(?:[A-Za-z0-9_-]{1,64}|[A-Za-z0-9_-]{0,64}\*)|\*)$/;
const SUBJECT_MAX_BYTES = 192;
const EXPIRES_MAX_S = 999_999_999_999;

/** Whether this may be a token's audience: `live/NAME`, `replay/ID`, a beginning of these and `*`, or `*`. */
export const isAudience = (text: string): boolean => AUDIENCE_FORM.test(text);

/** Throws `TypeError` for claims no token can carry. */
export const signToken = (claims: TokenClaims, key: TokenKey): string => {
  const { audience, expiresAtWallS, subject } = claims;
  if (!isAudience(audience)) {
    throw new TypeError(`audience is ${JSON.stringify(audience)}, expected live/NAME, replay/ID, or with * at its end`);
  }
  if (!Number.isInteger(expiresAtWallS) || expiresAtWallS < 0 || expiresAtWallS > EXPIRES_MAX_S) {
    throw new TypeError(`expiresAtWallS is ${expiresAtWallS}, expected Unix time in whole seconds`);
  }
  if (Buffer.byteLength(subject) > SUBJECT_MAX_BYTES) {
    throw new TypeError(`subject has ${Buffer.byteLength(subject)} bytes, expected at most ${SUBJECT_MAX_BYTES}`);
  }
  const body = `v1.${key.id}.${expiresAtWallS}.${encode(audience)}.${encode(subject)}`;
  return `${body}.${macOf(body, key)}`;
};

export type TokenQuestion = {
  /** What is asked for: `live/NAME` or `replay/ID`. */
  readonly audience: string;
  readonly keyOf: (id: string) => TokenKey | undefined;
  readonly nowWallMs: number;
  /** So much longer a token is good, for clocks that differ. */
  readonly skewMaxS: number;
};

/** What a token claims is told only to who carries a genuine one; to all others every fault is the same. */
export const judgeToken = (token: string | undefined, question: TokenQuestion): TokenJudgement => {
  if (token === undefined || token === '') {
    return refused('TOKEN_MISSING', 'a playback token is needed to watch this');
  }
  const claims = readGenuine(token, question.keyOf);
  if (claims === undefined) {
    return refused('TOKEN_INVALID', 'this playback token was not made here, or was changed');
  }
  if (question.nowWallMs > (claims.expiresAtWallS + question.skewMaxS) * 1000) {
    return refused('TOKEN_EXPIRED', 'this playback token has expired');
  }
  if (!isFor(claims.audience, question.audience)) {
    return refused('TOKEN_AUDIENCE_WRONG', `this playback token is for ${claims.audience}`);
  }
  return { ok: true, claims };
};

const readGenuine = (token: string, keyOf: TokenQuestion['keyOf']): TokenClaims | undefined => {
  const [, body = '', keyId = '', expires = '', audience = '', subject = '', mac = ''] = FORM.exec(token) ?? [];
  const key = keyOf(keyId);
  if (key === undefined || !timingSafeEqual(Buffer.from(macOf(body, key)), Buffer.from(mac))) {
    return undefined;
  }
  return { audience: decode(audience), expiresAtWallS: Number(expires), subject: decode(subject) };
};

const isFor = (audience: string, asked: string): boolean =>
  audience.endsWith('*') ? asked.startsWith(audience.slice(0, -1)) : audience === asked;

/** Always 43 characters. */
const macOf = (body: string, key: TokenKey): string =>
  createHmac('sha256', key.secret).update(body).digest('base64url');

const encode = (text: string): string => Buffer.from(text).toString('base64url');
const decode = (text: string): string => Buffer.from(text, 'base64url').toString();

const refused = (code: TokenRefusal, detail: string): TokenJudgement => ({ ok: false, code, detail });
