// The HTTP door over real sockets: refusals, guards, endpoints, WebSockets.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';
import { brotliCompressSync } from 'node:zlib';
import { WebSocket } from 'ws';
import type { ServerMessage } from '../../../server/api/contract/socket.ts';
import { DEFAULT_SOCKET_OPTIONS } from '../../../server/api/routes/socket.ts';
import { passMs, within } from '../../support/wait.ts';
import { ADMIN, LEARNED, SUMMARY, TEST_HTTP_OPTIONS, withApiServer } from '../../support/api-server.ts';

test('health and readiness', async () => {
  await withApiServer(async (fixture) => {
    assert.equal((await fetch(`${fixture.url}/healthz`)).status, 200);
    assert.equal((await fetch(`${fixture.url}/readyz`)).status, 200);
    fixture.isReady = false;
    const draining = await fetch(`${fixture.url}/readyz`);
    assert.equal(draining.status, 503);
    assert.deepEqual(await draining.json(), { status: 'not ready', problems: ['draining'] });
  });
});

test('metrics, keys and ending a broadcast need the admin key', async () => {
  await withApiServer(async ({ url, ended }) => {
    assert.equal((await fetch(`${url}/metrics`)).status, 401);
    assert.equal((await fetch(`${url}/metrics`, ADMIN)).status, 200);
    assert.equal((await fetch(`${url}/api/keys`)).status, 401);
    assert.equal((await fetch(`${url}/api/keys/other`, { method: 'POST' })).status, 401);
    const made = await fetch(`${url}/api/keys/other`, { method: 'POST', ...ADMIN });
    assert.deepEqual(await made.json(), { name: 'other', streamKey: 'other?key=fresh' });
    assert.equal((await fetch(`${url}/api/broadcasts/demo`, { method: 'DELETE' })).status, 401);
    assert.deepEqual(ended, []);
    assert.equal((await fetch(`${url}/api/broadcasts/demo`, { method: 'DELETE', ...ADMIN })).status, 204);
    assert.deepEqual(ended, ['demo']);
  });
});

test('the studio opens to the admin key and to the key of the name, and to no other', async () => {
  await withApiServer(async ({ url }) => {
    const ask = async (path: string, key?: string): Promise<{ status: number; body: Record<string, unknown> }> => {
      const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
      const answer = await fetch(`${url}${path}`, { headers });
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
    };
    for (const path of ['/api/studio/demo', '/api/broadcasts/demo/health']) {
      const refused = await ask(path, 'wrong');
      assert.deepEqual([refused.status, refused.body['error']], [401, 'KEY_NEEDED']);
      assert.equal((await ask(path)).status, 401);
      assert.equal((await ask(path, 'demo-key')).status, 200);
      assert.equal((await ask(path, 'admin-key')).status, 200);
    }
    assert.equal((await ask('/api/studio/other', 'demo-key')).status, 401, 'the key of another name');
    assert.equal((await ask('/api/studio/demo', 'demo-key')).body['isAdmin'], false);
    assert.equal((await ask('/api/studio/demo', 'admin-key')).body['isAdmin'], true);
    assert.equal((await ask('/api/studio/not.a.name', 'admin-key')).status, 400);
    const { body } = await ask('/api/broadcasts/demo/health?after=7', 'demo-key');
    assert.deepEqual((body['history'] as { atWallMs: number[] }).atWallMs, [8]);
    assert.match(await (await fetch(`${url}/studio/demo`)).text(), /studio/);
  });
});

test('viewers and their last minutes are for who holds the admin key', async () => {
  await withApiServer(async ({ url, viewers }) => {
    viewers.push({
      ...{
        number: 7,
        broadcast: 'demo',
        transport: 'whep',
        startedAtWallMs: 1,
        durationMs: 5,
        endedAtWallMs: null,
        endReason: null,
        path: 'udp',
      },
      ...{ renditionId: 'h480', estimateBps: 2e6, playoutDelayMs: 80, rttMs: 40, latencyMs: null },
      ...{ stallCount: null, stallMs: null, smoothnessRatio: 0.5, networkClass: null, targetLatencyMs: null },
      timeline: {
        ...{ atMs: [1_000], estimateBps: [2e6], sentBps: [1e6], playoutDelayMs: [80], queueDelayMs: [null] },
        ...{
          needMs: [50],
          targetLatencyMs: [null],
          rttMs: [40],
          latencyMs: [null],
          frozenMs: [0],
          renditionId: ['h480'],
        },
      },
    });
    assert.equal((await fetch(`${url}/api/sessions`)).status, 401);
    assert.equal((await fetch(`${url}/api/sessions/7`)).status, 401);
    const list = (await (await fetch(`${url}/api/sessions`, ADMIN)).json()) as { sessions: object[] };
    assert.equal(list.sessions.length, 1);
    assert.ok(!('timeline' in list.sessions[0]!));
    assert.deepEqual(await (await fetch(`${url}/api/sessions/7`, ADMIN)).json(), viewers[0]);
    const absent = await fetch(`${url}/api/sessions/8`, ADMIN);
    assert.equal(absent.status, 404);
    assert.match(await absent.text(), /SESSION_ABSENT/);
    assert.equal((await fetch(`${url}/api/sessions/x`, ADMIN)).status, 400);
  });
});

