/** Imports point at the vocabulary, never sideways, and never in a circle. The table is the one STYLE draws, kept here because here it is enforced. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { SourceFile } from './source-files.ts';
import { readSources } from './source-files.ts';

/** Longest matching prefix names the part a file belongs to; its list says which other parts it may import. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'server/base': [],
  'server/observability': ['server/base'],
  'server/media': ['server/base'],
  'server/native': ['server/base'],
  'server/congestion': ['server/base'],
  'server/access': ['server/base', 'server/observability'],
  'server/cues': ['server/base', 'server/observability', 'server/media', 'server/api/contract'],
  'server/health': ['server/base', 'server/media'],
  'server/drops': ['server/base', 'server/observability', 'server/api/contract'],
  'server/ingest': ['server/base', 'server/observability', 'server/media'],
  'server/ingest/whip': [
    'server/base',
    'server/observability',
    'server/media',
    'server/ingest',
    'server/webrtc-transport',
  ],
  'server/replay': ['server/base', 'server/observability', 'server/media', 'server/cues', 'server/api/contract'],
  transcode: ['server/base', 'server/observability', 'server/media'],
  'server/relay': ['server/base', 'server/observability', 'server/media', 'server/cues'],
  'server/webrtc-transport': ['server/base', 'server/observability', 'server/native'],
  'server/relay/webrtc': [
    'server/base',
    'server/observability',
    'server/media',
    'server/cues',
    'server/relay',
    'server/congestion',
    'server/native',
    'server/webrtc-transport',
  ],
  'server/relay/hls': [
    'server/base',
    'server/observability',
    'server/media',
    'server/cues',
    'server/relay',
    'server/congestion',
  ],
  'server/learning': ['server/base', 'server/observability', 'server/congestion'],
  'server/media-threads': [
    'server/base',
    'server/observability',
    'server/media',
    'server/relay',
    'server/relay/webrtc',
    'server/webrtc-transport',
    'server/congestion',
    'server/learning',
  ],
  'server/webhooks': ['server/base', 'server/observability'],
  'server/api': ['server/base', 'server/observability', 'server/api/contract'],
  'server/api/contract': [],
  // The schema composes the parts' own Options; nobody but main reads the result.
  config: [
    'server',
    'server/base',
    'server/access',
    'server/api',
    'server/cues',
    'server/drops',
    'server/ingest',
    'server/ingest/whip',
    'server/learning',
    'server/media-threads',
    'server/relay',
    'server/relay/hls',
    'server/relay/webrtc',
    'server/replay',
    'server/webhooks',
    'server/webrtc-transport',
    'transcode',
  ],
  player: ['server/api/contract', 'server/congestion'],
};

/** `server/main.ts` and what stands beside it wire the parts; tests may import anything. */
const UNBOUND = ['test', 'server'];

const PARTS = [...Object.keys(MAY_IMPORT), ...UNBOUND].toSorted((a, b) => b.length - a.length);

const partOf = (path: string): string => PARTS.find((part) => path.startsWith(`${part}/`)) ?? '';

const violationsOf = (file: SourceFile): string[] => {
  const part = partOf(file.path);
  if (UNBOUND.includes(part)) {
    return [];
  }
  const allowed = new Set([part, ...(MAY_IMPORT[part] ?? [])]);
  return file.imports.filter((path) => !allowed.has(partOf(path))).map((path) => `${file.path} imports ${path}`);
};

test('every import points the way the table allows', () => {
  const violations = readSources().flatMap(violationsOf);
  assert.deepEqual(violations, []);
});

test('every source file belongs to a part of the table', () => {
  const strays = readSources().filter((file) => partOf(file.path) === '');
  assert.deepEqual(
    strays.map((file) => file.path),
    [],
  );
});

test('nothing imports a test', () => {
  const found = readSources().flatMap((file) =>
    file.path.startsWith('test/')
      ? []
      : file.imports.filter((path) => path.startsWith('test/')).map((path) => `${file.path} imports ${path}`),
  );
  assert.deepEqual(found, []);
});

/** Depth-first search; a file met again on the way down closes a circle. */
const findCycle = (files: readonly SourceFile[]): string[] => {
  const importsOf = new Map(files.map((file) => [file.path, file.imports]));
  const done = new Set<string>();
  const walk = (path: string, way: readonly string[]): string[] => {
    if (way.includes(path)) {
      return [...way.slice(way.indexOf(path)), path];
    }
    if (done.has(path)) {
      return [];
    }
    for (const next of importsOf.get(path) ?? []) {
      const cycle = walk(next, [...way, path]);
      if (cycle.length > 0) {
        return cycle;
      }
    }
    done.add(path);
    return [];
  };
  for (const file of files) {
    const cycle = walk(file.path, []);
    if (cycle.length > 0) {
      return cycle;
    }
  }
  return [];
};

test('no import goes round in a circle, type imports included', () => {
  assert.deepEqual(findCycle(readSources()), []);
});

/** Started by name, not imported. */
const ENTRY_POINTS = [
  'server/main.ts',
  'server/media-threads/thread.ts',
  'player/vite.config.ts',
  'player/sluice-player.ts',
  // For a host's own page; the tests publish by it as it is.
  'player/transport/whip.ts',
  'test/latency/source/stamped-source-process.ts',
  'test/hls-check/main.ts',
  'test/learn/main.ts',
  'test/learn/month-main.ts',
  'test/learn/report/main.ts',
  'test/learn/report/sources-main.ts',
  'test/learn/report/worker.ts',
  'test/learn/worker.ts',
  'test/quality/calibrate.ts',
  'test/sim/main.ts',
  'test/support/recording-process.ts',
  'test/support/ring-reader-thread.ts',
  'test/latency/load/load.ts',
  'test/latency/load/load-worker.ts',
  'test/latency/link/link-process.ts',
  'test/latency/report/report-page.ts',
  'test/quality/main.ts',
  'test/quality/report-page.ts',
];
const isEntryPoint = (path: string): boolean =>
  ENTRY_POINTS.includes(path) ||
  path.endsWith('.test.ts') ||
  path.startsWith('player/pages/') ||
  /^test\/(?:bench|latency)\/[a-z-]+\.ts$/.test(path);

test('no file is dead: each is imported, or started by name', () => {
  const sources = readSources();
  const imported = new Set(sources.flatMap((file) => file.imports));
  const dead = sources.filter((file) => !isEntryPoint(file.path) && !imported.has(file.path));
  assert.deepEqual(
    dead.map((file) => file.path),
    [],
  );
});

test('what the server ships with is used by it, not by tests alone', () => {
  const sources = readSources().filter((file) => !file.path.startsWith('test/'));
  const imported = new Set(sources.flatMap((file) => file.imports));
  const unused = sources.filter((file) => !isEntryPoint(file.path) && !imported.has(file.path));
  assert.deepEqual(
    unused.map((file) => file.path),
    [],
  );
});
