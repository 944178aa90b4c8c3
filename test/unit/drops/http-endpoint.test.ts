// Drops over HTTP, through the real doors: by the short way, by the router, and over TLS the same claim has the same answer.
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { ManualClock } from '../../../server/base/clock.ts';
import { Drops } from '../../../server/drops/drops.ts';
import { createDropsEndpoint } from '../../../server/drops/http-endpoint.ts';
import { DROPS_DEFAULTS } from '../../../server/drops/options.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { Metrics } from '../../../server/observability/metrics.ts';
import { withApiServer } from '../../support/api-server.ts';
import { SHOP_KEYS, checkTicket, viewerToken } from '../../support/drop-shop.ts';
import { RawConnection } from '../../support/raw-http.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const PATH = '/api/broadcasts/shop/drops/shoes';
const REF = { broadcast: 'shop', id: 'shoes' };
const CLAIM_FORM = /"number":1,"ticket":"[\w-]+\.[\w-]+\.[\w-]+","isDemo":false/;
let folder: string;
let drops: Drops;
let clock: ManualClock;

const tokenFor = (subject: string): string =>
  viewerToken(subject, { broadcast: 'shop', expiresAtS: clock.wallMs() / 1000 + 60 });

const withDoor = async (run: (url: string) => Promise<void>): Promise<void> => {
  const mayList = (bearer: string | undefined): boolean => bearer === 'shop-key';
  await withApiServer(
    async ({ url }) => run(url),
    () => ({ drops: createDropsEndpoint({ drops, mayList }) }),
  );
};