test('pages and scripts are sent compressed to who takes them so', async () => {
  const script = `export const words = '${'the same again '.repeat(200)}';`;
  await withApiServer(
    async ({ url }) => {
      for (const acceptEncoding of ['gzip, br', 'identity']) {
        const answer = await fetch(`${url}/sluice-player.js`, { headers: { 'accept-encoding': acceptEncoding } });
        const isCompressed = acceptEncoding !== 'identity';
        assert.equal(answer.headers.get('content-encoding'), isCompressed ? 'br' : null);
        assert.equal(answer.headers.get('vary'), 'accept-encoding');
        assert.equal(Number(answer.headers.get('content-length')) < 200, isCompressed);
        assert.equal(await answer.text(), script);
      }
    },
    (folder) => {
      writeFileSync(join(folder, 'sluice-player.js'), script);
      writeFileSync(join(folder, 'sluice-player.js.br'), brotliCompressSync(script));
      return {};
    },
  );
});

test('wrong names are refused with what was expected', async () => {
  await withApiServer(async ({ url }) => {
    const wrong = await fetch(`${url}/api/broadcasts/${encodeURIComponent('../x')}`);
    assert.equal(wrong.status, 400);
    assert.match(JSON.stringify(await wrong.json()), /REQUEST_INVALID.*pattern/);
    const absent = await fetch(`${url}/api/broadcasts/nobody`);
    assert.equal(absent.status, 404);
    assert.match(JSON.stringify(await absent.json()), /BROADCAST_ABSENT/);
    assert.match(JSON.stringify(await (await fetch(`${url}/nothing/here`)).json()), /NOT_FOUND/);
  });
});

test('the OpenAPI document names every route of the API', async () => {
  await withApiServer(async ({ url }) => {
    const document = (await (await fetch(`${url}/api/openapi.json`)).json()) as { paths: Record<string, unknown> };
    assert.deepEqual(Object.keys(document.paths).toSorted(), [
      '/api/broadcasts',
      '/api/broadcasts/{name}',
      '/api/broadcasts/{name}/cues',
      '/api/broadcasts/{name}/cues/{id}',
      '/api/broadcasts/{name}/cues/{id}/fire',
      '/api/broadcasts/{name}/drops/{id}',
      '/api/broadcasts/{name}/drops/{id}/claims',
      '/api/broadcasts/{name}/health',
      '/api/broadcasts/{name}/smoothness',
      '/api/drops/keys',
      '/api/hints/{name}',
      '/api/keys',
      '/api/keys/{name}',
      '/api/learning',
      '/api/replays',
      '/api/replays/{id}',
      '/api/sessions',
      '/api/sessions/{number}',
      '/api/studio/{name}',
      '/api/tokens',
      '/api/tokens/keys',
      '/api/tokens/keys/{id}',
      '/healthz',
      '/metrics',
      '/readyz',
    ]);
  });
});

