/** The viewer's choice of rendition against the real server: by keys over WHEP, by pointer over LL-HLS, and back to auto, never through a black picture. */
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import type { SluicePlayer } from '../../player/ui/element.ts';
import { Publisher } from '../latency/source/publisher.ts';
import { closeBrowser, openPage } from '../support/browser.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { within } from '../support/wait.ts';
import { CURTAIN_SCRIPT, curtain, openPlaying, watchCurtain } from '../support/watch-page.ts';

const NAME = 'choice';
const PHONE = { width: 390, height: 844 };
const CHANGE_MAX_MS = 20_000;

let sluice: SluiceProcess;
let publisher: Publisher;

before(async () => {
  // No second encoder starts while the browser plays: what that does is narrowband.test.ts's to ask.
  sluice = await SluiceProcess.start({
    config: {
      ladder: { sidesPx: [240, 144], lagMaxMs: 10_000, shedLagMs: 60_000, shedLeftOutRatio: 1, narrowband: 'off' },
    },
  });
  publisher = await Publisher.start({ url: sluice.rtmpUrl(NAME), preset: 'zerolatency' });
  await within(20_000, 'both rungs are made', async () => {
    const [broadcast] = await sluice.broadcasts();
    return broadcast?.ladder?.rungs.filter(({ bitrateBps }) => bitrateBps > 0).length === 2;
  });
});

after(async () => {
  await closeBrowser();
  await publisher?.stop();
  await sluice?.stop();
});

const player = async <T>(page: Page, read: (element: SluicePlayer) => T): Promise<T> =>
  page.locator('sluice-player').evaluate(read as (element: SVGElement | HTMLElement) => T);

/** Of the picture on screen. */
const linesOf = async (page: Page): Promise<number> =>
  player(page, (element) => element.shadowRoot?.querySelector<HTMLVideoElement>('video.shown')?.videoHeight ?? 0);

const menuOf = async (page: Page): Promise<{ isOpen: boolean; items: string[]; chosen: string | null }> =>
  player(page, (element) => {
    const items = [...(element.shadowRoot?.querySelectorAll('[role=menuitemradio]') ?? [])];
    return {
      isOpen: element.shadowRoot?.querySelector<HTMLElement>('.menu')?.hidden === false,
      items: items.map((item) => item.querySelector('span')?.textContent ?? ''),
      chosen:
        items.find((item) => item.getAttribute('aria-checked') === 'true')?.querySelector('span')?.textContent ?? null,
    };
  });

const shows = async (page: Page, lines: number): Promise<void> => {
  let seen = 0;
  try {
    await within(CHANGE_MAX_MS, `${lines} lines`, async () => (seen = await linesOf(page)) === lines);
    const shownBefore = await framesShown(page);
    await within(CHANGE_MAX_MS, 'it moves', async () => (await framesShown(page)) > shownBefore + 10);
  } catch (error) {
    throw new Error(`${String(error)}; it shows ${seen} lines`, { cause: error });
  }
};

const framesShown = async (page: Page): Promise<number> =>
  player(
    page,
    (element) =>
      element.shadowRoot?.querySelector<HTMLVideoElement>('video.shown')?.getVideoPlaybackQuality().totalVideoFrames ??
      0,
  );

test('over WHEP the menu changes the running session, by keys, and back', { timeout: 120_000 }, async () => {
  const opened = await openPage({ scripts: [CURTAIN_SCRIPT] });
  const { page } = opened;
  const posts: string[] = [];
  page.on('request', (request) => request.method() === 'POST' && posts.push(request.url()));
  await openPlaying(page, sluice.watchUrl(NAME), 'whep');
  await within(5_000, 'the rungs are offered', async () => (await player(page, (one) => one.renditions.length)) === 3);
  await watchCurtain(page);
  const postsBefore = posts.length;
  // A hidden one takes no focus, and nobody tells.
  await page.locator('button.rendition').waitFor();
  await page.locator('button.rendition').focus();
  await page.keyboard.press('ArrowUp');
  assert.deepEqual(await menuOf(page), { isOpen: true, items: ['Auto', '360p', '240p', '144p'], chosen: 'Auto' });
  await page.screenshot({ path: path.join(tmpdir(), 'sluice-renditions-1280.png'), animations: 'disabled' });
  await page.keyboard.press('Escape');
  assert.equal((await menuOf(page)).isOpen, false);
  await page.keyboard.press('Enter');
  await page.keyboard.press('End');
  await page.keyboard.press('Enter');
  await shows(page, 144);
  assert.deepEqual(await menuOf(page), { isOpen: false, items: ['Auto', '360p', '240p', '144p'], chosen: '144p' });
  await player(page, (one) => (one.rendition = 'h240'));
  await shows(page, 240);
  // A hidden one takes no focus, and nobody tells.
  await page.locator('button.rendition').waitFor();
  await page.locator('button.rendition').focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Home');
  await page.keyboard.press(' ');
  await shows(page, 360);
  assert.equal(posts.length, postsBefore, 'the session is still the first');
  assert.equal(await player(page, (one) => one.view.transport), 'whep');
  const { sluiceBareCount, sluiceLookCount } = await curtain(page);
  assert.ok(sluiceLookCount > 30);
  assert.equal(sluiceBareCount, 0, `of ${sluiceLookCount} frames`);
  await opened.close();
});