const claim = async (
  url: string,
  init: { token?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Response> =>
  fetch(`${url}${PATH}/claims`, {
    method: 'POST',
    ...init,
    headers: { ...(init.token === undefined ? {} : { authorization: `Bearer ${init.token}` }), ...init.headers },
  });

const errorOf = async (response: Response): Promise<string> => ((await response.json()) as { error: string }).error;

describe('drops over HTTP', () => {
  beforeEach(async () => {
    folder = tempFolder('drops-http');
    await writeFile(join(folder, 'shop-keys.json'), SHOP_KEYS);
    clock = new ManualClock();
    drops = await Drops.load(DROPS_DEFAULTS, {
      folder: join(folder, 'drops'),
      keyPath: join(folder, 'drop-key.json'),
      shopKeysPath: join(folder, 'shop-keys.json'),
      ...{ clock, log: silentLog, metrics: new Metrics({ collectDefaults: false }) },
    });
  });

  afterEach(async () => {
    await drops.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test('too early, granted, again, sold out, over: each with its status and what to do', async () => {
    await withDoor(async (url) => {
      assert.equal((await claim(url, { token: tokenFor('a') })).status, 404);
      drops.prepare({ ...REF, stock: 1, opensAtWallMs: clock.wallMs() + 2_001 });
      const early = await claim(url, { token: tokenFor('a') });
      assert.deepEqual(
        [early.status, early.headers.get('retry-after'), await errorOf(early)],
        [403, '3', 'DROP_NOT_OPEN'],
      );
      clock.advanceMs(1_500);
      assert.equal((await claim(url, { token: tokenFor('a') })).headers.get('retry-after'), '1');
      clock.advanceMs(501);
      const granted = await claim(url, { token: tokenFor('a') });
      assert.equal(granted.status, 201);
      assert.equal(granted.headers.get('cache-control'), 'no-store');
      assert.equal(granted.headers.get('access-control-allow-origin'), '*');
      const ticket = (await granted.json()) as { number: number; ticket: string };
      const keys = (await (await fetch(`${url}/api/drops/keys`)).json()) as typeof drops.ticketKeys;
      assert.equal(checkTicket(ticket.ticket, keys).sub, 'a');
      const again = await claim(url, { token: tokenFor('a') });
      assert.deepEqual([again.status, await again.json()], [200, ticket]);
      const late = await claim(url, { token: tokenFor('b') });
      assert.deepEqual([late.status, await errorOf(late)], [409, 'DROP_SOLD_OUT']);
      drops.close(REF, 'withdrawn');
      const over = await claim(url, { token: tokenFor('b') });
      assert.deepEqual([over.status, await errorOf(over)], [410, 'DROP_OVER']);
    });
  });

  test('without a token of the shop: 401 that says which', async () => {
    await withDoor(async (url) => {
      drops.prepare({ ...REF, stock: 1, opensAtWallMs: 0 });
      for (const [token, code, challenge] of [
        [undefined, 'VIEWER_TOKEN_MISSING', 'Bearer'],
        ['a.b.c', 'VIEWER_TOKEN_INVALID', 'Bearer error="invalid_token"'],
      ] as const) {
        const refused = await claim(url, token === undefined ? {} : { token });
        assert.deepEqual([refused.status, await errorOf(refused)], [401, code]);
        assert.equal(refused.headers.get('www-authenticate'), challenge);
      }
    });
  });

  test('by the short way, by the router, with a body, with an odd header: the same ticket', async () => {
    await withDoor(async (url) => {
      drops.prepare({ ...REF, stock: 1, opensAtWallMs: 0 });
      const token = tokenFor('a');
      const first = await (await claim(url, { token })).text();
      assert.match(first, CLAIM_FORM);
      const json = { headers: { 'content-type': 'application/json' } };
      assert.equal(await (await claim(url, { token, ...json })).text(), first);
      assert.equal(await (await claim(url, { token, ...json, body: '{"any": "thing"}' })).text(), first);
      const connection = new RawConnection({ host: '127.0.0.1', port: Number(new URL(url).port) });
      for (const odd of ['', 'Connection: keep-alive\r\n', 'HTTP2-Settings: x\r\n']) {
        const lines = `Authorization: bearer  ${token}\r\nContent-Length: 0\r\n${odd}`;
        const response = await new Promise<{ status: number; body: Buffer }>((resolve, reject) => {
          connection.send({ method: 'POST', path: `${PATH}/claims`, lines, keepsBody: true }, resolve, reject);
        });
        assert.equal(response.body.toString(), first);
      }
      connection.close();
    });
  });

  test('claims are not counted against the rate of the API', async () => {
    drops.prepare({ ...REF, stock: 1, opensAtWallMs: 0 });
    const statuses = new Set<number>();
    await withDoor(async (url) => {
      for (let round = 0; round < 30; round += 1) {
        const json = { headers: { 'content-type': 'application/json', 'x-forwarded-for': '192.0.2.7' }, body: '{}' };
        statuses.add((await claim(url, { token: tokenFor('a'), ...json })).status);
      }
    });
    assert.deepEqual([...statuses], [201, 200]);
  });

  test('the list is for the host, page by page; how it stands for everybody', async () => {
    await withDoor(async (url) => {
      drops.prepare({ ...REF, stock: 3, opensAtWallMs: 0 });
      await claim(url, { token: tokenFor('a') });
      await claim(url, { token: tokenFor('b') });
      const list = async (query: string, key = 'shop-key'): Promise<Response> =>
        fetch(`${url}${PATH}/claims${query}`, { headers: { authorization: `Bearer ${key}` } });
      assert.equal((await list('', 'wrong')).status, 401);
      const page = (await (await list('?offset=1&limit=1')).json()) as { claims: { subject: string }[] };
      assert.deepEqual(
        page.claims.map(({ subject }) => subject),
        ['b'],
      );
      for (const query of ['?limit=0', '?limit=1001', '?offset=-1', '?offset=x']) {
        assert.equal((await list(query)).status, 400, query);
      }
      const stands = (await (await fetch(`${url}${PATH}`)).json()) as object;
      assert.deepEqual(stands, {
        ...{ drop: 'shoes', broadcast: 'shop', isDemo: false },
        state: 'open',
        stock: 3,
        claimedCount: 2,
      });
      assert.equal((await fetch(`${url}/api/broadcasts/shop/drops/other`)).status, 404);
    });
  });

  test('a shop of another origin may claim with its token', async () => {
    await withDoor(async (url) => {
      const preflight = await fetch(`${url}${PATH}/claims`, { method: 'OPTIONS' });
      assert.equal(preflight.status, 204);
      assert.match(preflight.headers.get('access-control-allow-headers') ?? '', /authorization/);
      assert.equal(preflight.headers.get('access-control-allow-origin'), '*');
    });
  });

  test('a demo asks who one is; a name of odd form is refused', async () => {
    await withDoor(async (url) => {
      drops.prepare({ broadcast: 'demo', id: 'shoes', stock: 9, opensAtWallMs: 0 });
      const ask = async (query: string): Promise<Response> =>
        fetch(`${url}/api/broadcasts/demo/drops/shoes/claims${query}`, { method: 'POST' });
      const numbers = [];
      for (const query of ['?player=7', '?player=8', '?player=7', '']) {
        const answered = (await (await ask(query)).json()) as { number: number; isDemo: boolean };
        assert.ok(answered.isDemo);
        numbers.push(answered.number);
      }
      assert.deepEqual(numbers, [1, 2, 1, 3]);
      assert.equal((await ask('?player=a%20b')).status, 400);
    });
  });

  test('the routes stand in the API’s own description', async () => {
    await withDoor(async (url) => {
      const { paths } = (await (await fetch(`${url}/api/openapi.json`)).json()) as { paths: Record<string, object> };
      const found = Object.entries(paths).filter(([path]) => path.includes('drops'));
      assert.deepEqual(
        found.map(([path, methods]) => [path, Object.keys(methods).toSorted()]),
        [
          ['/api/broadcasts/{name}/drops/{id}/claims', ['get', 'post']],
          ['/api/broadcasts/{name}/drops/{id}', ['get']],
          ['/api/drops/keys', ['get']],
        ],
      );
    });
  });
});