test('what was learned is told, and the mode set, with the admin key alone', async () => {
  await withApiServer(async ({ url, modes }) => {
    const ask = async (init: RequestInit = {}): Promise<{ status: number; body: unknown }> => {
      const response = await fetch(`${url}/api/learning`, init);
      return { status: response.status, body: await response.json() };
    };
    const put = (body: object): RequestInit => ({
      method: 'PUT',
      body: JSON.stringify(body),
      headers: { ...ADMIN.headers, 'content-type': 'application/json' },
    });
    assert.equal((await ask()).status, 401);
    assert.equal((await ask({ ...put({ mode: 'off' }), headers: { 'content-type': 'application/json' } })).status, 401);
    assert.deepEqual(await ask(ADMIN), { status: 200, body: LEARNED });
    assert.deepEqual(await ask(put({ mode: 'pinned', arm: 'cautious' })), {
      status: 200,
      body: { mode: 'pinned', pinnedArm: 'cautious' },
    });
    const unknown = await ask(put({ mode: 'pinned', arm: 'bold' }));
    assert.equal(unknown.status, 404);
    assert.match(JSON.stringify(unknown.body), /ARM_UNKNOWN.*defaults; cautious/);
    assert.equal((await ask(put({ mode: 'sometimes' }))).status, 400);
    assert.equal((await ask(put({ mode: 'off' }))).status, 200);
    assert.deepEqual(modes, [
      ['pinned', 'cautious'],
      ['pinned', 'bold'],
      ['off', undefined],
    ]);
  });
});

test('endpoints get every method and any content type, as bytes', async () => {
  await withApiServer(async ({ url, requests }) => {
    for (const method of ['POST', 'PATCH', 'DELETE', 'OPTIONS', 'GET', 'HEAD', 'PUT']) {
      const hasBody = method === 'POST' || method === 'PATCH';
      const response = await fetch(`${url}/echo/demo/x?a=1&a=2`, {
        method,
        headers: { 'content-type': 'application/sdp', 'X-Thing': 'y' },
        ...(hasBody ? { body: 'v=0' } : {}),
      });
      assert.equal(response.status, 201, method);
      assert.equal(response.headers.get('content-type'), 'application/x-echo');
      assert.equal(await response.text(), hasBody ? 'v=0' : '');
    }
    assert.deepEqual(
      requests.map((request) => request.method),
      ['POST', 'PATCH', 'DELETE', 'OPTIONS', 'GET', 'HEAD', 'PUT'],
    );
    assert.equal(requests[0]?.path, '/echo/demo/x');
    assert.deepEqual(requests[0]?.query.getAll('a'), ['1', '2']);
    assert.equal(requests[0]?.headers['x-thing'], 'y');
    assert.equal(requests[0]?.remoteAddress, '127.0.0.1');
  });
});

test('bodies over the cap are refused before an endpoint sees them', async () => {
  await withApiServer(async ({ url, requests }) => {
    const response = await fetch(`${url}/echo/x`, { method: 'POST', body: 'x'.repeat(1_001) });
    assert.equal(response.status, 413);
    assert.equal(requests.length, 0);
  });
});

test('the smoothness of a broadcast is read by anybody and set with its key', async () => {
  await withApiServer(async (fixture) => {
    const at = (name: string): string => `${fixture.url}/api/broadcasts/${name}/smoothness`;
    const put = async (name: string, key: string, body: object): Promise<number> => {
      const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
      return (await fetch(at(name), { method: 'PUT', headers, body: JSON.stringify(body) })).status;
    };
    assert.deepEqual(await (await fetch(at('demo'))).json(), { smoothnessRatio: 0.5 });
    assert.equal(await put('demo', 'wrong', { smoothnessRatio: 0.2 }), 401);
    assert.equal(await put('demo', 'demo-key', { smoothnessRatio: 1.2 }), 400);
    assert.equal(await put('nobody', 'admin-key', { smoothnessRatio: 0.2 }), 404);
    assert.equal(fixture.smoothnessRatio, 0.5);
    assert.equal(await put('demo', 'demo-key', { smoothnessRatio: 0.2 }), 200);
    assert.deepEqual(await (await fetch(at('demo'))).json(), { smoothnessRatio: 0.2 });
  });
});

test('what breaks inside never shows outside', async () => {
  await withApiServer(async ({ url }) => {
    const response = await fetch(`${url}/broken/x`);
    assert.equal(response.status, 500);
    assert.doesNotMatch(await response.text(), /secret/);
  });
});

test('pages are served, the watch page under any name', async () => {
  await withApiServer(async ({ url }) => {
    assert.match(await (await fetch(`${url}/`)).text(), /live/);
    assert.match(await (await fetch(`${url}/watch/anything`)).text(), /watch/);
  });
});

/** Collects messages from before the handshake on, so that none is missed. */
const openSocket = async (url: string): Promise<{ socket: WebSocket; next: () => Promise<ServerMessage> }> => {
  const socket = new WebSocket(url.replace('http', 'ws'));
  const waiting: ((message: ServerMessage) => void)[] = [];
  const arrived: ServerMessage[] = [];
  socket.on('message', (raw: Buffer) => {
    const message = JSON.parse(raw.toString('utf8')) as ServerMessage;
    const taker = waiting.shift();
    if (taker === undefined) {
      arrived.push(message);
    } else {
      taker(message);
    }
  });
  await once(socket, 'open');
  const next = async (): Promise<ServerMessage> => arrived.shift() ?? new Promise((resolve) => waiting.push(resolve));
  return { socket, next };
};

