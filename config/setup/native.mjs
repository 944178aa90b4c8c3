/**
 * Builds the native back end (server/native) with the machine's own compiler, in a few seconds and only when its sources, the headers or Node
 * have changed. Where that cannot be done it says so once, and the server goes the plain way.
 *
 * `SLUICE_NATIVE_FLAGS` adds to the compiler's arguments, `SLUICE_NATIVE_FOLDER` is where it is built and found (sanitizers: server/native/README.md).
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE, ROOT, filesBelow, isOnPath, readOr, say } from './machine.mjs';

const FOLDER = process.env.SLUICE_NATIVE_FOLDER ?? join(CACHE, 'native');
const BUILD = join(FOLDER, 'build.json');
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

const note = (build) => {
  mkdirSync(FOLDER, { recursive: true });
  // Another start may read it at this moment.
  writeFileSync(`${BUILD}.${process.pid}`, JSON.stringify(build));
  renameSync(`${BUILD}.${process.pid}`, BUILD);
};

const goPlain = (reason) => {
  say(`no native back end: ${reason}. WebRTC goes the plain way, at several times the CPU per viewer.`);
  note({ failed: reason });
};

/** Compiles to a name of its own, so that a server that runs keeps what it has loaded. */
const compile = (compiler, args, file) => {
  const unfinished = join(FOLDER, `${file}.${process.pid}`);
  const { status, stderr } = spawnSync(compiler, [...args, '-o', unfinished], { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) {
    rmSync(unfinished, { force: true });
    const first = (stderr ?? '').split('\n').find((line) => line.includes('error')) ?? `exit code ${status}`;
    return goPlain(`${compiler} failed (${first.trim()})`);
  }
  renameSync(unfinished, join(FOLDER, file));
  note({ file });
  for (const old of readdirSync(FOLDER).filter((name) => name.endsWith('.node') && name !== file)) {
    rmSync(join(FOLDER, old), { force: true });
  }
};

export const ensureNative = () => {
  const flags = [...FLAGS, ...(process.env.SLUICE_NATIVE_FLAGS ?? '').split(' ').filter((flag) => flag !== '')];
  const sources = filesBelow('server/native/src');
  const file = `sluice-${digestOf(sources, flags)}.node`;
  if (readOr(BUILD, '') === JSON.stringify({ file }) && existsSync(join(FOLDER, file))) {
    return;
  }
  if (process.platform !== 'linux') {
    return goPlain(`it is made for Linux, this is ${process.platform}`);
  }
  const compiler = findCompiler();
  if (compiler === undefined) {
    return goPlain('there is no C++ compiler (Debian, Ubuntu: apt-get install g++)');
  }
  say('building the native back end …');
  mkdirSync(FOLDER, { recursive: true });
  compile(compiler, [...flags, `-I${HEADERS}`, ...sources.filter((path) => path.endsWith('.cc'))], file);
};
