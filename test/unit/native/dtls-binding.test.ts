/** The handshake's binding, called as nobody should: it throws, and never crashes. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import type { NativeDtlsHandshake } from '../../../server/native/dtls-binding.ts';
import { createDtlsIdentity } from '../../../server/webrtc-transport/dtls-handshake.ts';
import { native, only } from '../../support/native-back-end.ts';

/** Left out where there is none: not looked at then. */
const dtls = native?.dtls;
const nothing = undefined as never;

const material = async (): Promise<{ certificate: Buffer; key: Buffer }> => {
  const { certPem, privateKey } = (await createDtlsIdentity()).certificate;
  return {
    certificate: new X509Certificate(certPem).raw,
    key: createPrivateKey(privateKey).export({ format: 'der', type: 'sec1' }),
  };
};

test('certificates and keys that do not belong together, or are none, are refused', only, async () => {
  const { certificate, key } = await material();
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const other = pair.privateKey.export({ format: 'der', type: 'sec1' });
  assert.throws(() => dtls.createContext(certificate, other), /key values mismatch/u);
  assert.throws(() => dtls.createContext(certificate.subarray(1), key), Error);
  assert.throws(() => dtls.createContext(Buffer.alloc(0), key), RangeError);
  assert.throws(() => dtls.createContext(certificate, Buffer.alloc(100_000)), RangeError);
  assert.throws(() => dtls.createContext('certificate' as never, key), TypeError);
  assert.throws(() => dtls.createContext(certificate, new Uint16Array(8) as never), TypeError);
  assert.throws(() => (dtls.createContext as (one: Buffer) => unknown)(certificate), TypeError);
});

test('what is no handle, or another one, is refused by every call', only, async () => {
  const { certificate, key } = await material();
  const context = dtls.createContext(certificate, key);
  const handshake = dtls.open(context, true);
  for (const wrong of [
    nothing,
    null,
    1,
    'x',
    {},
    [],
    () => undefined,
    context,
    Object.create(handshake),
    new Proxy(handshake, {}),
  ]) {
    const handle = wrong as never;
    assert.throws(() => dtls.start(handle), TypeError);
    assert.throws(() => dtls.take(handle, Buffer.alloc(20)), TypeError);
    assert.throws(() => dtls.profile(handle), TypeError);
    assert.throws(() => dtls.exportKeys(handle, 56), TypeError);
    assert.throws(() => dtls.peerCertificate(handle), TypeError);
    assert.throws(() => dtls.settle(handle), TypeError);
    assert.throws(() => dtls.close(handle), TypeError);
  }
  assert.throws(() => dtls.open(handshake as never, true), TypeError);
  assert.throws(() => dtls.open(context, 'server' as never), TypeError);
  assert.throws(() => dtls.take(handshake, 'datagram' as never), TypeError);
  assert.throws(() => dtls.exportKeys(handshake, 56), /not done/u);
  assert.throws(() => dtls.settle(handshake), /not done/u);
  assert.throws(() => dtls.exportKeys(handshake, 0), RangeError);
  assert.throws(() => dtls.exportKeys(handshake, 1e9), RangeError);
  assert.throws(() => dtls.exportKeys(handshake, -1), TypeError);
  dtls.close(handshake);
});

test('empty and detached datagrams are none; after the end everything but closing throws', only, async () => {
  const { certificate, key } = await material();
  const handshake = dtls.open(dtls.createContext(certificate, key), true);
  const detached = new Uint8Array(100);
  structuredClone(detached, { transfer: [detached.buffer] });
  for (const datagram of [new Uint8Array(0), detached]) {
    assert.deepEqual(dtls.take(handshake, datagram), { state: 0, outgoing: [] });
  }
  assert.deepEqual([dtls.profile(handshake), dtls.peerCertificate(handshake)], [0, undefined]);
  assert.deepEqual(dtls.close(handshake), { state: 0, outgoing: [] });
  assert.deepEqual(dtls.close(handshake), { state: 0, outgoing: [] });
  for (const call of [
    (one: NativeDtlsHandshake) => dtls.start(one),
    (one: NativeDtlsHandshake) => dtls.take(one, Buffer.alloc(20)),
    (one: NativeDtlsHandshake) => dtls.profile(one),
    (one: NativeDtlsHandshake) => dtls.exportKeys(one, 56),
    (one: NativeDtlsHandshake) => dtls.peerCertificate(one),
    (one: NativeDtlsHandshake) => dtls.settle(one),
  ]) {
    assert.throws(() => call(handshake), /it is closed/u);
  }
});

