/** The OpenAPI document against the code: every route is in it, everything in it is a route, and what is answered is as it says. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { z } from 'zod';
import { KeyStore } from '../../../server/access/key-store.ts';
import type { SessionDetail } from '../../../server/api/contract/sessions.ts';
import { ANSWERS, CHAPTERS } from '../../../server/api/openapi/answers.ts';
import type { HttpEndpoint } from '../../../server/base/http-exchange.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { Metrics } from '../../../server/observability/metrics.ts';
import { ManualClock, systemClock } from '../../../server/base/clock.ts';
import { joinDrops } from '../../../server/drop-cues.ts';
import { DROPS_DEFAULTS } from '../../../server/drops/options.ts';
import { openDropsDoor } from '../../../server/drops-door.ts';
import { ReplayServer } from '../../../server/replay/http-handler.ts';
import { ViewingLeases } from '../../../server/replay/viewing-leases.ts';
import type { ApiFixture } from '../../support/api-server.ts';
import { TEST_HTTP_OPTIONS, withApiServer } from '../../support/api-server.ts';
import { closeCueStage, openCueStage } from '../../support/cue-stage.ts';
import { HlsRig } from '../../support/hls-rig.ts';
import { MemoryRecordings, recordingSummary, replaysViewOf } from '../../support/memory-recordings.ts';
import { SAMPLE_ID, makeSampleRecording } from '../../support/sample-recording.ts';
import { syntheticAudio, syntheticVideo } from '../../support/synthetic-media.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { offerSdp } from '../../support/whep-client.ts';
import { openWebRtcSetup } from '../../support/webrtc-setup.ts';
import { whipOfferSdp } from '../../support/whip-client.ts';
import { WHIP_KEY, openWhipSetup } from '../../support/whip-setup.ts';

type Operation = {
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, unknown>> }>>;
};
type Document = { readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>> };
type Parameter = { readonly name: string; readonly in: string; readonly schema: { readonly pattern?: string } };

/** Nothing that is asked here has to wait. */
const ASK_MAX_MS = 20_000;
const MEDIA = /^\/(?:whep|whip|hls|replay)\//;
const documentOf = async (url: string): Promise<Document> =>
  (await (await fetch(`${url}/api/openapi.json`)).json()) as Document;

