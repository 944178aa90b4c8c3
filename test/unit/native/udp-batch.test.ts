/** The native packet path: the same bytes as the plain one, in order, whoever cuts them; and nothing from JavaScript brings it down. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:dgram';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { Prng } from '../../../server/base/prng.ts';
import { PACKET_WORDS } from '../../../server/native/udp-binding.ts';
import type { MediaSender, OutgoingPacket } from '../../../server/relay/webrtc/media-sender.ts';
import { BatchMediaSender, NodeMediaSender } from '../../../server/relay/webrtc/media-sender.ts';
import { rtpHeaderBytes } from '../../../server/media/rtp/rtp-header.ts';
import { PacketBatch } from '../../../server/webrtc-transport/packet-batch.ts';
import type { PeerTransport } from '../../../server/webrtc-transport/peer-transport.ts';
import { SrtpProtector } from '../../../server/webrtc-transport/srtp.ts';
import { descriptorOf, openUdpSender } from '../../../server/webrtc-transport/udp-sender.ts';
import { AEAD_AES_128_GCM, AES_CM_128_HMAC_SHA1_80 } from '../../../server/webrtc-transport/dtls.ts';
import { boundSocket } from '../../support/bound-socket.ts';
import { native, only } from '../../support/native-back-end.ts';
import { OddCaller } from '../../support/odd-values.ts';
import { openSrtp } from '../../support/werift-srtp.ts';

const batchFor = (t: TestContext, socket: Socket, mayCut: boolean): PacketBatch => {
  const batch = new PacketBatch(new native.udp.UdpBatch(descriptorOf(socket) ?? -1, mayCut));
  t.after(() => batch.close());
  return batch;
};

/** The next datagrams of a socket. */
const take = async (socket: Socket, count: number): Promise<string[]> => {
  const seen: string[] = [];
  await new Promise<void>((resolve) => {
    const onMessage = (datagram: Buffer): void => {
      if (seen.push(datagram.toString('hex')) === count) {
        socket.off('message', onMessage);
        resolve();
      }
    };
    socket.on('message', onMessage);
  });
  return seen;
};

const master = (prng: Prng): { profile: typeof AEAD_AES_128_GCM; key: Uint8Array; salt: Uint8Array } => ({
  ...{ profile: AEAD_AES_128_GCM, key: prng.nextBytes(16), salt: prng.nextBytes(12) },
});

/** A peer that both senders know, towards `to`. */
const peerTowards = (
  { to, from, batch }: { to: Socket; from: Socket; batch: PacketBatch | undefined },
  key: ReturnType<typeof master>,
): PeerTransport => {
  const { address, port } = to.address();
  const sender = openUdpSender(from);
  const path = {
    kind: 'udp',
    ...{ address, port },
    send: (bytes: Buffer, start: number, end: number) => sender.send(bytes, { start, end, port, address }),
  } as const;
  const batched = batch?.open(key);
  return { protector: new SrtpProtector(key), path, batchedId: batched?.towards(path) } as unknown as PeerTransport;
};

const randomPacket = (prng: Prng): OutgoingPacket => {
  const extensionIds = { transportSeq: prng.nextIndex(3) && prng.nextIndex(15), playoutDelay: prng.nextIndex(15) };
  return {
    extensionIds,
    overheadBytes: rtpHeaderBytes(extensionIds) + 44,
    fields: {
      payloadType: prng.nextIndex(128),
      isMarked: prng.nextIndex(2) === 1,
      seqExt: prng.nextIndex(2) === 1 ? prng.nextUint32() : prng.nextUint32() * 65_536 + prng.nextIndex(65_536),
      timestampTs32: prng.nextUint32(),
      ssrc: prng.nextUint32(),
      transportSeqExt: prng.nextUint32(),
      playoutDelayMs: prng.nextIndex(45_000),
      playoutDelayMaxMs: prng.nextIndex(45_000),
    },
  };
};

const PACKET_COUNT = 300;

