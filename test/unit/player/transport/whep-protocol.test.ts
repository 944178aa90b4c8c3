/** Headers and bodies of WHEP. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { broadcastAddresses } from '../../../../player/transport/addresses.ts';
import { Backoff } from '../../../../player/transport/backoff.ts';
import { parseServerMessage } from '../../../../player/transport/watch-socket.ts';
import {
  answersVideo,
  isCounterOffer,
  parseLinks,
  retryAfterMs,
  spreadMs,
  sessionSocketUrl,
  sessionUrl,
  withStereoOpus,
} from '../../../../player/transport/whep-protocol.ts';

const HERE = 'https://live.example/whep/demo';

test('finds the session socket among other links, whatever their quoting', () => {
  const header =
    '<stun:a.example>; rel="ice-server", <turn:b.example?transport=udp>;rel="ice-server";username="a, \\"b\\"; c";credential=x,' +
    ' </ws/demo?session=s3cret,1>; rel="other urn:sluice:socket"';
  assert.equal(sessionSocketUrl(header, HERE), 'wss://live.example/ws/demo?session=s3cret,1');
  assert.equal(parseLinks(header)[1]?.params.get('username'), 'a, "b"; c');
  assert.equal(sessionSocketUrl('</ws/x>; rel=urn:sluice:socket', 'http://h:8080/whep/x'), 'ws://h:8080/ws/x');
});

test('no link, a broken link or another relation is no socket', () => {
  for (const header of [null, '', 'rubbish', '<', '</ws/demo>; rel="next"', '<http://[>; rel="urn:sluice:socket"']) {
    assert.equal(sessionSocketUrl(header, HERE), null);
  }
});

test('a Location is taken against the address that answered', () => {
  assert.equal(sessionUrl('/whep/session/1', HERE), 'https://live.example/whep/session/1');
  assert.equal(sessionUrl('session/1', HERE), 'https://live.example/whep/session/1');
  assert.equal(sessionUrl(null, HERE), null);
  assert.equal(sessionUrl('http://[', HERE), null);
});

test('W18 Retry-After is read as seconds and as a date, and never means more than an hour', () => {
  const wallMs = Date.UTC(2026, 10, 22, 20, 0, 0);
  assert.equal(retryAfterMs('5', wallMs), 5000);
  assert.equal(retryAfterMs('Sun, 22 Nov 2026 20:00:30 GMT', wallMs), 30_000);
  assert.equal(retryAfterMs('Sun, 22 Nov 2026 19:00:00 GMT', wallMs), 0);
  assert.equal(retryAfterMs('999999999', wallMs), 3_600_000);
  assert.equal(retryAfterMs('soon', wallMs), null);
  assert.equal(retryAfterMs(null, wallMs), null);
});

test('W18 who was told the same pause comes back spread, never sooner', () => {
  assert.deepEqual(
    [spreadMs(2_000, 0), spreadMs(2_000, 1), spreadMs(20_000, 1), spreadMs(null, 1)],
    [2_000, 3_000, 25_000, null],
  );
});

test('W15 a 406 is a counter-offer only with an SDP body', () => {
  assert.equal(isCounterOffer(406, 'application/sdp', 'v=0\r\n'), true);
  assert.equal(isCounterOffer(406, 'application/sdp', 'codec not supported'), false);
  assert.equal(isCounterOffer(406, 'text/plain', 'v=0\r\n'), false);
  assert.equal(isCounterOffer(406, null, ''), false);
  assert.equal(isCounterOffer(400, 'application/sdp', 'v=0\r\n'), false);
});

test('W23 stereo is asked for Opus, once, and for nothing else', () => {
  const sdp = [
    'a=rtpmap:111 opus/48000/2',
    'a=fmtp:111 minptime=10;useinbandfec=1',
    'a=rtpmap:63 red/48000/2',
    'a=fmtp:63 111/111',
    '',
  ].join('\r\n');
  const stereo = sdp.replace('useinbandfec=1', 'useinbandfec=1;stereo=1');
  assert.equal(withStereoOpus(sdp), stereo);
  assert.equal(withStereoOpus(stereo), stereo);
});

test('an answer with video refused or inactive promises sound alone', () => {
  const audio = 'm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=sendonly\r\n';
  assert.equal(answersVideo(`v=0\r\n${audio}m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=sendonly\r\n`), true);
  assert.equal(answersVideo(`v=0\r\n${audio}m=video 0 UDP/TLS/RTP/SAVPF 96\r\n`), false);
  assert.equal(answersVideo(`v=0\r\n${audio}m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=inactive\r\n`), false);
});

test('src may be a name, a path or an address behind a proxy', () => {
  const base = { pageUrl: 'https://shop.example/p/1', serverUrl: 'https://live.example/sluice-player.js', token: null };
  assert.equal(broadcastAddresses({ ...base, src: 'demo' }).whep, 'https://live.example/whep/demo');
  assert.equal(broadcastAddresses({ ...base, src: '/whep/demo' }).socket, 'wss://shop.example/ws/demo');
  const proxied = broadcastAddresses({ ...base, src: 'http://h:8080/video/watch/demo', token: 'a b' });
  assert.equal(proxied.playlist, 'http://h:8080/video/hls/~a%20b/demo/index.m3u8');
  assert.equal(proxied.socket, 'ws://h:8080/video/ws/demo?token=a+b');
  const shared = broadcastAddresses({ ...base, src: 'https://h/hls/~v1.k.1.a..m/demo/index.m3u8' });
  assert.equal(shared.token, 'v1.k.1.a..m');
  assert.equal(shared.whep, 'https://h/whep/demo');
  assert.equal(shared.playlist, 'https://h/hls/~v1.k.1.a..m/demo/index.m3u8');
  assert.throws(() => broadcastAddresses({ ...base, src: '/somewhere/else' }), TypeError);
  assert.throws(() => broadcastAddresses({ ...base, src: '/hls/~only-a-token' }), TypeError);
  assert.throws(() => broadcastAddresses({ ...base, src: '/whep/../x' }), TypeError);
});

test('pauses between attempts grow to a cap and begin again after success', () => {
  const backoff = new Backoff({ minMs: 500, maxMs: 3000 });
  assert.deepEqual(
    [1, 1, 1, 1, 0].map((jitter) => backoff.nextMs(jitter)),
    [500, 1000, 2000, 3000, 1500],
  );
  backoff.reset();
  assert.equal(backoff.nextMs(1), 500);
});

test('socket texts that are not ours are dropped', () => {
  assert.deepEqual(parseServerMessage('{"type":"pong","id":1,"serverWallMs":2}'), {
    type: 'pong',
    id: 1,
    serverWallMs: 2,
  });
  for (const text of [
    '',
    'null',
    '[]',
    '{"type":"cue-of-the-future"}',
    '{',
    new ArrayBuffer(3),
    `"${'x'.repeat(70_000)}"`,
  ]) {
    assert.equal(parseServerMessage(text), null);
  }
});
