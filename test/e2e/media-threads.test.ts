/** Media threads in the real server, with real players: one thread dies, its viewers come back alone, the others notice nothing. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { browser, closeBrowser } from '../support/browser.ts';
import { LiveStage } from '../support/live-stage.ts';
import { INSPECT_ARG, killThread } from '../support/thread-killer.ts';
import { within, withinValue } from '../support/wait.ts';
import { framesOf, openPlaying, viewOf } from '../support/watch-page.ts';

const WAIT_MAX_MS = 30_000;

after(closeBrowser);

test(
  'one of two media threads dies: its viewer is back by WebRTC without a reload, the other plays on; then all end with the server',
  { timeout: 120_000 },
  async (t) => {
    const stage = new LiveStage(t);
    const config = { ladder: { enabled: false }, webrtc: { threads: 2 } };
    const sluice = await stage.server({ config, nodeArgs: [INSPECT_ARG] });
    await stage.publisher({
      ...{ url: sluice.rtmpUrl('threads'), preset: 'zerolatency', widthPx: 640, heightPx: 360, bitrateBps: 800_000 },
    });
    await sluice.waitState('threads', 'live');
    const window = await (await browser()).newContext();
    t.after(async () => window.close());
    const pages = [await window.newPage(), await window.newPage()];
    for (const page of pages) {
      await openPlaying(page, sluice.watchUrl('threads'), 'whep');
      await page.evaluate(() => Object.assign(globalThis, { sluiceMark: true }));
    }
    // One each: the next viewer goes to the thread with fewer. A page that was opened again has left its first session behind.
    const watching = async (): Promise<number> =>
      (await sluice.viewers()).filter(({ endedAtWallMs, path }) => endedAtWallMs === null && path === 'udp').length;
    await within(WAIT_MAX_MS, 'two viewers', async () => (await watching()) === 2);
    const framesBefore = await Promise.all(pages.map(framesOf));
    await within(WAIT_MAX_MS, 'pictures on both pages', async () =>
      (await Promise.all(pages.map(framesOf))).every((count, index) => count > (framesBefore[index] ?? 0) + 15),
    );

    assert.equal(await killThread(sluice, 0), 2);
    await within(WAIT_MAX_MS, 'a thread is missed', () => sluice.events('media-thread.died').length === 1);
    await within(WAIT_MAX_MS, 'it runs again', () => sluice.events('media-thread.ready').length === 3);
    await withinValue(WAIT_MAX_MS, 'a second session of one viewer', async () => {
      const lost = (await sluice.viewers()).filter(({ endReason }) => endReason === 'media_thread_died');
      return lost.length > 0 && (await watching()) === 2 ? lost : undefined;
    });
    await within(WAIT_MAX_MS, 'both play by WebRTC', async () =>
      (await Promise.all(pages.map(viewOf))).every((view) => view === 'playing whep'),
    );
    const frames = await Promise.all(pages.map(framesOf));
    await within(WAIT_MAX_MS, 'pictures on both pages again', async () =>
      (await Promise.all(pages.map(framesOf))).every((count, index) => count > (frames[index] ?? 0) + 15),
    );
    for (const page of pages) {
      assert.ok(await page.evaluate(() => 'sluiceMark' in globalThis), 'the page was loaded again');
    }
    const text = await sluice.metrics();
    assert.match(text, /^media_thread_deaths_total 1$/mu);
    assert.match(text, /^media_thread_busy_ratio\{thread="2"\} 0?\.?\d/mu);

    await sluice.stop();
    assert.equal(sluice.exitCode, 0);
    assert.ok(
      sluice.events('webrtc.session.closed').some(({ reason, thread }) => reason === 'server_shutdown' && thread === 2),
    );
  },
);
