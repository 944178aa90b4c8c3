/** RTCP by the native back end: opened, sealed and refused as the plain path does; every other datagram comes as dgram hands it over. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:dgram';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { ProtocolError } from '../../../server/base/errors.ts';
import { Prng } from '../../../server/base/prng.ts';
import { DATAGRAM_MAX_BYTES } from '../../../server/native/rtcp-binding.ts';
import type { RtcpChannel } from '../../../server/webrtc-transport/datagram-reader.ts';
import { DatagramReader } from '../../../server/webrtc-transport/datagram-reader.ts';
import type { MasterKey } from '../../../server/webrtc-transport/srtp.ts';
import { SrtcpContext } from '../../../server/webrtc-transport/srtp.ts';
import { descriptorOf, stopReading } from '../../../server/webrtc-transport/udp-sender.ts';
import { AEAD_AES_128_GCM, AES_CM_128_HMAC_SHA1_80 } from '../../../server/webrtc-transport/dtls.ts';
import { boundSocket } from '../../support/bound-socket.ts';
import { native, only } from '../../support/native-back-end.ts';
import { OddCaller } from '../../support/odd-values.ts';
import { within } from '../../support/wait.ts';
import { openSrtcp } from '../../support/werift-srtp.ts';

type Seen = { readonly datagram: string; readonly address: string; readonly port: number };

const readerFor = (t: TestContext, socket: Socket): { reader: DatagramReader; seen: Seen[] } => {
  const seen: Seen[] = [];
  const reader = new DatagramReader(new native.rtcp.RtcpPort(descriptorOf(socket) ?? -1), (datagram, address, port) =>
    seen.push({ datagram: datagram.toString('hex'), address, port }),
  );
  t.after(() => reader.close());
  return { reader, seen };
};

const drawKeys = (prng: Prng): { local: MasterKey; remote: MasterKey } => ({
  local: { profile: AEAD_AES_128_GCM, key: prng.nextBytes(16), salt: prng.nextBytes(12) },
  remote: { profile: AEAD_AES_128_GCM, key: prng.nextBytes(16), salt: prng.nextBytes(12) },
});

/** A peer whose RTCP is noted as it is told. */
const openNoting = (
  reader: DatagramReader,
  keys: ReturnType<typeof drawKeys>,
): { channel: RtcpChannel; told: string[] } => {
  const told: string[] = [];
  const channel = reader.open(keys, {
    onOpened: (compound) => told.push(compound.toString('hex')),
    onRefused: () => told.push('refused'),
  });
  assert.ok(channel !== undefined);
  return { channel, told };
};

const drawCompound = (prng: Prng): Buffer => {
  const compound = Buffer.from(prng.nextBytes(8 + 4 * prng.nextIndex(300)));
  compound[0] = 0x80 | ((compound[0] ?? 0) & 0x3f);
  compound[1] = 192 + prng.nextIndex(32);
  return compound;
};

/** What the plain path makes of it; undefined: refused. */
const openPlain = (context: SrtcpContext, datagram: Buffer): Buffer | undefined => {
  try {
    return context.unprotect(datagram);
  } catch (error) {
    assert.ok(error instanceof ProtocolError);
    return undefined;
  }
};

test('what is sealed is what the plain path seals, and werift reads it', only, async (t) => {
  const prng = new Prng(1);
  const keys = drawKeys(prng);
  const { channel } = openNoting(readerFor(t, await boundSocket(t)).reader, keys);
  const plain = new SrtcpContext(keys.local);
  const { profile, key, salt } = keys.local;
  const theirs = openSrtcp({ profile, localKey: key, localSalt: salt, remoteKey: key, remoteSalt: salt });
  for (let count = 0; count < 200; count += 1) {
    const compound = count === 0 ? Buffer.from('80c9000100000001', 'hex') : drawCompound(prng);
    const sealed = channel.protect(compound);
    assert.deepEqual(sealed, plain.protect(compound));
    assert.deepEqual(count === 0 ? compound : theirs.decrypt(sealed), compound);
  }
});

