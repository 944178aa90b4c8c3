/** What WHIP (RFC 9725) and WHEP say alike over HTTP: types, headers for pages of any origin, credentials, refusals. Codes begin with the protocol's own word. */
import type { HttpAnswer, HttpEndpoint, HttpRequest } from '../base/http-exchange.ts';
import { refuse } from '../base/http-exchange.ts';

export const SDP_TYPE = 'application/sdp';
export const FRAGMENT_TYPE = 'application/trickle-ice-sdpfrag';
export const RETRY_AFTER_S = '2';

/** Pages of any origin may play, and publish with the key; what they must read of an answer is exposed. */
const CORS: Readonly<Record<string, string>> = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'OPTIONS, GET, HEAD, POST, PATCH, DELETE',
  'access-control-allow-headers': 'Authorization, Content-Type, If-Match',
  'access-control-expose-headers': 'Location, Link, ETag, Retry-After, Accept-Post, Accept-Patch',
  'access-control-max-age': '86400',
};

/** `answer` with what every answer of such an endpoint carries. */
export const signallingEndpoint =
  (answer: (request: HttpRequest) => Promise<HttpAnswer>): HttpEndpoint =>
  async (request) => {
    const given = await answer(request);
    return { ...given, headers: { 'cache-control': 'no-store', ...given.headers, ...CORS } };
  };

/** In lower case, without parameters; empty when there is none. */
export const contentTypeOf = (request: HttpRequest): string =>
  (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';

export const textOf = (request: HttpRequest): string => Buffer.from(request.body).toString('utf8');

export const bearerOf = (request: HttpRequest): string | undefined =>
  /^Bearer +([A-Za-z0-9._~+/=-]{1,4096})$/iu.exec(request.headers['authorization']?.trim() ?? '')?.[1];

export const linkHeader = (links: readonly string[]): Record<string, string> =>
  links.length === 0 ? {} : { link: links.join(', ') };

export type Signalling = 'WHIP' | 'WHEP';

export const notAllowed = (protocol: Signalling, allow: string): HttpAnswer =>
  refuse(405, `${protocol}_METHOD_NOT_ALLOWED`, `expected one of ${allow}`, { allow });

export const tooManyRequests = (protocol: Signalling): HttpAnswer =>
  refuse(429, `${protocol}_TOO_MANY_REQUESTS`, 'too many requests from this address', { 'retry-after': RETRY_AFTER_S });

export const unknownSession = (protocol: Signalling): HttpAnswer =>
  refuse(404, `${protocol}_SESSION_UNKNOWN`, 'this session has ended or never was');

export const wrongType = (protocol: Signalling, expected: string): HttpAnswer =>
  refuse(415, `${protocol}_TYPE_UNSUPPORTED`, `expected Content-Type: ${expected}`, {
    ...(expected === FRAGMENT_TYPE ? { 'accept-patch': FRAGMENT_TYPE } : {}),
  });
