/** Webhooks against real HTTP receivers that fail, hang, redirect and come back; and the queue behind them in made-up time. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { systemClock } from '../../../server/base/clock.ts';
import type { CueNews } from '../../../server/cues/cue-desk.ts';
import { announceEvents } from '../../../server/hook-events.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { Metrics } from '../../../server/observability/metrics.ts';
import { HookQueue } from '../../../server/webhooks/hook-queue.ts';
import type { WebhookOptions } from '../../../server/webhooks/webhooks.ts';
import { HOOK_TOPICS, WEBHOOK_DEFAULTS, Webhooks, isReceiverUrl } from '../../../server/webhooks/webhooks.ts';
import { Hub } from '../../../server/relay/hub.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { RecordingStore } from '../../../server/replay/recording-store.ts';
import { syntheticVideo, testVideoTrack } from '../../support/synthetic-media.ts';
import { within } from '../../support/wait.ts';

const SECRET = 'a secret of the shop';
const QUICK: Omit<WebhookOptions, 'receivers'> = {
  ...WEBHOOK_DEFAULTS,
  timeoutMs: 300,
  retryFirstMs: 10,
  retryMaxMs: 40,
};

type Call = { readonly path: string; readonly headers: IncomingHttpHeaders; readonly body: string };
type Receiver = {
  readonly url: string;
  readonly calls: Call[];
  /** What the next calls get; a hanging one gets nothing. */
  behave: (response: ServerResponse, call: Call) => void;
  eventsTaken(): unknown[];
};

const OK = (response: ServerResponse): void => void response.writeHead(204).end();
const statusOf =
  (status: number, headers: Record<string, string> = {}) =>
  (response: ServerResponse): void =>
    void response.writeHead(status, headers).end();

/** Takes what it answers with 2xx. */
const openReceiver = async (t: TestContext, port = 0): Promise<Receiver> => {
  const taken: unknown[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const call = { path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks).toString() };
      receiver.calls.push(call);
      receiver.behave(response, call);
      if (response.headersSent && response.statusCode < 300) {
        taken.push((JSON.parse(call.body) as { data: { n: unknown } }).data.n);
      }
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(port, '127.0.0.1', resolve);
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    calls: [],
    behave: OK,
    eventsTaken: () => taken,
  };
  return receiver;
};

const open = (
  t: TestContext,
  urls: readonly string[],
  options: Partial<WebhookOptions> = {},
): { hooks: Webhooks; metrics: Metrics } => {
  const metrics = new Metrics({ collectDefaults: false });
  const receivers = urls.map((url) => ({ url, secret: SECRET, events: HOOK_TOPICS }));
  const parts = { clock: systemClock, log: silentLog, metrics, nextRatio: () => 0.5 };
  const hooks = new Webhooks({ ...QUICK, receivers, ...options }, parts);
  t.after(async () => hooks.close());
  return { hooks, metrics };
};

/** A port where nobody listens. */
const deadUrl = async (): Promise<string> => {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return `http://127.0.0.1:${port}/`;
};

test('an event is one POST of JSON, named, numbered and signed over its time and body', async (t) => {
  const receiver = await openReceiver(t);
  const { hooks } = open(t, [receiver.url]);
  hooks.tell('publish', { n: 1, name: 'demo' });
  await within(5_000, 'the call', () => receiver.calls.length === 1);
  const [call] = receiver.calls;
  assert.ok(call !== undefined);
  const body = JSON.parse(call.body) as Record<string, unknown>;
  assert.deepEqual(
    { ...body, id: '', atWallMs: 0 },
    { id: '', event: 'publish', sequence: 1, atWallMs: 0, data: { n: 1, name: 'demo' } },
  );
  assert.equal(call.headers['content-type'], 'application/json');
  assert.equal(call.headers['sluice-event'], 'publish');
  assert.equal(call.headers['sluice-delivery'], body['id']);
  const [, time = '', signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(call.headers['sluice-signature'])) ?? [];
  assert.equal(signature, createHmac('sha256', SECRET).update(`${time}.${call.body}`).digest('hex'));
  assert.ok(Math.abs(Number(time) * 1000 - Date.now()) < 60_000);
});

