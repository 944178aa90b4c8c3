/** DTLS by either engine against either client, where the way is slow or lossy, and where the peer is not who its offer named. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import test from 'node:test';
import { loadNative } from '../../../server/native/native.ts';
import { createDtlsIdentity, DtlsHandshake } from '../../../server/webrtc-transport/dtls-handshake.ts';
import { within, withinValue } from '../../support/wait.ts';
import { DtlsClientHandshake } from '../../support/dtls-client.ts';
import { DtlsPair, ENGINES, type EngineName, type PairOptions } from '../../support/dtls-pair.ts';

const CHANGE_CIPHER_SPEC = 20;
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const WAIT_MAX_MS = 20_000;
const WRONG = `sha-256 ${Array(32).fill('AA').join(':')}`;

/** Both sides' keys, crosswise the same. */
const shake = async (options: PairOptions): Promise<DtlsPair> => {
  const pair = await DtlsPair.start(options);
  try {
    await within(WAIT_MAX_MS, 'both have keys', () => {
      assert.deepEqual([...pair.serverSide.ends, ...pair.clientSide.ends], []);
      return pair.serverSide.keys !== undefined && pair.clientSide.keys !== undefined;
    });
    const [client, server] = [pair.clientSide.keys!, pair.serverSide.keys!];
    assert.equal(client.profile, server.profile);
    assert.deepEqual([client.localKey, client.localSalt], [server.remoteKey, server.remoteSalt]);
    assert.deepEqual([client.remoteKey, client.remoteSalt], [server.localKey, server.localSalt]);
    assert.notDeepEqual(client.localKey, client.remoteKey);
    return pair;
  } finally {
    pair.close();
  }
};

const isClientHello = (datagram: Buffer): boolean =>
  datagram[0] === HANDSHAKE && datagram[4] === 0 && datagram[13] === CLIENT_HELLO;
const endsHandshake = (datagram: Buffer): boolean =>
  datagram[0] === CHANGE_CIPHER_SPEC || datagram.readUInt16BE(3) === 1;

for (const server of ENGINES) {
  for (const client of ENGINES) {
    test(`${server} with a client of ${client}: both have the same keys, AES-GCM where both can`, async () => {
      const pair = await shake({ server, client });
      assert.equal(pair.serverSide.keys?.profile, 7);
      assert.deepEqual([pair.serverSide.keys.localKey.byteLength, pair.serverSide.keys.localSalt.byteLength], [16, 12]);
    });

    test(`${server} with a client of ${client}: a flight that comes twice at once, as over TCP to a busy server`, async () => {
      const flight: Buffer[] = [];
      await shake({
        server,
        client,
        toServer: (datagram, deliver) => {
          if (isClientHello(datagram)) {
            deliver(datagram);
            return;
          }
          flight.push(datagram);
          if (datagram.includes(Buffer.from([HANDSHAKE, 0xfe, 0xfd, 0, 1]))) {
            [...flight, ...flight].forEach(deliver);
          }
        },
      });
    });

    test(`${server} with a client of ${client}: records that arrive one by one and in the wrong order`, async () => {
      await shake({
        server,
        client,
        toServer: (datagram, deliver) => splitRecords(datagram).toReversed().forEach(deliver),
      });
    });
  }

  test(`${server}: without AES-GCM the salt has 14 bytes`, async () => {
    const pair = await shake({ server, client: 'werift', srtpProfiles: [1] });
    assert.deepEqual([pair.serverSide.keys?.profile, pair.serverSide.keys?.localSalt.byteLength], [1, 14]);
  });

  test(`${server}: its last flight is sent again when a client that lost it repeats its own`, async () => {
    let lostCount = 0;
    await shake({
      ...{ server, client: 'werift' },
      toClient: (datagram, deliver) => {
        if (endsHandshake(datagram) && lostCount < 2) {
          lostCount += 1;
        } else {
          deliver(datagram);
        }
      },
    });
    assert.equal(lostCount, 2);
  });

  test(`${server}: a certificate that the offer did not name ends it, and no keys come out`, async () => {
    const ends = await endsOf({ server, client: 'werift', clientFingerprint: WRONG });
    assert.match(ends[0] ?? '', /^dtls_failed: DTLS_FINGERPRINT_MISMATCH: /u);
  });

  test(`${server}: a peer without any SRTP profile of ours is refused`, async () => {
    const ends = await endsOf({ server, client: 'werift', srtpProfiles: [2] });
    // werift gives up before it is asked, and says nothing.
    assert.match(ends[0] ?? '', server === 'native' ? /^dtls_failed: DTLS_NO_SRTP_PROFILE: /u : /^dtls_failed/u);
  });
}

