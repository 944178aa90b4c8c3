/** The handshake of our receivers, in memory, with what a slow or lossy way does to it. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { SrtpKeys } from '../../../server/webrtc-transport/dtls.ts';
import { createDtlsIdentity, DtlsHandshake } from '../../../server/webrtc-transport/dtls-handshake.ts';
import { DtlsClientHandshake } from '../../support/dtls-client.ts';

const HELLO_VERIFY = 3;

const handshake = async (options: {
  copies: (datagram: Buffer) => number;
  srtpProfiles?: readonly number[];
  fingerprint?: string;
}): Promise<{ client: SrtpKeys; server: SrtpKeys }> => {
  const identity = await createDtlsIdentity();
  const [algorithm = '', value = ''] = identity.fingerprint.split(' ');
  const server = Promise.withResolvers<SrtpKeys>();
  const client = Promise.withResolvers<SrtpKeys>();
  const serverSide = new DtlsHandshake({
    identity,
    remoteFingerprints: [{ algorithm, value }],
    listener: {
      onOutgoing: (datagram) => {
        for (let copy = 0; copy < options.copies(datagram); copy += 1) {
          setImmediate(() => clientSide.onDatagram(Buffer.from(datagram)));
        }
      },
      onKeys: server.resolve,
      onEnd: (reason) => server.reject(new Error(reason)),
    },
  });
  const clientSide = new DtlsClientHandshake({
    identity,
    remoteFingerprints: [{ algorithm, value: options.fingerprint ?? value }],
    srtpProfiles: options.srtpProfiles,
    listener: {
      onOutgoing: (datagram) => setImmediate(() => serverSide.onDatagram(datagram, performance.now())),
      onKeys: client.resolve,
      onEnd: (reason) => client.reject(new Error(reason)),
    },
  });
  clientSide.start();
  try {
    return { client: await client.promise, server: await server.promise };
  } finally {
    clientSide.close();
    serverSide.close();
  }
};

test('a second HelloVerifyRequest, as a slow server sends it, does not end the handshake', async () => {
  const keys = await handshake({ copies: (datagram) => (datagram[13] === HELLO_VERIFY ? 2 : 1) });
  assert.deepEqual(keys.client.localKey, keys.server.remoteKey);
  assert.deepEqual(keys.client.remoteSalt, keys.server.localSalt);
});

test('the profile agreed on decides the salt: 14 bytes where only AES-CM is offered', async () => {
  const keys = await handshake({ copies: () => 1, srtpProfiles: [1] });
  assert.deepEqual([keys.client.profile, keys.client.localSalt.byteLength], [1, 14]);
});

test('a certificate that the answer did not name is refused', async () => {
  const fingerprint = Array(32).fill('AA').join(':');
  await assert.rejects(handshake({ copies: () => 1, fingerprint }), /not the one the answer named/);
});
