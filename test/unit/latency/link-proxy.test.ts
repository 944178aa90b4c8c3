/** The link's HTTP side with real sockets in one process: what passes untouched, and what must not lead around the link. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import test, { type TestContext } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { LinkPorts } from '../../latency/link/link-ports.ts';
import { LinkPump } from '../../latency/link/link-pump.ts';
import { planLink } from '../../latency/link/link-scenario.ts';

type Rig = { readonly server: Server; readonly direct: string; readonly through: string; readonly ports: LinkPorts };

const openRig = async (t: TestContext, listener: RequestListener): Promise<Rig> => {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const direct = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const pump = new LinkPump(await planLink({}), 1);
  const ports = new LinkPorts(pump, undefined, () => undefined);
  t.after(() => {
    ports.close();
    pump.close();
    server.closeAllConnections();
    server.close();
  });
  return { server, direct, ports, through: (await ports.through(`${direct}/`)).replace(/\/$/u, '') };
};

const OFFER = [
  'v=0',
  'm=video 50123 UDP/TLS/RTP/SAVPF 96',
  'c=IN IP4 192.0.2.7',
  'a=rtcp:9 IN IP4 0.0.0.0',
  'a=candidate:1 1 udp 2113937151 4f1c.local 50123 typ host generation 0',
  'a=ice-ufrag:abcd',
  'a=end-of-candidates',
  'm=audio 0 UDP/TLS/RTP/SAVPF 111',
  '',
].join('\r\n');

const ANSWER = [
  'v=0',
  'm=video 9 UDP/TLS/RTP/SAVPF 96',
  'c=IN IP4 0.0.0.0',
  'a=candidate:1 1 udp 2130706431 127.0.0.1 40001 typ host',
  'a=candidate:2 1 UDP 1694498815 203.0.113.5 40002 typ srflx raddr 10.0.0.1 rport 40002',
  'a=candidate:3 1 tcp 1526726655 127.0.0.1 40001 typ host tcptype passive',
  'a=candidate:4 1 tcp 1526726655 127.0.0.1 9 typ host tcptype active',
  'a=candidate:5 1 udp 2130706431 server.local 40003 typ host',
  'a=end-of-candidates',
  '',
].join('\r\n');

const readBody = async (request: AsyncIterable<Buffer>): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
};

test('a WHEP exchange: no candidate of the viewer reaches the server, all of the server lie on the link', async (t) => {
  let offered = '';
  const { through, ports } = await openRig(t, (request, response) => {
    void readBody(request).then((body) => {
      offered = body.toString();
      response.writeHead(201, { 'content-type': 'application/sdp', location: '/whep/x/1', etag: '"1"' }).end(ANSWER);
    });
  });
  const response = await fetch(`${through}/whep/x`, {
    method: 'POST',
    body: OFFER,
    headers: { 'content-type': 'application/sdp' },
  });
  assert.equal(response.status, 201);
  assert.equal(response.headers.get('location'), '/whep/x/1');
  assert.equal(response.headers.get('etag'), '"1"');
  assert.equal(
    offered,
    [
      'v=0',
      'm=video 9 UDP/TLS/RTP/SAVPF 96',
      'c=IN IP4 0.0.0.0',
      'a=rtcp:9 IN IP4 0.0.0.0',
      'a=ice-ufrag:abcd',
      'm=audio 0 UDP/TLS/RTP/SAVPF 111',
      '',
    ].join('\r\n'),
  );
  const udpPort = await ports.portOf({ transport: 'udp', address: '127.0.0.1', port: 40_001 });
  const mappedPort = await ports.portOf({ transport: 'udp', address: '203.0.113.5', port: 40_002 });
  const tcpPort = await ports.portOf({ transport: 'tcp', address: '127.0.0.1', port: 40_001 });
  assert.deepEqual(
    (await response.text()).split('\r\n').filter((line) => line.startsWith('a=candidate')),
    [
      `a=candidate:1 1 udp 2130706431 127.0.0.1 ${udpPort} typ host`,
      `a=candidate:2 1 UDP 1694498815 127.0.0.1 ${mappedPort} typ srflx raddr 0.0.0.0 rport 0`,
      `a=candidate:3 1 tcp 1526726655 127.0.0.1 ${tcpPort} typ host tcptype passive`,
    ],
  );
});

test('descriptions inside JSON are rewritten too, and a fragment of a PATCH', async (t) => {
  const bodies: string[] = [];
  const { through } = await openRig(t, (request, response) => {
    void readBody(request).then((body) => {
      bodies.push(body.toString());
      response.writeHead(200, { 'content-type': 'text/plain' }).end(JSON.stringify({ code: 0, sdp: ANSWER }));
    });
  });
  const response = await fetch(`${through}/rtc/v1/play/`, {
    method: 'POST',
    body: JSON.stringify({ api: 'a', streamurl: 'webrtc://127.0.0.1/live/x', sdp: OFFER }),
    headers: { 'content-type': 'application/json' },
  });
  const answer = (await response.json()) as { code: number; sdp: string };
  assert.equal(answer.code, 0);
  assert.ok(!answer.sdp.includes(' 40001 ') && answer.sdp.includes('a=candidate:1 1 udp'));
  const sent = JSON.parse(bodies[0]!) as { streamurl: string; sdp: string };
  assert.equal(sent.streamurl, 'webrtc://127.0.0.1/live/x');
  assert.ok(!sent.sdp.includes('candidate'));
  await fetch(`${through}/whep/x/1`, {
    method: 'PATCH',
    body: 'a=ice-ufrag:abcd\r\na=candidate:1 1 udp 1 192.0.2.1 5000 typ host\r\n',
    headers: { 'content-type': 'application/trickle-ice-sdpfrag' },
  });
  assert.equal(bodies[1], 'a=ice-ufrag:abcd\r\n');
});

test('addresses of the server lead back through the link; those of strangers stay', async (t) => {
  let direct = '';
  const rig = await openRig(t, (request, response) => {
    const isPlaylist = request.url === '/index.m3u8';
    response.setHeader('location', `${direct}/whep/x/2?a=1`);
    response.setHeader('link', `<${direct}/ws>; rel="x", <stun:stun.example.org>; rel="ice-server"`);
    response.setHeader('content-type', isPlaylist ? 'application/vnd.apple.mpegurl' : 'text/plain');
    response.end(`#EXTM3U\n${direct}/seg1.ts\nseg2.ts\nhttps://cdn.example.org/seg3.ts\n`);
  });
  direct = rig.direct;
  const playlist = await fetch(`${rig.through}/index.m3u8`);
  assert.equal(playlist.headers.get('location'), `${rig.through}/whep/x/2?a=1`);
  assert.equal(playlist.headers.get('link'), `<${rig.through}/ws>; rel="x", <stun:stun.example.org>; rel="ice-server"`);
  const expected = `#EXTM3U\n${rig.through}/seg1.ts\nseg2.ts\nhttps://cdn.example.org/seg3.ts\n`;
  assert.equal(await playlist.text(), expected);
  const other = await fetch(`${rig.through}/page`);
  assert.ok((await other.text()).includes(`${direct}/seg1.ts`), 'other bodies pass as they are');
});

test('bytes, headers, statuses and methods pass as they are, and bodies of any length', async (t) => {
  const payload = Buffer.alloc(3_000_000, 'abcdefg');
  const { through } = await openRig(t, (request, response) => {
    void readBody(request).then((body) => {
      response.writeHead(418, 'Odd', [
        ['X-Host', request.headers.host ?? ''],
        ['X-Method', request.method ?? ''],
        ['Set-Cookie', 'a=1'],
        ['Set-Cookie', 'b=2'],
        ['Content-Encoding', 'identity'],
      ] as never);
      response.end(Buffer.concat([payload, body]));
    });
  });
  const response = await fetch(`${through}/x?y=%20z`, { method: 'PUT', body: payload.subarray(0, 1_000_000) });
  assert.equal(response.status, 418);
  assert.equal(response.statusText, 'Odd');
  assert.equal(`http://${response.headers.get('x-host')}`, through);
  assert.equal(response.headers.get('x-method'), 'PUT');
  assert.deepEqual(response.headers.getSetCookie(), ['a=1', 'b=2']);
  const body = Buffer.from(await response.arrayBuffer());
  assert.ok(body.equals(Buffer.concat([payload, payload.subarray(0, 1_000_000)])));
});

test(
  'an endless body flows from its first byte on, and ends at the server when the viewer leaves',
  { timeout: 10_000 },
  async (t) => {
    const left = Promise.withResolvers<void>();
    const { through } = await openRig(t, (_request, response) => {
      response.write('first');
      response.on('close', left.resolve);
    });
    const aborter = new AbortController();
    const response = await fetch(`${through}/live.flv`, { signal: aborter.signal });
    const { value } = await response.body!.getReader().read();
    assert.equal(Buffer.from(value!).toString(), 'first');
    aborter.abort();
    await left.promise;
  },
);

test('a WebSocket passes', async (t) => {
  const rig = await openRig(t, () => undefined);
  const sockets = new WebSocketServer({ server: rig.server });
  sockets.on('connection', (socket) => socket.on('message', (message) => socket.send(message)));
  const socket = new WebSocket(`${rig.through.replace('http', 'ws')}/ws/x`);
  await once(socket, 'open');
  socket.send('hello');
  const [message] = (await once(socket, 'message')) as [Buffer];
  assert.equal(message.toString(), 'hello');
  socket.close();
  await once(socket, 'close');
  sockets.close();
});

test('a server that is not there is a 502; a TCP address that is not there is a closed connection', async (t) => {
  const rig = await openRig(t, () => undefined);
  rig.server.closeAllConnections();
  rig.server.close();
  const response = await fetch(`${rig.through}/x`);
  assert.equal(response.status, 502);
  const url = new URL(await rig.ports.through(rig.direct.replace('http', 'rtmp')));
  const socket = connect(Number(url.port), '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'close');
});
