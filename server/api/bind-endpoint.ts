/** Binds an `HttpEndpoint` (WHEP, LL-HLS: plain functions) to a Fastify route: bytes in, one answer out, whatever the content type. */
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema, RouteOptions } from 'fastify';
import type { HttpAnswer, HttpEndpoint, HttpRequest } from '../base/http-exchange.ts';
import { AssertionFault } from '../base/assert.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../observability/log.ts';

export type BindOptions = {
  readonly endpoint: HttpEndpoint;
  readonly bodyMaxBytes: number;
  readonly log: Log;
};

export type BoundRoute = Pick<RouteOptions, 'method' | 'url'> & { readonly schema: FastifySchema };

/** Every method and everything below `prefix` goes to the endpoint, which refuses what it does not know. */
export const bindEndpoint = async (
  server: FastifyInstance,
  { prefix, ...options }: BindOptions & { readonly prefix: string },
): Promise<void> => {
  const method = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
  await bindRoutes(server, { ...options, routes: [{ method, url: `${prefix}/*`, schema: { hide: true } }] });
};

/** These routes go to the endpoint. */
export const bindRoutes = async (
  server: FastifyInstance,
  { routes, ...options }: BindOptions & { readonly routes: readonly BoundRoute[] },
): Promise<void> => {
  await server.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: options.bodyMaxBytes }, (_request, body, done) => {
      done(null, body);
    });
    for (const route of routes) {
      scope.route({ ...route, handler: async (request, reply) => answer(request, reply, options) });
    }
  });
};

const answer = async (
  request: FastifyRequest,
  reply: FastifyReply,
  { endpoint, log }: BindOptions,
): Promise<FastifyReply> => {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    // Closing comes after each answer; to abort then would build an error with its stack for nobody.
    if (!reply.raw.writableEnded) {
      gone.abort();
    }
  });
  if (reply.raw.destroyed) {
    // It left while its body was read; over HTTP/2 even asking for its address would throw now.
    return reply.hijack();
  }
  try {
    return send(reply, await endpoint(toHttpRequest(request, gone.signal)));
  } catch (error) {
    log.error('http.endpoint.failed', {
      url: loggablePath(request.url),
      error: messageOf(error),
      stack: stackOf(error),
    });
    return send(reply, { status: 500, headers: { 'content-type': 'application/json' }, body: '{"error":"INTERNAL"}' });
  }
};

/** An address without what may be secret in it: the query, and a playback token (`/hls/~TOKEN/NAME/…`). */
export const loggablePath = (url: string): string => (url.split('?')[0] ?? '').replaceAll(/\/~[^/]*/g, '/~');

/** Our own mistakes deserve their stack; what the world did is told by its message. */
const stackOf = (error: unknown): string | undefined =>
  error instanceof AssertionFault || error instanceof TypeError ? error.stack : undefined;

const toHttpRequest = (request: FastifyRequest, signal: AbortSignal): HttpRequest => {
  const [path = '/', search = ''] = request.url.split('?', 2);
  return {
    method: request.method,
    path: decodePath(path),
    query: new URLSearchParams(search),
    headers: flattenHeaders(request.headers),
    body: request.body instanceof Uint8Array ? request.body : new Uint8Array(),
    remoteAddress: request.ip,
    signal,
  };
};

/** A path that does not decode is passed on as it came: no endpoint knows it. */
const decodePath = (path: string): string => {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
};

/** Over HTTP/2 the request line comes as headers too (`:path` and others, RFC 9113, 8.3.1): of those only the host is one elsewhere. */
const flattenHeaders = (headers: FastifyRequest['headers']): Record<string, string | undefined> => {
  const flat: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(headers)) {
    const plainName = name === ':authority' ? 'host' : name;
    if (!plainName.startsWith(':')) {
      flat[plainName] = Array.isArray(value) ? value.join(', ') : value;
    }
  }
  return flat;
};

const send = (reply: FastifyReply, { status, headers, body, stream }: HttpAnswer): FastifyReply => {
  void reply.code(status).headers(headers);
  if (stream !== undefined) {
    return reply.send(Readable.from(stream, { objectMode: false }));
  }
  if (body instanceof Uint8Array) {
    return reply.send(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
  }
  return reply.send(body);
};
