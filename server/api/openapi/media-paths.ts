/** What is below the protocol endpoints, for the OpenAPI document: their routes are one wildcard each, so it is said here. By the prefix that must be there. */
type Operation = Readonly<Record<string, unknown>>;
type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

const NAME = parameter('name', '^[A-Za-z0-9_-]{1,64}$', 'Name of the broadcast');
const SESSION = parameter('session', '^[0-9a-f]{32}$', 'As in `Location`; to know it is the right to it');
const ID = parameter('id', '^[0-9a-f]{32}$', 'Id of the recording');
const BROADCAST = parameter('broadcast', '^[0-9a-f]{1,32}$', 'Of this run of the broadcast, as its playlists say');
const SDP = 'application/sdp';
const FRAGMENT = 'application/trickle-ice-sdpfrag';
const PLAYLIST = 'application/vnd.apple.mpegurl';
const REFUSAL = { $ref: '#/components/schemas/Refusal' };
const VIEWER = [{}, { viewer: [] }];
const PUBLISHER = [{ publisher: [] }];

function parameter(name: string, pattern: string, description: string): object {
  return { name, in: 'path', required: true, description, schema: { type: 'string', pattern } };
}

const query = (name: string, schema: object, description: string): object => ({
  name,
  in: 'query',
  schema,
  description,
});
const body = (type: string, schema: object = { type: 'string' }): object => ({
  required: true,
  content: { [type]: { schema } },
});
const answer = (description: string, type?: string, schema: object = { type: 'string' }): object =>
  type === undefined ? { description } : { description, content: { [type]: { schema } } };
const refusals = (...statuses: readonly number[]): Record<string, object> =>
  Object.fromEntries(
    statuses.map((status) => [status, answer(REASONS[status] ?? 'Refused', 'application/json', REFUSAL)]),
  );

const REASONS: Readonly<Record<number, string>> = {
  400: 'Not understood',
  401: 'A token, or the key, is needed',
  404: 'Not there, or not any more',
  406: 'Nothing offered can be sent',
  409: 'Not now',
  410: 'A part is gone from the disk',
  412: 'Another ETag is in force',
  413: 'Too large',
  415: 'Another content type is expected',
  416: 'The range is outside',
  422: 'Understood, but not possible',
  428: 'If-Match is needed',
  429: 'Too often; `Retry-After` says when again',
  503: 'Too much at this moment, or not yet; `Retry-After` says when again',
};

const BYTES = { type: 'string', format: 'binary' };
const LINKS = {
  Location: text('The session'),
  ETag: text('Of its ICE session'),
  Link: text('Socket, events, layers, ICE servers'),
};

function text(description: string): object {
  return { description, schema: { type: 'string' } };
}

