/** Any datagram may come to the WebRTC port. A session that plays meanwhile must not notice. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { test } from 'node:test';
import { Prng } from '../../server/base/prng.ts';
import { WhepClient } from '../support/whep-client.ts';
import { openWebRtcSetup } from '../support/webrtc-setup.ts';

const DATAGRAM_COUNT = 30_000;
const BATCH_COUNT = 200;

const until = async (condition: () => boolean): Promise<void> => {
  for (let tries = 0; tries < 1_000 && !condition(); tries += 1) {
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
  assert.ok(condition());
};

/** Random bytes behind a first byte of each protocol that shares the port, sometimes with STUN's cookie or a real fragment. */
const hostile = (prng: Prng, ufrag: string): Buffer => {
  const datagram = Buffer.from(prng.nextBytes(prng.nextIndex(200)));
  const firsts = [0, 1, 20, 22, 23, 63, 128, 144, 191, prng.nextIndex(256)];
  if (datagram.byteLength > 0) {
    datagram[0] = firsts[prng.nextIndex(firsts.length)]!;
  }
  if (datagram.byteLength >= 60 && prng.nextIndex(2) === 0) {
    datagram.writeUInt16BE(1, 0);
    datagram.writeUInt16BE(datagram.byteLength - 20, 2);
    datagram.writeUInt32BE(0x2112a442, 4);
    datagram.writeUInt16BE(6, 20);
    datagram.writeUInt16BE(ufrag.length + 2, 22);
    datagram.write(`${ufrag}:x`, 24);
  }
  if (datagram.byteLength > 2 && (datagram[0] ?? 0) >= 128) {
    datagram[1] = 200 + prng.nextIndex(8);
  }
  return datagram;
};

test('30 000 hostile datagrams, from strangers and from a live viewer, change nothing', async () => {
  const setup = await openWebRtcSetup();
  const client = await WhepClient.connect({
    post: async (body) => setup.request('POST', '/whep/demo', { body, headers: { 'content-type': 'application/sdp' } }),
  });
  await until(() => setup.out.viewerCount(setup.broadcast) === 1);
  const ufrag = /a=ice-ufrag:(\S+)/u.exec(client.answerSdp)![1]!;
  const port = setup.port.endpoints[0]!.port;
  const stranger = createSocket('udp4');
  const prng = new Prng(4711);
  for (let count = 0; count < DATAGRAM_COUNT; count += 1) {
    const datagram = hostile(prng, ufrag);
    if (count % 2 === 0) {
      stranger.send(datagram, port, '127.0.0.1');
    } else {
      client.sendRaw(datagram);
    }
    if (count % BATCH_COUNT === 0) {
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
  }
  await until(() => setup.out.viewerCount(setup.broadcast) === 1);
  assert.equal(setup.port.peerCount, 1);
  stranger.close();
  client.close();
  setup.close();
});

test('garbage on the TCP port closes that connection and no other', async () => {
  const setup = await openWebRtcSetup();
  const prng = new Prng(12);
  const { port } = setup.port.endpoints[0]!;
  const closed = Array.from(
    { length: 40 },
    async () =>
      new Promise<void>((resolve) => {
        const socket = connect({ host: '127.0.0.1', port }, () => {
          socket.write(Buffer.concat([Buffer.of(0xff, 0xff), prng.nextBytes(500)]));
        });
        socket.on('error', () => undefined);
        socket.on('close', () => resolve());
      }),
  );
  await Promise.all(closed);
  assert.equal(setup.port.hasTcp, true);
  setup.close();
});
