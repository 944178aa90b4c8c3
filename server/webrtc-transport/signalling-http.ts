/**
 * What WHIP (RFC 9725) and WHEP say alike over HTTP: types, headers for pages of any origin, credentials, offers, sessions, refusals. Codes begin with
 * the protocol's own word.
 */
import { ProtocolError } from '../base/errors.ts';
import type { HttpAnswer, HttpEndpoint, HttpRequest } from '../base/http-exchange.ts';
import { refuse } from '../base/http-exchange.ts';
import { SDP_MAX_BYTES } from './sdp-offer.ts';

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

export const linkHeader = (links: readonly string[]): Record<string, string> =>
  links.length === 0 ? {} : { link: links.join(', ') };

export type Signalling = 'WHIP' | 'WHEP';

/** Why what was posted is not read as an offer; undefined: it may be. */
export const refusalOfPost = (protocol: Signalling, request: HttpRequest): HttpAnswer | undefined => {
  if (contentTypeOf(request) !== SDP_TYPE) {
    return wrongType(protocol, request, SDP_TYPE);
  }
  return request.body.byteLength > SDP_MAX_BYTES
    ? refuse(413, 'SDP_TOO_LARGE', `at most ${SDP_MAX_BYTES} bytes`)
    : undefined;
};

/** `path`: of the session's URL. */
export const sessionCreated = (
  path: string,
  { headers, answerSdp }: { headers: Readonly<Record<string, string>>; answerSdp: string },
): HttpAnswer => ({
  status: 201,
  headers: { 'content-type': SDP_TYPE, location: path, ...headers },
  body: answerSdp,
});

/** `etag`: of the ICE session in force. */
export const sessionHeaders = (etag: string, links: readonly string[]): Record<string, string> => ({
  ...{ etag, 'accept-patch': FRAGMENT_TYPE },
  ...linkHeader(links),
});

/** All that a session's URL is for, but OPTIONS. `close`: whoever has the URL ends it. */
export const answerOnSession = (
  protocol: Signalling,
  request: HttpRequest,
  session: { close: () => void; patch: () => HttpAnswer },
): HttpAnswer => {
  switch (request.method) {
    case 'DELETE':
      session.close();
      return { status: 200, headers: {} };
    case 'PATCH':
      return session.patch();
    case 'GET':
    case 'HEAD':
      return { status: 204, headers: {} };
    default:
      return notAllowed(protocol, 'OPTIONS, GET, HEAD, PATCH, DELETE');
  }
};

/** The peer's mistakes become 4xx; anything else is ours and goes on up. */
export const refusalOf = (protocol: Signalling, error: unknown): HttpAnswer => {
  if (!(error instanceof ProtocolError)) {
    throw error;
  }
  const status = error.code === 'SDP_TOO_LARGE' ? 413 : error.code === `${protocol}_NO_COMMON_CODEC` ? 406 : 400;
  return refuse(status, error.code, error.detail);
};

export const notAllowed = (protocol: Signalling, allow: string): HttpAnswer =>
  refuse(405, `${protocol}_METHOD_NOT_ALLOWED`, `expected one of ${allow}`, { allow });

export const tooManyRequests = (protocol: Signalling): HttpAnswer =>
  refuse(429, `${protocol}_TOO_MANY_REQUESTS`, 'too many requests from this address', { 'retry-after': RETRY_AFTER_S });

export const unknownSession = (protocol: Signalling): HttpAnswer =>
  refuse(404, `${protocol}_SESSION_UNKNOWN`, 'this session has ended or never was');

export const wrongType = (protocol: Signalling, request: HttpRequest, expected: string): HttpAnswer =>
  refuse(415, `${protocol}_TYPE_UNSUPPORTED`, `expected Content-Type: ${expected}`, {
    ...(request.method === 'PATCH' ? { 'accept-patch': expected } : {}),
  });
