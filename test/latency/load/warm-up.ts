/** Handshakes with ourselves in memory, before anything is measured: werift's first ones cost ten times as much, while the code is compiled. */
import { createDtlsIdentity, DtlsHandshake } from '../../../server/webrtc-transport/dtls-handshake.ts';
import { loadNative } from '../../../server/native/native.ts';
import { DtlsClientHandshake } from '../../support/dtls-client.ts';

const HANDSHAKE_COUNT = 8;

export const warmUpDtls = async (): Promise<void> => {
  if (loadNative().native !== undefined) {
    return;
  }
  const identity = await createDtlsIdentity();
  const [algorithm = '', value = ''] = identity.fingerprint.split(' ');
  const options = { identity, remoteFingerprints: [{ algorithm, value }] };
  for (let count = 0; count < HANDSHAKE_COUNT; count += 1) {
    await new Promise<void>((resolve, reject) => {
      const onEnd = (reason: string): void => reject(new Error(reason));
      const server = new DtlsHandshake({
        ...options,
        listener: {
          onOutgoing: (bytes) => setImmediate(() => client.onDatagram(bytes)),
          onKeys: () => undefined,
          onEnd,
        },
      });
      const client = new DtlsClientHandshake({
        ...options,
        listener: {
          onOutgoing: (bytes) => setImmediate(() => server.onDatagram(bytes, performance.now())),
          onKeys: () => resolve(),
          onEnd,
        },
      });
      client.start();
    });
  }
};