test(
  'repeated, reordered, forged, cut and unencrypted packets: the same are opened and refused as by the plain path',
  only,
  async (t) => {
    const prng = new Prng(2);
    const keys = drawKeys(prng);
    const { channel } = openNoting(readerFor(t, await boundSocket(t)).reader, keys);
    const theirs = new SrtcpContext(keys.remote);
    const plain = new SrtcpContext(keys.remote);
    const sent: Buffer[] = [];
    const counts = { opened: 0, refused: 0 };
    for (let round = 0; round < 4_000; round += 1) {
      for (let lost = prng.nextIndex(20) === 0 ? prng.nextIndex(150) : 0; lost >= 0; lost -= 1) {
        sent.push(theirs.protect(drawCompound(prng)));
      }
      const age = prng.nextIndex(3) === 0 ? prng.nextIndex(90) : prng.nextIndex(6);
      const datagram = Buffer.from(sent[Math.max(0, sent.length - 1 - age)]!);
      const spoilt = prng.nextIndex(8);
      if (spoilt === 0) {
        const at = prng.nextIndex(datagram.byteLength);
        datagram[at] = (datagram[at] ?? 0) ^ (1 << prng.nextIndex(8));
      }
      const given = spoilt === 1 ? datagram.subarray(0, prng.nextIndex(datagram.byteLength)) : datagram;
      const expected = openPlain(plain, given);
      assert.deepEqual(channel.unprotect(given), expected, `round ${round}`);
      counts[expected === undefined ? 'refused' : 'opened'] += 1;
    }
    assert.ok(counts.opened > 1_000 && counts.refused > 1_000, JSON.stringify(counts));
  },
);

for (const address of ['127.0.0.1', '::1']) {
  test(
    `datagrams from ${address} come as dgram hands them over, RTCP of a bound address in clear and to its peer alone`,
    only,
    async (t) => {
      const prng = new Prng(3);
      const [socket, mirror, stranger, viewer] = [
        ...[await boundSocket(t, address), await boundSocket(t, address)],
        ...[await boundSocket(t, address), await boundSocket(t, address)],
      ] as [Socket, Socket, Socket, Socket];
      assert.ok(stopReading(socket));
      const { reader, seen } = readerFor(t, socket);
      reader.listen();
      const byDgram: Seen[] = [];
      mirror.on('message', (datagram, from) =>
        byDgram.push({ datagram: datagram.toString('hex'), address: from.address, port: from.port }),
      );
      const toBoth = (from: Socket, datagram: Buffer): void => {
        from.send(datagram, mirror.address().port, address);
        from.send(datagram, socket.address().port, address);
      };
      const keys = drawKeys(prng);
      const theirs = new SrtcpContext(keys.remote);
      const { channel, told } = openNoting(reader, keys);
      const { told: othersTold, channel: other } = openNoting(reader, drawKeys(prng));
      const way = { kind: 'udp', ...viewer.address() } as const;
      const compounds = Array.from({ length: 40 }, () => drawCompound(prng));

      // Nobody's yet: as it came.
      toBoth(viewer, theirs.protect(compounds[0]!));
      for (const first of [0, 1, 20, 22, 63, 64, 128, 150, 191, 192, 255]) {
        toBoth(stranger, Buffer.of(first, 96, ...prng.nextBytes(prng.nextIndex(1_400))));
      }
      toBoth(stranger, Buffer.alloc(0));
      await within(5_000, 'what came', () => seen.length === 13 && byDgram.length === 13);
      assert.deepEqual(seen, byDgram);

      channel.bind(way);
      const dtls = Buffer.of(22, ...prng.nextBytes(100));
      const rtp = Buffer.of(128, 96, ...prng.nextBytes(100));
      compounds.forEach((compound) => viewer.send(theirs.protect(compound), socket.address().port, address));
      viewer.send(Buffer.concat([Buffer.of(0x80, 200), prng.nextBytes(60)]), socket.address().port, address);
      toBoth(viewer, dtls);
      toBoth(viewer, rtp);
      await within(5_000, 'what came', () => seen.length === 15 && byDgram.length === 15 && told.length === 41);
      assert.deepEqual(seen, byDgram);
      assert.deepEqual(told, [...compounds.map((compound) => compound.toString('hex')), 'refused']);

      // The address is another's now, who knows nothing of these keys; and then nobody's.
      other.bind(way);
      channel.unbind(way);
      viewer.send(theirs.protect(compounds[1]!), socket.address().port, address);
      await within(5_000, 'what came', () => othersTold.length === 1);
      other.close();
      toBoth(viewer, theirs.protect(compounds[1]!));
      await within(5_000, 'what came', () => seen.length === 16);
      assert.deepEqual([othersTold, told.length], [['refused'], 41]);
      assert.ok(reader.counts.calls <= reader.counts.read);
    },
  );
}

