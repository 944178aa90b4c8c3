/** DTLS where the way is slow or lossy: each message is handled once and in order, and what was lost is sent again. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { DtlsInbox } from '../../../server/webrtc-transport/dtls-inbox.ts';
import { createDtlsIdentity, DtlsHandshake, type SrtpKeys } from '../../../server/webrtc-transport/werift-dtls.ts';
import { DtlsClientHandshake } from '../../support/dtls-client.ts';

const CLIENT_KEY_EXCHANGE = 16;
const CERTIFICATE_VERIFY = 15;
const CHANGE_CIPHER_SPEC = 20;

const record = (contentType: number, epoch: number, fragment: Buffer): Buffer => {
  const head = Buffer.from([contentType, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 0, 0, 0]);
  head.writeUInt16BE(fragment.length, 11);
  return Buffer.concat([head, fragment]);
};

const message = (
  type: number,
  messageSeq16: number,
  body: string,
  { from = 0, to = body.length }: { from?: number; to?: number } = {},
): Buffer => {
  const head = Buffer.alloc(12);
  head.writeUInt8(type, 0);
  head.writeUIntBE(body.length, 1, 3);
  head.writeUInt16BE(messageSeq16, 4);
  head.writeUIntBE(from, 6, 3);
  head.writeUIntBE(to - from, 9, 3);
  return record(22, 0, Buffer.concat([head, Buffer.from(body.slice(from, to))]));
};

const bodies = (inbox: DtlsInbox, ...records: Buffer[]): string[] =>
  inbox
    .take(Buffer.concat(records))
    .records.map((taken) => taken.subarray(taken[0] === 22 && taken[4] === 0 ? 25 : 13).toString());

const finished = record(22, 1, Buffer.from('the encrypted finished'));

test('messages come once and in order, whatever order and however often they arrive', () => {
  const inbox = new DtlsInbox();
  assert.deepEqual(bodies(inbox, message(CLIENT_KEY_EXCHANGE, 1, 'second')), []);
  assert.deepEqual(bodies(inbox, message(11, 0, 'first')), ['first', 'second']);
  const again = inbox.take(Buffer.concat([message(11, 0, 'first'), message(CLIENT_KEY_EXCHANGE, 1, 'second')]));
  assert.deepEqual(again, { records: [], isRetransmission: true });
});

test('fragments are joined, also when the last comes first and some come twice', () => {
  const inbox = new DtlsInbox();
  assert.deepEqual(bodies(inbox, message(1, 0, 'abcdef', { from: 4 })), []);
  assert.deepEqual(bodies(inbox, message(1, 0, 'abcdef', { to: 3 }), message(1, 0, 'abcdef', { to: 3 })), []);
  assert.deepEqual(bodies(inbox, message(1, 0, 'abcdef', { from: 2, to: 5 })), ['abcdef']);
});

test('the encrypted Finished waits for what comes before it, and is handled once', () => {
  const inbox = new DtlsInbox();
  assert.deepEqual(bodies(inbox, finished), []);
  assert.deepEqual(bodies(inbox, message(CERTIFICATE_VERIFY, 0, 'verify')), ['verify', 'the encrypted finished']);
  assert.deepEqual(inbox.take(finished), { records: [], isRetransmission: true });
  const changed = inbox.take(Buffer.concat([record(CHANGE_CIPHER_SPEC, 0, Buffer.from([1])), finished]));
  assert.deepEqual(changed, { records: [], isRetransmission: true });
});

test('what is malformed, too large or too far ahead is left out; nothing renegotiates after the end', () => {
  const inbox = new DtlsInbox();
  const long = message(11, 0, 'x');
  long.writeUIntBE(20_000, 14, 3);
  assert.deepEqual(bodies(inbox, long), []);
  assert.deepEqual(bodies(inbox, record(22, 0, Buffer.from('short')), Buffer.from([22, 0xfe])), []);
  assert.deepEqual(bodies(inbox, message(11, 4_000, 'far')), []);
  assert.deepEqual(bodies(inbox, message(CERTIFICATE_VERIFY, 0, 'verify'), finished).length, 2);
  assert.deepEqual(bodies(inbox, message(1, 1, 'hello again')), []);
  assert.deepEqual(bodies(inbox, record(21, 1, Buffer.from('alert'))), ['alert']);
});

type Way = (datagram: Buffer, deliver: (datagram: Buffer) => void) => void;

const shake = async (ways: { toServer: Way; toClient: Way }): Promise<{ client: SrtpKeys; server: SrtpKeys }> => {
  const identity = await createDtlsIdentity();
  const [algorithm = '', value = ''] = identity.fingerprint.split(' ');
  const server = Promise.withResolvers<SrtpKeys>();
  const client = Promise.withResolvers<SrtpKeys>();
  const remoteFingerprints = [{ algorithm, value }];
  const listen = (
    keys: PromiseWithResolvers<SrtpKeys>,
    way: Way,
    deliver: (datagram: Buffer) => void,
  ): ConstructorParameters<typeof DtlsHandshake>[0]['listener'] => ({
    onOutgoing: (datagram) => {
      const copy = Buffer.from(datagram);
      setImmediate(() => way(copy, (arrived) => deliver(Buffer.from(arrived))));
    },
    onKeys: keys.resolve,
    onEnd: (reason) => keys.reject(new Error(reason)),
  });
  const serverSide: DtlsHandshake = new DtlsHandshake({
    identity,
    remoteFingerprints,
    listener: listen(server, ways.toClient, (datagram) => clientSide.onDatagram(datagram)),
  });
  const clientSide: DtlsClientHandshake = new DtlsClientHandshake({
    identity,
    remoteFingerprints,
    srtpProfiles: undefined,
    listener: listen(client, ways.toServer, (datagram) => serverSide.onDatagram(datagram)),
  });
  clientSide.start();
  try {
    return { client: await client.promise, server: await server.promise };
  } finally {
    clientSide.close();
    serverSide.close();
  }
};

test('a flight that comes twice at once, as over TCP to a server that was busy, leaves both sides with the same keys', async () => {
  const flight: Buffer[] = [];
  const { client, server } = await shake({
    toServer: (datagram, deliver) => {
      const isHello = datagram[0] === 22 && datagram[4] === 0 && datagram[13] === 1;
      if (isHello) {
        deliver(datagram);
        return;
      }
      flight.push(datagram);
      const isFinished = datagram.includes(Buffer.from([22, 0xfe, 0xfd, 0, 1]));
      if (isFinished) {
        [...flight, ...flight].forEach(deliver);
      }
    },
    toClient: (datagram, deliver) => deliver(datagram),
  });
  assert.deepEqual(client.localKey, server.remoteKey);
  assert.deepEqual(client.remoteKey, server.localKey);
});

test('a last flight of the server that is lost is sent again when the client asks', async () => {
  let lostCount = 0;
  const { client, server } = await shake({
    toServer: (datagram, deliver) => deliver(datagram),
    toClient: (datagram, deliver) => {
      const isLast = datagram[0] === CHANGE_CIPHER_SPEC || datagram.readUInt16BE(3) === 1;
      if (isLast && lostCount < 2) {
        lostCount += 1;
      } else {
        deliver(datagram);
      }
    },
  });
  assert.equal(lostCount, 2);
  assert.deepEqual(client.localKey, server.remoteKey);
});