test('a receiver that fails, hangs and redirects gets everything in order once it is well, each under one id', async (t) => {
  const receiver = await openReceiver(t);
  const elsewhere = await openReceiver(t);
  const { hooks } = open(t, [receiver.url]);
  const hanging: ServerResponse[] = [];
  const ways = [statusOf(500), statusOf(503), statusOf(302, { location: elsewhere.url }), statusOf(404)];
  receiver.behave = (response) => {
    const way = ways.shift();
    if (way !== undefined) {
      way(response);
    } else if (hanging.length === 0) {
      hanging.push(response);
    } else {
      OK(response);
    }
  };
  for (let n = 1; n <= 20; n += 1) {
    hooks.tell('publish', { n });
  }
  await within(10_000, 'all events', () => receiver.eventsTaken().length === 20);
  assert.deepEqual(
    receiver.eventsTaken(),
    Array.from({ length: 20 }, (_, index) => index + 1),
  );
  assert.equal(receiver.calls.length, 25, 'five attempts failed, the sixth was taken');
  assert.equal(new Set(receiver.calls.slice(0, 6).map(({ headers }) => headers['sluice-delivery'])).size, 1);
  assert.equal(elsewhere.calls.length, 0, 'nothing follows a redirect');
});

test('a receiver that is not there harms nobody, and gets what waited when it comes', async (t) => {
  const dead = await deadUrl();
  const alive = await openReceiver(t);
  const { hooks } = open(t, [dead, alive.url]);
  for (let n = 1; n <= 50; n += 1) {
    hooks.tell('unpublish', { n });
  }
  await within(5_000, 'the one that is there', () => alive.eventsTaken().length === 50);
  const late = await openReceiver(t, Number(new URL(dead).port));
  await within(5_000, 'the one that came late', () => late.eventsTaken().length === 50);
  assert.deepEqual(late.eventsTaken(), alive.eventsTaken());
});

test('a receiver that stays away costs a bounded queue, and what is given up is counted', async (t) => {
  const { hooks, metrics } = open(t, [await deadUrl()], { queueMaxCount: 10, giveUpAfterMs: 60 });
  for (let n = 1; n <= 1_000; n += 1) {
    hooks.tell('publish', { n });
  }
  assert.match(await metrics.render(), /webhook_queue_count 10\n/);
  await within(5_000, 'something given up', async () => /outcome="given_up"\} [1-9]/.test(await metrics.render()));
  assert.match(await metrics.render(), /outcome="dropped"\} 990\n/);
});

test('only what a receiver asked for reaches it', async (t) => {
  const receiver = await openReceiver(t);
  const { hooks } = open(t, [], { receivers: [{ url: receiver.url, secret: SECRET, events: ['recording'] }] });
  hooks.tell('publish', { n: 1 });
  hooks.tell('recording.started', { n: 2 });
  hooks.tell('cue.fired', { n: 3 });
  hooks.tell('recording.ready', { n: 4 });
  await within(5_000, 'two', () => receiver.eventsTaken().length === 2);
  assert.deepEqual(receiver.eventsTaken(), [2, 4]);
});

test('at the end what waits is tried once more, whatever its pause', async (t) => {
  const receiver = await openReceiver(t);
  receiver.behave = statusOf(500);
  const { hooks } = open(t, [receiver.url], { retryFirstMs: 60_000, retryMaxMs: 60_000 });
  hooks.tell('publish', { n: 1 });
  hooks.tell('unpublish', { n: 2 });
  await within(5_000, 'a failure', () => receiver.calls.length === 1);
  receiver.behave = OK;
  await hooks.close();
  assert.deepEqual(receiver.eventsTaken(), [1, 2]);
});