test('a datagram longer than any of ours is dropped and counted, the next one comes', only, async (t) => {
  const [socket, stranger] = [await boundSocket(t), await boundSocket(t)];
  stopReading(socket);
  const { reader, seen } = readerFor(t, socket);
  reader.listen();
  for (const bytes of [DATAGRAM_MAX_BYTES + 1, DATAGRAM_MAX_BYTES]) {
    stranger.send(Buffer.alloc(bytes, 1), socket.address().port, '127.0.0.1');
  }
  await within(5_000, 'the second', () => seen.length === 1);
  assert.deepEqual([reader.counts.lost, seen[0]?.datagram.length], [1, 2 * DATAGRAM_MAX_BYTES]);
});

test(
  'a peer that ends, and one that comes, while a batch is handed over: nobody gets what is another’s',
  only,
  async (t) => {
    const prng = new Prng(4);
    const [socket, viewer] = [await boundSocket(t), await boundSocket(t)];
    stopReading(socket);
    const { reader } = readerFor(t, socket);
    const keys = drawKeys(prng);
    const theirs = new SrtcpContext(keys.remote);
    const told: string[] = [];
    const strange: string[] = [];
    const channel = reader.open(keys, {
      onOpened: () => {
        told.push('opened');
        channel?.close();
        reader.open(drawKeys(prng), {
          onOpened: () => strange.push('opened'),
          onRefused: () => strange.push('refused'),
        });
      },
      onRefused: () => told.push('refused'),
    });
    channel?.bind({ kind: 'udp', ...viewer.address() });
    // They lie in the socket before it is read, so that one batch holds all.
    for (let count = 0; count < 5; count += 1) {
      viewer.send(theirs.protect(drawCompound(prng)), socket.address().port, '127.0.0.1');
    }
    await new Promise((resolve) => viewer.send('last', socket.address().port, '127.0.0.1', resolve));
    reader.listen();
    await within(5_000, 'the batch', () => told.length > 0);
    assert.deepEqual([told, strange], [['opened'], []]);
  },
);

test('a reader that is closed by what it hands over is closed', only, async (t) => {
  const [socket, stranger] = [await boundSocket(t), await boundSocket(t)];
  stopReading(socket);
  let count = 0;
  const reader: DatagramReader = new DatagramReader(new native.rtcp.RtcpPort(descriptorOf(socket) ?? -1), () => {
    count += 1;
    reader.close();
  });
  reader.listen();
  stranger.send('one', socket.address().port, '127.0.0.1');
  await within(5_000, 'the first', () => count === 1);
  assert.equal(
    reader.open(drawKeys(new Prng(1)), { onOpened: () => undefined, onRefused: () => undefined }),
    undefined,
  );
});

test('another cipher, TCP and an address with a scope are not bound', only, async (t) => {
  const prng = new Prng(5);
  const { reader } = readerFor(t, await boundSocket(t, '::1'));
  const cm = { profile: AES_CM_128_HMAC_SHA1_80, key: prng.nextBytes(16), salt: prng.nextBytes(14) } as const;
  assert.equal(
    reader.open({ local: cm, remote: cm }, { onOpened: () => undefined, onRefused: () => undefined }),
    undefined,
  );
  const port = new native.rtcp.RtcpPort(descriptorOf(await boundSocket(t, '::1')) ?? -1);
  t.after(() => port.close());
  const id = port.addPeer(prng.nextBytes(16), prng.nextBytes(12), prng.nextBytes(16), prng.nextBytes(12));
  assert.deepEqual(
    ['fe80::1%lo', '127.0.0.1', '::1', 'x'].map((address) => port.bind(id, address, 9)),
    [false, false, true, false],
  );
});

