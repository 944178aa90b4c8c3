/** HTTPS in a real Chromium: LL-HLS over HTTP/2 (row L25 of the conformance list), WHEP and the WebSocket, all through the TLS port. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import type { Page } from 'playwright-core';
import { browser, closeBrowser } from '../support/browser.ts';
import { LiveStage } from '../support/live-stage.ts';
import type { SluiceProcess } from '../support/sluice-process.ts';
import { within } from '../support/wait.ts';
import { framesOf, openPlaying } from '../support/watch-page.ts';

after(closeBrowser);

const publishKeyOf = (server: SluiceProcess, name: string): string => {
  const keys = JSON.parse(readFileSync(path.join(server.folder, 'data/keys.json'), 'utf8')) as {
    publish: Record<string, string>;
  };
  return keys.publish[name] ?? '';
};

/** Protocols by which the page asked for addresses that contain `part`, with how often. */
const protocolsOf = async (page: Page, part: string): Promise<Record<string, number>> =>
  page.evaluate((wanted) => {
    const counts: Record<string, number> = {};
    for (const entry of performance.getEntriesByType('resource') as PerformanceResourceTiming[]) {
      if (entry.name.includes(wanted)) {
        counts[entry.nextHopProtocol] = (counts[entry.nextHopProtocol] ?? 0) + 1;
      }
    }
    return counts;
  }, part);

test('L25 Chromium plays LL-HLS over HTTP/2, and WHEP with its socket, through the TLS port', async (t) => {
  const stage = new LiveStage(t);
  const server = await stage.server({ config: { tls: { port: 0, selfMade: true } } });
  const port = server.events('server.ready')[0]?.['httpsPort'];
  assert.ok(
    server.logLines.some((line) => line.includes('Every encoder needs its key')),
    'with TLS an encoder on this machine needs its key too',
  );
  await stage.publisher({
    url: `${server.rtmpUrl('main')}?key=${publishKeyOf(server, 'main')}`,
    preset: 'zerolatency',
  });
  await server.waitState('main', 'live');
  const context = await (await browser()).newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  const sockets: string[] = [];
  page.on('websocket', (socket) => socket.on('framereceived', () => sockets.push(socket.url())));

  await openPlaying(page, `https://127.0.0.1:${String(port)}/watch/main?transport=ll-hls`, 'll-hls');
  const before = await framesOf(page);
  await within(20_000, 'three seconds were played', async () => (await framesOf(page)) > before + 90);
  const protocols = await protocolsOf(page, '/hls/');
  assert.deepEqual(Object.keys(protocols), ['h2'], JSON.stringify(protocols));
  assert.ok((protocols['h2'] ?? 0) > 15, `only ${protocols['h2']} requests`);

  await openPlaying(page, `https://127.0.0.1:${String(port)}/watch/main`, 'whep');
  await within(20_000, 'pictures come', async () => (await framesOf(page)) > 30);
  assert.deepEqual(Object.keys(await protocolsOf(page, '/whep/')), ['h2']);
  assert.ok(sockets.length > 0 && sockets.every((url) => url.startsWith('wss:')), sockets[0]);
  await context.close();
});
