/** The loader of the addon. Where it could not be built (no compiler) there is a reason, and the rest is skipped. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { loadNative } from '../../../server/native/native.ts';
import { tempFolder } from '../../support/temp-folder.ts';

test('without the addon there is a reason, with it there is none', () => {
  const { native, reason } = loadNative();
  assert.equal(native === undefined, typeof reason === 'string');
  assert.deepEqual(loadNative('off'), { native: undefined, reason: 'webrtc.native is off' });
});

test("another version's addon is a reason, not an error at its first use", () => {
  const folder = tempFolder('native');
  writeFileSync(join(folder, 'old.cjs'), 'exports.srtp = { seal() {} };');
  writeFileSync(join(folder, 'build.json'), JSON.stringify({ file: 'old.cjs' }));
  const script = `import { loadNative } from ${JSON.stringify(new URL('../../../server/native/native.ts', import.meta.url).href)};
    process.stdout.write(loadNative().reason ?? 'none');`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    env: { ...process.env, SLUICE_NATIVE_FOLDER: folder },
  });
  assert.match(stdout, /another version's: it lacks udp, dtls, rtcp/);
});