for (const address of ['127.0.0.1', '::1']) {
  test(`every packet to ${address} is what the plain path makes of it, bit for bit`, only, async (t) => {
    const prng = new Prng(9);
    const [from, to] = [await boundSocket(t, address), await boundSocket(t, address)];
    const batch = batchFor(t, from, true);
    const peer = peerTowards({ to, from, batch }, master(prng));
    const payloads = Array.from({ length: 9 }, () => prng.nextBytes(1 + prng.nextIndex(1_200)));
    const packets = Array.from({ length: PACKET_COUNT }, () => ({
      packet: randomPacket(prng),
      payload: payloads[prng.nextIndex(9)]!,
    }));
    const seenOf = async (sender: MediaSender): Promise<[string[], number[]]> => {
      const seen = take(to, PACKET_COUNT);
      const bytes = packets.map(({ packet, payload }) => sender.send(peer, packet, payload));
      sender.flush();
      return [await seen, bytes];
    };
    const plain = await seenOf(new NodeMediaSender());
    assert.deepEqual(await seenOf(new BatchMediaSender(batch)), plain);
    assert.equal(batch.counts.sent, PACKET_COUNT);
  });
}

for (const mayCut of [true, false]) {
  test(
    `a picture for many arrives whole and in order, ${mayCut ? 'cut by the kernel' : 'datagram by datagram'}`,
    only,
    async (t) => {
      const prng = new Prng(4);
      const from = await boundSocket(t);
      const viewers = await Promise.all(Array.from({ length: 20 }, async () => boundSocket(t)));
      const batch = batchFor(t, from, mayCut && native.udp.kernelCuts());
      const sender = new BatchMediaSender(batch);
      // Ten of one size and a shorter one, as the packetiser cuts; then sound.
      const payloads = [
        ...Array.from({ length: 10 }, () => prng.nextBytes(1_100)),
        prng.nextBytes(40),
        prng.nextBytes(160),
      ];
      const all = viewers.map(async (to) => take(to, payloads.length));
      const keys = viewers.map(() => master(prng));
      for (const [index, to] of viewers.entries()) {
        const peer = peerTowards({ to, from, batch }, keys[index]!);
        payloads.forEach((payload, place) => {
          const packet = randomPacket(new Prng(place));
          packet.fields.seqExt = 1_000 + place;
          Object.assign(packet.extensionIds, { transportSeq: 3, playoutDelay: 5 });
          sender.send(peer, packet, payload);
        });
      }
      sender.flush();
      for (const [index, seen] of (await Promise.all(all)).entries()) {
        const { key, salt } = keys[index]!;
        const opener = openSrtp({
          profile: AEAD_AES_128_GCM,
          remoteKey: key,
          remoteSalt: salt,
          localKey: key,
          localSalt: salt,
        });
        const opened = seen.map((datagram) => opener.decrypt(Buffer.from(datagram, 'hex')));
        assert.deepEqual(
          opened.map((packet) => packet.readUInt16BE(2)),
          payloads.map((_, place) => 1_000 + place),
        );
        assert.deepEqual(
          opened.map((packet) => packet.toString('hex', 24)),
          payloads.map((payload) => Buffer.from(payload).toString('hex')),
        );
      }
      const { sent, calls, refused, dropped, uncut } = batch.counts;
      assert.deepEqual({ sent, refused, dropped, uncut }, { sent: 240, refused: 0, dropped: 0, uncut: 0 });
      assert.ok(calls < 20, `${calls} calls`);
      assert.equal(typeof native.udp.kernelCuts(), 'boolean');
    },
  );
}

test('what is listed leaves by itself at the end of the step, and before its peer goes', only, async (t) => {
  const prng = new Prng(5);
  const [from, to] = [await boundSocket(t), await boundSocket(t)];
  const batch = batchFor(t, from, true);
  const { address, port } = to.address();
  const batched = batch.open(master(prng));
  const id = batched?.towards({ kind: 'udp', address, port });
  assert.ok(batched !== undefined && id !== undefined);
  const seen = take(to, 2);
  batch.add(id, prng.nextBytes(10));
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  assert.equal(batch.counts.sent, 1);
  batch.add(id, prng.nextBytes(20));
  batched.close();
  batched.close();
  assert.equal(batch.counts.sent, 2);
  await seen;
  assert.equal(batched.towards({ kind: 'udp', address, port }), undefined);
  batch.close();
  assert.equal(batch.counts.sent, 2);
});

