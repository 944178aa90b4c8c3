/** What /proc says of ourselves and of a child. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import test from 'node:test';
import { cpuMs, cpuWaitMs, descendants, pidListeningOn, rssBytes } from '../../support/process-usage.ts';

test('finds the process that listens on a TCP port, and nobody once it is closed', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  assert.equal(pidListeningOn(port), process.pid);
  server.close();
  await once(server, 'close');
  assert.equal(pidListeningOn(port), undefined);
});

test('finds the process that holds a UDP port', async (t) => {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  t.after(() => socket.close());
  await once(socket, 'listening');
  assert.equal(pidListeningOn(socket.address().port), process.pid);
});

test('knows children by id and forgets those that ended', async () => {
  const child = spawn('sleep', ['30']);
  await once(child, 'spawn');
  assert.ok(descendants(process.pid).includes(child.pid!));
  child.kill();
  await once(child, 'exit');
  assert.ok(!descendants(process.pid).includes(child.pid!));
});

test('counts CPU and memory of the living; of the gone no CPU, and memory that compares with nothing', () => {
  const before = cpuMs(process.pid, { withChildren: false });
  const own = process.cpuUsage();
  while (process.cpuUsage(own).user < 60_000) {
    // Burns the CPU that is to be counted.
  }
  assert.ok(cpuMs(process.pid, { withChildren: false }) > before);
  assert.ok(rssBytes(process.pid) > 1e6);
  assert.ok(cpuWaitMs(process.pid) > 0);
  const gonePid = 2 ** 22 + 1;
  assert.equal(cpuWaitMs(gonePid), 0);
  assert.equal(cpuMs(gonePid, { withChildren: true }), 0);
  assert.ok(Number.isNaN(rssBytes(gonePid)));
});
