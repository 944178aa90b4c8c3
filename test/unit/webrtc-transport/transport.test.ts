/** STUN, SRTCP, framing, announced addresses, and what the shared port lets in. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createRequire } from 'node:module';
import { Server as TcpServer, connect } from 'node:net';
import { test } from 'node:test';
import { ManualClock } from '../../../server/base/clock.ts';
import { ProtocolError } from '../../../server/base/errors.ts';
import { buildPli } from '../../../server/media/rtp/rtcp.ts';
import { announcedAddresses } from '../../../server/webrtc-transport/announced-addresses.ts';
import { SrtcpContext } from '../../../server/webrtc-transport/srtp.ts';
import { StreamDeframer, frameDatagram } from '../../../server/webrtc-transport/stream-framing.ts';
import {
  buildBindingRequest,
  buildBindingSuccess,
  hasValidIntegrity,
  isStun,
  parseStun,
} from '../../../server/webrtc-transport/stun.ts';
import { offerSdp } from '../../support/whep-client.ts';
import { within } from '../../support/wait.ts';
import { openWebRtcSetup } from '../../support/webrtc-setup.ts';
import { WhepTransport } from '../../support/whep-transport.ts';

const request = (username: string, password: string, hasUseCandidate = true): Buffer =>
  buildBindingRequest({ transactionId: randomBytes(12), username, password, hasUseCandidate });

test('a binding request is valid under its password, and not after any byte of it changed', () => {
  const bytes = request('local:remote', 'secret');
  const message = parseStun(bytes);
  assert.ok(isStun(bytes));
  assert.deepEqual([message.username, message.hasUseCandidate], ['local:remote', true]);
  assert.equal(hasValidIntegrity(message, 'secret'), true);
  assert.equal(hasValidIntegrity(message, 'Secret'), false);
  bytes[26] = (bytes[26] ?? 0) ^ 1;
  assert.equal(hasValidIntegrity(parseStun(bytes), 'secret'), false);
});

test('a binding answer carries the address it came from, of either family', () => {
  const asked = parseStun(request('a:b', 'secret'));
  const v4 = buildBindingSuccess(asked, { address: '1.2.3.4', port: 0x2112, password: 'secret' });
  assert.equal(hasValidIntegrity(parseStun(v4), 'secret'), true);
  assert.deepEqual([...v4.subarray(20, 32)], [0, 0x20, 0, 8, 0, 1, 0, 0, 1 ^ 0x21, 2 ^ 0x12, 3 ^ 0xa4, 4 ^ 0x42]);
  const v6 = buildBindingSuccess(asked, { address: '2001:db8::1', port: 1, password: 'secret' });
  assert.deepEqual([v6.readUInt16BE(22), v6[25], v6[28]! ^ 0x21, v6[29]! ^ 0x12], [20, 2, 0x20, 0x01]);
});

test('SRTCP of both profiles is read by werift and the other way round, and a repeated packet is refused', () => {
  const { SrtcpSession } = createRequire(import.meta.url)('werift') as {
    SrtcpSession: new (config: object) => { encrypt(bytes: Buffer): Buffer; decrypt(bytes: Buffer): Buffer };
  };
  for (const [profile, saltBytes] of [
    [7, 12],
    [1, 14],
  ] as const) {
    const key = randomBytes(16);
    const salt = randomBytes(saltBytes);
    const keys = { localMasterKey: key, localMasterSalt: salt, remoteMasterKey: key, remoteMasterSalt: salt };
    const theirs = new SrtcpSession({ profile, keys });
    const ours = new SrtcpContext({ profile, key, salt });
    const compound = buildPli(1, 2);
    assert.deepEqual(theirs.decrypt(ours.protect(compound)), compound);
    const sealed = theirs.encrypt(compound);
    assert.deepEqual(ours.unprotect(sealed), compound);
    assert.throws(() => ours.unprotect(sealed), ProtocolError);
    const forged = Buffer.from(theirs.encrypt(compound));
    forged[9] = (forged[9] ?? 0) ^ 1;
    assert.throws(() => ours.unprotect(forged), ProtocolError);
  }
});

test('framed datagrams come back however the stream cuts them, and too large a frame is refused', () => {
  const datagrams = [Buffer.from('a'), Buffer.alloc(0), randomBytes(1_000)];
  const stream = Buffer.concat(datagrams.map(frameDatagram));
  for (const step of [1, 2, 3, 700, stream.byteLength]) {
    const deframer = new StreamDeframer();
    const read: Buffer[] = [];
    for (let at = 0; at < stream.byteLength; at += step) {
      read.push(...deframer.push(stream.subarray(at, at + step)));
    }
    assert.deepEqual(read, datagrams);
  }
  assert.throws(() => new StreamDeframer().push(Buffer.of(0xff, 0xff)), ProtocolError);
});

test('announced addresses are what the operator says, else this machine`s with loopback last', () => {
  assert.deepEqual(announcedAddresses(['203.0.113.7'], '0.0.0.0'), ['203.0.113.7']);
  assert.throws(() => announcedAddresses(['example.org'], '0.0.0.0'), /announcedAddresses.*example\.org/u);
  assert.equal(announcedAddresses([], '0.0.0.0').at(-1), '127.0.0.1');
});

test('the self-test says which address does not answer, and passes where all do', async () => {
  const setup = await openWebRtcSetup();
  assert.deepEqual([(await setup.port.selfTest()).isOk, setup.port.peerCount], [true, 0]);
  setup.close();
  const wrong = await openWebRtcSetup({ port: { listenAddress: '127.0.0.1', announcedAddresses: ['127.0.0.2'] } });
  const report = await wrong.port.selfTest();
  assert.equal(report.isOk, false);
  assert.match(report.advice.join(' '), /127\.0\.0\.2.*UDP port.*firewall/u);
  wrong.close();
});

/** What a socket at loopback gets back for `datagram` within 300 ms, by UDP. */
const ask = async (port: number, datagram: Buffer): Promise<Buffer | undefined> => {
  const socket = createSocket('udp4');
  const answer = await new Promise<Buffer | undefined>((resolve) => {
    const timer = setTimeout(() => resolve(undefined), 300);
    socket.on('message', (bytes) => {
      clearTimeout(timer);
      resolve(bytes);
    });
    socket.send(datagram, port, '127.0.0.1');
  });
  socket.close();
  return answer;
};

