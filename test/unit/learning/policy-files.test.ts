/** Policy files of a folder: those that can be used are, each other one is a line in the log. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { POLICY_MAX_BYTES } from '../../../server/congestion/learned/policy.ts';
import { loadPolicies } from '../../../server/learning/policy-files.ts';
import type { Log, LogFields } from '../../../server/observability/log.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const GOOD = JSON.stringify({
  schema: 'sluice-policy',
  version: 1,
  dataSha256: '0'.repeat(64),
  vectors: [{ networkClass: 'all', smoothnessRatio: 0.5, parameters: { paceRatio: 1.5, warpFactor: 9 } }],
  priors: [],
});

const logTo = (lines: [string, LogFields][]): Log => ({
  ...silentLog,
  info: (event, fields = {}) => lines.push([event, fields]),
  warn: (event, fields = {}) => lines.push([event, fields]),
});

test('what can be used of a folder is used, and each file that cannot is one line', async () => {
  const folder = tempFolder('policy');
  await writeFile(path.join(folder, 'a-cut.json'), GOOD.slice(0, -9));
  await writeFile(path.join(folder, 'b-good.json'), GOOD);
  await writeFile(path.join(folder, 'c-huge.json'), GOOD.padEnd(POLICY_MAX_BYTES + 1_000));
  await mkdir(path.join(folder, 'd-folder.json'));
  await writeFile(
    path.join(folder, 'e-bytes.json'),
    Uint8Array.from({ length: 500 }, (_, index) => index & 0xff),
  );
  await writeFile(path.join(folder, 'notes.txt'), 'not for the server');
  const lines: [string, LogFields][] = [];

  const policies = await loadPolicies(folder, logTo(lines));

  assert.equal(policies.length, 1);
  assert.equal(policies[0]?.vectors[0]?.parameters.paceRatio, 1.5);
  assert.deepEqual(
    lines.map(([event, { file, code, unknownNames }]) => [event, path.basename(String(file)), code ?? unknownNames]),
    [
      ['congestion.policy.refused', 'a-cut.json', 'POLICY_NOT_JSON'],
      ['congestion.policy.loaded', 'b-good.json', ['warpFactor']],
      ['congestion.policy.refused', 'c-huge.json', 'POLICY_TOO_LARGE'],
      ['congestion.policy.refused', 'd-folder.json', 'POLICY_UNREADABLE'],
      ['congestion.policy.refused', 'e-bytes.json', 'POLICY_NOT_JSON'],
    ],
  );
});

test('without a folder there is nothing, and nothing to say', async () => {
  const lines: [string, LogFields][] = [];
  assert.deepEqual(await loadPolicies(path.join(tmpdir(), 'sluice-no-such-folder'), logTo(lines)), []);
  assert.deepEqual(lines, []);
});
