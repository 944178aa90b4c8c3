/** Rows W15, W21 and W22 of CONFORMANCE part 2, by calling the endpoint. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { HttpAnswer } from '../../../../server/base/http-exchange.ts';
import { FixedController } from '../../../../server/relay/webrtc/fixed-controller.ts';
import { WEBRTC_OUT_DEFAULTS } from '../../../../server/relay/webrtc/options.ts';
import { within } from '../../../support/wait.ts';
import { offerSdp, WhepClient } from '../../../support/whep-client.ts';
import type { WebRtcSetup } from '../../../support/webrtc-setup.ts';
import { openWebRtcSetup } from '../../../support/webrtc-setup.ts';

const SDP = { 'content-type': 'application/sdp' };
const JSON_BODY = { 'content-type': 'application/json' };
const MAIN = { id: 'main', codec: 'h264', widthPx: 1280, heightPx: 720, bitrateBps: 2_000_000.4 };
const RUNG = { id: 'h360', codec: 'h264', widthPx: 640, heightPx: 360, bitrateBps: 600_000 };
const AV1_RUNG = { id: 'av1h360', codec: 'av1', widthPx: 640, heightPx: 360, bitrateBps: 400_000 };
/** Nothing in it that we send. */
const STRANGE_OFFER = offerSdp().replaceAll('H264', 'VP9').replaceAll('opus', 'g722');

let setup: WebRtcSetup;
before(async () => {
  setup = await openWebRtcSetup();
});
after(() => setup.close());

const join = async (into = setup, offer = offerSdp()): Promise<HttpAnswer & { readonly url: string }> => {
  const answer = await into.request('POST', '/whep/demo', { body: offer, headers: SDP });
  return { ...answer, url: answer.headers['location'] ?? '' };
};
const post = async (url: string, body: unknown, into = setup): Promise<HttpAnswer> =>
  into.request('POST', url, { body: body === undefined ? '' : JSON.stringify(body), headers: JSON_BODY });

type Event = { readonly event: string; readonly data: unknown };

/** Reads what an answer streams, until it is told to leave or the stream ends. */
const listen = ({ stream }: HttpAnswer): { events: Event[]; done: Promise<void>; leave: () => Promise<void> } => {
  assert.ok(stream !== undefined);
  const iterator = stream[Symbol.asyncIterator]();
  const events: Event[] = [];
  const read = async (): Promise<void> => {
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      for (const [, event = '', data = ''] of Buffer.from(next.value)
        .toString()
        .matchAll(/event: (\w+)\ndata: (.*)\n\n/gu)) {
        events.push({ event, data: JSON.parse(data) as unknown });
      }
    }
  };
  const done = read();
  return { events, done, leave: async () => void (await iterator.return?.()) };
};

const openStream = async (url: string, kinds?: readonly string[], into = setup): Promise<string> => {
  const answer = await post(`${url}/sse`, kinds, into);
  assert.equal(answer.status, 201, String(answer.body));
  return answer.headers['location'] ?? '';
};

test('W21 and W22 a session links its event and layer addresses, events named', async () => {
  const { headers, url } = await join();
  const link = headers['link'] ?? '';
  const events = 'active,inactive,layers,reconnect,viewercount';
  assert.ok(
    link.includes(`<${url}/sse>; rel="urn:ietf:params:whep:ext:core:server-sent-events"; events="${events}"`),
    link,
  );
  assert.ok(link.includes(`<${url}/layer>; rel="urn:ietf:params:whep:ext:core:layer"`), link);
});

test('W21 a POST of a list of events gives 201 and a Location where they come, and nothing else does', async () => {
  const { url } = await join();
  const location = await openStream(url, ['viewercount']);
  assert.match(location, /^\/whep\/demo\/[0-9a-f]{32}\/sse\/[0-9a-f]{32}$/u);
  const answer = await setup.request('GET', location);
  assert.deepEqual([answer.status, answer.headers['content-type']], [200, 'text/event-stream']);
  const heard = listen(answer);
  setup.audience.change({ viewerCount: 7, state: 'reconnecting', renditions: [MAIN] });
  setup.audience.change({ viewerCount: 7, state: 'live' });
  await within(2_000, 'the events', () =>
    heard.events.some(({ data }) => JSON.stringify(data) === '{"viewercount":7}'),
  );
  assert.deepEqual(new Set(heard.events.map(({ event }) => event)), new Set(['viewercount']));
  await heard.leave();
  await heard.done;
});

