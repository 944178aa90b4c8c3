/** The OpenAPI document: routes as they are registered, what they answer, and what lies below the protocol endpoints. */
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import { z } from 'zod';
import { ANSWERS, CHAPTERS, REFUSAL } from './answers.ts';
import { mediaPaths } from './media-paths.ts';

/** For the document only: what is answered is not checked against it while the server runs. */
const schemaOf = (schema: z.ZodType): object => {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: 'output' });
  return rest;
};

const REFUSED = {
  description: 'Refused',
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Refusal' } } },
};

/** By status. A refusal is alike everywhere. */
const responsesOf = (method: string, url: string): Record<string, object> => {
  const known = Object.entries(ANSWERS[`${method} ${url}`] ?? {}).map(([status, schema]) => [
    status,
    schema === null
      ? { description: 'Done', type: 'null' }
      : schema === 'text/plain'
        ? { description: 'As asked', content: { [schema]: { schema: { type: 'string' } } } }
        : { description: 'As asked', content: { 'application/json': { schema: schemaOf(schema) } } },
  ]);
  return { ...Object.fromEntries(known), '4xx': REFUSED };
};

export const openapiOptions = (prefixes: readonly string[]): FastifyDynamicSwaggerOptions => ({
  openapi: HEAD,
  transform: ({ schema, url, route }) => {
    const [method = ''] = [route.method].flat();
    return { url, schema: { ...schema, response: responsesOf(method, url) } };
  },
  transformObject: (document) => {
    const openapiObject = 'openapiObject' in document ? document.openapiObject : {};
    return {
      ...openapiObject,
      paths: { ...openapiObject.paths, ...mediaPaths(prefixes) },
      components: {
        ...openapiObject.components,
        schemas: { ...openapiObject.components?.schemas, Refusal: schemaOf(REFUSAL), Chapters: schemaOf(CHAPTERS) },
      },
    } as typeof openapiObject;
  },
});

const bearer = (description: string): { type: 'http'; scheme: string; description: string } => ({
  type: 'http',
  scheme: 'bearer',
  description,
});

const HEAD = {
  openapi: '3.1.0',
  info: {
    title: 'Sluice',
    description:
      'Low-latency live video: what is live, who may publish, how it is doing; watching and publishing by WHEP, WHIP, LL-HLS and replay.',
    version: '0.1.0',
  },
  components: {
    securitySchemes: {
      admin: bearer('The admin key; where it says so, the publish key of the name as well'),
      publisher: bearer('The publish key of the name'),
      viewer: bearer(
        'A playback token, where tokens are required; also as `?token=`, or as a segment of the path (`/hls/~TOKEN/…`)',
      ),
    },
  },
};
