// One server a folder: the second is refused, and what a killed one left behind stops nobody.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FolderLock } from '../../../server/base/folder-lock.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const MODULE = fileURLToPath(new URL('../../../server/base/folder-lock.ts', import.meta.url));
const HOLD = `
  const { FolderLock } = await import(process.argv[1]);
  FolderLock.take(process.argv[2]);
  console.log('held');
  setInterval(() => {}, 1000);`;

let folder: string;

beforeEach(() => {
  folder = tempFolder('lock');
});

test('while a process lives nobody else has its folder; killed, it has it no more', async () => {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '-e', HOLD, MODULE, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  try {
    await once(child.stdout, 'data');
    assert.throws(() => FolderLock.take(folder), new RegExp(`FOLDER_IN_USE: process ${child.pid} `));
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
  FolderLock.take(folder).release();
  assert.deepEqual(readdirSync(folder), []);
});

test('held twice by one process, it is refused too; released, it is free', () => {
  const lock = FolderLock.take(folder);
  assert.throws(() => FolderLock.take(folder), /FOLDER_IN_USE/);
  assert.deepEqual(readdirSync(folder), ['lock']);
  lock.release();
  FolderLock.take(folder).release();
});

test('another process under the number of the one that died holds nothing; neither does a torn file', () => {
  FolderLock.take(folder);
  const path = join(folder, 'lock');
  const held = JSON.parse(readFileSync(path, 'utf8')) as { startedTicks: string };
  for (const left of [
    JSON.stringify({ ...held, startedTicks: '1' }),
    JSON.stringify({ ...held, bootId: 'x' }),
    '{"pi',
    '',
  ]) {
    writeFileSync(path, left);
    FolderLock.take(folder);
    assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), held);
  }
});

test('whoever was taken for dead releases nothing of who came after', () => {
  const lock = FolderLock.take(folder);
  writeFileSync(join(folder, 'lock'), '{"pid":1,"startedTicks":"x","bootId":"y"}');
  lock.release();
  assert.deepEqual(readdirSync(folder), ['lock']);
});