test('W21 without a list all events come: active, layers and the count at first, never inactive', async () => {
  const own = await openWebRtcSetup();
  try {
    own.audience.change({ viewerCount: 3, renditions: [MAIN, RUNG, AV1_RUNG] });
    const { url } = await join(own);
    const heard = listen(await own.request('GET', await openStream(url, undefined, own)));
    await within(2_000, 'the events', () => heard.events.length >= 3);
    assert.deepEqual(heard.events, [
      { event: 'active', data: {} },
      {
        event: 'layers',
        data: {
          0: [
            { rid: 'main', bitrate: 2_000_000, width: 1280, height: 720 },
            { rid: 'h360', bitrate: 600_000, width: 640, height: 360 },
          ],
        },
      },
      { event: 'viewercount', data: { viewercount: 3 } },
    ]);
    own.audience.change({ state: 'reconnecting' });
    await within(2_000, 'the events', () => heard.events.at(-1)?.event === 'inactive');
    const late = listen(await own.request('GET', await openStream((await join(own)).url, ['active', 'inactive'], own)));
    own.audience.change({ state: 'live' });
    await within(2_000, 'the events', () => late.events.length > 0 && heard.events.at(-1)?.event === 'active');
    assert.deepEqual(late.events, [{ event: 'active', data: {} }], 'who came while nothing was on was told nothing');
    await Promise.all([heard.leave(), late.leave()]);
  } finally {
    own.close();
  }
});

test('W21 an event that is not offered gives 400, as does no list; a wrong type 415', async () => {
  const { url } = await join();
  for (const body of [['scte35'], ['active', 7], { active: true }, 'active']) {
    const answer = await post(`${url}/sse`, body);
    assert.equal(answer.status, 400, JSON.stringify(body));
    assert.equal(answer.headers['location'], undefined);
  }
  assert.equal((await setup.request('POST', `${url}/sse`, { body: '[', headers: JSON_BODY })).status, 400);
  const typed = await setup.request('POST', `${url}/sse`, { body: '[]', headers: { 'content-type': 'text/plain' } });
  assert.equal(typed.status, 415);
  assert.equal((await setup.request('GET', `${url}/sse`)).status, 405);
  assert.equal((await setup.request('OPTIONS', `${url}/sse`)).headers['accept-post'], 'application/json');
});

test('W21 DELETE ends a stream: its reader is done, and to ask again gives 404', async () => {
  const { url } = await join();
  const location = await openStream(url, ['viewercount']);
  const heard = listen(await setup.request('GET', location));
  assert.equal((await setup.request('DELETE', location)).status, 200);
  await heard.done;
  assert.equal((await setup.request('GET', location)).status, 404);
  assert.equal((await setup.request('GET', `${url}/sse/${'0'.repeat(32)}`)).status, 404);
});

test('W21 events wait for the next request, the newest of each kind only; a second reader takes over', async () => {
  const { url } = await join();
  const location = await openStream(url, ['viewercount', 'active', 'inactive']);
  for (let viewerCount = 10; viewerCount <= 2_000; viewerCount += 1) {
    setup.audience.change({ viewerCount, state: viewerCount % 2 === 0 ? 'live' : 'reconnecting' });
  }
  const first = listen(await setup.request('GET', location));
  await within(2_000, 'the events', () => first.events.length > 0);
  assert.deepEqual(first.events.map(({ event }) => event).toSorted(), ['active', 'viewercount']);
  assert.ok(first.events.some(({ data }) => JSON.stringify(data) === '{"viewercount":2000}'));
  const second = listen(await setup.request('GET', location));
  await first.done;
  await second.leave();
});

test('W21 a session has four streams at most, and none outlives it', async () => {
  const own = await openWebRtcSetup();
  try {
    const { url } = await join(own);
    const locations = [];
    for (let count = 1; count <= 4; count += 1) {
      locations.push(await openStream(url, undefined, own));
    }
    assert.equal((await post(`${url}/sse`, [], own)).status, 429);
    assert.equal(own.audience.listenerCount, 1);
    const heard = listen(await own.request('GET', locations[0] ?? ''));
    assert.equal((await own.request('DELETE', url)).status, 200);
    await heard.done;
    assert.ok(!heard.events.some(({ event }) => event === 'reconnect'), 'who left is not called back');
    assert.equal((await own.request('GET', locations[1] ?? '')).status, 404);
    assert.equal(own.audience.listenerCount, 0);
  } finally {
    own.close();
  }
});

