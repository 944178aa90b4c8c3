/** What keeps the repository tidy without anybody having to remember it. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { ROOT, listFiles, readSources } from './source-files.ts';

type Ban = { readonly pattern: RegExp; readonly instead: string; readonly allowedIn: readonly string[] };

const CLOCK_HOMES = [
  'server/base/',
  'server/observability/',
  'server/main.ts',
  'player/clock.ts',
  'test/',
  'config/setup/',
];

const BANS: readonly Ban[] = [
  { pattern: /\bDate\.now\(/, instead: 'a Clock, or nowMs as a parameter', allowedIn: CLOCK_HOMES },
  { pattern: /\bperformance\.now\(/, instead: 'a Clock, or nowMs as a parameter', allowedIn: CLOCK_HOMES },
  { pattern: /\bnew Date\(\)/, instead: 'a Clock', allowedIn: CLOCK_HOMES },
  { pattern: /\bMath\.random\(/, instead: 'base/prng.ts, or node:crypto for secrets', allowedIn: ['server/base/'] },
  {
    pattern: /\bconsole\.\w+\(/,
    instead: 'a Log handed down',
    allowedIn: ['server/main.ts', 'test/', 'config/setup/'],
  },
  {
    pattern: /from 'fluent-ffmpeg'/,
    instead: 'transcode/ffmpeg-process.ts',
    allowedIn: ['transcode/ffmpeg-process.ts', 'test/tidy/'],
  },
  {
    pattern: /\bmkdtemp(?:Sync)?\(/,
    instead: 'test/support/temp-folder.ts, whose folders go with the process',
    allowedIn: ['transcode/', 'test/support/temp-folder.ts'],
  },
  { pattern: /\b(?:FIXME|XXX)\b/, instead: 'doing it, or an issue', allowedIn: ['test/tidy/'] },
  { pattern: /\benum [A-Z]/, instead: 'a union of string literals', allowedIn: ['test/tidy/'] },
];

test('banned calls appear only where they are at home', () => {
  const found = readSources().flatMap((file) =>
    BANS.filter((ban) => !ban.allowedIn.some((home) => file.path.startsWith(home)))
      .filter((ban) => ban.pattern.test(file.text))
      .map((ban) => `${file.path}: ${String(ban.pattern)}; use ${ban.instead}`),
  );
  assert.deepEqual(found, []);
});

test('every source file begins with a sentence that says what it is', () => {
  const silent = readSources().filter((file) => !/^(?:#!.*\n)?\s*(?:\/\/|\/\*)/.test(file.text));
  assert.deepEqual(
    silent.map((file) => file.path),
    [],
  );
});

test('every folder with sources explains itself in a README of at most two screens', () => {
  const roots = ['server/', 'transcode/', 'player/', 'config/', 'test/'];
  const folders = new Set(
    readSources()
      .filter((file) => roots.some((root) => file.path.startsWith(root)))
      .map((file) => file.path.split('/').slice(0, file.path.startsWith('server/') ? 2 : 1))
      .filter((parts) => !(parts[1] ?? '').endsWith('.ts'))
      .map((parts) => parts.join('/')),
  );
  const missing = [...folders].filter((folder) => !existsSync(join(ROOT, folder, 'README.md')));
  assert.deepEqual(missing, []);
  const long = listFiles()
    .filter((path) => path.endsWith('/README.md'))
    .filter((path) => readFileSync(join(ROOT, path), 'utf8').split('\n').length > 120);
  assert.deepEqual(long, []);
});

test('no file is a blob, and none but fixtures is large', () => {
  const large = listFiles().filter((path) => path !== 'package-lock.json' && statSync(join(ROOT, path)).size > 300_000);
  assert.deepEqual(large, []);
});

test('links between documents lead somewhere', () => {
  const broken = listFiles()
    .filter((path) => path.endsWith('.md'))
    .flatMap((path) => {
      const links = readFileSync(join(ROOT, path), 'utf8').matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g);
      return [...links].map((match) => ({ path, target: match[1] ?? '' }));
    })
    .filter(({ path, target }) => !existsSync(join(ROOT, dirname(path), target)));
  assert.deepEqual(broken, []);
});
