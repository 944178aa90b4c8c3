// The library over HTTP: lists, searches, renames, removes; and what it refuses.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReplayList, ReplaySummary } from '../../../server/api/contract/replays.ts';
import type { RecordingSummary } from '../../../server/replay/recording.ts';
import { withApiServer } from '../../support/api-server.ts';
import { MemoryRecordings, recordingSummary, replaysViewOf } from '../../support/memory-recordings.ts';

const withLibrary = async (
  summaries: readonly RecordingSummary[],
  run: (ask: (path: string, init?: RequestInit) => Promise<Response>) => Promise<void>,
): Promise<void> => {
  const recordings = new MemoryRecordings(summaries);
  await withApiServer(
    async ({ url }) => run(async (path, init) => fetch(`${url}${path}`, init)),
    () => ({ replays: replaysViewOf(recordings) }),
  );
};

const withKey = (key: string, method: string, body?: unknown): RequestInit => ({
  method,
  headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
  ...(body === undefined ? {} : { body: JSON.stringify(body) }),
});

test('lists the newest first, in pages', async () => {
  await withLibrary(
    [1, 2, 3, 4, 5].map((place) => recordingSummary(place)),
    async (ask) => {
      const first = (await (await ask('/api/replays?limit=2')).json()) as ReplayList;
      assert.equal(first.totalCount, 5);
      assert.deepEqual(
        first.replays.map(({ id }) => Number(id)),
        [5, 4],
      );
      const last = (await (await ask('/api/replays?limit=2&offset=4')).json()) as ReplayList;
      assert.deepEqual(
        last.replays.map(({ id }) => Number(id)),
        [1],
      );
    },
  );
});

test('finds words of name and title in any order, whatever their case and accents', async () => {
  const summaries = [
    recordingSummary(1, { name: 'shoes', title: 'Überraschung im Frühling' }),
    recordingSummary(2, { name: 'shoes', title: 'Autumn' }),
    recordingSummary(3, { name: 'hats' }),
  ];
  await withLibrary(summaries, async (ask) => {
    const idsFor = async (query: string): Promise<number[]> => {
      const list = (await (await ask(`/api/replays?${query}`)).json()) as ReplayList;
      return list.replays.map(({ id }) => Number(id));
    };
    assert.deepEqual(await idsFor('search=fruhling%20SHOES'), [1]);
    assert.deepEqual(await idsFor('search=nothing'), []);
    assert.deepEqual(await idsFor('name=shoes'), [2, 1]);
    assert.deepEqual(await idsFor('search='), [3, 2, 1]);
  });
});

test('one recording tells its state and where to play, load and see it; one still made has no end', async () => {
  const live = recordingSummary(7, { endedAtWallMs: undefined, endReason: undefined });
  await withLibrary([live], async (ask) => {
    const found = (await (await ask(`/api/replays/${live.id}`)).json()) as ReplaySummary;
    assert.equal(found.state, 'recording');
    assert.equal(found.endedAtWallMs, null);
    assert.equal(found.playlistUrl, `/replay/${live.id}/index.m3u8`);
    assert.equal((await ask(`/api/replays/${'f'.repeat(32)}`)).status, 404);
    assert.equal((await ask('/api/replays/..%2f..%2fetc')).status, 404);
  });
});

test('the publish key of its name and the admin key may rename and remove; no other, and none at all, may not', async () => {
  const { id } = recordingSummary(1);
  await withLibrary([recordingSummary(1)], async (ask) => {
    const path = `/api/replays/${id}`;
    const stranger = await ask(path, withKey('other-key', 'PATCH', { title: 'x' }));
    assert.equal(stranger.status, 401);
    assert.equal(((await stranger.json()) as { error: string }).error, 'REPLAY_KEY_NEEDED');
    assert.equal((await ask(path, { method: 'DELETE' })).status, 401);
    const renamed = await ask(path, withKey('demo-key', 'PATCH', { title: '  <b>Sale</b> ' }));
    assert.equal(renamed.status, 200);
    assert.equal(((await renamed.json()) as ReplaySummary).title, '<b>Sale</b>');
    assert.equal((await ask(path, withKey('admin-key', 'DELETE'))).status, 204);
    assert.equal((await ask(path)).status, 404);
  });
});

test('what is still recorded is not removed, and says so', async () => {
  const live = recordingSummary(1, { endedAtWallMs: undefined });
  await withLibrary([live], async (ask) => {
    assert.equal((await ask(`/api/replays/${live.id}`, withKey('demo-key', 'DELETE'))).status, 409);
    assert.equal((await ask(`/api/replays/${live.id}`)).status, 200);
  });
});

test('wrong input is refused by field', async () => {
  await withLibrary([recordingSummary(1)], async (ask) => {
    const path = `/api/replays/${recordingSummary(1).id}`;
    for (const [url, init, field] of [
      ['/api/replays?limit=0', undefined, 'limit'],
      ['/api/replays?offset=-1', undefined, 'offset'],
      [path, withKey('demo-key', 'PATCH', { title: 'x'.repeat(201) }), 'title'],
      [path, withKey('demo-key', 'PATCH', { name: 'x' }), 'title'],
    ] as const) {
      const response = await ask(url, init);
      assert.equal(response.status, 400, url);
      assert.match(((await response.json()) as { detail: string }).detail, new RegExp(field));
    }
  });
});

test('the document at /api/openapi.json names all of it', async () => {
  await withLibrary([], async (ask) => {
    const document = (await (await ask('/api/openapi.json')).json()) as { paths: Record<string, object> };
    assert.deepEqual(Object.keys(document.paths['/api/replays'] ?? {}), ['get']);
    assert.deepEqual(Object.keys(document.paths['/api/replays/{id}'] ?? {}).toSorted(), ['delete', 'get', 'patch']);
  });
});