test('only STUN signed with the session`s password is answered and binds an address; a restart keeps the old one valid', async () => {
  const setup = await openWebRtcSetup();
  await setup.request('POST', '/whep/demo', { body: offerSdp(), headers: { 'content-type': 'application/sdp' } });
  const peer = setup.port.openPeer([{ algorithm: 'sha-256', value: 'AA' }]);
  const { port } = setup.port.endpoints[0]!;
  const before = peer.credentials;
  assert.equal(await ask(port, request(`${before.ufrag}:x`, 'wrong')), undefined);
  assert.equal(await ask(port, request('nobody:x', before.password)), undefined);
  assert.equal(peer.path === undefined, true);
  assert.ok(await ask(port, request(`${before.ufrag}:x`, before.password)));
  const pathKey = (): string => peer.path?.key ?? '';
  const first = pathKey();
  assert.match(first, /^udp /u);
  setup.port.restartIce(peer);
  assert.notEqual(peer.credentials.ufrag, before.ufrag);
  assert.ok(await ask(port, request(`${before.ufrag}:x`, before.password)));
  assert.ok(await ask(port, request(`${peer.credentials.ufrag}:x`, peer.credentials.password)));
  assert.notEqual(pathKey(), first, 'the address moved with the verified request');
  setup.close();
});

test('a TCP connection that never proves who it is gets closed', async () => {
  const setup = await openWebRtcSetup({ port: { tcpIdentifyMaxMs: 50 } });
  const { port } = setup.port.endpoints[0]!;
  await new Promise<void>((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
  });
  setup.close();
});

