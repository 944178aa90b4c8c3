/** What the kernel may answer to the native sender, from a stand-in before it: nothing is lost that can be sent, the order holds, the rest is counted. */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { constants } from 'node:os';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { DatagramCounts } from '../../../server/native/udp-binding.ts';
import { native, only } from '../../support/native-back-end.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const { EAGAIN, EIO, EINVAL, EINTR, ENOSYS, EPERM, ENOBUFS } = constants.errno;
const ROOT = path.join(import.meta.dirname, '..', '..', '..');

/** Two viewers, pictures of five packets and a shorter one, picture after picture; then what came and what was counted. */
const PROGRAM = `
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { loadNative } from '${ROOT}/server/native/native.ts';
import { PacketBatch } from '${ROOT}/server/webrtc-transport/packet-batch.ts';
import { descriptorOf } from '${ROOT}/server/webrtc-transport/udp-sender.ts';
const bound = async () => {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4194304 });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
};
const [pictureCount, wantedCount, mayCut] = JSON.parse(process.env.SLUICE_TEST);
const { native } = loadNative();
const from = await bound();
const batch = new PacketBatch(new native.udp.UdpBatch(descriptorOf(from), mayCut));
let came = 0;
const viewers = [];
for (const name of [1, 2]) {
  const to = await bound();
  const seqs = [];
  to.on('message', (datagram) => {
    seqs.push(datagram.readUInt16BE(2));
    came += 1;
  });
  const peer = batch.open({ profile: 7, key: Buffer.alloc(16, name), salt: Buffer.alloc(12) });
  viewers.push({ to, seqs, id: peer.towards({ kind: 'udp', address: '127.0.0.1', port: to.address().port }) });
}
const payloads = [...Array.from({ length: 5 }, (_, index) => Buffer.alloc(1100, index)), Buffer.alloc(50)];
for (let picture = 0; picture < pictureCount; picture += 1) {
  for (const { id } of viewers) {
    payloads.forEach((payload, index) => {
      batch.words[batch.add(id, payload) + 4] = (6 * picture + index) & 0xffff;
    });
  }
  batch.flush();
}
const untilMs = Date.now() + 10000;
while (came < wantedCount && Date.now() < untilMs) {
  await new Promise((resolve) => setTimeout(resolve, 1));
}
process.stdout.write(JSON.stringify({ seqs: viewers.map(({ seqs }) => seqs), counts: batch.counts }));
process.exit(0);
`;

type Outcome = { readonly seqs: readonly (readonly number[])[]; readonly counts: DatagramCounts };

describe('native sender', only, () => {
  let folder = '';
  let shim = '';
  before(async () => {
    folder = tempFolder('test');
    shim = path.join(folder, 'faulty-kernel.so');
    const source = path.join(import.meta.dirname, 'faulty-kernel.cc');
    execFileSync(process.env['CXX'] ?? 'c++', ['-shared', '-fPIC', '-o', shim, source, '-ldl']);
  });

  const run = async (faults: string, { pictureCount = 3, wantedCount = 36, mayCut = true } = {}): Promise<Outcome> => {
    const env = {
      ...process.env,
      LD_PRELOAD: [process.env['LD_PRELOAD'], shim].filter((name) => name !== undefined).join(':'),
      SLUICE_FAULTS: faults,
      SLUICE_TEST: JSON.stringify([pictureCount, wantedCount, mayCut && native.udp.kernelCuts()]),
    };
    const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', PROGRAM];
    const { stdout } = await promisify(execFile)(process.execPath, args, { env, maxBuffer: 2 ** 24 });
    return JSON.parse(stdout) as Outcome;
  };
  const inOrder = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
  const whole = [inOrder(18), inOrder(18)];

  test('a full buffer: what waits leaves later, in order, and what comes after it waits behind', async () => {
    const { seqs, counts } = await run(`${EAGAIN},${ENOBUFS},${EAGAIN}`);
    assert.deepEqual(seqs, whole);
    const { sent, full, refused, dropped } = counts;
    assert.deepEqual({ sent, full, refused, dropped }, { sent: 36, full: 3, refused: 0, dropped: 0 });
  });

  test('some taken, some not, and an interruption: each once', async () => {
    const { seqs, counts } = await run(`p1,${EINTR},p1,${EAGAIN},r`);
    assert.deepEqual(seqs, whole);
    assert.equal(counts.sent, 36);
  });

  for (const [name, error] of Object.entries({ EIO, EINVAL })) {
    test(`a kernel that will not cut (${name}): one by one, and asked no more for that viewer`, async (t) => {
      if (!native.udp.kernelCuts()) {
        t.skip('this kernel cuts nothing');
        return;
      }
      const { seqs, counts } = await run(`${error}`);
      assert.deepEqual(seqs, whole);
      assert.deepEqual(
        { sent: counts.sent, uncut: counts.uncut, refused: counts.refused },
        { sent: 36, uncut: 1, refused: 0 },
      );
    });
  }

  test('what is sent one by one meets a full buffer half way: the rest follows', async () => {
    const { seqs, counts } = await run(`${EIO},r,r,${EAGAIN},${EAGAIN}`);
    assert.deepEqual(seqs, whole);
    assert.equal(counts.sent, 36);
  });

  test('no sendmmsg: by sendmsg', async () => {
    const { seqs, counts } = await run(`${ENOSYS}`, { mayCut: false });
    assert.deepEqual(seqs, whole);
    assert.ok(counts.calls > 36);
  });

  test('a refused datagram is counted, and only that one is missing', async () => {
    const { seqs, counts } = await run(`p2,${EPERM}`, { mayCut: false, wantedCount: 35 });
    assert.deepEqual(seqs, [inOrder(18).filter((seq) => seq !== 2), inOrder(18)]);
    assert.deepEqual({ sent: counts.sent, refused: counts.refused }, { sent: 35, refused: 1 });
  });

  test('a kernel that takes nothing any more: what waits is bounded, the rest is dropped and counted', async () => {
    const { seqs, counts } = await run(`${EAGAIN}*`, { pictureCount: 1_000, wantedCount: 0 });
    assert.deepEqual(seqs, [[], []]);
    const { sent, refused, dropped } = counts;
    assert.deepEqual({ sent, refused }, { sent: 0, refused: 0 });
    // 4 MiB wait, of 12,000 datagrams of 1,134 bytes and less.
    assert.ok(dropped > 7_000 && dropped < 8_500, `${dropped} dropped`);
  });
});
