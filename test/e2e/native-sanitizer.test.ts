/** The native back end's own tests with the address and undefined-behaviour sanitizers in it. Minutes, so only in the soak. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { tempFolder } from '../support/temp-folder.ts';

const IS_SOAK = process.env['SLUICE_SIZE'] === 'soak';
const ROOT = path.join(import.meta.dirname, '..', '..');
const TESTS = path.join(ROOT, 'test', 'unit', 'native');
const FLAGS = '-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer';
const RUN_MAX_MS = 480_000;

/** Where the compiler keeps these; undefined where it has none. */
const libraryOf = (name: string): string | undefined => {
  try {
    const file = execFileSync(process.env['CXX'] ?? 'c++', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim();
    return existsSync(file) && path.isAbsolute(file) ? file : undefined;
  } catch {
    return undefined;
  }
};

const libraries = [libraryOf('libasan.so'), libraryOf('libubsan.so')].filter((file) => file !== undefined);

const skip = (): string | false => {
  if (!IS_SOAK) {
    return 'minutes of a core: SLUICE_SIZE=soak';
  }
  return libraries.length === 2
    ? false
    : 'no compiler with libasan and libubsan here (Debian, Ubuntu: apt-get install g++)';
};

const run = async (
  args: readonly string[],
  env: Record<string, string>,
): Promise<{ code: unknown; output: string }> => {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
    ...{ cwd: ROOT, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const [code] = (await once(child, 'close')) as [unknown];
  return { code, output };
};

test('the native back end under the sanitizers: nothing to report', { skip: skip(), timeout: RUN_MAX_MS }, async () => {
  const folder = tempFolder('sanitizer');
  try {
    const where = { SLUICE_NATIVE_FOLDER: folder };
    const build = "import('./config/setup/native.mjs').then((m) => m.ensureNative())";
    const built = await run(['--eval', build], { ...where, SLUICE_NATIVE_FLAGS: FLAGS });
    assert.ok(
      (await readdir(folder)).some((name) => name.endsWith('.node')),
      built.output,
    );
    const files = (await readdir(TESTS)).filter((name) => name.endsWith('.test.ts'));
    const { code, output } = await run(
      ['--test', '--test-isolation=none', '--test-reporter=tap', ...files.map((name) => path.join(TESTS, name))],
      // Node itself leaves memory to the end of the process.
      { ...where, LD_PRELOAD: libraries.join(' '), ASAN_OPTIONS: 'detect_leaks=0', NODE_TEST_CONTEXT: '' },
    );
    const [, passed = '0'] = /^# pass (\d+)$/mu.exec(output) ?? [];
    assert.doesNotMatch(output, /AddressSanitizer|runtime error/u);
    assert.match(output, /^# skipped 0$/mu, output);
    assert.ok(code === 0 && Number(passed) > 10, output);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