type Ends = { readonly server: NativeDtlsHandshake; readonly client: NativeDtlsHandshake };

/** `sent`: what the server said is put there. */
const connected = async (sent: Buffer[] = []): Promise<Ends> => {
  const { certificate, key } = await material();
  const context = dtls.createContext(certificate, key);
  const [server, client] = [dtls.open(context, true), dtls.open(context, false)];
  for (let flight = dtls.start(client).outgoing; flight.length > 0;) {
    const answers = flight.flatMap((datagram) => dtls.take(server, datagram).outgoing);
    sent.push(...answers);
    flight = answers.flatMap((datagram) => dtls.take(client, datagram).outgoing);
  }
  assert.deepEqual([dtls.profile(server), dtls.profile(client)], [7, 7]);
  return { server, client };
};

test("a settled handshake and OpenSSL understand each other's goodbye, in either role", only, async () => {
  for (const settled of ['server', 'client'] as const) {
    const other = settled === 'server' ? 'client' : 'server';
    for (const first of ['server', 'client'] as const) {
      const ends = await connected();
      dtls.settle(ends[settled]);
      // Again: nothing.
      dtls.settle(ends[settled]);
      const { outgoing } = dtls.close(ends[first]);
      assert.deepEqual(
        outgoing.map(({ byteLength }) => byteLength),
        [39],
        `${first} closes, ${settled} is settled`,
      );
      const last = first === settled ? other : settled;
      assert.deepEqual(dtls.take(ends[last], outgoing[0]!), { state: 2, outgoing: [] });
      dtls.close(ends[last]);
    }
  }
});

test('a goodbye has a number and a nonce of its own, after those of the handshake', only, async () => {
  const sent: Buffer[] = [];
  const { server, client } = await connected(sent);
  dtls.settle(server);
  sent.push(...dtls.close(server).outgoing);
  const encrypted = sent.flatMap((datagram) => {
    const records: Buffer[] = [];
    for (let at = 0; at < datagram.length; at += 13 + datagram.readUInt16BE(at + 11)) {
      records.push(datagram.subarray(at));
    }
    return records.filter((record) => record.readUInt16BE(3) === 1);
  });
  assert.equal(encrypted.length, 2);
  assert.deepEqual(
    encrypted.map((record) => record.readUIntBE(5, 6)),
    [0, 1],
  );
  const [finished, goodbye] = encrypted.map((record) => record.readBigUInt64BE(13));
  assert.equal(goodbye, BigInt.asUintN(64, finished! + 1n));
  dtls.close(client);
});

test('once it is settled keys, profile and certificate are gone, and what is no alert is nothing', only, async () => {
  const { server, client } = await connected();
  dtls.settle(server);
  for (const call of [
    (one: NativeDtlsHandshake) => dtls.start(one),
    (one: NativeDtlsHandshake) => dtls.profile(one),
    (one: NativeDtlsHandshake) => dtls.exportKeys(one, 56),
    (one: NativeDtlsHandshake) => dtls.peerCertificate(one),
  ]) {
    assert.throws(() => call(server), /it is settled/u);
  }
  for (const bytes of [0, 1, 12, 13, 38, 39, 40, 1_200]) {
    assert.deepEqual(dtls.take(server, Buffer.alloc(bytes, 0xff)), { state: 1, outgoing: [] });
    assert.deepEqual(dtls.take(server, Buffer.alloc(bytes, 21)), { state: 1, outgoing: [] });
  }
  dtls.close(server);
  assert.throws(() => dtls.take(server, Buffer.alloc(20)), /it is closed/u);
  dtls.close(client);
});