test('W21 a session that the server ends says reconnect, one whose broadcast ended says inactive', async () => {
  const own = await openWebRtcSetup();
  try {
    const { url } = await join(own);
    const heard = listen(await own.request('GET', await openStream(url, ['inactive', 'reconnect'], own)));
    own.out.find(url.split('/').at(-1) ?? '')?.close('server_shutdown');
    await heard.done;
    assert.deepEqual(heard.events, [{ event: 'reconnect', data: {} }]);
    const other = await join(own);
    const last = listen(await own.request('GET', await openStream(other.url, ['inactive', 'reconnect'], own)));
    own.hub.end('demo', 'ended_by_admin');
    await last.done;
    assert.deepEqual(last.events, [{ event: 'inactive', data: {} }]);
  } finally {
    own.close();
  }
});

test('W22 a layer is chosen by rid (or encodingId), by size, and given back to the server', async () => {
  const watched: (string | undefined)[] = [];
  const own = await openWebRtcSetup({ createController: () => new FixedController(WEBRTC_OUT_DEFAULTS) });
  const watch = own.out.watch.bind(own.out);
  own.out.watch = (session, renditionId) => {
    watched.push(renditionId);
    watch(session, renditionId);
  };
  try {
    own.audience.change({ renditions: [MAIN, RUNG, AV1_RUNG] });
    const { url } = await join(own);
    for (const wish of [
      { mediaId: '0', rid: 'h360' },
      { encodingId: 'main' },
      { maxWidth: 1_000 },
      { maxHeight: 720, spatialLayerId: 0, unknown: 1 },
      { mediaId: '0' },
      {},
    ]) {
      assert.equal((await post(`${url}/layer`, wish, own)).status, 200, JSON.stringify(wish));
    }
    assert.deepEqual(watched, ['h360', 'main', 'h360', 'main', undefined, undefined]);
    const statusOf = async (wish: unknown): Promise<number> => (await post(`${url}/layer`, wish, own)).status;
    assert.deepEqual(
      await Promise.all([{ rid: 'h999' }, { rid: 'av1h360' }, { mediaId: '1' }, { maxHeight: 10 }].map(statusOf)),
      [422, 422, 422, 422],
    );
    assert.equal(await statusOf({ rid: 'h360', temporalLayerId: 1 }), 422);
    assert.deepEqual(await Promise.all([[], 'h360', { rid: 1 }, { maxWidth: 'x' }, undefined].map(statusOf)), [
      ...[400, 400, 400, 400, 400],
    ]);
    assert.equal(watched.length, 6, 'what was refused changed nothing');
    const withAv1 = await join(own, offerSdp({ av1: true }));
    assert.equal((await post(`${withAv1.url}/layer`, { rid: 'av1h360' }, own)).status, 200);
  } finally {
    own.close();
  }
});

test('W15 an offer that nobody can answer gives 406, an offer of ours, a Location and how long it is good', async () => {
  for (const offer of [
    STRANGE_OFFER,
    offerSdp()
      .replace(/m=video[\s\S]*/u, 'm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n')
      .replace(
        'v=0\r\n',
        'v=0\r\na=ice-ufrag:peer\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 AA:BB\r\n',
      ),
  ]) {
    const { status, headers, body, url } = await join(setup, offer);
    assert.equal(status, 406, String(body));
    const [, date = ''] = /^application\/sdp; valid-until="([^"]+ GMT)"$/u.exec(headers['content-type'] ?? '') ?? [];
    assert.ok(Date.parse(date) > Date.now() && Date.parse(date) <= Date.now() + 30_000, headers['content-type']);
    assert.match(url, /^\/whep\/demo\/[0-9a-f]{32}$/u);
    const sdp = String(body);
    assert.match(sdp, /^v=0\r\n/u);
    assert.equal(sdp.match(/^a=sendonly\r$/gmu)?.length, 2, 'W16');
    assert.equal(sdp.match(/^a=setup:actpass\r$/gmu)?.length, 2);
    assert.match(sdp, /a=group:BUNDLE 0 1\r\n/u);
    assert.match(sdp, /a=rtpmap:\d+ H264\/90000\r\n/u);
    assert.match(sdp, /a=rtpmap:\d+ opus\/48000\/2\r\n/u);
    assert.equal((await setup.request('GET', url)).status, 204);
  }
});