test('a socket tells state and hints, answers pings, and tells changes', async () => {
  await withApiServer(async (fixture) => {
    const { socket, next } = await openSocket(`${fixture.url}/ws/demo`);
    assert.deepEqual(await next(), { type: 'state', state: 'live', viewerCount: 3, broadcastId: '0123' });
    assert.equal((await next()).type, 'hints');
    assert.deepEqual(await next(), { type: 'cues', marks: [], cues: [] });
    socket.send(JSON.stringify({ type: 'ping', id: 7 }));
    const pong = await next();
    assert.ok(pong.type === 'pong' && pong.id === 7 && Math.abs(pong.serverWallMs - Date.now()) < 5_000);
    fixture.tell();
    fixture.summary = { ...SUMMARY, state: 'reconnecting' };
    fixture.tell();
    const changed = await next();
    assert.ok(changed.type === 'state' && changed.state === 'reconnecting', 'an unchanged state is not repeated');
    socket.close();
  });
});

test('a socket with its session’s secret carries what concerns that viewer; others do not', async () => {
  await withApiServer(async (fixture) => {
    const bound = await openSocket(`${fixture.url}/ws/demo?session=s3cret`);
    await bound.next();
    await bound.next();
    await bound.next();
    fixture.toViewer({ type: 'rtp-mapping', rtpTimestamp: 1, mediaMs: 2, wallMs: 3 });
    assert.equal((await bound.next()).type, 'rtp-mapping');
    const report = {
      transport: 'whep',
      latencyMs: 80,
      stallCount: 0,
      stallMs: 0,
      framesDecoded: 60,
      framesDropped: 0,
      bufferDelayMs: null,
      receivedBps: 1e6,
    };
    const unbound = await openSocket(`${fixture.url}/ws/demo?session=guess`);
    unbound.socket.send(JSON.stringify({ type: 'report', report }));
    unbound.socket.send(JSON.stringify({ type: 'ping', id: 1 }));
    await unbound.next();
    await unbound.next();
    await unbound.next();
    await unbound.next();
    assert.equal(fixture.reports.length, 0);
    bound.socket.send(JSON.stringify({ type: 'report', report }));
    bound.socket.send(JSON.stringify({ type: 'ping', id: 2 }));
    await bound.next();
    assert.deepEqual(fixture.reports, [report]);
    bound.socket.close();
    unbound.socket.close();
  });
});

test('what a socket without a session reports is kept for the list of viewers, until it closes; a newer player’s words beside it do no harm', async () => {
  await withApiServer(async ({ url, unboundReports }) => {
    const { socket, next } = await openSocket(`${url}/ws/demo`);
    const report = {
      ...{ transport: 'll-hls', latencyMs: 1_300, stallCount: 1, stallMs: 200, framesDecoded: 60, framesDropped: 0 },
      ...{ bufferDelayMs: null, receivedBps: null },
      ...{ targetLatencyMs: 1_200, rendition: 'av1h480', bandwidthBps: 4e6 },
    };
    socket.send(JSON.stringify({ type: 'report', report: { ...report, moodOfTheDay: 'good' } }));
    socket.send(JSON.stringify({ type: 'ping', id: 1 }));
    while ((await next()).type !== 'pong') {
      // State and hints come first.
    }
    assert.deepEqual([...unboundReports], [{ broadcast: 'demo', ...report }]);
    socket.close();
    await once(socket, 'close');
    await within(2_000, 'the server has seen it go', () => unboundReports.at(-1) === 'closed');
  });
});