test('a slow TCP reader is refused datagrams instead of filling memory', async () => {
  const setup = await openWebRtcSetup({ port: { tcpOutputMaxBytes: 10_000 } });
  const peer = setup.port.openPeer([{ algorithm: 'sha-256', value: 'AA' }]);
  const { port } = setup.port.endpoints[0]!;
  const { ufrag, password } = peer.credentials;
  const socket = connect({ host: '127.0.0.1', port }, () =>
    socket.write(frameDatagram(request(`${ufrag}:x`, password))),
  );
  await new Promise((resolve) => {
    socket.once('data', resolve);
  });
  socket.pause();
  const datagram = Buffer.alloc(1_200);
  let sentCount = 0;
  while (sentCount < 100_000 && peer.path!.send(datagram, 0, datagram.byteLength)) {
    sentCount += 1;
  }
  assert.ok(sentCount < 100_000 && peer.path!.isCongested);
  socket.destroy();
  setup.close();
});

test('a number drawn for UDP that is taken for TCP is drawn again', async (t) => {
  const listen = t.mock.method(TcpServer.prototype, 'listen');
  listen.mock.mockImplementationOnce(function taken(this: TcpServer) {
    process.nextTick(() => this.emit('error', Object.assign(new Error('taken'), { code: 'EADDRINUSE' })));
    return this;
  });
  const setup = await openWebRtcSetup();
  assert.equal(listen.mock.callCount(), 2);
  assert.ok(setup.port.hasTcp);
  setup.close();
});

for (const native of ['auto', 'off'] as const) {
  test(`RTCP reaches its session once; repeated, forged and strangers' packets do not, and keep nobody alive (native: ${native})`, async () => {
    const clock = new ManualClock();
    const setup = await openWebRtcSetup({ port: { native, livenessMaxMs: 5_000 }, clock });
    const transport = await WhepTransport.connect({
      offer: (own) => offerSdp(own),
      post: async (body) =>
        setup.request('POST', '/whep/demo', { body, headers: { 'content-type': 'application/sdp' } }),
      onMedia: () => undefined,
    });
    const session = setup.out.find(transport.answer.headers?.['location']?.split('/').at(-1) ?? '');
    assert.ok(session !== undefined);
    const { peer } = session;
    await within(5_000, 'the keys on both sides', () => peer.isConnected);
    const told: string[] = [];
    peer.listen({
      onConnected: () => undefined,
      onRtcp: (compound) => told.push(compound.toString('hex')),
      onClosed: (reason) => told.push(reason),
    });
    transport.fallSilent();
    const { localKey, localSalt, profile } = transport.keys;
    const ours = new SrtcpContext({ profile, key: localKey, salt: localSalt });
    const [first, second] = [buildPli(1, 2), buildPli(1, 3)];
    const sealed = ours.protect(first);
    clock.advanceMs(4_000);
    transport.send(sealed);
    await within(5_000, 'the first', () => told.length === 1);
    clock.advanceMs(4_000);
    peer.checkLiveness();
    const forged = ours.protect(second);
    forged[10] = (forged[10] ?? 0) ^ 1;
    [sealed, forged, Buffer.of(0x80, 200)].forEach((datagram) => transport.send(datagram));
    await within(5_000, 'three refused', () => peer.rejectedCount === 3);
    // The same from an address that proved nothing.
    const stranger = createSocket('udp4');
    const { port } = setup.port.endpoints[0]!;
    await new Promise((resolve) => stranger.send(ours.protect(second), port, '127.0.0.1', resolve));
    await within(5_000, 'a stray datagram', async () =>
      /^webrtc_stray_datagrams 1$/mu.test(await setup.metrics.render()),
    );
    clock.advanceMs(2_000);
    peer.checkLiveness();
    assert.deepEqual(told, [first.toString('hex'), 'consent_lost']);
    assert.equal(peer.rejectedCount, 3);
    stranger.close();
    transport.close();
    setup.close();
  });
}