/** `GET /api/keys/:name` of everything that is documented. */
const operationsOf = ({ paths }: Document): string[] =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`),
  );

/** Pages and what they load are no API. */
const isDocumented = ({ method, url }: { method: string; url: string }): boolean =>
  /^\/(?:api\/|healthz|readyz|metrics)/.test(url) &&
  url !== '/api/openapi.json' &&
  !['HEAD', 'OPTIONS'].includes(method);

test('every route of the API is in the document, and says what it answers; nothing is in it that is no route', async () => {
  await withApiServer(async ({ url, server }) => {
    const registered = server.routes.filter(isDocumented).map((route) => `${route.method} ${route.url}`);
    const documented = operationsOf(await documentOf(url)).filter(
      (operation) => !MEDIA.test(operation.split(' ')[1] ?? ''),
    );
    assert.ok(registered.length > 25);
    assert.deepEqual(documented.toSorted(), [...new Set(registered)].toSorted());
    const silent = registered.filter((operation) => ANSWERS[operation] === undefined);
    assert.deepEqual(silent, [], 'server/api/openapi/answers.ts says what each route answers');
  });
});

const BEARER = { authorization: 'Bearer admin-key' };

/** What is asked of the fixture, by the route that is to answer. */
const ASKED: readonly (readonly [operation: string, path: string, body?: unknown])[] = [
  ['GET /healthz', '/healthz'],
  ['GET /readyz', '/readyz'],
  ['GET /api/broadcasts', '/api/broadcasts'],
  ['GET /api/broadcasts/:name', '/api/broadcasts/demo'],
  ['DELETE /api/broadcasts/:name', '/api/broadcasts/demo'],
  ['GET /api/broadcasts/:name/health', '/api/broadcasts/demo/health'],
  ['GET /api/broadcasts/:name/smoothness', '/api/broadcasts/demo/smoothness'],
  ['PUT /api/broadcasts/:name/smoothness', '/api/broadcasts/demo/smoothness', { smoothnessRatio: 0.25 }],
  ['GET /api/broadcasts/:name/cues', '/api/broadcasts/demo/cues'],
  ['GET /api/hints/:name', '/api/hints/demo'],
  ['GET /api/keys', '/api/keys'],
  ['POST /api/keys/:name', '/api/keys/demo', {}],
  ['DELETE /api/keys/:name', '/api/keys/demo'],
  ['GET /api/learning', '/api/learning'],
  ['PUT /api/learning', '/api/learning', { mode: 'off' }],
  ['GET /api/replays', '/api/replays'],
  ['GET /api/sessions', '/api/sessions'],
  ['GET /api/studio/:name', '/api/studio/demo'],
  ['POST /api/tokens', '/api/tokens', { audience: 'live/demo' }],
  ['GET /api/tokens/keys', '/api/tokens/keys'],
  ['POST /api/tokens/keys', '/api/tokens/keys', {}],
  ['DELETE /api/tokens/keys/:id', '/api/tokens/keys/k1'],
];

/** Asks, and holds the answer against what the document says of the operation and its status. */
const askAsDocumented = async (
  url: string,
  [operation, path, body]: (typeof ASKED)[number],
  headers: Record<string, string> = BEARER,
): Promise<number> => {
  const [method = ''] = operation.split(' ');
  const sent =
    body === undefined
      ? { headers }
      : { headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(`${url}${path}`, { method, ...sent });
  const schema = ANSWERS[operation]?.[response.status];
  const text = await response.text();
  assert.ok(schema !== undefined, `${operation} answered ${response.status}: ${text}`);
  if (schema === null) {
    assert.equal(text, '');
  } else {
    const checked = (schema as z.ZodType).safeParse(JSON.parse(text));
    assert.ok(checked.success, `${operation}: ${checked.error?.message}`);
  }
  return response.status;
};

test('what the API answers is as the document says, to the last member', async () => {
  await withApiServer(async ({ url }) => {
    for (const asked of ASKED) {
      await askAsDocumented(url, asked);
    }
  });
});

const SESSION: SessionDetail = {
  ...{ number: 7, broadcast: 'demo', transport: 'whep', startedAtWallMs: 1, durationMs: 5, endedAtWallMs: null },
  ...{ endReason: null, path: 'udp', renditionId: 'h480', estimateBps: 2e6, networkClass: 'lte', playoutDelayMs: 80 },
  ...{ targetLatencyMs: null, rttMs: 40, latencyMs: null, stallCount: 1, stallMs: 20, smoothnessRatio: 0.5 },
  timeline: {
    ...{
      atMs: [1_000],
      estimateBps: [2e6],
      sentBps: [1e6],
      playoutDelayMs: [80],
      needMs: [50],
      targetLatencyMs: [null],
    },
    ...{ queueDelayMs: [null], rttMs: [40], latencyMs: [null], frozenMs: [0], renditionId: ['h480'] },
  },
};

const CUES = '/api/broadcasts/demo/cues';
const DROP = '/api/broadcasts/demo/drops/lamp';
const REPLAY = `/api/replays/${SAMPLE_ID}`;
const LAMP = { id: 'lamp', kind: 'product', title: 'Lamp', price: '¥9', link: 'https://shop.example/l', stock: 2 };

/** What needs a live broadcast, a drop, a recording or a viewer behind it, with the status that it gets there. */
const ASKED_OF_ALL: readonly (readonly [status: number, operation: string, path: string, body?: unknown])[] = [
  [201, 'POST /api/broadcasts/:name/cues', CUES, { ...LAMP, payload: { colours: ['red'] } }],
  [200, 'POST /api/broadcasts/:name/cues', CUES, { ...LAMP, payload: { colours: ['red'] } }],
  [200, 'POST /api/broadcasts/:name/cues/:id/fire', `${CUES}/lamp/fire`, { at: { countdownMs: 60_000 } }],
  [200, 'GET /api/broadcasts/:name/drops/:id', DROP],
  [200, 'POST /api/broadcasts/:name/cues/:id/fire', `${CUES}/lamp/fire`, { at: { mediaMs: 100 } }],
  [200, 'GET /api/broadcasts/:name/cues', CUES],
  [200, 'PUT /api/broadcasts/:name/cues/:id', `${CUES}/lamp`, { ...LAMP, price: '¥8' }],
  [200, 'GET /api/broadcasts/:name/drops/:id', DROP],
  [201, 'POST /api/broadcasts/:name/drops/:id/claims', `${DROP}/claims?player=ann`],
  [200, 'POST /api/broadcasts/:name/drops/:id/claims', `${DROP}/claims?player=ann`],
  [200, 'GET /api/broadcasts/:name/drops/:id/claims', `${DROP}/claims`],
  [200, 'GET /api/drops/keys', '/api/drops/keys'],
  [204, 'DELETE /api/broadcasts/:name/cues/:id', `${CUES}/lamp`],
  [200, 'GET /api/replays', '/api/replays'],
  [200, 'GET /api/replays/:id', REPLAY],
  [200, 'PATCH /api/replays/:id', REPLAY, { title: 'Autumn' }],
  [204, 'DELETE /api/replays/:id', REPLAY],
  [200, 'GET /api/sessions', '/api/sessions'],
  [200, 'GET /api/sessions/:number', '/api/sessions/7'],
];

test('what cues, drops, recordings and viewers answer is as the document says; every operation is asked somewhere', async () => {
  const stage = await openCueStage({ clock: systemClock });
  const { drops, endpoint } = await openDropsDoor(
    { dataDir: stage.folder, drops: { ...DROPS_DEFAULTS, folder: 'drops', shopKeysFile: 'shop-keys.json' } },
    {
      keys: KeyStore.open(join(stage.folder, 'keys.json'), 'main').store,
      ...{ clock: systemClock, log: silentLog, metrics: new Metrics({ collectDefaults: false }) },
    },
  );
  const recordings = new MemoryRecordings([recordingSummary(1, { id: SAMPLE_ID })]);
  try {
    const { feed } = stage.publish();
    syntheticVideo({ frameRateFps: 30, durationS: 1, gopFrames: 30 }).forEach((unit) => feed.push(unit));
    await withApiServer(
      async ({ url, viewers }) => {
        viewers.push(SESSION);
        for (const [status, ...asked] of ASKED_OF_ALL) {
          const isList = asked[0] === 'GET /api/broadcasts/:name/drops/:id/claims';
          // Who claims needs no key for `demo`: a bearer would be a viewer's token.
          const isClaim = asked[0] === 'POST /api/broadcasts/:name/drops/:id/claims';
          const key = isList ? KeyStore.open(join(stage.folder, 'keys.json'), 'main').store.adminKey : 'admin-key';
          const headers: Record<string, string> = isClaim ? {} : { authorization: `Bearer ${key}` };
          assert.equal(await askAsDocumented(url, asked, headers), status, asked.join(' '));
        }
      },
      () => ({
        ...{ cues: joinDrops(stage.desk, drops), drops: endpoint, replays: replaysViewOf(recordings) },
        settings: { ...TEST_HTTP_OPTIONS, bodyMaxBytes: 65_536 },
      }),
    );
  } finally {
    await drops.stop();
    await closeCueStage(stage);
  }
  const asked = new Set([...ASKED.map(([operation]) => operation), ...ASKED_OF_ALL.map(([, operation]) => operation)]);
  const withBody = Object.keys(ANSWERS).filter((operation) => operation !== 'GET /metrics');
  assert.deepEqual(
    withBody.filter((operation) => !asked.has(operation)),
    [],
  );
});

/** Real endpoints below their prefixes: a viewer's session, a live broadcast of ten seconds, a recording of nine. */
const withMedia = async (
  run: (parts: { url: string; rig: HlsRig; fixture: ApiFixture }) => Promise<void>,
): Promise<void> => {
  const folder = tempFolder('openapi');
  const webRtc = await openWebRtcSetup();
  const whip = await openWhipSetup();
  const rig = new HlsRig();
  rig.goLive(10);
  const recording = makeSampleRecording(folder, [
    {
      startMs: 0,
      video: syntheticVideo({ frameRateFps: 30, durationS: 9, gopFrames: 60 }),
      audio: syntheticAudio({ durationS: 9 }),
    },
  ]);
  const replay = new ReplayServer({
    recordings: new MemoryRecordings([recordingSummary(1, { id: SAMPLE_ID })], new Map([[SAMPLE_ID, recording]])),
    leases: new ViewingLeases(),
    storyboards: { answer: async () => undefined },
    downloads: { take: () => () => undefined },
    clock: new ManualClock(),
    log: silentLog,
    metrics: new Metrics({ collectDefaults: false }),
  });
  const endpoints: Record<string, HttpEndpoint> = {
    '/whep': webRtc.endpoint,
    '/whip': whip.endpoint,
    '/hls': rig.server.endpoint,
    '/replay': replay.endpoint,
  };
  try {
    await withApiServer(
      async (fixture) => run({ url: fixture.url, rig, fixture }),
      () => ({ endpoints, settings: { ...TEST_HTTP_OPTIONS, bodyMaxBytes: 65_536 } }),
    );
  } finally {
    webRtc.close();
    whip.close();
    rig.server.close();
    rmSync(folder, { recursive: true });
  }
};

/** The documented path that stands for this one. */
const templateOf = ({ paths }: Document, path: string): string | undefined =>
  Object.keys(paths).find((template) => {
    const operations = Object.values(paths[template] ?? {}) as { parameters?: readonly Parameter[] }[];
    const patterns = new Map(
      (operations[0]?.parameters ?? []).map(({ name, schema }) => [name, schema.pattern?.slice(1, -1) ?? '[^/]+']),
    );
    const form = template
      .split(/\{(\w+)\}/)
      .map((text, index) => (index % 2 === 0 ? text.replaceAll('.', String.raw`\.`) : `(?:${patterns.get(text)})`))
      .join('');
    return new RegExp(`^${form}$`).test(path);
  });

test('below /whep, /whip, /hls and /replay everything that is asked for is documented, with its status and type, and everything documented is there', async () => {
  await withMedia(async ({ url, rig, fixture }) => {
    const document = await documentOf(url);
    const seen = new Set<string>();
    const ask = async (
      method: string,
      path: string,
      { body, type, isHost = true }: { body?: string; type?: string; isHost?: boolean } = {},
    ): Promise<Response> => {
      const response = await fetch(`${url}${path}`, {
        method,
        signal: AbortSignal.timeout(ASK_MAX_MS),
        ...(body === undefined ? {} : { body }),
        headers: {
          ...(type === undefined ? {} : { 'content-type': type }),
          ...(path.startsWith('/whip/') && isHost ? { authorization: `Bearer ${WHIP_KEY}` } : {}),
        },
      });
      const template = templateOf(document, path.split('?')[0] ?? '');
      assert.ok(template !== undefined, `${path} is not documented`);
      const operation = document.paths[template]?.[method.toLowerCase()];
      assert.ok(operation !== undefined, `${method} ${template} is not documented`);
      const answer = operation.responses[String(response.status)];
      assert.ok(answer !== undefined, `${method} ${path} answered ${response.status}`);
      const contentType = response.headers.get('content-type')?.split(';')[0];
      if (answer.content !== undefined && method !== 'HEAD') {
        assert.ok(Object.keys(answer.content).includes(contentType ?? ''), `${method} ${path}: ${contentType}`);
      }
      seen.add(`${method} ${template}`);
      return response;
    };
    const SDP = 'application/sdp';
    const endpoint = '/whep/demo';
    const joined = await ask('POST', endpoint, { body: offerSdp(), type: SDP });
    assert.equal(joined.status, 201);
    const session = joined.headers.get('location') ?? '';
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      await ask(method, endpoint);
    }
    await ask('GET', session);
    await ask('OPTIONS', session);
    await ask('PATCH', session, { body: 'x', type: 'application/trickle-ice-sdpfrag' });
    const stream = (await ask('POST', `${session}/sse`, { body: '["viewercount"]', type: 'application/json' })).headers;
    const events = await ask('GET', stream.get('location') ?? '');
    await events.body?.cancel();
    await ask('DELETE', stream.get('location') ?? '');
    await ask('POST', `${session}/layer`, { body: '{}', type: 'application/json' });
    await ask('DELETE', session);
    await ask('POST', endpoint, { body: offerSdp().replaceAll('H264', 'VP9').replaceAll('opus', 'g722'), type: SDP });
    await ask('POST', '/whep/nobody', { body: offerSdp(), type: SDP });

    const published = await ask('POST', '/whip/demo', { body: whipOfferSdp(), type: SDP });
    assert.equal(published.status, 201);
    const host = published.headers.get('location') ?? '';
    await ask('POST', '/whip/demo', { body: whipOfferSdp(), type: SDP, isHost: false });
    for (const path of ['/whip/demo', host]) {
      await ask('GET', path);
      await ask('OPTIONS', path);
    }
    await ask('PATCH', host, { body: 'x', type: 'application/trickle-ice-sdpfrag' });
    await ask('DELETE', host);
    await ask('DELETE', host);

    const urisOf = (playlist: string): string[] => [
      ...playlist.split('\n').filter((line) => line !== '' && !line.startsWith('#')),
      ...[...playlist.matchAll(/URI="([^"]+)"/g)].map(([, uri = '']) => uri),
    ];
    const known = new Set<string>();
    const crawl = async (path: string): Promise<void> => {
      if (known.has(path)) {
        return;
      }
      known.add(path);
      const text = await (await ask('GET', path)).text();
      for (const uri of new Set(urisOf(text))) {
        const next = new URL(uri, `http://host${path}`).pathname;
        // What is hinted at does not come: nobody goes on publishing.
        if (next.endsWith('.m3u8')) {
          await crawl(next);
        } else if (!text.includes(`PRELOAD-HINT:TYPE=PART,URI="${uri}"`)) {
          await (await ask('GET', next)).arrayBuffer();
        }
      }
    };
    await crawl('/hls/demo/index.m3u8');
    await ask('GET', '/hls/nobody/index.m3u8');
    await ask('GET', `${rig.folder}/nothing.m4s`);
    const replay = `/replay/${SAMPLE_ID}`;
    await crawl(`${replay}/index.m3u8`);
    const chapters: unknown = await (await ask('GET', `${replay}/chapters.json`)).json();
    assert.ok(CHAPTERS.safeParse(chapters).success);
    await ask('GET', `${replay}/chapters.vtt`);
    await ask('GET', `${replay}.mp4?from=1&to=3`);
    await ask('GET', `/replay/${'0'.repeat(32)}.mp4`);

    const promised = Object.entries(document.paths)
      .filter(([path]) => MEDIA.test(path))
      .flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
    assert.deepEqual([...seen].toSorted(), promised.toSorted());
    const wildcards = fixture.server.routes
      .filter(({ url: registered }) => registered.endsWith('/*'))
      .map(({ url: registered }) => registered);
    for (const wildcard of new Set(wildcards.filter((registered) => MEDIA.test(registered)))) {
      assert.ok(
        promised.some((operation) => operation.includes(wildcard.slice(0, -1))),
        `nothing of ${wildcard} is documented`,
      );
    }
  });
});