test('pauses double up to their longest, honour what was asked up to that, and an event is given up in time', () => {
  const queue = new HookQueue<number>({ queueMaxCount: 10, retryFirstMs: 100, retryMaxMs: 400, giveUpAfterMs: 1_500 });
  [1, 2].forEach((event) => queue.add(event));
  let nowMs = 0;
  const pauses: number[] = [];
  for (let isGivenUp = false; !isGivenUp;) {
    assert.equal(queue.attempt(nowMs), 1);
    isGivenUp = queue.fail(nowMs, { jitterRatio: 1 });
    pauses.push((queue.dueAtMs ?? 0) - nowMs);
    nowMs = queue.dueAtMs ?? 0;
  }
  assert.deepEqual(pauses, [100, 200, 400, 400, 400, 400]);
  assert.equal(queue.attempt(nowMs), 2, 'then the next, no sooner');
  queue.fail(nowMs, { jitterRatio: 0, askedMs: 300 });
  assert.equal(queue.dueAtMs, nowMs + 300);
  queue.fail(nowMs, { jitterRatio: 0, askedMs: 3_600_000 });
  assert.equal(queue.dueAtMs, nowMs + 400);
  queue.succeed();
  assert.equal(queue.dueAtMs, undefined);
});

test('a full queue loses the oldest that waits, never the one that may be on its way', () => {
  const queue = new HookQueue<number>({ ...WEBHOOK_DEFAULTS, queueMaxCount: 3 });
  assert.deepEqual(
    [1, 2, 3, 4, 5].map((event) => queue.add(event)),
    [undefined, undefined, undefined, 2, 3],
  );
  assert.equal(queue.attempt(0), 1);
});

test('addresses that carry secrets or lead elsewhere than to the web are refused', () => {
  assert.deepEqual(
    [
      'https://shop.example/h?x=1',
      'http://10.0.0.1:81/',
      'ftp://a/',
      'https://u:p@a/',
      'shop.example',
      'https://a/#x',
    ].map(isReceiverUrl),
    [true, true, false, false, false, false],
  );
});

test('a broadcast is told of when it is live and when it is over, not in between; a cue when it fires, not before', async (t) => {
  const receiver = await openReceiver(t);
  const { hooks } = open(t, [receiver.url]);
  const parts = { clock: systemClock, log: silentLog, metrics: new Metrics({ collectDefaults: false }) };
  const gopCache = { cacheMaxBytes: 1e6, cacheMaxCount: 100 };
  const hub = new Hub({ settings: { gopCache, reconnectGraceMs: 60_000, broadcastMaxCount: 2 }, ...parts });
  const recordings = new RecordingStore({ root: '/r', files: new MemoryFiles(), log: silentLog });
  let onCue: ((news: CueNews) => void) | undefined;
  const desk = {
    listen: (listener: (news: CueNews) => void): (() => void) => {
      onCue = listener;
      return () => undefined;
    },
  };
  announceEvents(hooks, { hub, recordings, desk, clock: systemClock });
  const publisher = { keyed: true, remoteAddress: '::1', close: () => undefined };
  const first = hub.publish('demo', publisher);
  const silent = hub.publish('silent', publisher);
  assert.ok(first.ok && silent.ok);
  const units = syntheticVideo({ frameRateFps: 30, durationS: 1, gopFrames: 30, track: testVideoTrack({}) });
  units.slice(0, 1).forEach((unit) => first.feed.push(unit));
  first.feed.close('gone');
  const again = hub.publish('demo', publisher);
  assert.ok(again.ok);
  units.forEach((unit) => again.feed.push(unit));
  const cue = {
    id: 'c',
    mode: 'media',
    mediaMs: 1,
    programWallMs: 2,
    showAtWallMs: null,
    kind: 'product',
    durationMs: null,
  } as const;
  const { mode, mediaMs, programWallMs, showAtWallMs } = cue;
  const named = { name: 'demo', broadcastId: first.broadcast.id };
  onCue?.({
    ...named,
    event: { type: 'armed', mark: { id: 'c', mode, mediaMs, programWallMs, showAtWallMs }, content: cue },
  });
  onCue?.({ ...named, event: { type: 'fired', cue, lateMs: 0 } });
  hub.close('over');
  await within(5_000, 'all', () => receiver.calls.length === 3);
  const told = receiver.calls.map(({ body }) => JSON.parse(body) as { event: string; data: Record<string, unknown> });
  assert.deepEqual(
    told.map(({ event, data }) => [event, data['name'], data['broadcastId']]),
    [
      ['publish', 'demo', first.broadcast.id],
      ['cue.fired', 'demo', first.broadcast.id],
      ['unpublish', 'demo', first.broadcast.id],
    ],
  );
});
