// Cues over HTTP and WebSocket, with the real desk behind: who may, what is refused and how, and that all sockets of a name are told.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';
import { WebSocket } from 'ws';
import type { CueMessage } from '../../../server/api/contract/cues.ts';
import type { CueList, HostedCue } from '../../../server/api/contract/cues-host.ts';
import { systemClock } from '../../../server/base/clock.ts';
import { ADMIN, TEST_HTTP_OPTIONS, withApiServer } from '../../support/api-server.ts';
import type { CueStage } from '../../support/cue-stage.ts';
import { closeCueStage, openCueStage } from '../../support/cue-stage.ts';
import { syntheticVideo } from '../../support/synthetic-media.ts';
import { withinValue } from '../../support/wait.ts';

const HOST: Record<string, string> = { authorization: 'Bearer demo-key' };
const PATH = '/api/broadcasts/demo/cues';
type Answer<T> = { readonly status: number; readonly body: T };

const withCues = async (
  run: (fixture: {
    url: string;
    stage: CueStage;
    ask: <T = HostedCue>(
      method: string,
      path: string,
      body?: unknown,
      headers?: Record<string, string>,
    ) => Promise<Answer<T>>;
  }) => Promise<void>,
): Promise<void> => {
  const stage = await openCueStage({ clock: systemClock });
  try {
    await withApiServer(
      async ({ url }) => {
        const ask = async <T>(method: string, path: string, body?: unknown, headers = HOST): Promise<Answer<T>> => {
          const init = body === undefined ? {} : { body: JSON.stringify(body) };
          const type = body === undefined ? {} : { 'content-type': 'application/json' };
          const response = await fetch(`${url}${path}`, { method, ...init, headers: { ...headers, ...type } });
          const text = await response.text();
          return { status: response.status, body: (text === '' ? undefined : JSON.parse(text)) as T };
        };
        await run({ url, stage, ask });
      },
      () => ({ cues: stage.desk, settings: { ...TEST_HTTP_OPTIONS, bodyMaxBytes: 65_536 } }),
    );
  } finally {
    await closeCueStage(stage);
  }
};

/** Pictures that arrive now, as an encoder's would, up to `toMs` of media. */
const goLive = (stage: CueStage, toMs: number): void => {
  const { feed } = stage.publish();
  const [nowMs, wallMs] = [systemClock.nowMs(), systemClock.wallMs()];
  for (const unit of syntheticVideo({ frameRateFps: 30, durationS: toMs / 1_000, gopFrames: 30 })) {
    const agoMs = toMs - unit.arrivedAtMs;
    feed.push({ ...unit, arrivedAtMs: nowMs - agoMs, arrivedAtWallMs: wallMs - agoMs });
  }
};

test('cues are for who holds the publish key of the name, or the admin key', async () => {
  await withCues(async ({ ask }) => {
    const draft = { id: 'a', kind: 'product' };
    for (const [method, path] of [
      ['GET', PATH],
      ['POST', PATH],
      ['PUT', `${PATH}/a`],
      ['DELETE', `${PATH}/a`],
      ['POST', `${PATH}/a/fire`],
    ] as const) {
      const body = method === 'GET' || method === 'DELETE' ? undefined : draft;
      const refused = await ask<{ error: string }>(method, path, body, { authorization: 'Bearer nonsense' });
      assert.deepEqual([refused.status, refused.body.error], [401, 'KEY_NEEDED'], `${method} ${path}`);
      assert.equal((await ask(method, path, body, {})).status, 401);
    }
    assert.equal((await ask('POST', '/api/broadcasts/other/cues', draft)).status, 401);
    assert.equal((await ask('POST', PATH, draft)).status, 201);
    assert.equal((await ask('POST', PATH, draft, ADMIN.headers)).status, 200);
  });
});

test('made, listed, edited, withdrawn; the same again changes nothing', async () => {
  await withCues(async ({ ask }) => {
    const draft = { id: 'shoes', kind: 'product', title: 'Shoes', price: '¥199', link: 'https://shop.example/1' };
    const made = await ask('POST', PATH, draft);
    assert.equal(made.status, 201);
    assert.deepEqual(made.body, {
      ...{ ...draft, mode: 'media', durationMs: null, state: 'prepared', at: null },
      ...{ mediaMs: null, programWallMs: null, showAtWallMs: null, firedAtWallMs: null },
    });
    assert.deepEqual(await ask('POST', PATH, draft), { status: 200, body: made.body });
    const other = await ask<{ error: string }>('POST', PATH, { ...draft, price: '¥1' });
    assert.deepEqual([other.status, other.body.error], [409, 'CUE_EXISTS']);
    const edited = await ask('PUT', `${PATH}/shoes`, { kind: 'product', title: 'Boots', payload: { size: [38, 39] } });
    assert.deepEqual(
      [edited.body.title, edited.body.price, edited.body.payload],
      ['Boots', undefined, { size: [38, 39] }],
    );
    const unnamed = await ask('POST', PATH, { kind: 'message', title: 'hello' });
    assert.match(unnamed.body.id, /^cue-[0-9a-f]{12}$/);
    const list = await ask<CueList>('GET', PATH);
    assert.deepEqual(
      list.body.cues.map(({ id }) => id),
      ['shoes', unnamed.body.id],
    );
    assert.equal(list.body.clock, null);
    assert.equal((await ask('DELETE', `${PATH}/shoes`)).status, 204);
    assert.equal((await ask('DELETE', `${PATH}/shoes`)).status, 404);
    assert.equal((await ask('PUT', `${PATH}/shoes`, draft)).status, 404);
    const early = await ask<{ error: string }>('POST', `${PATH}/${unnamed.body.id}/fire`, {});
    assert.deepEqual([early.status, early.body.error], [409, 'CUE_NOT_LIVE']);
  });
});

