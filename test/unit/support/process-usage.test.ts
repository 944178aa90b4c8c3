/** What /proc says of ourselves and of a child. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { copyFile, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import test from 'node:test';
import { cpuMs, cpuWaitMs, descendants, pidListeningOn, pidNamed, rssBytes } from '../../support/process-usage.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { within } from '../../support/wait.ts';

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

test('a process is found by its name, also one longer than the kernel keeps', async () => {
  const folder = tempFolder('name');
  const program = path.join(folder, 'a-name-of-20-letters');
  await copyFile('/bin/sleep', program);
  const child = spawn(program, ['60'], { stdio: 'ignore' });
  try {
    await within(5_000, 'it runs under its name', () => pidNamed('a-name-of-20-letters') === child.pid);
    assert.equal(pidNamed('no such name'), undefined);
  } finally {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
});
