/** Networks that let no UDP through, or nothing but HTTP: the watch page finds its way without the viewer doing anything. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Page } from 'playwright-core';
import { closeBrowser } from '../support/browser.ts';
import { LiveStage } from '../support/live-stage.ts';
import { within } from '../support/wait.ts';

after(closeBrowser);

type Protocol = 'udp' | 'tcp';

/** Takes the server's candidates of these protocols out of its answers: what is not known is not reached. */
const blockCandidates = async (page: Page, protocols: readonly Protocol[]): Promise<void> => {
  await page.route('**/whep/**', async (route) => {
    if (route.request().method() !== 'POST') {
      await route.continue();
      return;
    }
    const response = await route.fetch();
    const isBlocked = (line: string): boolean =>
      line.startsWith('a=candidate:') && protocols.some((protocol) => line.toLowerCase().split(' ')[2] === protocol);
    const lines = (await response.text()).split('\r\n').filter((line) => !isBlocked(line));
    await route.fulfill({ response, body: lines.join('\r\n') });
  });
};

/** Lets the page's peer connections be asked afterwards which way they took. */
const keepPeers = async (page: Page): Promise<void> => {
  await page.addInitScript(() => {
    const kept: RTCPeerConnection[] = [];
    Object.assign(globalThis, { sluicePeers: kept });
    globalThis.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(configuration?: RTCConfiguration) {
        super(configuration);
        kept.push(this);
      }
    };
  });
};

const selectedProtocols = async (page: Page): Promise<string[]> =>
  page.evaluate(async () => {
    const found: string[] = [];
    for (const peer of (globalThis as unknown as { sluicePeers: RTCPeerConnection[] }).sluicePeers) {
      const stats = await peer.getStats();
      for (const [, stat] of stats) {
        const pair = stat as Record<string, unknown>;
        if (pair['type'] === 'candidate-pair' && pair['state'] === 'succeeded' && pair['nominated'] === true) {
          const local = stats.get(String(pair['localCandidateId'])) as Record<string, unknown> | undefined;
          found.push(String(local?.['protocol']));
        }
      }
    }
    return found;
  });

test('UDP is blocked: the picture comes by ICE-TCP', { timeout: 60_000 }, async (t) => {
  const stage = new LiveStage(t);
  const sluice = await stage.server();
  const publisher = await stage.publisher({ url: sluice.rtmpUrl('tcp'), preset: 'zerolatency' });
  await sluice.waitState('tcp', 'live');
  const viewer = await stage.viewer({
    target: { kind: 'page', url: sluice.watchUrl('tcp') },
    prepare: async (page) => {
      await keepPeers(page);
      await blockCandidates(page, ['udp']);
    },
  });
  await viewer.waitFrame(15_000);
  assert.equal((await viewer.element()).sourceKind, 'srcObject');
  await within(10_000, 'the chosen path is TCP and nothing else', async () => {
    const protocols = await selectedProtocols(viewer.page);
    return protocols.length > 0 && protocols.every((protocol) => protocol === 'tcp');
  });
  const report = await viewer.observePaced(publisher, 4_000, 27);
  t.diagnostic(JSON.stringify(report));
  assert.ok(report.pictureFps >= 27, `${report.pictureFps} distinct pictures a second`);
});

test('TCP is blocked too: the picture comes by LL-HLS', { timeout: 60_000 }, async (t) => {
  const stage = new LiveStage(t);
  const sluice = await stage.server();
  const publisher = await stage.publisher({ url: sluice.rtmpUrl('http'), preset: 'zerolatency' });
  await sluice.waitState('http', 'live');
  const reloads: string[] = [];
  const viewer = await stage.viewer({
    target: { kind: 'page', url: sluice.watchUrl('http') },
    prepare: async (page) => {
      page.on('request', (request) => reloads.push(...(request.url().match(/_HLS_.*/) ?? [])));
      await blockCandidates(page, ['udp', 'tcp']);
    },
  });
  const joinMs = await viewer.joinMs(20_000);
  assert.equal((await viewer.element()).sourceKind, 'src');
  const report = await viewer.observePaced(publisher, 4_000, 25);
  t.diagnostic(`first picture after ${joinMs} ms; ${JSON.stringify(report)}`);
  assert.ok(report.pictureFps >= 25, `${report.pictureFps} distinct pictures a second`);
  // With deltas hls.js left parts of young broadcasts out, in about every second run.
  assert.ok(reloads.length > 8, `${reloads.length} reloads`);
  assert.deepEqual(
    reloads.filter((directives) => directives.includes('_HLS_skip')),
    [],
  );
});