test('a socket tells what may be chosen, again when it changes, and takes the choice of the session it is bound to', async () => {
  await withApiServer(async (fixture) => {
    const main = { id: 'main', codec: 'h264', widthPx: 1280, heightPx: 720, frameRateFps: 30, bitrateBps: 2_000_000 };
    const rung = { ...main, id: 'h480', widthPx: 854, heightPx: 480, bitrateBps: 700_000 };
    const { next, socket } = await openSocket(`${fixture.url}/ws/demo?session=s3cret`);
    await next();
    await next();
    await next();
    for (const renditions of [[main, rung], [main, { ...rung, bitrateBps: 1_100_000 }], [main]]) {
      fixture.renditions = renditions;
      fixture.tell();
      assert.deepEqual(await next(), { type: 'renditions', renditions });
      fixture.renditions = renditions.map((one) => ({ ...one, bitrateBps: one.bitrateBps * 1.1 }));
      fixture.tell();
    }
    for (const rendition of ['h480', 'av1h480', 'main', 'auto']) {
      socket.send(JSON.stringify({ type: 'watch', rendition }));
    }
    socket.send(JSON.stringify({ type: 'ping', id: 3 }));
    assert.equal((await next()).type, 'pong', 'a bitrate that wanders is no news');
    assert.deepEqual(fixture.watched, ['h480', 'av1h480', 'main', undefined]);
    socket.close();
  });
});

for (const [what, texts, reason] of [
  ['a rendition of no possible name', [JSON.stringify({ type: 'watch', rendition: 'h480"' })], 'message_invalid'],
  ['nonsense', ['{'], 'message_invalid'],
  ['unknown fields', [JSON.stringify({ type: 'ping', id: 1, more: 2 })], 'message_invalid'],
  ['a flood', Array.from({ length: 20 }, (_, id) => JSON.stringify({ type: 'ping', id })), 'too_many_messages'],
] as const) {
  test(`a socket that sends ${what} is closed with the reason`, async () => {
    await withApiServer(async ({ url }) => {
      const { socket } = await openSocket(`${url}/ws/demo`);
      for (const text of texts) {
        socket.send(text);
      }
      const [code, closedWith] = (await once(socket, 'close')) as [number, Buffer];
      assert.equal(code, 1008);
      assert.equal(closedWith.toString(), reason);
    });
  });
}

test('who speaks and reads nothing is closed aloud, and the others hear everything', async () => {
  const socketSettings = { ...DEFAULT_SOCKET_OPTIONS, idleTimeoutMs: 4_000 };
  await withApiServer(
    async (fixture) => {
      const deaf = await openSocket(`${fixture.url}/ws/demo`);
      const others = await Promise.all(Array.from({ length: 20 }, async () => openSocket(`${fixture.url}/ws/demo`)));
      deaf.socket.pause();
      const speech = setInterval(() => deaf.socket.send(JSON.stringify({ type: 'ping', id: 1 })), 100);
      const closed = once(deaf.socket, 'close');
      const isDropped = async (): Promise<boolean> =>
        (await fixture.metrics.render()).includes('socket_closed_total{reason="reads_too_slowly"} 1');
      for (let told = 4; !(await isDropped()); told += 1) {
        await passMs(20);
        fixture.summary = { ...fixture.summary, viewerCount: told };
        fixture.tell();
        for (const { next } of others) {
          for (let message = await next(); ; message = await next()) {
            if (message.type === 'state' && message.viewerCount === told) {
              break;
            }
          }
        }
      }
      clearInterval(speech);
      deaf.socket.resume();
      assert.deepEqual((await closed).map(String), ['1008', 'reads_too_slowly']);
      others.forEach(({ socket }) => {
        assert.equal(socket.readyState, WebSocket.OPEN, 'who answers pings need not speak');
        socket.close();
      });
    },
    () => ({ socketSettings }),
  );
});