test('over LL-HLS too, by pointer, on a phone', { timeout: 120_000 }, async () => {
  const opened = await openPage({ scripts: [CURTAIN_SCRIPT], viewport: PHONE });
  const { page } = opened;
  await page.route('**/whep/**', async (route) => route.fulfill({ status: 500 }));
  await openPlaying(page, sluice.watchUrl(NAME), 'll-hls');
  await within(10_000, 'the rungs are offered', async () => (await player(page, (one) => one.renditions.length)) === 3);
  await watchCurtain(page);
  for (const [label, lines] of [
    ['144p', 144],
    ['360p', 360],
    ['240p', 240],
  ] as const) {
    await page.mouse.move(100 + lines / 10, 200);
    await page.locator('button.rendition').click();
    if (lines === 144) {
      await page.screenshot({ path: path.join(tmpdir(), 'sluice-renditions-390.png'), animations: 'disabled' });
    }
    // "Auto" names the lines it shows too.
    await page.getByRole('menuitemradio', { name: new RegExp(`^${label}`) }).click();
    await shows(page, lines);
    assert.equal((await menuOf(page)).chosen, label);
  }
  await within(10_000, 'its player tells the server so', async () => {
    const [viewer] = await sluice.viewers();
    const { transport, renditionId, latencyMs = 0, estimateBps = 0 } = viewer ?? {};
    const isMeasured = Number(latencyMs) > 0 && Number(estimateBps) > 0;
    return transport === 'll-hls' && renditionId === 'h240' && isMeasured;
  });
  const underFinger = await page.locator('[role=menuitemradio][data-id=h144]').elementHandle();
  await player(page, (one) => (one.rendition = 'auto'));
  await shows(page, 360);
  assert.equal((await menuOf(page)).chosen, 'Auto');
  assert.equal(await underFinger?.evaluate((item) => item.isConnected), true, 'an item keeps its element');
  assert.equal(await player(page, (one) => one.view.transport), 'll-hls');
  const { sluiceBareCount, sluiceLookCount } = await curtain(page);
  assert.ok(sluiceLookCount > 30);
  assert.equal(sluiceBareCount, 0, `of ${sluiceLookCount} frames`);
  await opened.close();
});

test('a rung that came after the list of renditions was read is shown all the same, the last picture standing meanwhile', async () => {
  const opened = await openPage({ scripts: [CURTAIN_SCRIPT] });
  const { page } = opened;
  await page.route('**/whep/**', async (route) => route.fulfill({ status: 500 }));
  let listCount = 0;
  await page.route('**/index.m3u8', async (route) => {
    const response = await route.fetch();
    listCount += 1;
    const whole = await response.text();
    const body = listCount === 1 ? whole.replace(/#EXT-X-STREAM-INF.*\n.*h144\.m3u8\n/, '') : whole;
    await route.fulfill({ response, body });
  });
  await openPlaying(page, sluice.watchUrl(NAME), 'll-hls');
  await within(10_000, 'the rungs are offered', async () => (await player(page, (one) => one.renditions.length)) === 3);
  await watchCurtain(page);
  assert.equal(listCount, 1);
  await player(page, (one) => (one.rendition = 'h144'));
  await shows(page, 144);
  assert.equal(listCount, 2);
  const { sluiceBareCount, sluiceLookCount } = await curtain(page);
  assert.equal(sluiceBareCount, 0, `of ${sluiceLookCount} frames`);
  await opened.close();
});
