/** The lab from its command line: a tiny experiment on Sluice leaves results and a report that draws itself in a browser. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { LabResults } from '../latency/run/results.ts';
import { closeBrowser, openPage } from '../support/browser.ts';
import { tempFolder } from '../support/temp-folder.ts';

const MAIN = fileURLToPath(new URL('../latency/main.ts', import.meta.url));
const LAB = `
title: Tiny
repeats: 1
durationMs: 2000
settleMs: 500
warmUpMs: 1000
retryMaxCount: 0
servers:
  sluice: { sluice: true }
  absent: { command: [no-such-server], ready: '127.0.0.1:1' }
targets:
  - name: WHEP
    server: sluice
    push: rtmp://127.0.0.1:{rtmpPort}/live/{name}
    play: { kind: whep, url: 'http://127.0.0.1:{httpPort}/whep/{name}' }
  - name: Absent
    server: absent
    push: rtmp://127.0.0.1:1/live/{name}
    play: { kind: whep, url: 'http://127.0.0.1:1/whep/{name}' }
scenarios:
  - { name: narrow, link: { rttMs: 30, down: { rateBps: 5000000 } } }
`;

after(closeBrowser);

test('an experiment leaves results.json and a report.html that draws itself', async (t) => {
  const folder = tempFolder('lab');
  const file = path.join(folder, 'lab.yaml');
  await writeFile(file, LAB);
  const out = path.join(folder, 'out');
  const { stderr } = await promisify(execFile)(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', MAIN, '--config', file, '--out', out],
    {
      timeout: 120_000,
    },
  );
  t.diagnostic(stderr);

  const results = JSON.parse(await readFile(path.join(out, 'results.json'), 'utf8')) as LabResults;
  assert.equal(results.runs.length, 2);
  const seen = results.runs.find((run) => run.targetName === 'WHEP')!;
  const absent = results.runs.find((run) => run.targetName === 'Absent')!;
  assert.equal(seen.error, null);
  assert.ok(seen.viewer!.joinMs !== null && seen.viewer!.latencyMs !== null);
  assert.ok(seen.viewer!.latencyMs.p50 > 15, 'half of the round trip at least');
  assert.ok(seen.server!.cpuRatio > 0 && seen.server!.rssPeakBytes > 10_000_000);
  assert.ok(seen.link!.series.length > 20);
  assert.match(absent.error!, /LAB_SERVER_NOT_READY: no-such-server/);

  const { page, consoleLines } = await openPage();
  await page.goto(pathToFileURL(path.join(out, 'report.html')).href);
  await page.locator('[data-kind=latency] canvas').waitFor();
  assert.equal(await page.locator('[data-kind] canvas').count(), 2);
  assert.match(await page.locator('main').innerText(), /1 run failed/);
  assert.deepEqual(consoleLines, []);
});