test('TCP, another cipher and an address with a scope go the plain way', only, async (t) => {
  const batch = batchFor(t, await boundSocket(t, '::1'), true);
  const prng = new Prng(6);
  assert.equal(
    batch.open({ profile: AES_CM_128_HMAC_SHA1_80, key: prng.nextBytes(16), salt: prng.nextBytes(14) }),
    undefined,
  );
  const batched = batch.open(master(prng));
  assert.equal(batched?.towards({ kind: 'tcp', address: '::1', port: 9 }), undefined);
  assert.equal(batched?.towards({ kind: 'udp', address: 'fe80::1%lo', port: 9 }), undefined);
  assert.equal(batched?.towards({ kind: 'udp', address: '127.0.0.1', port: 9 }), undefined);
  assert.equal(batched?.towards({ kind: 'udp', address: '::1', port: 9 }), 0);
});

test('any arguments: an answer or an exception, never the end of the process', only, async (t) => {
  const prng = new Prng(12);
  const caller = new OddCaller(prng);
  const from = await boundSocket(t);
  const { UdpBatch, kernelCuts } = native.udp;
  const open = (): InstanceType<typeof UdpBatch> => new UdpBatch(descriptorOf(from) ?? -1, true);
  let batch = open();
  const NAMES = ['addPeer', 'setAddress', 'removePeer', 'send', 'retry', 'counts'] as const;
  for (let round = 0; round < 20_000; round += 1) {
    caller.attemptOneOf(batch, NAMES);
    caller.attempt(() => Reflect.apply(native.srtp.seal as never, undefined, caller.draw(5)));
    if (prng.nextIndex(40) === 0) {
      caller.attempt(() => batch.addPeer(prng.nextBytes(16), prng.nextBytes(12)));
      caller.attempt(() => batch.setAddress(prng.nextIndex(8), '127.0.0.1', from.address().port));
      caller.attempt(() => batch.send(new Uint32Array(8 * 4), 4, [prng.nextBytes(5)]));
    }
    if (prng.nextIndex(400) === 0) {
      caller.attempt(() => batch.close());
      batch = open();
    }
  }
  batch.close();
  const { counts } = caller;
  assert.ok(counts.fine > 500 && counts.thrown > 10_000, JSON.stringify(counts));
  assert.equal(typeof kernelCuts(), 'boolean');
});

test('a closed batch, a foreign receiver and a socket that is none are refused by name', only, async (t) => {
  const { UdpBatch } = native.udp;
  const from = await boundSocket(t);
  const batch = new UdpBatch(descriptorOf(from) ?? -1, true);
  const send = Reflect.get(batch, 'send') as () => unknown;
  batch.close();
  const words = new Uint32Array(8);
  assert.throws(() => batch.send(words, 0, []), { code: 'NATIVE_BATCH_CLOSED' });
  assert.throws(() => batch.close(), { code: 'NATIVE_BATCH_CLOSED' });
  assert.throws(() => Reflect.apply(send, {}, [words, 0, []]), TypeError);
  assert.throws(() => new UdpBatch(2 ** 31, true), TypeError);
  assert.throws(() => new UdpBatch(1_000_000, true), /open UDP socket/);
  assert.throws(() => new UdpBatch(0, true), /open UDP socket/);
  assert.throws(() => (UdpBatch as unknown as () => void)(), /new/);
});

test('a list that changes everything while it is read changes nothing of what is sent', only, async (t) => {
  const [from, to] = [await boundSocket(t), await boundSocket(t)];
  const batch = new native.udp.UdpBatch(descriptorOf(from) ?? -1, true);
  const peer = batch.addPeer(new Uint8Array(16), new Uint8Array(12));
  batch.setAddress(peer, '127.0.0.1', to.address().port);
  const words = new Uint32Array(2 * PACKET_WORDS);
  words[PACKET_WORDS + 1] = 1;
  const first = new Uint8Array(100);
  const meddling = (meddle: () => void): Uint8Array[] => {
    const list = [first, first];
    Object.defineProperty(list, 1, {
      get: () => {
        meddle();
        return new Uint8Array(7);
      },
    });
    return list;
  };
  // Fewer payloads in a call within the call; a payload that is gone; a batch that is gone.
  assert.equal(
    batch.send(
      words,
      2,
      meddling(() => batch.send(words, 1, [new Uint8Array(3)])),
    ),
    0,
  );
  assert.throws(
    () =>
      batch.send(
        words,
        2,
        meddling(() => structuredClone(first.buffer, { transfer: [first.buffer] })),
      ),
    RangeError,
  );
  assert.throws(
    () =>
      batch.send(
        words,
        2,
        meddling(() => batch.close()),
      ),
    { code: 'NATIVE_BATCH_CLOSED' },
  );
});
