/** Viewers in threads of their own on loopback: real workers, real ports, and a client that decrypts with another implementation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { systemClock } from '../../server/base/clock.ts';
import { WorldError } from '../../server/base/errors.ts';
import type { HttpAnswer } from '../../server/base/http-exchange.ts';
import { buildAvcConfig } from '../../server/media/h264/avc-config.ts';
import { joinNalUnits } from '../../server/media/h264/nal-units.ts';
import type { StartWorker } from '../../server/media-threads/media-thread.ts';
import { portAfter, threadCountOf } from '../../server/media-threads/options.ts';
import type { SessionView } from '../../server/relay/webrtc/session-view.ts';
import { createSessionsView } from '../../server/viewer-sessions.ts';
import { listWebRtcViewers } from '../../server/viewer-timelines.ts';
import { ViewerList } from '../../server/viewer-list.ts';
import type { VideoTrack } from '../../server/media/track.ts';
import type { ThreadedSetup } from '../support/threaded-setup.ts';
import { openThreadedSetup } from '../support/threaded-setup.ts';
import { within, withinValue } from '../support/wait.ts';
import { WhepClient, offerSdp } from '../support/whep-client.ts';

const SDP = { 'content-type': 'application/sdp' };
const JSON_TYPE = { 'content-type': 'application/json' };
const WAIT_MAX_MS = 15_000;
const TRACK: VideoTrack = {
  ...{ kind: 'video', codec: 'h264', timescaleHz: 90_000, codecString: 'avc1.42e01f', widthPx: 640, heightPx: 360 },
  decoderConfig: buildAvcConfig([Uint8Array.of(0x67, 0x42, 0xe0, 0x1f, 1, 2)], [Uint8Array.of(0x68, 1, 2)]),
};

/** A picture every 33 ms, a keyframe every half second; each ends with a byte that tells which it is. */
const publish = ({ feed }: ThreadedSetup): (() => void) => {
  let index = 0;
  const timer = setInterval(() => {
    const isKeyframe = index % 15 === 0;
    const nalUnit = new Uint8Array(2_500).fill(index & 0xff);
    nalUnit[0] = isKeyframe ? 0x65 : 0x41;
    const ticks = index * 3_000;
    const arrived = { arrivedAtMs: systemClock.nowMs(), arrivedAtWallMs: systemClock.wallMs() };
    feed.push({
      ...{ track: TRACK, dtsTicks: ticks, ptsTicks: ticks, isKeyframe },
      payload: joinNalUnits([nalUnit]),
      ...arrived,
    });
    index += 1;
  }, 33);
  return () => clearInterval(timer);
};

/** Clients of the test that runs. */
const opened: WhepClient[] = [];

const withLive = async (setup: ThreadedSetup, run: () => Promise<void>): Promise<void> => {
  const stop = publish(setup);
  try {
    await within(WAIT_MAX_MS, 'the broadcast is live', () => setup.broadcast.state === 'live');
    await run();
  } finally {
    stop();
    opened.splice(0).forEach((client) => client.close());
    await setup.close();
  }
};

const withThreads = async (threads: number, run: (setup: ThreadedSetup) => Promise<void>): Promise<void> => {
  const setup = await openThreadedSetup({ threads, controller: 'off' });
  await withLive(setup, async () => run(setup));
};

const join = async (setup: ThreadedSetup): Promise<WhepClient> => {
  const client = await WhepClient.connect({
    post: async (body) => setup.request('POST', '/whep/demo', { body, headers: SDP }),
  });
  opened.push(client);
  return client;
};

const pathOf = ({ answer }: WhepClient): string => answer.headers['location'] ?? '';
const portOf = ({ answerSdp }: WhepClient): string => /a=candidate:\S+ 1 udp \d+ \S+ (\d+)/u.exec(answerSdp)?.[1] ?? '';
const secretOf = ({ answer }: WhepClient): string =>
  /session=([0-9a-f]{32})/u.exec(answer.headers['link'] ?? '')?.[1] ?? '';
