/** The README lists exactly the codes that ingest can throw. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../server/ingest/', import.meta.url));

test('README and code name the same RTMP codes', () => {
  const codesIn = (text: string): string[] =>
    [...text.matchAll(/[`'](RTMP_[A-Z_]+)[`']/gu)].map((match) => match[1] ?? '');
  const sources = globSync('**/*.ts', { cwd: ROOT }).map((path) => readFileSync(`${ROOT}${path}`, 'utf8'));
  const used = new Set(sources.flatMap((text) => codesIn(text)));
  const listed = new Set(codesIn(readFileSync(`${ROOT}README.md`, 'utf8')));
  assert.ok(used.size > 15);
  assert.deepEqual([...used].toSorted(), [...listed].toSorted());
});
