/**
 * Builds the addons with the machine's own compiler, in a few seconds and only when their sources, the headers or Node have changed: the native back end
 * (server/native), and what reads for a crowd of viewers (test/latency/load). Where that cannot be done it says so once, and all goes the plain way.
 *
 * `SLUICE_NATIVE_FLAGS` adds to the compiler's arguments, `SLUICE_NATIVE_FOLDER` is where the back end is built and found (sanitizers: server/native/README.md).
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE, ROOT, filesBelow, isOnPath, readOr, say } from './machine.mjs';

const BACK_END = {
  what: 'the native back end',
  folder: process.env.SLUICE_NATIVE_FOLDER ?? join(CACHE, 'native'),
  sources: () => filesBelow('server/native/src'),
  otherwise: 'WebRTC goes the plain way, at several times the CPU per viewer',
};
const CROWD_READER = {
  what: "the reader of a load's crowd",
  folder: join(CACHE, 'crowd-reader'),
  sources: () => [
    ...filesBelow('test/latency/load/native'),
    ...['handle.cc', 'handle.h', 'napi.cc', 'napi.h'].map((name) => `server/native/src/${name}`),
  ],
  otherwise: 'viewers of the load read for themselves, and cost several times as much',
};
const HEADERS = 'node_modules/node-api-headers/include';
/** Bound at once: where Node lacks a function, loading fails instead of the first call. libcrypto is not linked, Node has it. */
const FLAGS = ['-std=c++17', '-O2', '-g1', '-fPIC', '-shared', '-fvisibility=hidden', '-Wall', '-Wextra', '-Wl,-z,now'];

/** One of the compilers that this machine has. */
const findCompiler = () => [process.env.CXX, 'c++', 'g++', 'clang++'].find((name) => name && isOnPath(name));

const digestOf = (sources, flags) => {
  const hash = createHash('sha256');
  for (const path of [...sources, ...filesBelow(HEADERS), 'node_modules/node/package.json']) {
    hash.update(`${path}\n`).update(readOr(join(ROOT, path), ''));
  }
  return hash
    .update([...flags, process.arch].join(' '))
    .digest('hex')
    .slice(0, 16);
};

const note = ({ folder }, build) => {
  const path = join(folder, 'build.json');
  mkdirSync(folder, { recursive: true });
  // Another start may read it at this moment.
  writeFileSync(`${path}.${process.pid}`, JSON.stringify(build));
  renameSync(`${path}.${process.pid}`, path);
};

const goPlain = (addon, reason) => {
  say(`not built, ${addon.what}: ${reason}. ${addon.otherwise}.`);
  note(addon, { failed: reason });
};

/** Compiles to a name of its own, so that a server that runs keeps what it has loaded. */
const compile = (addon, compiler, args, file) => {
  const { folder } = addon;
  const unfinished = join(folder, `${file}.${process.pid}`);
  const { status, stderr } = spawnSync(compiler, [...args, '-o', unfinished], { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) {
    rmSync(unfinished, { force: true });
    const first = (stderr ?? '').split('\n').find((line) => line.includes('error')) ?? `exit code ${status}`;
    return goPlain(addon, `${compiler} failed (${first.trim()})`);
  }
  renameSync(unfinished, join(folder, file));
  note(addon, { file });
  for (const old of readdirSync(folder).filter((name) => name.endsWith('.node') && name !== file)) {
    rmSync(join(folder, old), { force: true });
  }
};

const ensureAddon = (addon) => {
  const flags = [...FLAGS, ...(process.env.SLUICE_NATIVE_FLAGS ?? '').split(' ').filter((flag) => flag !== '')];
  const sources = addon.sources();
  const file = `sluice-${digestOf(sources, flags)}.node`;
  if (
    readOr(join(addon.folder, 'build.json'), '') === JSON.stringify({ file }) &&
    existsSync(join(addon.folder, file))
  ) {
    return;
  }
  if (process.platform !== 'linux') {
    return goPlain(addon, `it is made for Linux, this is ${process.platform}`);
  }
  const compiler = findCompiler();
  if (compiler === undefined) {
    return goPlain(addon, 'there is no C++ compiler (Debian, Ubuntu: apt-get install g++)');
  }
  say(`building ${addon.what} …`);
  mkdirSync(addon.folder, { recursive: true });
  const units = sources.filter((path) => path.endsWith('.cc'));
  compile(addon, compiler, [...flags, `-I${HEADERS}`, '-Iserver/native/src', ...units], file);
};

export const ensureNative = () => ensureAddon(BACK_END);

/** Of the load tool alone. */
export const ensureCrowdReader = () => ensureAddon(CROWD_READER);
