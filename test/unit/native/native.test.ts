/** The loader of the addon. Where it could not be built (no compiler) there is a reason, and the rest is skipped. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { loadNative } from '../../../server/native/native.ts';

test('without the addon there is a reason, with it there is none', () => {
  const { native, reason } = loadNative();
  assert.equal(native === undefined, typeof reason === 'string');
  assert.deepEqual(loadNative('off'), { native: undefined, reason: 'webrtc.native is off' });
});

test("another version's addon is a reason, not an error at its first use", (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-native-'));
  t.after(() => rmSync(folder, { recursive: true }));
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
