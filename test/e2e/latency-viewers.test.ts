/** The lab's viewers where no Sluice is: HTTP-FLV, a WHEP server that lets one wait and then refuses, one that never shows a picture. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { Publisher } from '../latency/source/publisher.ts';
import { outputArgs } from '../latency/source/presets.ts';
import { describeReport, measureViewer } from '../latency/viewer/measure.ts';
import { closeBrowser } from '../support/browser.ts';
import { tempFolder } from '../support/temp-folder.ts';

after(closeBrowser);

const serve = async (t: TestContext, listener: RequestListener): Promise<string> => {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

test('HTTP-FLV is played and read, without any header of the server that would allow it', async (t) => {
  const folder = tempFolder('flv');
  const file = path.join(folder, 'x.flv');
  const children: ChildProcess[] = [];
  t.after(async () => {
    children.forEach((child) => child.kill('SIGKILL'));
    await rm(folder, { recursive: true, force: true });
  });
  await Publisher.encode({
    ...{ widthPx: 640, heightPx: 360, frameRateFps: 25, withSound: true, audioLeadMs: 0, frameCount: 25 * 20 },
    fixedStamps: { baseMs: Date.now(), stepMs: 40 },
    outputArgs: [...outputArgs({ url: file, preset: 'zerolatency', frameRateFps: 25 }).slice(0, -1), '-y', file],
  });
  const origin = await serve(t, (request, response) => {
    if (request.url !== '/live/x.flv') {
      response.writeHead(404).end();
      return;
    }
    const child = spawn('ffmpeg', ['-loglevel', 'error', '-re', '-i', file, '-c', 'copy', '-f', 'flv', 'pipe:1']);
    children.push(child);
    response.writeHead(200, { 'content-type': 'video/x-flv' });
    child.stdout.pipe(response);
  });
  const report = await measureViewer({
    target: { kind: 'http-flv', url: `${origin}/live/x.flv` },
    ...{ durationMs: 3_000, settleMs: 1_000 },
  });
  t.diagnostic(describeReport(report));
  assert.ok(report.joinMs !== null, report.failure);
  assert.ok(report.pictureFps > 10, `${report.pictureFps} pictures a second`);
  assert.equal(report.unreadableCount, 0);
  assert.ok(report.latencyMs !== null && report.latencyMs.p50 > 0);
  assert.equal(report.chrome, null);
});

test('a WHEP server that says "later" is asked again, and a refusal is reported in its own words', async (t) => {
  const askedAtMs: number[] = [];
  const origin = await serve(t, (request, response) => {
    assert.deepEqual([request.method, request.url], ['POST', '/whep/x'], 'nothing else is asked for');
    askedAtMs.push(performance.now());
    if (askedAtMs.length <= 2) {
      response.writeHead(503, { 'retry-after': '1' }).end('not yet');
    } else {
      response.writeHead(403).end('this viewer never');
    }
  });
  const report = await measureViewer({ target: { kind: 'whep', url: `${origin}/whep/x` }, durationMs: 1_000 });
  assert.equal(report.joinMs, null);
  assert.equal(report.stallRatio, 1);
  assert.deepEqual(
    report.refusals.map(({ status, text }) => [status, text]),
    [
      [503, 'not yet'],
      [503, 'not yet'],
      [403, 'this viewer never'],
    ],
  );
  assert.match(report.failure ?? '', /WHEP answered 403: this viewer never/u);
  assert.ok(askedAtMs[2]! - askedAtMs[0]! >= 1_950, 'it did not wait as it was told');
});

test('a viewer stops waiting for its first picture, and that is a stall from end to end', async (t) => {
  const origin = await serve(t, (_request, response) => response.writeHead(404, { 'retry-after': '1' }).end('no such'));
  const url = `${origin}/whep/x`;
  const report = await measureViewer({ target: { kind: 'whep', url }, durationMs: 1_000, joinMaxMs: 1_500 });
  assert.equal(report.joinMs, null);
  assert.equal(report.durationMs, 1_500);
  assert.deepEqual(
    report.freezes.map(({ kind }) => kind),
    ['open'],
  );
  assert.match(report.failure ?? '', /404: no such/u);
});

test("a server's own page that cannot be reached is a report too", async (t) => {
  const origin = await serve(t, (request) => request.socket.destroy());
  const report = await measureViewer({ target: { kind: 'page', url: `${origin}/watch/x` }, durationMs: 1_000 });
  assert.equal(report.joinMs, null);
  assert.match(report.failure ?? '', /ERR_/u);
});
