/** From play() on a page that is loaded to the first picture on the glass: fifty joins, one after the other. */
import type { Page } from 'playwright-core';
import { openPage } from '../support/browser.ts';
import { percentile } from '../latency/viewer/frame-analysis.ts';
import { servePages } from '../support/page-server.ts';
import { Publisher } from '../latency/source/publisher.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { STAMP_READER_SCRIPT, takeFrames } from '../latency/viewer/stamp-reader.ts';
import { withinValue } from '../support/wait.ts';
import type { Bench } from './row.ts';

const JOIN_COUNT = 50;
const JOIN_MAX_MS = 10_000;

export const joinBench: Bench = {
  name: 'join',
  run: async () => {
    const sluice = await SluiceProcess.start({ config: { webrtc: { requestsPerMinute: 1_000 } } });
    const pages = await servePages({
      '/': {
        type: 'text/html',
        body: `<!doctype html><script type="module" src="${sluice.httpUrl}/sluice-player.js"></script><main></main>`,
      },
    });
    const publisher = await Publisher.start({ url: sluice.rtmpUrl('join'), preset: 'zerolatency' });
    const opened = await openPage({ scripts: [STAMP_READER_SCRIPT] });
    try {
      await sluice.waitState('join', 'live');
      await opened.page.goto(pages.url);
      await opened.page.evaluate(async () => customElements.whenDefined('sluice-player'));
      const joinsMs: number[] = [];
      for (let k = 0; k < JOIN_COUNT; k += 1) {
        joinsMs.push(await joinOnce(opened.page, `${sluice.httpUrl}/watch/join`));
      }
      const note = `${JOIN_COUNT} joins, GOP 1 s`;
      return [
        {
          name: 'WHEP join: play() to first picture, p50',
          value: percentile(joinsMs, 0.5),
          unit: 'ms',
          target: { max: 250 },
          note,
        },
        {
          name: 'WHEP join: play() to first picture, p95',
          value: percentile(joinsMs, 0.95),
          unit: 'ms',
          target: { max: 600 },
        },
      ];
    } finally {
      await opened.close();
      await publisher.stop();
      await pages.close();
      await sluice.stop();
    }
  },
};

/** A player is put into the page, which starts it, and taken out again once it shows a picture. */
const joinOnce = async (page: Page, src: string): Promise<number> => {
  await takeFrames(page);
  const startedAtWallMs = await page.evaluate((address) => {
    const player = document.createElement('sluice-player');
    player.setAttribute('src', address);
    const nowWallMs = performance.timeOrigin + performance.now();
    document.querySelector('main')!.append(player);
    return nowWallMs;
  }, src);
  const first = await withinValue(JOIN_MAX_MS, 'a first picture', async () => (await takeFrames(page))[0]);
  await page.evaluate(() => document.querySelector('sluice-player')!.remove());
  return first.shownAtWallMs - startedAtWallMs;
};