const videoCount = ({ packets, videoSsrc }: WhepClient): number =>
  packets.filter(({ ssrc }) => ssrc === videoSsrc).length;
const packetsOut = async ({ metrics }: ThreadedSetup): Promise<number> =>
  Number(/^webrtc_out_packets_total (\d+)$/mu.exec(await metrics.render())?.[1]);
const seesMore = async (client: WhepClient): Promise<void> => {
  const before = videoCount(client);
  await within(WAIT_MAX_MS, 'more pictures', () => videoCount(client) > before + 20);
};

test('viewers are spread over the threads, each with a port of its own, and all see the pictures; counters are sums', async () => {
  await withThreads(2, async (setup) => {
    const clients = [await join(setup), await join(setup), await join(setup), await join(setup)];
    await Promise.all(clients.map(seesMore));
    const ports = clients.map(portOf);
    assert.equal(new Set(ports).size, 2);
    assert.equal(ports.filter((port) => port === ports[0]).length, 2);
    assert.ok(clients.every(({ failedCount }) => failedCount === 0));
    await within(WAIT_MAX_MS, 'four of them are known', () => setup.media.out.viewerCount(setup.broadcast) === 4);
    const text = await setup.metrics.render();
    assert.match(text, /^webrtc_sessions_open 4$/mu);
    assert.match(text, /^media_threads_running 2$/mu);
    const seen = clients.reduce((sum, client) => sum + videoCount(client), 0);
    await within(WAIT_MAX_MS, 'all packets in the sum', async () => (await packetsOut(setup)) >= seen);
    assert.ok((await setup.media.selfTest()).results.length >= 3);
  });
});

test('what WHEP offers works across: candidates, events, layers, our own offer, the end; each at the thread that has the session', async () => {
  await withThreads(2, async (setup) => {
    setup.audience.change({ renditions: [{ id: 'main', codec: 'h264', widthPx: 640, heightPx: 360, bitrateBps: 1 }] });
    const clients = [await join(setup), await join(setup)];
    for (const client of clients) {
      const made = await setup.request('POST', `${pathOf(client)}/sse`, {
        body: '["viewercount","reconnect"]',
        headers: JSON_TYPE,
      });
      assert.equal(made.status, 201);
      const events = await setup.request('GET', made.headers['location'] ?? '');
      const heard: string[] = [];
      const reading = (async () => {
        for await (const piece of events.stream ?? []) {
          heard.push(Buffer.from(piece).toString());
        }
      })();
      await within(WAIT_MAX_MS, 'an event', () => heard.join('').includes('{"viewercount":1}'));
      setup.audience.change({ viewerCount: 7 });
      await within(WAIT_MAX_MS, 'a change', () => heard.join('').includes('{"viewercount":7}'));
      setup.audience.change({ viewerCount: 1 });
      const layer = await setup.request('POST', `${pathOf(client)}/layer`, {
        body: '{"rid":"main"}',
        headers: JSON_TYPE,
      });
      assert.equal(layer.status, 200);
      const patch = await setup.request('PATCH', pathOf(client), { headers: { ...SDP } });
      assert.equal(patch.status, 422);
      assert.equal((await setup.request('DELETE', pathOf(client))).status, 200);
      await reading;
      assert.equal((await setup.request('DELETE', pathOf(client))).status, 404);
    }
    const own = await setup.request('POST', '/whep/demo', {
      body: 'v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\na=mid:0\r\n',
      headers: SDP,
    });
    if (own.status === 406 && own.headers['location'] !== undefined) {
      assert.equal((await setup.request('DELETE', own.headers['location'])).status, 200);
      assert.equal((await setup.request('DELETE', own.headers['location'])).status, 404);
    } else {
      assert.fail(`expected an offer of ours, got ${own.status} ${String(own.body)}`);
    }
  });
});