const WHEP: Paths = {
  '/whep/{name}': {
    post: {
      summary: 'Watch over WebRTC (draft-ietf-wish-whep)',
      tags: ['whep'],
      security: VIEWER,
      parameters: [
        NAME,
        query('rendition', { type: 'string' }, '`main` or a rung, whenever it is there; left out: the server chooses'),
        query('smooth', { type: 'number', minimum: 0, maximum: 1 }, 'λ of this viewer: 0 reacts, 1 is smooth'),
        query('viewer', { type: 'string', pattern: '^[0-9a-f]{4}$' }, 'A number that the player keeps'),
        query('capture', { type: 'string', enum: ['off'] }, 'The link of this viewer is not written down'),
      ],
      requestBody: body(SDP),
      responses: {
        201: { ...answer('The answer', SDP), headers: LINKS },
        406: { ...answer('An offer of the server, to be answered by PATCH to `Location`', SDP), headers: LINKS },
        ...refusals(400, 401, 404, 413, 415, 429, 503),
      },
    },
    get: { summary: 'Nothing', tags: ['whep'], parameters: [NAME], responses: { 204: answer('Nothing') } },
    head: {
      summary: 'What is posted here',
      tags: ['whep'],
      parameters: [NAME],
      responses: { 200: answer('Its type') },
    },
    options: { summary: 'For browsers', tags: ['whep'], parameters: [NAME], responses: { 200: answer('Accept-Post') } },
  },
  '/whep/{name}/{session}': {
    patch: {
      summary: 'Candidates, an ICE restart (If-Match), or the answer to an offer of the server',
      tags: ['whep'],
      parameters: [NAME, SESSION, { name: 'If-Match', in: 'header', schema: { type: 'string' } }],
      requestBody: {
        required: true,
        content: { [FRAGMENT]: { schema: { type: 'string' } }, [SDP]: { schema: { type: 'string' } } },
      },
      responses: {
        200: answer('Restarted', FRAGMENT),
        204: answer('Taken'),
        ...refusals(400, 404, 406, 412, 415, 422, 428, 429),
      },
    },
    delete: {
      summary: 'Leave',
      tags: ['whep'],
      parameters: [NAME, SESSION],
      responses: { 200: answer('Left'), ...refusals(404, 429) },
    },
    get: {
      summary: 'Nothing',
      tags: ['whep'],
      parameters: [NAME, SESSION],
      responses: { 204: answer('It is there'), ...refusals(404) },
    },
    options: {
      summary: 'For browsers',
      tags: ['whep'],
      parameters: [NAME, SESSION],
      responses: { 200: answer('Accept-Patch') },
    },
  },
  '/whep/{name}/{session}/sse': {
    post: {
      summary: 'Open a stream of events; without a list, of all',
      tags: ['whep'],
      parameters: [NAME, SESSION],
      requestBody: {
        content: {
          'application/json': {
            schema: {
              type: 'array',
              items: { type: 'string', enum: ['active', 'inactive', 'layers', 'reconnect', 'viewercount'] },
            },
          },
        },
      },
      responses: {
        201: { ...answer('Made'), headers: { Location: text('The stream') } },
        ...refusals(400, 404, 413, 415, 429),
      },
    },
  },
  '/whep/{name}/{session}/sse/{stream}': {
    get: {
      summary: 'The events (server-sent events)',
      tags: ['whep'],
      parameters: [NAME, SESSION, parameter('stream', '^[0-9a-f]{32}$', 'As in `Location`')],
      responses: { 200: answer('Events', 'text/event-stream'), ...refusals(404) },
    },
    delete: {
      summary: 'End the stream',
      tags: ['whep'],
      parameters: [NAME, SESSION, parameter('stream', '^[0-9a-f]{32}$', 'As in `Location`')],
      responses: { 200: answer('Ended'), ...refusals(404, 429) },
    },
  },
  '/whep/{name}/{session}/layer': {
    post: {
      summary: 'Choose a rendition; `{}`: the server chooses again',
      tags: ['whep'],
      parameters: [NAME, SESSION],
      requestBody: body('application/json', {
        type: 'object',
        properties: {
          mediaId: { type: 'string' },
          rid: { type: 'string' },
          encodingId: { type: 'string', description: 'As `rid`' },
          maxWidth: { type: 'number' },
          maxHeight: { type: 'number' },
        },
      }),
      responses: { 200: answer('At the next keyframe'), ...refusals(400, 404, 413, 415, 422, 429) },
    },
  },
};

const WHIP: Paths = {
  '/whip/{name}': {
    post: {
      summary: 'Publish over WebRTC (RFC 9725); the bearer is the publish key of the name',
      tags: ['whip'],
      security: PUBLISHER,
      parameters: [NAME],
      requestBody: body(SDP),
      responses: {
        201: { ...answer('The answer', SDP), headers: LINKS },
        ...refusals(400, 401, 406, 409, 413, 415, 429, 503),
      },
    },
    get: { summary: 'Nothing', tags: ['whip'], parameters: [NAME], responses: { 204: answer('Nothing') } },
    options: { summary: 'For browsers', tags: ['whip'], parameters: [NAME], responses: { 200: answer('Accept-Post') } },
  },
  '/whip/{name}/{session}': {
    patch: {
      summary: 'Candidates, or an ICE restart',
      tags: ['whip'],
      security: PUBLISHER,
      parameters: [NAME, SESSION, { name: 'If-Match', in: 'header', schema: { type: 'string' } }],
      requestBody: body(FRAGMENT),
      responses: {
        200: answer('Restarted', FRAGMENT),
        204: answer('Taken'),
        ...refusals(400, 401, 404, 412, 415, 422, 428, 429),
      },
    },
    delete: {
      summary: 'Stop publishing',
      tags: ['whip'],
      security: PUBLISHER,
      parameters: [NAME, SESSION],
      responses: { 200: answer('Stopped'), ...refusals(401, 404, 429) },
    },
    get: {
      summary: 'Nothing',
      tags: ['whip'],
      security: PUBLISHER,
      parameters: [NAME, SESSION],
      responses: { 204: answer('It is there'), ...refusals(401, 404, 429) },
    },
    options: {
      summary: 'For browsers',
      tags: ['whip'],
      parameters: [NAME, SESSION],
      responses: { 200: answer('Accept-Patch') },
    },
  },
};

