/**
 * Viewer tokens: with one the shop says who a viewer is. A JWT (RFC 7519) in compact form, `HS256`, `EdDSA` or `ES256`, with these claims:
 *
 *     sub  who: 1 to 192 bytes without control characters; one ticket a drop      aud  `live/NAME`, or a list that has it
 *     exp  good until then, Unix seconds (required)                               nbf  not good before then
 *
 * The algorithm is the key's, whatever the token says. Pure. Reading one costs a microsecond or two, checking its signature 3 (HMAC) to 90: so they are two
 * steps, and who is refused anyway is refused after the first.
 */
import { createHmac, timingSafeEqual, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

export type ShopKeyAlgorithm = 'HS256' | 'EdDSA' | 'ES256';

/** A key whose tokens are believed: a secret, or the public half of a pair. */
export type ShopKey = {
  readonly id: string | undefined;
  readonly algorithm: ShopKeyAlgorithm;
  readonly key: KeyObject;
};

export type ViewerTokenRefusal =
  'VIEWER_TOKEN_MISSING' | 'VIEWER_TOKEN_INVALID' | 'VIEWER_TOKEN_EXPIRED' | 'VIEWER_TOKEN_AUDIENCE_WRONG';

/** What a token says of itself; nobody has checked yet who made it. */
export type ReadToken =
  | { readonly ok: true; readonly subject: string; readonly keyId: string | undefined; readonly text: string }
  | { readonly ok: false; readonly code: ViewerTokenRefusal };

const TOKEN_MAX_BYTES = 4_096;
const SUBJECT_MAX_BYTES = 192;
const FORM = /^([\w-]+)\.([\w-]+)\.[\w-]+$/;
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/;

const MISSING: ReadToken = { ok: false, code: 'VIEWER_TOKEN_MISSING' };
const INVALID: ReadToken = { ok: false, code: 'VIEWER_TOKEN_INVALID' };
const EXPIRED: ReadToken = { ok: false, code: 'VIEWER_TOKEN_EXPIRED' };
const AUDIENCE_WRONG: ReadToken = { ok: false, code: 'VIEWER_TOKEN_AUDIENCE_WRONG' };

export type TokenQuestion = { readonly audience: string; readonly nowWallMs: number; readonly skewMaxS: number };

export const readViewerToken = (token: string | undefined, question: TokenQuestion): ReadToken => {
  if (token === undefined || token === '') {
    return MISSING;
  }
  const [, head, body] = token.length > TOKEN_MAX_BYTES ? [] : (FORM.exec(token) ?? []);
  const claims = jsonIn(body);
  const header = headerIn(head);
  const subject = claims?.['sub'];
  const expiresAtS = claims?.['exp'];
  if (claims === undefined || header === undefined || !isSubject(subject) || typeof expiresAtS !== 'number') {
    return INVALID;
  }
  const notBeforeS = claims['nbf'] ?? 0;
  const nowS = question.nowWallMs / 1000;
  if (
    nowS > expiresAtS + question.skewMaxS ||
    !(typeof notBeforeS === 'number' && nowS >= notBeforeS - question.skewMaxS)
  ) {
    return EXPIRED;
  }
  const audience = claims['aud'];
  const isMeant = audience === question.audience || (Array.isArray(audience) && audience.includes(question.audience));
  return isMeant ? { ok: true, subject, keyId: header.keyId, text: token } : AUDIENCE_WRONG;
};

/** Whether one of the keys that the token may mean has signed it. */
export const isSignedBy = (
  token: { readonly text: string; readonly keyId: string | undefined },
  keys: readonly ShopKey[],
): boolean =>
  keys.some(
    (key) =>
      (token.keyId === undefined || key.id === undefined || key.id === token.keyId) && hasSigned(key, token.text),
  );

const hasSigned = ({ algorithm, key }: ShopKey, text: string): boolean => {
  const dot = text.lastIndexOf('.');
  const signed = Buffer.from(text.slice(0, dot), 'latin1');
  const signature = Buffer.from(text.slice(dot + 1), 'base64url');
  if (algorithm === 'HS256') {
    const made = createHmac('sha256', key).update(signed).digest();
    return made.byteLength === signature.byteLength && timingSafeEqual(made, signature);
  }
  return algorithm === 'EdDSA'
    ? verify(null, signed, key, signature)
    : verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, signature);
};

const isSubject = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= SUBJECT_MAX_BYTES && !CONTROL.test(value);

type Json = { readonly [name: string]: unknown };

/** All tokens of a shop begin alike: the last head is remembered, and with it what it says. */
let lastHead: string | undefined;
let lastHeader: { readonly keyId: string | undefined } | undefined;

const headerIn = (head: string | undefined): { readonly keyId: string | undefined } | undefined => {
  if (head !== lastHead || head === undefined) {
    const json = jsonIn(head);
    const keyId = json?.['kid'];
    const isKnown =
      json !== undefined && json['crit'] === undefined && (keyId === undefined || typeof keyId === 'string');
    lastHead = head;
    lastHeader = isKnown ? { keyId } : undefined;
  }
  return lastHeader;
};

const jsonIn = (part: string | undefined): Json | undefined => {
  if (part === undefined) {
    return undefined;
  }
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
  } catch {
    return undefined;
  }
};