test('W15 the answer comes by PATCH and gets 204; then media flows, to the streams that were offered', async () => {
  const own = await openWebRtcSetup();
  try {
    let offered: HttpAnswer | undefined;
    let settled: HttpAnswer | undefined;
    const client = await WhepClient.connect({
      post: async (answer) => {
        offered = await own.request('POST', '/whep/demo', { body: STRANGE_OFFER, headers: SDP });
        const url = offered.headers['location'] ?? '';
        const active = answer.replaceAll('a=setup:actpass', 'a=setup:active');
        settled = await own.request('PATCH', url, { body: active, headers: SDP });
        return { ...offered, status: settled.status === 204 ? 201 : settled.status };
      },
    });
    assert.equal(settled?.status, 204);
    assert.equal(settled?.body, undefined);
    const id = offered?.headers['location']?.split('/').at(-1) ?? '';
    const session = own.out.find(id);
    assert.ok(session?.isConnected === true);
    assert.equal(session.videoSsrc?.ssrc, client.videoSsrc);
    assert.equal(session.videoSsrc?.rtxSsrc, client.rtxSsrc);
    assert.match(settled?.headers['link'] ?? '', new RegExp(`session=${session.secret}`, 'u'));
    assert.match(settled?.headers['etag'] ?? '', /^"[0-9a-f]+"$/u);
    const again = await own.request('PATCH', `/whep/demo/${id}`, {
      body: offerSdp(),
      headers: { ...SDP, 'if-match': '*' },
    });
    assert.equal(again.status, 422, 'it has its answer');
    client.close();
  } finally {
    own.close();
  }
});

test('W15 an answer that cannot be is refused, and a better one may follow; withdrawn or unknown offers give 404', async () => {
  const { url } = await join(setup, STRANGE_OFFER);
  const answerWith = async (body: string, headers: Record<string, string> = SDP): Promise<number> =>
    (await setup.request('PATCH', url, { body, headers })).status;
  assert.equal(await answerWith('hello'), 400);
  assert.equal(await answerWith(offerSdp().replaceAll('a=setup:actpass', 'a=setup:passive')), 400);
  assert.equal(await answerWith(STRANGE_OFFER), 406);
  assert.equal(await answerWith(offerSdp().replaceAll(/^m=(\w+) 9/gmu, 'm=$1 0')), 400, 'all sections refused');
  assert.equal(await answerWith('x', { 'content-type': 'text/plain' }), 415);
  assert.equal(await answerWith(offerSdp().replaceAll('a=setup:actpass', 'a=setup:active')), 204);
  const other = await join(setup, STRANGE_OFFER);
  assert.equal((await setup.request('DELETE', other.url)).status, 200);
  assert.equal((await setup.request('PATCH', other.url, { body: offerSdp(), headers: SDP })).status, 404);
});

test('W15 open counter-offers are bounded, and expire', async () => {
  let nowMs = 0;
  const own = await openWebRtcSetup({
    // Turns want time to pass.
    clock: { nowMs: () => (nowMs += 0.1), wallMs: () => 1e12 + nowMs },
    out: { joinsPerS: 10_000, joinQueueMaxCount: 1_000 },
  });
  try {
    const first = await join(own, STRANGE_OFFER);
    for (let count = 2; count <= 200; count += 1) {
      assert.equal((await join(own, STRANGE_OFFER)).headers['content-type']?.startsWith('application/sdp'), true);
    }
    const plain = await join(own, STRANGE_OFFER);
    assert.deepEqual([plain.status, plain.headers['content-type']], [406, 'application/json']);
    nowMs += 30_001;
    assert.equal((await own.request('GET', first.url)).status, 404);
    assert.match((await join(own, STRANGE_OFFER)).headers['content-type'] ?? '', /^application\/sdp/u);
  } finally {
    own.close();
  }
});