test('a session is told of like one of this thread: list, timeline, secret, reports, stamps, λ', async () => {
  await withThreads(1, async (setup) => {
    const viewers = new ViewerList(systemClock);
    listWebRtcViewers(viewers, setup.media.out);
    setup.media.out.setSmoothness(setup.broadcast, 0.25);
    const client = await join(setup);
    const view =
      createSessionsView(setup.media.out, setup.metrics).findBySecret(secretOf(client)) ?? assert.fail('no session');
    const mappings: unknown[] = [];
    view.listen((message) => mappings.push(message));
    await seesMore(client);
    await within(WAIT_MAX_MS, 'what stamps mean', () => mappings.length > 0);
    const report = {
      transport: 'whep',
      latencyMs: 321,
      stallCount: 2,
      stallMs: 400,
      framesDecoded: 30,
      framesDropped: 0,
    } as const;
    view.report(report);
    const summary = await withinValue(WAIT_MAX_MS, 'the report in the list', () =>
      viewers
        .list()
        .find(({ latencyMs, path, estimateBps }) => latencyMs === 321 && path === 'udp' && estimateBps !== null),
    );
    assert.deepEqual(
      [summary.stallMs, summary.smoothnessRatio, summary.renditionId, summary.endedAtWallMs],
      [400, 0.25, 'source-video', null],
    );
    assert.equal(setup.media.out.smoothnessOf(setup.broadcast), 0.25);
    const rows = await withinValue(WAIT_MAX_MS, 'a timeline', async () => {
      const found = await viewers.find(summary.number);
      return found !== undefined && found.timeline.atMs.length > 0 ? found.timeline.atMs.length : undefined;
    });
    view.watch('main');
    await setup.request('DELETE', pathOf(client));
    await within(WAIT_MAX_MS, 'its end in the list', () => viewers.list()[0]?.endReason === 'deleted_by_viewer');
    assert.ok(((await viewers.find(summary.number))?.timeline.atMs.length ?? 0) >= rows);
  });
});

test('a thread that dies takes its viewers alone, is started again, and takes new ones', async () => {
  await withThreads(2, async (setup) => {
    const ended: SessionView[] = [];
    setup.media.out.listen({ onOpened: () => undefined, onClosed: (session) => ended.push(session) });
    const sessions = createSessionsView(setup.media.out, setup.metrics);
    const [lost, kept] = [await join(setup), await join(setup)];
    const told: string[] = [];
    for (const [index, client] of [lost, kept].entries()) {
      const view = sessions.findBySecret(secretOf(client)) ?? assert.fail('no session');
      view.listen((message) => (message.type === 'closing' ? told.push(`${index} ${message.reason}`) : undefined));
    }
    await Promise.all([lost, kept].map(seesMore));
    const before = await packetsOut(setup);
    await setup.workers[0]?.terminate();
    await within(WAIT_MAX_MS, 'its session ends', () => ended.length === 1);
    assert.deepEqual([ended[0]?.endReason, await ended[0]?.timeline()], ['media_thread_died', []]);
    assert.deepEqual(told, ['0 media_thread_died']);
    assert.equal((await setup.request('DELETE', pathOf(lost))).status, 404);
    await seesMore(kept);
    // Who comes at once is taken by the other.
    const early = await join(setup);
    await seesMore(early);
    await within(WAIT_MAX_MS, 'it runs again', async () =>
      /^media_threads_running 2$/mu.test(await setup.metrics.render()),
    );
    const late = await join(setup);
    await seesMore(late);
    const text = await setup.metrics.render();
    assert.match(text, /^media_thread_deaths_total 1$/mu);
    assert.ok((await packetsOut(setup)) > before);
    assert.equal(setup.workers.length, 3);
  });
});

test('while no thread runs, viewers are asked to come back; a stream of events ends with its thread', async () => {
  await withThreads(1, async (setup) => {
    const client = await join(setup);
    const made = await setup.request('POST', `${pathOf(client)}/sse`, { headers: JSON_TYPE });
    const events = await setup.request('GET', made.headers['location'] ?? '');
    const reading = Array.fromAsync(events.stream ?? []);
    await setup.workers[0]?.terminate();
    const refused = await setup.request('POST', '/whep/demo', { body: offerSdp(), headers: SDP });
    assert.deepEqual([refused.status, refused.headers['retry-after']], [503, '1']);
    await reading;
    const again = await withinValue(WAIT_MAX_MS, 'a place', async () => {
      const answer = await setup.request('POST', '/whep/demo', { body: offerSdp(), headers: SDP });
      return answer.status === 201 ? answer : undefined;
    });
    assert.ok(again.headers['location']);
  });
});