test('any arguments: an answer or an exception, never the end of the process', only, async (t) => {
  const prng = new Prng(12);
  const caller = new OddCaller(prng);
  const [socket, stranger] = [await boundSocket(t), await boundSocket(t)];
  stopReading(socket);
  const { RtcpPort } = native.rtcp;
  const open = (): InstanceType<typeof RtcpPort> => new RtcpPort(descriptorOf(socket) ?? -1);
  let port = open();
  const NAMES = ['addPeer', 'removePeer', 'bind', 'unbind', 'open', 'seal', 'listen', 'counts'] as const;
  for (let round = 0; round < 20_000; round += 1) {
    caller.attemptOneOf(port, NAMES);
    if (prng.nextIndex(40) === 0) {
      caller.attempt(() =>
        port.addPeer(prng.nextBytes(16), prng.nextBytes(12), prng.nextBytes(16), prng.nextBytes(12)),
      );
      caller.attempt(() => port.bind(prng.nextIndex(8), '127.0.0.1', stranger.address().port));
      caller.attempt(() => port.open(prng.nextIndex(8), prng.nextBytes(40), Buffer.alloc(40)));
      caller.attempt(() => port.seal(prng.nextIndex(8), prng.nextBytes(40), Buffer.alloc(60)));
      caller.attempt(() => stranger.send(prng.nextBytes(100), socket.address().port, '127.0.0.1'));
    }
    if (prng.nextIndex(400) === 0) {
      caller.attempt(() =>
        port.listen(new Uint32Array(prng.nextIndex(200)), new Uint8Array(prng.nextIndex(140_000)), () => 1),
      );
      await new Promise((resolve) => setImmediate(resolve));
      caller.attempt(() => port.close());
      port = open();
    }
  }
  port.close();
  assert.throws(() => port.counts(), { code: 'NATIVE_PORT_CLOSED' });
  const { counts } = caller;
  assert.ok(counts.fine > 500 && counts.thrown > 10_000, JSON.stringify(counts));
});

/** A thread that reads a port, ends by itself in one of these ways, or is ended. */
const WORKER = `
const { createSocket } = require('node:dgram');
const { parentPort, workerData } = require('node:worker_threads');
(async () => {
  const { loadNative } = await import(workerData.loader);
  const { descriptorOf, stopReading } = await import(workerData.sender);
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1', () => {
    const port = new (loadNative().native.rtcp.RtcpPort)(descriptorOf(socket));
    stopReading(socket);
    const words = new Uint32Array(192);
    const bytes = new Uint8Array(133120);
    port.listen(words, bytes, () => {
      if (workerData.ending === 'throw') throw new Error('from the batch');
      if (workerData.ending === 'exit') process.exit(0);
      parentPort.postMessage('read');
      if (workerData.ending === 'spin') for (;;);
      if (workerData.ending === 'detach') structuredClone(0, { transfer: [bytes.buffer, words.buffer] });
    });
    // Nobody holds the port but the loop: it must stay, as a socket does.
    setImmediate(() => {
      require('node:v8').setFlagsFromString('--expose-gc');
      require('node:vm').runInNewContext('gc')();
      setImmediate(() => parentPort.postMessage(socket.address().port));
    });
  });
})();`;
const WORKER_FILES = {
  loader: new URL('../../../server/native/native.ts', import.meta.url).href,
  sender: new URL('../../../server/webrtc-transport/udp-sender.ts', import.meta.url).href,
};

for (const ending of ['throw', 'exit', 'spin', 'detach', 'terminate'] as const) {
  test(`a thread that reads a port may end: ${ending}`, only, async (t) => {
    const worker = new Worker(WORKER, { eval: true, workerData: { ...WORKER_FILES, ending } });
    const heard: unknown[] = [];
    const errors: string[] = [];
    let isOver = false;
    worker.on('message', (message) => heard.push(message));
    worker.on('error', (error) => errors.push((error as Error).message));
    worker.on('exit', () => {
      isOver = true;
    });
    await within(60_000, 'its port', () => heard.length === 1);
    const sender = await boundSocket(t);
    const send = (): void => sender.send('datagram', heard[0] as number, '127.0.0.1');
    send();
    if (ending === 'spin' || ending === 'detach' || ending === 'terminate') {
      await within(60_000, 'what it read', () => heard.length === 2);
      send();
      await worker.terminate();
    }
    await within(60_000, 'its end', () => isOver);
    assert.deepEqual(errors, ending === 'throw' ? ['from the batch'] : []);
  });
}
