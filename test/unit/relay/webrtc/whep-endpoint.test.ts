/** Rows W1 to W23 of CONFORMANCE part 2, by calling the endpoint. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { HttpAnswer } from '../../../../server/base/http-exchange.ts';
import type { VideoTrack } from '../../../../server/media/track.ts';
import { buildAvcConfig } from '../../../../server/media/h264/avc-config.ts';
import { FixedController } from '../../../../server/relay/webrtc/fixed-controller.ts';
import { WEBRTC_OUT_DEFAULTS } from '../../../../server/relay/webrtc/options.ts';
import { offerSdp } from '../../../support/whep-client.ts';
import type { WebRtcSetup } from '../../../support/webrtc-setup.ts';
import { openWebRtcSetup } from '../../../support/webrtc-setup.ts';

const SDP = { 'content-type': 'application/sdp' };
const FRAGMENT = { 'content-type': 'application/trickle-ice-sdpfrag' };
const fragment = (ufrag: string): string =>
  `a=ice-ufrag:${ufrag}\r\na=ice-pwd:0123456789012345678901\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n`;

let setup: WebRtcSetup;
before(async () => {
  setup = await openWebRtcSetup({
    out: { iceServers: [{ url: 'turn:turn.example:3478', username: 'u"ser', credential: 'pass' }] },
  });
});
after(() => setup.close());

const join = async (offer = offerSdp()): Promise<HttpAnswer & { readonly sdp: string; readonly url: string }> => {
  const answer = await setup.request('POST', '/whep/demo', { body: offer, headers: SDP });
  return { ...answer, sdp: String(answer.body), url: answer.headers['location'] ?? '' };
};
const patch = async (url: string, body: string, headers: Record<string, string>): Promise<HttpAnswer> =>
  setup.request('PATCH', url, { body, headers: { ...FRAGMENT, ...headers } });

test('W1 a POST of an offer gives 201, an answer and a Location', async () => {
  const answer = await join();
  assert.equal(answer.status, 201);
  assert.equal(answer.headers['content-type'], 'application/sdp');
  assert.match(answer.url, /^\/whep\/demo\/[0-9a-f]{32}$/u);
  assert.match(answer.sdp, /^v=0\r\n/u);
});

test('W2 a wrong type gives 415, a malformed SDP 400, one too large 413', async () => {
  const wrong = await setup.request('POST', '/whep/demo', {
    body: offerSdp(),
    headers: { 'content-type': 'text/plain' },
  });
  assert.equal(wrong.status, 415);
  for (const body of ['', 'hello', 'v=0\r\n', offerSdp().replace(/a=fingerprint.*\r\n/gu, '')]) {
    assert.equal((await join(body)).status, 400, JSON.stringify(body.slice(0, 20)));
  }
  assert.equal((await join(`${offerSdp()}${'a=x\r\n'.repeat(20_000)}`)).status, 413);
  assert.equal((await join(`${offerSdp()}${'m=video 9 RTP/AVP 96\r\n'.repeat(300)}`)).status, 413);
});

test('W3 GET on the endpoint and on a session gives 2xx without content', async () => {
  const { url } = await join();
  for (const path of ['/whep/demo', url]) {
    const answer = await setup.request('GET', path);
    assert.deepEqual([answer.status, answer.body], [204, undefined]);
  }
});

test('W4 HEAD on the endpoint gives 200 and its type', async () => {
  const answer = await setup.request('HEAD', '/whep/demo');
  assert.deepEqual([answer.status, answer.headers['content-type']], [200, 'application/sdp']);
});

test('W5 OPTIONS gives 200 with Accept-Post and what a browser asks before it posts', async () => {
  const answer = await setup.request('OPTIONS', '/whep/demo');
  assert.deepEqual([answer.status, answer.headers['accept-post']], [200, 'application/sdp']);
  assert.match(answer.headers['access-control-allow-methods'] ?? '', /PATCH/u);
  assert.match(answer.headers['access-control-allow-headers'] ?? '', /authorization.*if-match/iu);
  assert.equal(answer.headers['link'], undefined, 'W13: no ice-server before authorisation');
});

test('W6 CORS exposes Location, Link and ETag, on refusals too', async () => {
  for (const answer of [await join(), await join('hello')]) {
    assert.match(answer.headers['access-control-expose-headers'] ?? '', /Location, Link, ETag/u);
    assert.equal(answer.headers['access-control-allow-origin'], '*');
  }
});

test('W7 the ETag is strong, quoted and unique', async () => {
  const etags = [await join(), await join()].map(({ headers }) => headers['etag'] ?? '');
  assert.ok(etags.every((etag) => /^"[0-9a-f]+"$/u.test(etag)));
  assert.notEqual(etags[0], etags[1]);
});

test('W8 a PATCH with candidates and the ETag gives 204 without an ETag', async () => {
  const { url, headers } = await join();
  const answer = await patch(url, fragment('peer'), { 'if-match': headers['etag'] ?? '' });
  assert.deepEqual([answer.status, answer.headers['etag']], [204, undefined]);
});

test('W9 an ICE restart gives 200, a new ETag and new credentials', async () => {
  const { url, headers, sdp } = await join();
  const answer = await patch(url, fragment('another'), { 'if-match': '*' });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['content-type'], FRAGMENT['content-type']);
  assert.match(answer.headers['etag'] ?? '', /^"[0-9a-f]+"$/u);
  assert.notEqual(answer.headers['etag'], headers['etag']);
  const ufrag = /a=ice-ufrag:(\S+)/u.exec(String(answer.body))?.[1] ?? '';
  assert.ok(ufrag.length >= 4 && !sdp.includes(ufrag));
  const stale = await patch(url, fragment('another'), { 'if-match': headers['etag'] ?? '' });
  assert.equal(stale.status, 412, 'the ETag before the restart is no longer valid');
});

test('W10 a PATCH without If-Match gives 428, a mismatch 412, an unsupported kind 422, a bad type 415', async () => {
  const { url, headers } = await join();
  const etag = { 'if-match': headers['etag'] ?? '' };
  assert.equal((await patch(url, fragment('peer'), {})).status, 428);
  assert.equal((await patch(url, fragment('peer'), { 'if-match': '"other"' })).status, 412);
  assert.equal((await patch(url, offerSdp(), { ...etag, ...SDP })).status, 422);
  assert.equal((await patch(url, fragment('another'), etag)).status, 422, 'a restart must carry *');
  assert.equal((await patch(url, 'x', { ...etag, 'content-type': 'text/plain' })).status, 415);
});

test('W11 a failed restart keeps the session and its ETag', async () => {
  const { url, headers } = await join();
  assert.equal((await patch(url, 'a=ice-ufrag:xxxx\r\n', { 'if-match': '*' })).status, 400);
  assert.equal((await patch(url, fragment('peer'), { 'if-match': headers['etag'] ?? '' })).status, 204);
});

test('W12 DELETE gives 200 whatever the ETag and ends the session; unknown sessions give 404', async () => {
  const { url } = await join();
  const peers = setup.port.peerCount;
  assert.equal((await setup.request('DELETE', url, { headers: { 'if-match': '"x"' } })).status, 200);
  assert.equal(setup.port.peerCount, peers - 1);
  for (const method of ['DELETE', 'PATCH', 'GET']) {
    assert.equal((await setup.request(method, url)).status, 404);
  }
});

test('W13 the answer links ICE servers with their credentials, and the socket with a secret of its own', async () => {
  const { headers, url } = await join();
  const link = headers['link'] ?? '';
  assert.match(
    link,
    /<turn:turn\.example:3478>; rel="ice-server"; username="user"; credential="pass"; credential-type="password"/u,
  );
  const secret = /<\/ws\/demo\?session=([0-9a-f]{32})>; rel="urn:sluice:socket"/u.exec(link)?.[1] ?? '';
  assert.ok(!url.includes(secret));
  assert.equal(setup.out.findBySecret(secret)?.id, url.split('/').at(-1));
});

test('W16 offers to receive are answered sendonly, others are refused', async () => {
  for (const direction of ['recvonly', 'sendrecv']) {
    const { sdp } = await join(offerSdp({ direction }));
    assert.equal(sdp.match(/^a=sendonly\r$/gmu)?.length, 2);
  }
  assert.equal((await join(offerSdp({ direction: 'sendonly' }))).status, 400);
});

test('W17 the answer bundles everything on one transport, muxes RTCP and names one stream', async () => {
  const { sdp } = await join();
  assert.match(sdp, /a=group:BUNDLE 0 1\r\n/u);
  assert.equal(sdp.match(/^a=rtcp-mux\r$/gmu)?.length, 2);
  assert.equal(sdp.match(/^a=setup:passive\r$/gmu)?.length, 2);
  assert.match(sdp, /a=ice-lite\r\n/u);
  assert.equal(sdp.match(/a=candidate:\S+ 1 udp/gu)?.length, 1);
  assert.match(sdp, /a=candidate:\S+ 1 tcp \d+ 127\.0\.0\.1 \d+ typ host tcptype passive/u);
  assert.deepEqual(new Set([...sdp.matchAll(/^a=msid:(\S+)/gmu)].map(([, id]) => id)), new Set(['sluice-demo']));
  assert.equal((await join(offerSdp().replace(/a=group.*\r\n/u, ''))).status, 400);
  assert.equal((await join(offerSdp().replaceAll('a=rtcp-mux\r\n', ''))).status, 400);
});

test('the answer takes H264 with packetization-mode 1, its RTX, and the extensions we write', async () => {
  const { sdp } = await join();
  assert.match(sdp, /m=video 9 UDP\/TLS\/RTP\/SAVPF 102 103\r\n/u);
  assert.match(sdp, /a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n/u);
  assert.match(sdp, /a=extmap:5 \S+playout-delay\r\n/u);
  assert.match(sdp, /a=rtcp-fb:102 rrtr\r\n/u);
  assert.equal((await join(offerSdp().replaceAll('H264', 'VP9').replaceAll('opus', 'g722'))).status, 406);
});

test('W18 too many viewers give 503 with Retry-After', async () => {
  const small = await openWebRtcSetup({ out: { sessionMaxCount: 1 } });
  const post = async (): Promise<HttpAnswer> => small.request('POST', '/whep/demo', { body: offerSdp(), headers: SDP });
  assert.equal((await post()).status, 201);
  const refused = await post();
  assert.deepEqual([refused.status, refused.headers['retry-after']], [503, '10']);
  small.close();
});

test('W18 joins beyond the bounded queue give 503 with Retry-After, those in it get their turn', async () => {
  const slow = await openWebRtcSetup({ out: { joinsPerS: 100, joinQueueMaxCount: 2 } });
  const posts = Array.from({ length: 12 }, async () =>
    slow.request('POST', '/whep/demo', { body: offerSdp(), headers: SDP }),
  );
  const statuses = (await Promise.all(posts)).map(({ status }) => status);
  assert.equal(statuses[0], 201);
  assert.ok(statuses.filter((status) => status === 201).length >= 3);
  assert.equal(statuses.at(-1), 503);
  slow.close();
});

test('W19 one address may ask only so often, others go on', async () => {
  const strict = await openWebRtcSetup({ out: { requestsPerMinute: 2 } });
  const post = async (remoteAddress: string): Promise<number> =>
    (await strict.request('POST', '/whep/demo', { body: offerSdp(), headers: SDP, remoteAddress })).status;
  assert.deepEqual([await post('1.1.1.1'), await post('1.1.1.1'), await post('1.1.1.1')], [201, 201, 429]);
  assert.equal(await post('2.2.2.2'), 201);
  strict.close();
});

test('W23 an offer without stereo=1 is taken, and stereo is announced either way', async () => {
  const plain = await join();
  assert.match(plain.sdp, /a=fmtp:111 minptime=10;useinbandfec=1;sprop-stereo=1\r\n/u);
  const stereo = await join(offerSdp({ stereo: true }));
  assert.match(stereo.sdp, /a=fmtp:111 minptime=10;useinbandfec=1;sprop-stereo=1;stereo=1\r\n/u);
});

test('nobody publishing gives 404 with Retry-After, a strange path 404, a strange method 405', async () => {
  const absent = await setup.request('POST', '/whep/nobody', { body: offerSdp(), headers: SDP });
  assert.deepEqual([absent.status, absent.headers['retry-after']], [404, '2']);
  assert.equal(JSON.parse(String(absent.body)).error, 'WHEP_NOT_LIVE');
  assert.equal((await setup.request('POST', '/whep/../etc', { headers: SDP })).status, 404);
  assert.equal((await setup.request('PUT', '/whep/demo')).status, 405);
});

test('where WebRTC lacks something the endpoint says what', async () => {
  const lacking = await openWebRtcSetup({ whep: { lacking: () => 'ffmpeg is missing' } });
  const answer = await lacking.request('POST', '/whep/demo', { body: offerSdp(), headers: SDP });
  assert.equal(answer.status, 503);
  assert.deepEqual(JSON.parse(String(answer.body)), { error: 'WHEP_NO_SAFE_RENDITION', detail: 'ffmpeg is missing' });
  lacking.close();
});

test('the profile of the source decides between offered payload types', async () => {
  const offer = offerSdp()
    .replace('SAVPF 96 102', 'SAVPF 96 120 102')
    .replace(
      'a=rtpmap:102',
      'a=rtpmap:120 H264/90000\r\na=fmtp:120 packetization-mode=1;profile-level-id=64001f\r\na=rtpmap:102',
    );
  assert.match((await join(offer)).sdp, /m=video 9 \S+ 102 103/u);
  const high = await openWebRtcSetup();
  const track: VideoTrack = {
    kind: 'video',
    codec: 'h264',
    timescaleHz: 90_000,
    decoderConfig: buildAvcConfig([Uint8Array.of(0x67, 0x64, 0, 0x1f)], [Uint8Array.of(0x68)]),
    codecString: 'avc1.64001f',
    widthPx: 640,
    heightPx: 360,
  };
  const payload = Uint8Array.of(0, 0, 0, 1, 0x65);
  high.feed.push({ track, dtsTicks: 0, ptsTicks: 0, isKeyframe: true, payload, arrivedAtMs: 0, arrivedAtWallMs: 0 });
  const answer = await high.request('POST', '/whep/demo', { body: offer, headers: SDP });
  assert.match(String(answer.body), /m=video 9 \S+ 120\r\n/u);
  high.close();
});

test('?viewer= is the number that a player keeps; anything else is none', async () => {
  const ids: (string | undefined)[] = [];
  const own = await openWebRtcSetup({
    createController: ({ viewerId }) => {
      ids.push(viewerId);
      return new FixedController(WEBRTC_OUT_DEFAULTS);
    },
  });
  try {
    for (const query of ['viewer=0a1f', 'viewer=0A1F', 'viewer=0a1f0', 'viewer=', '']) {
      assert.equal((await own.request('POST', '/whep/demo', { body: offerSdp(), headers: SDP, query })).status, 201);
    }
    assert.deepEqual(ids, ['0a1f', undefined, undefined, undefined, undefined]);
  } finally {
    own.close();
  }
});

test('?smooth= sets one viewer between react and smooth, nonsense gives 400; the broadcast moves only those who did not say', async () => {
  const ratios: number[] = [];
  class Noting extends FixedController {
    override setSmoothness(smoothnessRatio?: number): void {
      ratios.push(smoothnessRatio ?? Number.NaN);
    }
  }
  const own = await openWebRtcSetup({
    createController: ({ smoothnessRatio }) => {
      ratios.push(smoothnessRatio);
      return new Noting(WEBRTC_OUT_DEFAULTS);
    },
  });
  const ask = async (query: string): Promise<number> =>
    (await own.request('POST', '/whep/demo', { body: offerSdp(), headers: SDP, query })).status;
  try {
    assert.deepEqual([await ask('smooth=2'), await ask('smooth=calm'), await ask('smooth=')], [400, 400, 400]);
    assert.deepEqual([await ask('smooth=0.25'), await ask('')], [201, 201]);
    assert.deepEqual(ratios.splice(0), [0.25, 0.5]);
    own.out.setSmoothness(own.broadcast, 0.9);
    assert.deepEqual(ratios.splice(0), [0.9]);
    await ask('');
    assert.deepEqual(ratios, [0.9], 'those who come later too');
  } finally {
    own.close();
  }
});