const HLS: Paths = {
  '/hls/{name}/index.m3u8': {
    get: {
      summary: 'Watch over LL-HLS: the multivariant playlist',
      tags: ['hls'],
      security: VIEWER,
      parameters: [NAME, query('dvr', { type: 'string', enum: ['1'] }, 'From the beginning of the broadcast on')],
      responses: { 200: answer('The playlist', PLAYLIST), ...refusals(401, 404, 429, 503) },
    },
  },
  '/hls/{name}/{broadcast}/{file}': {
    get: {
      summary: 'A media playlist (blocking reload, delta updates), an init segment, a segment or a part',
      tags: ['hls'],
      security: VIEWER,
      parameters: [
        NAME,
        BROADCAST,
        parameter('file', '^[A-Za-z0-9_.-]+$', 'As playlists name it'),
        query('_HLS_msn', { type: 'integer', minimum: 0 }, 'Wait for this segment'),
        query('_HLS_part', { type: 'integer', minimum: 0 }, 'And this part of it'),
        query('_HLS_skip', { type: 'string', enum: ['YES', 'v2'] }, 'Only what is new'),
        query('dvr', { type: 'string', enum: ['1'] }, 'From the beginning of the broadcast on'),
      ],
      responses: {
        200: {
          description: 'As named',
          content: {
            [PLAYLIST]: { schema: { type: 'string' } },
            'video/mp4': { schema: BYTES },
            'audio/mp4': { schema: BYTES },
          },
        },
        ...refusals(400, 401, 404, 429, 503),
      },
    },
  },
};

const RANGES = {
  200: answer('All of it', 'video/mp4', BYTES),
  206: answer('The range that was asked for', 'video/mp4', BYTES),
  304: answer('As it was'),
};

const REPLAY: Paths = {
  '/replay/{id}.mp4': {
    get: {
      summary: 'Download a recording, or a range of it',
      tags: ['replay'],
      security: VIEWER,
      parameters: [
        ID,
        query('from', { type: 'string' }, 'Seconds, or `1h2m3s`, on the replay’s timeline'),
        query('to', { type: 'string' }, 'Likewise'),
      ],
      responses: { ...RANGES, ...refusals(400, 401, 404, 410, 416, 429, 503) },
    },
  },
  '/replay/{id}/{file}': {
    get: {
      summary:
        'Playlists (`index.m3u8`, `track-N.m3u8`), media, poster (`poster.jpg`), storyboard (`storyboard.vtt`), chapters (`chapters.json`, `chapters.vtt`)',
      tags: ['replay'],
      security: VIEWER,
      parameters: [ID, parameter('file', '^[A-Za-z0-9_.-]{1,64}$', 'As playlists name it, or one of those')],
      responses: {
        ...RANGES,
        200: {
          description: 'As named',
          content: {
            [PLAYLIST]: { schema: { type: 'string' } },
            'video/mp4': { schema: BYTES },
            'audio/mp4': { schema: BYTES },
            'image/jpeg': { schema: BYTES },
            'text/vtt': { schema: { type: 'string' } },
            'application/json': { schema: { $ref: '#/components/schemas/Chapters' } },
          },
        },
        ...refusals(401, 404, 410, 416, 429, 503),
      },
    },
  },
};

const BY_PREFIX: Readonly<Record<string, Paths>> = { '/whep': WHEP, '/whip': WHIP, '/hls': HLS, '/replay': REPLAY };

/** Of the endpoints that are there; one that nobody described has none. */
export const mediaPaths = (prefixes: readonly string[]): Paths =>
  Object.assign({}, ...prefixes.map((prefix) => BY_PREFIX[prefix] ?? {})) as Paths;