const endsOf = async (options: PairOptions): Promise<readonly string[]> => {
  const pair = await DtlsPair.start(options);
  try {
    await within(WAIT_MAX_MS, 'the server gives up', () => pair.serverSide.ends.length > 0);
    assert.equal(pair.serverSide.keys, undefined);
    assert.equal(pair.serverSide.ends.length, 1);
    return pair.serverSide.ends;
  } finally {
    pair.close();
  }
};

/** How a handshake over UDP with `openssl s_client` ends here. */
const endWithOpenssl = async (): Promise<string> => {
  const identity = await createDtlsIdentity(loadNative().native?.dtls);
  const ends: string[] = [];
  const socket = createSocket('udp4');
  let peerPort = 0;
  const server = new DtlsHandshake({
    identity,
    remoteFingerprints: [{ algorithm: 'sha-256', value: '00' }],
    listener: {
      onOutgoing: (datagram) => socket.send(datagram, peerPort, '127.0.0.1'),
      onKeys: () => ends.push('it connected'),
      onEnd: (reason) => ends.push(reason),
    },
  });
  socket.on('message', (datagram, { port }) => {
    peerPort = port;
    server.onDatagram(datagram, performance.now());
  });
  await new Promise<void>((resolve) => {
    socket.bind(0, '127.0.0.1', resolve);
  });
  const args = ['s_client', '-dtls1_2', '-use_srtp', 'SRTP_AEAD_AES_128_GCM', '-connect'];
  const client = spawn('openssl', [...args, `127.0.0.1:${socket.address().port}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  try {
    return await withinValue(WAIT_MAX_MS, 'the end', () => ends[0]);
  } finally {
    client.kill('SIGKILL');
    server.close();
    socket.close();
  }
};

const splitRecords = (datagram: Buffer): Buffer[] => {
  const records: Buffer[] = [];
  for (let at = 0; at < datagram.length; at += 13 + datagram.readUInt16BE(at + 11)) {
    records.push(datagram.subarray(at, at + 13 + datagram.readUInt16BE(at + 11)));
  }
  return records;
};

const opensslMissing = spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not installed';
const hasNative = ENGINES.includes('native');
const both: { server: EngineName; client: EngineName } = { server: 'native', client: 'native' };

test(
  'native: what nobody answers is sent again by the clock we tell it, after 1 s and then 2',
  { skip: !hasNative },
  async () => {
    const lost: number[] = [];
    const pair = await DtlsPair.start({
      ...{ ...both, nowMs: () => 0 },
      toClient: (datagram) => lost.push(datagram.byteLength),
    });
    try {
      await within(WAIT_MAX_MS, 'the first flight', () => lost.length > 0);
      const flightCount = lost.length;
      for (const [afterMs, flights] of [
        [900, 1],
        [1_000, 2],
        [2_900, 2],
        [3_000, 3],
      ] as const) {
        pair.server.onTimer(afterMs);
        await new Promise((resolve) => setImmediate(resolve));
        assert.equal(lost.length, flights * flightCount, `${afterMs} ms`);
      }
    } finally {
      pair.close();
    }
  },
);

test('native: both tell the other side that they close', { skip: !hasNative }, async () => {
  for (const first of ['client', 'server'] as const) {
    const pair = await DtlsPair.start(both);
    try {
      await within(WAIT_MAX_MS, 'keys', () => pair.serverSide.keys !== undefined && pair.clientSide.keys !== undefined);
      pair[first].close();
      const other = first === 'client' ? 'serverSide' : 'clientSide';
      await within(WAIT_MAX_MS, 'the end', () => pair[other].ends.length > 0);
      assert.deepEqual(pair[other].ends, ['dtls_closed_by_peer']);
    } finally {
      pair.close();
    }
  }
});

/** A native server and a client of werift's, both with keys. */
const withAlerts = async (
  toServer: NonNullable<PairOptions['toServer']>,
  use: (pair: DtlsPair, client: DtlsClientHandshake) => Promise<void>,
): Promise<void> => {
  const pair = await DtlsPair.start({ server: 'native', client: 'werift', toServer });
  try {
    await within(WAIT_MAX_MS, 'keys', () => pair.serverSide.keys !== undefined && pair.clientSide.keys !== undefined);
    assert.ok(pair.client instanceof DtlsClientHandshake);
    await use(pair, pair.client);
  } finally {
    pair.close();
  }
};

test(
  "native: an encrypted alert of another implementation ends it, with the peer's reason",
  { skip: !hasNative },
  async () => {
    for (const [severity, description, end] of [
      [1, 0, /^dtls_closed_by_peer$/u],
      [2, 80, /^dtls_failed: .*internal error$/u],
      [2, 255, /^dtls_failed: the peer gave up$/u],
    ] as const) {
      await withAlerts(
        (datagram, deliver) => deliver(datagram),
        async (pair, client) => {
          // A warning that ends nothing.
          client.sendAlert(1, 90);
          assert.deepEqual(pair.serverSide.ends, []);
          client.sendAlert(severity, description);
          await within(WAIT_MAX_MS, 'the end', () => pair.serverSide.ends.length > 0);
          assert.match(pair.serverSide.ends.join(), end);
        },
      );
    }
  },
);

test(
  'native: an alert that was changed on its way ends nothing, and one in the clear neither',
  { skip: !hasNative },
  async () => {
    let change: ((alert: Buffer) => Buffer) | undefined;
    await withAlerts(
      (datagram, deliver) => deliver(change === undefined ? datagram : change(Buffer.from(datagram))),
      async (pair, client) => {
        const changes: ((alert: Buffer) => Buffer)[] = [
          (alert) => Buffer.concat([alert.subarray(0, 3), Buffer.alloc(8), Buffer.from([0, 2, 2, 80])]),
          (alert) => alert.subarray(0, -1),
          (alert) => Buffer.concat([alert, alert.subarray(0, 20)]).subarray(alert.length),
          ...[0, 2, 4, 5, 10, 12, 13, 20, 21, 22, 23, 38].map((at) => (alert: Buffer) => {
            alert[at] = (alert[at] ?? 0) ^ 1;
            return alert;
          }),
        ];
        for (const one of changes) {
          change = one;
          client.sendAlert(2, 80);
          assert.deepEqual(pair.serverSide.ends, [], one.toString());
        }
        change = undefined;
        client.sendAlert(2, 80);
        await within(WAIT_MAX_MS, 'the end', () => pair.serverSide.ends.length > 0);
        assert.match(pair.serverSide.ends.join(), /^dtls_failed/u);
      },
    );
  },
);

test(
  'native: no datagram is larger than 1,200 bytes, and no round trip goes into a cookie',
  { skip: !hasNative },
  async () => {
    const [toServer, toClient]: [number[], number[]] = [[], []];
    const note = (sizes: number[]) => (datagram: Buffer, deliver: (datagram: Buffer) => void) => {
      sizes.push(datagram.byteLength);
      deliver(datagram);
    };
    await shake({ ...both, toServer: note(toServer), toClient: note(toClient) });
    assert.deepEqual([toServer.length, toClient.length], [2, 2]);
    assert.ok(Math.max(...toServer, ...toClient) <= 1_200, `${String(toServer)}, ${String(toClient)}`);
  },
);

test(
  "native: a peer without a certificate, as openssl's own client is, is told apart",
  { skip: !hasNative || opensslMissing },
  async () => {
    assert.match(await endWithOpenssl(), /^dtls_failed: DTLS_NO_CERTIFICATE: /u);
  },
);

test('native: a fatal alert in the clear ends a handshake that is not done', { skip: !hasNative }, async () => {
  const pair = await DtlsPair.start({
    ...both,
    toServer: (datagram, deliver) => {
      deliver(datagram);
      deliver(Buffer.from([21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40]));
    },
  });
  try {
    await within(WAIT_MAX_MS, 'the end', () => pair.serverSide.ends.length > 0);
    assert.match(pair.serverSide.ends[0] ?? '', /^dtls_failed: .*handshake failure/u);
  } finally {
    pair.close();
  }
});