test('sockets under wrong paths are refused', async () => {
  await withApiServer(async ({ url }) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/..%2Fx`);
    const [error] = (await once(socket, 'error')) as [Error];
    assert.match(error.message, /404/);
  });
});

test('an upgrade of an address that is no URL is refused, and the server lives on', async () => {
  await withApiServer(async ({ url }) => {
    for (const path of ['//', '/ws/demo%', '*']) {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
      const [answer] = (await once(socket, 'data')) as [Buffer];
      assert.match(answer.toString(), /^HTTP\/1.1 404 /);
      socket.destroy();
    }
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
  });
});

test('tokens are made with the admin key, or with the publish key of their name, and for what may be watched', async () => {
  await withApiServer(async ({ url }) => {
    const ask = async (bearer: string | undefined, body: unknown): Promise<{ status: number; text: string }> => {
      const headers = { 'content-type': 'application/json', ...(bearer && { authorization: `Bearer ${bearer}` }) };
      const response = await fetch(`${url}/api/tokens`, { method: 'POST', headers, body: JSON.stringify(body) });
      return { status: response.status, text: await response.text() };
    };
    const made = await ask('demo-key', { audience: 'live/demo', durationS: 60 });
    assert.equal(made.status, 201);
    assert.deepEqual(JSON.parse(made.text), {
      token: 'v1.token',
      audience: 'live/demo',
      expiresAtWallMs: 60_000,
      watchUrl: `${url}/watch/demo#token=v1.token`,
      playlistUrl: `${url}/hls/~v1.token/demo/index.m3u8`,
    });
    assert.equal((await ask('admin-key', { audience: 'replay/*' })).status, 201);
    for (const [bearer, audience] of [
      [undefined, 'live/demo'],
      ['demo-key', 'live/other'],
      ['demo-key', 'live/*'],
      ['demo-key', 'live/demo*'],
      ['demo-key', '*'],
      ['demo-key', 'replay/00'],
      ['wrong', 'live/demo'],
    ]) {
      assert.equal((await ask(bearer, { audience })).status, 401, `${bearer} ${audience}`);
    }
    for (const body of [{}, { audience: 'x' }, { audience: 'live/demo', durationS: 0 }, { audience: 7 }, []]) {
      const refused = await ask('admin-key', body);
      assert.equal(refused.status, 400, JSON.stringify(body));
      assert.match(refused.text, /REQUEST_INVALID/);
    }
  });
});

test('the keys of tokens are the administrator’s', async () => {
  await withApiServer(async ({ url }) => {
    for (const method of ['GET', 'POST']) {
      assert.equal((await fetch(`${url}/api/tokens/keys`, { method })).status, 401);
    }
    assert.deepEqual(await (await fetch(`${url}/api/tokens/keys`, ADMIN)).json(), { ids: ['k1'] });
    const made = await fetch(`${url}/api/tokens/keys`, { method: 'POST', ...ADMIN });
    assert.deepEqual([made.status, await made.json()], [201, { id: 'k2', secret: 'made' }]);
    assert.equal((await fetch(`${url}/api/tokens/keys/k1`, { method: 'DELETE', ...ADMIN })).status, 204);
    assert.equal((await fetch(`${url}/api/tokens/keys/k9`, { method: 'DELETE', ...ADMIN })).status, 404);
  });
});

test('a socket is refused without the token its broadcast needs, and opened by its session’s secret', async () => {
  await withApiServer(async ({ url }) => {
    const refused = new WebSocket(`${url.replace('http', 'ws')}/ws/demo?token=bad`);
    const [error] = (await once(refused, 'error')) as [Error];
    assert.match(error.message, /401/);
    const { socket } = await openSocket(`${url}/ws/demo?token=bad&session=s3cret`);
    socket.close();
  });
});

const FORWARDED = { headers: { 'x-forwarded-for': '198.51.100.7, 203.0.113.9' } };

test('behind a trusted proxy the client’s address counts, without one nobody chooses his own', async () => {
  for (const [trustedProxies, expected] of [
    [['loopback'], '203.0.113.9'],
    [['127.0.0.1/8', '203.0.113.0/24'], '198.51.100.7'],
    [['10.0.0.0/8'], '127.0.0.1'],
    [[], '127.0.0.1'],
  ] as const) {
    await withApiServer(
      async ({ url, requests }) => {
        await fetch(`${url}/echo/x`, FORWARDED);
        assert.equal(requests[0]?.remoteAddress, expected);
      },
      () => ({ settings: { ...TEST_HTTP_OPTIONS, trustedProxies } }),
    );
  }
});

test('a proxy that is no address stops the start with what was expected', async () => {
  const start = withApiServer(
    async () => undefined,
    () => ({ settings: { ...TEST_HTTP_OPTIONS, trustedProxies: ['10.0.0.0/255.0.0.0'] } }),
  );
  await assert.rejects(start, /http\.trustedProxies has "10\.0\.0\.0\/255\.0\.0\.0", expected an address/);
});

test('metrics are for loopback itself, not for what an unnamed proxy brings from there', async () => {
  const access = {
    isAdmin: () => false,
    isLoopback: (address: string) => address === '127.0.0.1',
    mayWatch: () => true,
  };
  await withApiServer(
    async ({ url }) => {
      assert.equal((await fetch(`${url}/metrics`)).status, 200);
      assert.equal((await fetch(`${url}/metrics`, FORWARDED)).status, 401);
      assert.equal((await fetch(`${url}/metrics`, { headers: { forwarded: 'for=203.0.113.9' } })).status, 401);
    },
    () => ({ access }),
  );
});
