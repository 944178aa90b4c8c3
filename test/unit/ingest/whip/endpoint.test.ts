/** Rows W1 to W20 of CONFORMANCE part 2 as they concern publishing, by calling the endpoint; and a publisher over a real socket. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../../../server/base/clock.ts';
import type { HttpAnswer } from '../../../../server/base/http-exchange.ts';
import type { AccessUnit } from '../../../../server/media/access-unit.ts';
import { parseSdpOffer } from '../../../../server/webrtc-transport/sdp-offer.ts';
import { within } from '../../../support/wait.ts';
import { WhipClient, whipOfferSdp } from '../../../support/whip-client.ts';
import type { WhipSetup } from '../../../support/whip-setup.ts';
import { WHIP_KEY, openWhipSetup } from '../../../support/whip-setup.ts';

const BEARER = { authorization: `Bearer ${WHIP_KEY}` };
const SDP = { 'content-type': 'application/sdp' };
const FRAGMENT = { 'content-type': 'application/trickle-ice-sdpfrag' };
const fragment = (ufrag: string): string =>
  `a=ice-ufrag:${ufrag}\r\na=ice-pwd:0123456789012345678901\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n`;

let setup: WhipSetup;
before(async () => {
  setup = await openWhipSetup({ iceServerLinks: ['<turn:turn.example:3478>; rel="ice-server"'] });
});
after(() => setup.close());

type Posted = HttpAnswer & { readonly sdp: string; readonly url: string };

const post = async (body = whipOfferSdp(), headers: Record<string, string> = {}, to = setup): Promise<Posted> => {
  const answer = await to.request('POST', '/whip/demo', { body, headers: { ...SDP, ...BEARER, ...headers } });
  return { ...answer, sdp: String(answer.body), url: answer.headers['location'] ?? '' };
};
const patch = async (url: string, body: string, headers: Record<string, string>): Promise<HttpAnswer> =>
  setup.request('PATCH', url, { body, headers: { ...FRAGMENT, ...BEARER, ...headers } });
const codeOf = (answer: HttpAnswer): string => (JSON.parse(String(answer.body)) as { error: string }).error;

test('W1 a POST of an offer gives 201, an answer that receives, and a Location', async () => {
  const answer = await post();
  assert.equal(answer.status, 201);
  assert.equal(answer.headers['content-type'], 'application/sdp');
  assert.match(answer.url, /^\/whip\/demo\/[0-9a-f]{32}$/u);
  const description = parseSdpOffer(answer.sdp);
  assert.deepEqual(
    description.media.map(({ kind, direction }) => [kind, direction]),
    [
      ['video', 'recvonly'],
      ['audio', 'recvonly'],
    ],
  );
  assert.equal(description.setup, 'passive');
  assert.doesNotMatch(answer.sdp, /a=ssrc|a=msid:/u);
});

test('W1 the answer takes H.264 in packetization mode 1 with its repeats, Opus in stereo, and the feedback that bitrates live on', async () => {
  const { sdp } = await post();
  const [video, audio] = parseSdpOffer(sdp).media;
  assert.deepEqual(
    video!.codecs.map(({ name }) => name),
    ['h264', 'rtx'],
  );
  assert.equal(video!.codecs[0]!.parameters.get('packetization-mode'), '1');
  assert.deepEqual(video!.codecs[0]!.feedback, ['nack', 'nack pli', 'ccm fir', 'transport-cc']);
  assert.deepEqual(audio!.codecs[0]!.feedback, ['nack', 'transport-cc']);
  assert.equal(audio!.codecs[0]!.parameters.get('stereo'), '1');
  assert.ok([...video!.extensions.keys()].some((uri) => uri.includes('transport-wide-cc')));
});

test('W2 a wrong type gives 415, a malformed SDP 400, one too large 413', async () => {
  assert.equal((await post(whipOfferSdp(), { 'content-type': 'text/plain' })).status, 415);
  for (const body of ['', 'hello', 'v=0\r\n', whipOfferSdp().replace(/a=fingerprint.*\r\n/gu, '')]) {
    assert.equal((await post(body)).status, 400, JSON.stringify(body.slice(0, 20)));
  }
  assert.equal((await post(`${whipOfferSdp()}${'a=x\r\n'.repeat(20_000)}`)).status, 413);
  assert.equal((await post(`${whipOfferSdp()}${'m=video 9 RTP/AVP 96\r\n'.repeat(300)}`)).status, 413);
});

test('W3 GET on the endpoint and on a session gives 2xx without content', async () => {
  const { url } = await post();
  for (const path of ['/whip/demo', url]) {
    const answer = await setup.request('GET', path, { headers: BEARER });
    assert.deepEqual([answer.status, answer.body], [204, undefined]);
  }
});

test('W5 W6 preflights need no key, say what is taken, and every answer exposes what a page must read', async () => {
  const answer = await setup.request('OPTIONS', '/whip/demo');
  assert.deepEqual([answer.status, answer.headers['accept-post']], [200, 'application/sdp']);
  assert.match(answer.headers['access-control-allow-headers'] ?? '', /authorization.*if-match/iu);
  assert.equal(answer.headers['link'], undefined);
  for (const each of [answer, await post(), await post('hello'), await post(whipOfferSdp(), { authorization: '' })]) {
    assert.match(each.headers['access-control-expose-headers'] ?? '', /Location, Link, ETag/u);
    assert.equal(each.headers['access-control-allow-origin'], '*');
  }
});

test('W7 W8 the ETag is strong, quoted and unique, and candidates under it give 204', async () => {
  const [one, two] = [await post(), await post()];
  const etags = [one, two].map(({ headers }) => headers['etag'] ?? '');
  assert.ok(etags.every((etag) => /^"[0-9a-f]+"$/u.test(etag)) && etags[0] !== etags[1]);
  const answer = await patch(two.url, fragment('peer'), { 'if-match': etags[1]! });
  assert.deepEqual([answer.status, answer.headers['etag']], [204, undefined]);
});

test('W9 W11 an ICE restart gives a new ETag and new credentials; a failed one changes nothing', async () => {
  const { url, headers, sdp } = await post();
  assert.equal((await patch(url, 'a=ice-ufrag:xxxx\r\n', { 'if-match': '*' })).status, 400);
  assert.equal((await patch(url, fragment('peer'), { 'if-match': headers['etag']! })).status, 204);
  const answer = await patch(url, fragment('another'), { 'if-match': '*' });
  assert.equal(answer.status, 200);
  assert.notEqual(answer.headers['etag'], headers['etag']);
  const ufrag = /a=ice-ufrag:(\S+)/u.exec(String(answer.body))?.[1] ?? '';
  assert.ok(ufrag.length >= 4 && !sdp.includes(ufrag));
  assert.equal((await patch(url, fragment('another'), { 'if-match': headers['etag']! })).status, 412);
});

test('W10 a PATCH without If-Match gives 428, a mismatch 412, an unsupported kind 422, a bad type 415', async () => {
  const { url, headers } = await post();
  const etag = { 'if-match': headers['etag'] ?? '' };
  assert.equal((await patch(url, fragment('peer'), {})).status, 428);
  assert.equal((await patch(url, fragment('peer'), { 'if-match': '"other"' })).status, 412);
  assert.equal((await patch(url, whipOfferSdp(), { ...etag, ...SDP })).status, 422);
  assert.equal((await patch(url, fragment('another'), etag)).status, 422, 'a restart must carry *');
  assert.equal((await patch(url, 'x', { ...etag, 'content-type': 'text/plain' })).status, 415);
});

test('W12 DELETE ends the session and the broadcast waits for its publisher; unknown sessions give 404', async () => {
  const { url } = await post();
  const peers = setup.port.peerCount;
  assert.equal((await setup.request('DELETE', url, { headers: { ...BEARER, 'if-match': '"x"' } })).status, 200);
  assert.equal(setup.port.peerCount, peers - 1);
  assert.equal(setup.hub.find('demo')?.state, 'reconnecting');
  for (const method of ['DELETE', 'PATCH', 'GET']) {
    assert.equal((await setup.request(method, url, { headers: BEARER })).status, 404);
  }
});

test('W13 the answer links ICE servers', async () => {
  assert.equal((await post()).headers['link'], '<turn:turn.example:3478>; rel="ice-server"');
});

test('W14 without the key, from loopback too, or with a wrong one: 401, in words that say what is expected', async () => {
  const { url } = await post();
  for (const authorization of ['', 'Bearer wrong', `Basic ${WHIP_KEY}`]) {
    for (const [method, path] of [
      ['POST', '/whip/demo'],
      ['DELETE', url],
      ['PATCH', url],
      ['GET', url],
    ] as const) {
      const answer = await setup.request(method, path, { body: whipOfferSdp(), headers: { ...SDP, authorization } });
      assert.deepEqual(
        [answer.status, answer.headers['www-authenticate']],
        [401, 'Bearer'],
        `${method} ${authorization}`,
      );
      assert.match(String(answer.body), /publish key of demo/u);
    }
  }
  const other = await setup.request('POST', '/whip/other', { body: whipOfferSdp(), headers: { ...SDP, ...BEARER } });
  assert.equal(other.status, 401, 'the key of one name opens no other');
});

test('W16 an offer that only receives is refused; what cannot be served gives 406 and says what was offered', async () => {
  assert.equal(codeOf(await post(whipOfferSdp({ direction: 'recvonly' }))), 'WHIP_OFFER_UNUSABLE');
  assert.equal((await post(whipOfferSdp({ direction: 'sendrecv' }))).status, 201);
  const vp8 = await post(whipOfferSdp().replaceAll('H264/90000', 'VP9/90000'));
  assert.deepEqual([vp8.status, codeOf(vp8)], [406, 'WHIP_NO_COMMON_CODEC']);
  assert.match(String(vp8.body), /expected H264 .*offered: vp8, vp9/u);
  const modeZero = await post(whipOfferSdp().replaceAll('packetization-mode=1', 'packetization-mode=0'));
  assert.equal(modeZero.status, 406);
  const pcmu = await post(whipOfferSdp().replaceAll('opus/48000/2', 'PCMA/8000'));
  assert.equal(pcmu.status, 406);
});

test('W17 picture and sound must be bundled, with RTCP beside RTP', async () => {
  assert.equal(codeOf(await post(whipOfferSdp().replace('a=group:BUNDLE 0 1\r\n', ''))), 'WHIP_OFFER_UNUSABLE');
  assert.equal(codeOf(await post(whipOfferSdp().replaceAll('a=rtcp-mux\r\n', ''))), 'WHIP_OFFER_UNUSABLE');
});

test('an offer that cannot be served does not take the place of who publishes', async () => {
  const { url } = await post();
  await post(whipOfferSdp().replaceAll('H264/90000', 'VP9/90000'));
  assert.equal((await setup.request('GET', url, { headers: BEARER })).status, 204);
});

test('the same key takes over at once, and the session before ends', async () => {
  const first = await post();
  const second = await post();
  assert.equal((await setup.request('GET', first.url, { headers: BEARER })).status, 404);
  assert.equal((await setup.request('GET', second.url, { headers: BEARER })).status, 204);
});

test('W18 W19 too many publishers give 503, too many requests 429, each with Retry-After', async () => {
  const full = await openWhipSetup({ settings: { sessionMaxCount: 1, requestsPerMinute: 3 } });
  assert.equal((await post(whipOfferSdp(), {}, full)).status, 201);
  const overloaded = await post(whipOfferSdp(), {}, full);
  assert.deepEqual([overloaded.status, overloaded.headers['retry-after']], [503, '2']);
  await post('x', {}, full);
  const tooMany = await post(whipOfferSdp(), {}, full);
  assert.deepEqual([tooMany.status, tooMany.headers['retry-after']], [429, '2']);
  full.close();
});

test('other methods and paths are refused', async () => {
  assert.equal((await setup.request('PUT', '/whip/demo')).status, 405);
  assert.equal((await setup.request('POST', '/whip/de%2Fmo')).status, 404);
});

// Side by side, since each waits for real silence over its own socket.
describe('publishers over sockets', { concurrency: true }, () => {
  for (const [name, srtpProfiles] of [
    ['AES-GCM', [7]],
    ['AES-CM', [1]],
  ] as const) {
    test(`a publisher under ${name} comes through its socket into the broadcast, and W20 its silence ends it`, async () => {
      const own = await openWhipSetup({ port: { livenessMaxMs: 3_000 } });
      const client = await WhipClient.connect({
        post: async (offer) => own.request('POST', '/whip/demo', { body: offer, headers: { ...SDP, ...BEARER } }),
        srtpProfiles,
      });
      const units: AccessUnit[] = [];
      own.hub.find('demo')!.listen({
        onRenditionAdded: (rendition) => rendition.subscribe({ onUnit: (unit) => void units.push(unit) }),
      });
      const startedAtMs = systemClock.nowMs();
      const timer = setInterval(() => {
        const ptsMs = Math.round(systemClock.nowMs() - startedAtMs);
        client.publisher.picture(ptsMs).forEach((packet) => client.send(packet));
        client.send(client.publisher.sound(ptsMs));
      }, 20);
      await within(10_000, 'pictures and sound', () => units.filter(({ track }) => track.kind === 'video').length > 20);
      assert.equal(own.hub.find('demo')!.state, 'live');
      assert.ok(units.some(({ track }) => track.codec === 'opus') && client.rtcpCount > 0);
      clearInterval(timer);
      client.fallSilent();
      await within(10_000, 'the session ends', () => own.server.sessionCount === 0);
      assert.equal(own.hub.find('demo')!.state, 'reconnecting');
      client.close();
      own.close();
    });
  }

  test('a publisher that connects and sends nothing is turned away', async () => {
    const own = await openWhipSetup({ settings: { idleTimeoutMs: 1_000 } });
    const client = await WhipClient.connect({
      post: async (offer) => own.request('POST', '/whip/demo', { body: offer, headers: { ...SDP, ...BEARER } }),
    });
    await within(5_000, 'the session ends', () => own.server.sessionCount === 0);
    client.close();
    own.close();
  });
});