test('why there is no picture is told by the main thread with each request, and holds no longer than that', async () => {
  let lack: string | undefined = 'ffmpeg is missing';
  const setup = await openThreadedSetup({ threads: 1, controller: 'off', lacking: () => lack });
  try {
    const post = async (name: string): Promise<HttpAnswer> =>
      setup.request('POST', `/whep/${name}`, { body: offerSdp(), headers: SDP });
    const refused = await post('demo');
    assert.equal(refused.status, 503);
    assert.match(String(refused.body), /WHEP_NO_SAFE_RENDITION.*ffmpeg is missing/su);
    lack = undefined;
    assert.equal((await post('demo')).status, 201);
    assert.equal((await post('nobody')).status, 404);
  } finally {
    await setup.close();
  }
});

test('when the server closes every viewer is told by BYE before the threads end', async () => {
  await withThreads(2, async (setup) => {
    const clients = [await join(setup), await join(setup)];
    await Promise.all(clients.map(seesMore));
    await setup.media.close('server_shutdown');
    await within(WAIT_MAX_MS, 'two goodbyes', () =>
      clients.every(({ rtcpItems }) => rtcpItems.some(({ type }) => type === 'bye')),
    );
    assert.equal(setup.media.out.sessionCount, 0);
  });
});

test('a thread is started again on the port that viewers know, whatever held it before', async () => {
  // Numbers that were free a moment ago: somebody else may have taken them by now.
  const setup = await withinValue(WAIT_MAX_MS, 'two ports in a row', async () => {
    const drawn = await openThreadedSetup({ threads: 1, controller: 'off' });
    const port = drawn.media.viewerPort ?? 0;
    await drawn.close();
    return openThreadedSetup({ threads: 1, controller: 'off', port }).catch(() => undefined);
  });
  await withLive(setup, async () => {
    const first = await join(setup);
    await seesMore(first);
    await setup.workers[0]?.terminate();
    await within(WAIT_MAX_MS, 'it runs again', async () =>
      /^media_threads_running 1$/mu.test(await setup.metrics.render()),
    );
    const second = await join(setup);
    await seesMore(second);
    assert.equal(portOf(second), portOf(first));
  });
});

test('a port that is taken is said at the start, and nothing is left running', async () => {
  const first = await openThreadedSetup({ threads: 1, controller: 'off' });
  const taken = first.media.viewerPort ?? 0;
  await assert.rejects(openThreadedSetup({ threads: 1, port: taken }), { code: 'WEBRTC_PORT_UNAVAILABLE' });
  await first.close();
});

test('a thread that dies before it was ever ready is said at the start, and not tried again and again', async () => {
  let startCount = 0;
  const start: StartWorker = () => {
    startCount += 1;
    return new Worker('throw new Error("no such thing here")', { eval: true });
  };
  await assert.rejects(openThreadedSetup({ threads: 1, start }), (error) => {
    assert.ok(error instanceof WorldError);
    assert.equal(error.code, 'MEDIA_THREAD_FAILED');
    assert.match(error.detail, /no such thing here/u);
    return true;
  });
  assert.equal(startCount, 1);
});

test('auto is half of the cores, one at least and eight at most; ports follow each other, and 0 stays any', () => {
  assert.deepEqual(
    [1, 2, 5, 8, 64].map((cores) => threadCountOf('auto', cores)),
    [1, 1, 2, 4, 8],
  );
  assert.equal(threadCountOf(0, 64), 0);
  assert.deepEqual([portAfter(8189, 0), portAfter(8189, 2), portAfter(0, 2)], [8189, 8191, 0]);
});
