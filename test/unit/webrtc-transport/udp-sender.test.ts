/** Datagrams leave whole, in order, by Node's handle and by its public interface; refusals are counted, and nothing is left bent. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { SocketSender, openUdpSender } from '../../../server/webrtc-transport/udp-sender.ts';
import { boundSocket } from '../../support/bound-socket.ts';

const DATAGRAM_COUNT = 50;

const MAKERS = [
  ['its handle', openUdpSender],
  ['the public interface', (socket: Socket) => new SocketSender(socket)],
] as const;

for (const [label, make] of MAKERS) {
  for (const address of ['127.0.0.1', '::1']) {
    test(`datagrams to ${address} by ${label} arrive as they were given`, async (t) => {
      const [from, to] = [await boundSocket(t, address), await boundSocket(t, address)];
      const sender = make(from);
      const bytes = Buffer.alloc(3 * DATAGRAM_COUNT);
      const seen: string[] = [];
      const all = new Promise<void>((resolve) => {
        to.on('message', (datagram) => seen.push(datagram.toString('hex')) === DATAGRAM_COUNT && resolve());
      });
      for (let index = 0; index < DATAGRAM_COUNT; index += 1) {
        bytes.writeUIntBE(index, 3 * index, 3);
        const place = { start: 3 * index, end: 3 * index + 3, port: to.address().port, address };
        assert.equal(sender.send(bytes, place), true);
      }
      await all;
      assert.deepEqual(
        seen,
        Array.from({ length: DATAGRAM_COUNT }, (_, index) => bytes.toString('hex', 3 * index, 3 * index + 3)),
      );
      assert.equal(sender.refusedCount, 0);
    });
  }
}

test('the handle is found on the Node we pin, and the socket sends by itself as before', async (t) => {
  const [from, to] = [await boundSocket(t), await boundSocket(t)];
  assert.equal(openUdpSender(from) instanceof SocketSender, false);
  from.send('plain', to.address().port, '127.0.0.1');
  const [datagram] = (await once(to, 'message')) as [Buffer];
  assert.equal(datagram.toString(), 'plain');
});

test('a socket without the inside we know is used by its public interface', () => {
  assert.equal(openUdpSender({} as Socket) instanceof SocketSender, true);
});

test('what the kernel refuses is counted, and the next one goes on', async (t) => {
  const [from, to] = [await boundSocket(t), await boundSocket(t)];
  const sender = openUdpSender(from);
  // Broadcast without permission.
  assert.equal(sender.send(Buffer.alloc(8), { start: 0, end: 8, port: 9, address: '255.255.255.255' }), false);
  assert.equal(sender.refusedCount, 1);
  assert.equal(
    sender.send(Buffer.from('on'), { start: 0, end: 2, port: to.address().port, address: '127.0.0.1' }),
    true,
  );
  const [datagram] = (await once(to, 'message')) as [Buffer];
  assert.equal(datagram.toString(), 'on');
});