test('what is wrong is refused with the field, what it is and what was expected', async () => {
  await withCues(async ({ ask }) => {
    const good = { id: 'a', kind: 'product' };
    for (const [wrong, pattern] of [
      [{ ...good, link: 'javascript:alert(1)' }, /^link is "javascript:alert\(1\)": expected an http or https URL/],
      [{ ...good, picture: 'data:image/png;base64,x' }, /^picture is .*expected an http or https URL/],
      [{ ...good, picture: 'not a url' }, /^picture is/],
      [{ ...good, id: 'a/b' }, /^id is "a\/b": expected 1 to 64/],
      [{ id: 'a' }, /^kind is absent/],
      [{ ...good, kind: 'Product' }, /^kind is "Product": expected "product", "message" or/],
      [{ ...good, title: 'x'.repeat(201) }, /^title is "xxx/],
      [{ ...good, title: 'two\nlines' }, /^title is "two\\nlines": expected no control characters/],
      [{ ...good, price: 'x'.repeat(61) }, /^price is/],
      [{ ...good, durationMs: 0 }, /^durationMs is 0/],
      [{ ...good, stock: 1.5 }, /^stock is 1.5/],
      [{ ...good, payload: 'x'.repeat(8_191) }, /^payload is .*expected at most 8192 bytes of JSON/],
      [{ ...good, at: 'soon' }, /^at is "soon": expected "now"/],
      [{ ...good, at: { countdownMs: -1 } }, /^at.countdownMs is -1: .*>=0/],
      [{ ...good, encoderDelayMs: 99_999 }, /^encoderDelayMs is 99999/],
      [{ ...good, colour: 'red' }, /colour/],
      ['text', /^the body is "text"/],
    ] as const) {
      const { status, body } = await ask<{ error: string; detail: string }>('POST', PATH, wrong);
      assert.deepEqual([status, body.error], [400, 'REQUEST_INVALID'], JSON.stringify(wrong).slice(0, 80));
      assert.match(body.detail, pattern);
    }
    const renamed = await ask<{ detail: string }>('PUT', `${PATH}/a`, { ...good, id: 'b' });
    assert.match(renamed.body.detail, /^id is "b", expected "a"/);
    const name = await ask<{ detail: string }>('GET', '/api/broadcasts/a%2Fb/cues', undefined, ADMIN.headers);
    assert.deepEqual([name.status, name.body.detail.startsWith('name is "a/b": expected')], [400, true]);
    assert.equal((await ask('POST', PATH, { ...good, payload: 'x'.repeat(8_190) })).status, 201);
  });
});

const openSocket = async (url: string): Promise<{ socket: WebSocket; texts: string[] }> => {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/demo`);
  const texts: string[] = [];
  socket.on('message', (raw: Buffer) => {
    const text = raw.toString('utf8');
    if ((JSON.parse(text) as { type: string }).type.startsWith('cue')) {
      texts.push(text);
    }
  });
  await once(socket, 'open');
  return { socket, texts };
};

test('all sockets of the name get the same texts: the mark, the cue, the withdrawal; latecomers what is on', async () => {
  await withCues(async ({ url, stage, ask }) => {
    goLive(stage, 4_000);
    const sockets = [await openSocket(url), await openSocket(url)];
    const until = async (count: number): Promise<CueMessage[]> => {
      await withinValue(
        5_000,
        `${count} messages`,
        () => sockets.every(({ texts }) => texts.length >= count) || undefined,
      );
      return sockets[0]!.texts.map((text) => JSON.parse(text) as CueMessage);
    };
    await until(1);
    const draft = { id: 'a', kind: 'product', link: 'https://shop.example/1', at: { mediaMs: 4_050 } };
    assert.equal((await ask('POST', PATH, draft)).status, 201);
    const messages = await until(3);
    assert.deepEqual(
      messages.map(({ type }) => type),
      ['cues', 'cue-mark', 'cue'],
    );
    const [, mark, cue] = messages;
    assert.ok(mark?.type === 'cue-mark' && !('link' in mark.mark), 'nothing of it is told before its instant');
    assert.ok(cue?.type === 'cue' && cue.cue.link === 'https://shop.example/1');
    const late = await openSocket(url);
    await withinValue(5_000, 'the first message', () => late.texts[0]);
    assert.deepEqual(JSON.parse(late.texts[0]!), { type: 'cues', marks: [], cues: [cue.cue] });
    assert.equal((await ask('DELETE', `${PATH}/a`)).status, 204);
    assert.deepEqual((await until(4)).at(-1), { type: 'cue-withdrawn', id: 'a' });
    assert.deepEqual(sockets[0]!.texts, sockets[1]!.texts);
    for (const { socket } of [...sockets, late]) {
      socket.close();
    }
  });
});

test('the list tells the broadcast’s clock, and by what `now` would be placed', async () => {
  await withCues(async ({ stage, ask }) => {
    goLive(stage, 2_000);
    const { body } = await ask<CueList>('GET', PATH);
    assert.ok(body.clock !== null && body.clock.broadcastId === stage.hub.find('demo')?.id);
    assert.ok(Math.abs(body.clock.mediaMs - 2_000) < 400, `${body.clock.mediaMs}`);
    assert.deepEqual([body.clock.encoderDelayMs, body.clock.encoderDelayFrom], [200, 'config']);
    await ask('POST', PATH, { id: 'a', kind: 'product' });
    const saw = await ask('POST', `${PATH}/a/fire`, { sawMediaMs: 1_933.25 });
    assert.deepEqual([saw.status, saw.body.mediaMs, saw.body.state], [200, 1_933.25, 'fired']);
  });
});
