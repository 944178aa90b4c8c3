/** Temporary folders are gone with the process that made them, however it ends by itself. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { tempFolder } from '../../support/temp-folder.ts';

const PROGRAM = (ending: string): string => `
  import { writeFileSync } from 'node:fs';
  import { tempFolder } from '${join(import.meta.dirname, '../../support/temp-folder.ts')}';
  const folder = tempFolder('outer');
  writeFileSync(tempFolder('inner', folder) + '/file', 'kept');
  process.stdout.write(folder);
  ${ending}`;

for (const ending of ['process.exit(3);', "throw new Error('a test failed');"]) {
  test(`they are gone after ${ending}`, () => {
    const view = tempFolder('view');
    const env = { ...process.env, TMPDIR: view };
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', PROGRAM(ending)], { env });
    assert.ok(stdout.toString().startsWith(`${view}/sluice-outer-`), stderr.toString());
    assert.deepEqual(readdirSync(view), []);
  });
}
