/** Traces of sessions: off where no folder is named, and bounded where one is. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { DecisionTraces } from '../../../server/observability/decision-trace.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { within } from '../../support/wait.ts';

test('without a folder nothing is written', () => {
  const traces = new DecisionTraces({ folder: '', sessionMaxBytes: 100, sessionMaxCount: 1 }, silentLog);
  assert.equal(traces.open('a'), undefined);
});

test('a trace ends at its cap with a line that says so, and sessions beyond theirs are not traced', async () => {
  const root = tempFolder('traces');
  const folder = join(root, 'made', 'when-needed');
  const traces = new DecisionTraces({ folder, sessionMaxBytes: 60, sessionMaxCount: 2 }, silentLog);
  const short = traces.open('short');
  const long = traces.open('long');
  assert.equal(traces.open('third'), undefined);
  short?.write(['decide', 1]);
  short?.close();
  short?.write(['after', 2]);
  for (let count = 0; count < 50; count += 1) {
    long?.write(['decide', count]);
  }
  const linesOf = (name: string): string[] => readFileSync(join(folder, `${name}.ndjson`), 'utf8').split('\n');
  await within(5_000, 'both files are on the disk', () =>
    ['short', 'long'].every((name) => readdirSync(folder).includes(`${name}.ndjson`) && linesOf(name).length > 1),
  );
  await within(5_000, 'the last line', () => linesOf('long').at(-2) === '["cut"]');
  assert.deepEqual(linesOf('short'), ['["decide",1]', '']);
  assert.ok(statSync(join(folder, 'long.ndjson')).size <= 60 + '["cut"]\n'.length);
  assert.deepEqual(JSON.parse(linesOf('long')[0] ?? ''), ['decide', 0]);
  rmSync(root, { recursive: true });
});
