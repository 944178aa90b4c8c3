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
    assert.throws(() => dtls.close(handle), TypeError);
  }
  assert.throws(() => dtls.open(handshake as never, true), TypeError);
  assert.throws(() => dtls.open(context, 'server' as never), TypeError);
  assert.throws(() => dtls.take(handshake, 'datagram' as never), TypeError);
  assert.throws(() => dtls.exportKeys(handshake, 56), /not done/u);
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
  ]) {
    assert.throws(() => call(handshake), /it is closed/u);
  }
});
