/** The admin key as a bearer token: reading it from a request, and refusing without it. */
import type { FastifyReply, FastifyRequest } from 'fastify';

/** The token of `Authorization: Bearer …`, if there is one. */
export const bearerOf = (request: FastifyRequest): string | undefined => {
  const match = /^Bearer ([\x21-\x7e]{1,256})$/i.exec(request.headers.authorization ?? '');
  return match?.[1];
};

export const notAllowed = (reply: FastifyReply, detail: string, code = 'ADMIN_KEY_NEEDED'): FastifyReply =>
  reply.code(401).header('www-authenticate', 'Bearer').send({ error: code, detail });
