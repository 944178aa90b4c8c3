/** The host's page against the real server: the key, what the doctor says of a real encoder, the curves, the preview, a countdown; on a desk and on a phone. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import type { HostedCue } from '../../server/api/contract/cues-host.ts';
import { Publisher } from '../latency/source/publisher.ts';
import { closeBrowser, openPage } from '../support/browser.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { within } from '../support/wait.ts';
import { viewOf } from '../support/watch-page.ts';

const NAME = 'main';
const PHONE = { width: 390, height: 844 };
const SHOWN_MAX_MS = 20_000;

let sluice: SluiceProcess;
let key: string;

before(async () => {
  sluice = await SluiceProcess.start({ config: { ladder: { enabled: false } } });
  const file = await readFile(path.join(sluice.folder, 'data/keys.json'), 'utf8');
  key = (JSON.parse(file) as { publish: Record<string, string> }).publish[NAME] ?? '';
});

after(async () => {
  await closeBrowser();
  await sluice?.stop();
});

const textOf = async (page: Page, selector: string): Promise<string> => (await page.textContent(selector)) ?? '';

/** Nothing sticks out of the page to the right. */
const isWithinWidth = async (page: Page): Promise<boolean> =>
  page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth);

test(
  'a host comes with the key, goes live, is told how it goes, and shows a product',
  { timeout: 120_000 },
  async () => {
    const opened = await openPage();
    const { page } = opened;
    const urls: string[] = [];
    page.on('request', (request) => urls.push(request.url()));
    await page.goto(`${sluice.httpUrl}/studio`);
    await page.fill('#key', `Stream key:  ${NAME}?key=${'x'.repeat(24)}`);
    await page.keyboard.press('Enter');
    await within(SHOWN_MAX_MS, 'a wrong key is refused', async () =>
      /does not open/.test(await textOf(page, '#trouble')),
    );
    assert.equal(new URL(page.url()).pathname, `/studio/${NAME}`);
    await page.fill('#key', key);
    await page.keyboard.press('Enter');
    await page.waitForSelector('#stream-rows code');
    assert.ok((await textOf(page, '#stream-rows')).includes(`rtmp://127.0.0.1:${sluice.ports.rtmp}/live`));
    assert.ok(!(await textOf(page, '#stream-rows')).includes(key), 'a screen may be on air');
    await page.locator('#stream-rows').getByRole('button', { name: 'Show' }).click();
    assert.ok((await textOf(page, '#stream-rows')).includes(`${NAME}?key=${key}`));

    await page.click('#cue-add');
    await page.fill('#cue-title', 'Lamp');
    await page.fill('#cue-link', 'shop.example/lamp');
    await page.keyboard.press('Enter');
    assert.match(await textOf(page, '#cue-form'), /begins with https/);
    await page.fill('#cue-link', 'https://shop.example/lamp');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.cue-item.prepared.next');
    assert.equal(await page.isDisabled('#bar-go'), true, 'nobody is live');

    const publisher = await Publisher.start({ url: sluice.rtmpUrl(NAME), preset: 'obs-default' });
    try {
      await within(SHOWN_MAX_MS, 'it is live', async () => (await textOf(page, '#state')) === 'Live');
      await within(SHOWN_MAX_MS, 'the doctor speaks', async () => /B-frames/.test(await textOf(page, '#findings')));
      await within(SHOWN_MAX_MS, 'there are curves', async () => (await page.locator('#health .curve').count()) >= 6);
      await within(SHOWN_MAX_MS, 'the preview plays', async () => (await viewOf(page)).startsWith('playing '));
      await within(SHOWN_MAX_MS, 'bits are counted', async () =>
        /bit\/s/.test(await textOf(page, '#health figure:first-child strong')),
      );
      assert.ok(!urls.some((url) => url.includes(key)), 'the key is in no address');
      await page.screenshot({ path: path.join(tmpdir(), 'sluice-studio-1280.png'), fullPage: true });

      const phone = await openPage({ viewport: PHONE });
      await phone.page.goto(`${sluice.httpUrl}/studio/${NAME}`);
      await phone.page.fill('#key', key);
      await phone.page.keyboard.press('Enter');
      await within(SHOWN_MAX_MS, 'the phone has it too', async () => (await textOf(phone.page, '#state')) === 'Live');
      assert.ok(await isWithinWidth(phone.page));
      await phone.page.click('#bar-go');
      await within(SHOWN_MAX_MS, 'it counts down', async () => /^[123]$/.test(await textOf(phone.page, '#bar-go')));
      await phone.page.click('#bar-now');
      await within(SHOWN_MAX_MS, 'it was stopped', async () => /stopped/.test(await textOf(phone.page, '#cue-said')));
      await phone.page.keyboard.press('Control+Enter');
      await within(SHOWN_MAX_MS, 'the card is on', async () =>
        /on since/.test(await textOf(phone.page, '.cue-item .cue-state')),
      );
      await within(SHOWN_MAX_MS, 'the desk is told', async () => /Lamp/.test(await textOf(page, '#seen')));
      await phone.page.screenshot({ path: path.join(tmpdir(), 'sluice-studio-390.png'), fullPage: true });
      await phone.close();

      // Somebody else is before the camera: the instant is that of the picture on this page.
      await page.click('#cue-add');
      await page.fill('#cue-title', 'Mug');
      await page.keyboard.press('Enter');
      await page.waitForSelector('.cue-item.prepared.next');
      await page.click('#cue-timing summary');
      await page.check('#cue-by-preview');
      const asked = page.waitForRequest((request) => request.url().endsWith('/fire'));
      await page.keyboard.press('Control+Enter');
      const request = await asked;
      const { sawMediaMs, at } = request.postDataJSON() as { sawMediaMs: number; at: { countdownMs: number } };
      const armed = (await (await request.response())?.json()) as HostedCue;
      assert.ok(sawMediaMs > 0);
      assert.equal(armed.mediaMs, sawMediaMs + at.countdownMs);
      await within(SHOWN_MAX_MS, 'the mug is on', async () => /Mug/.test(await textOf(page, '#seen')));
    } finally {
      await publisher.stop();
    }
    await opened.close();
  },
);

test('a host without OBS goes live with the camera, from the page itself', { timeout: 120_000 }, async () => {
  const opened = await openPage();
  const { page } = opened;
  await page.goto(`${sluice.httpUrl}/studio/${NAME}`);
  await page.fill('#key', key);
  await page.keyboard.press('Enter');
  await page.click('#here summary');
  await page.click('#here-camera');
  await page.waitForSelector('#here-go:visible');
  await page.click('#here-go');
  await within(SHOWN_MAX_MS, 'it is live', async () => /You are live: \d/.test(await textOf(page, '#here-state')));
  await within(SHOWN_MAX_MS, 'the server has it', async () => (await textOf(page, '#state')) === 'Live');
  await within(SHOWN_MAX_MS, 'the preview plays', async () => (await viewOf(page)).startsWith('playing '));
  await page.screenshot({ path: path.join(tmpdir(), 'sluice-studio-camera-1280.png'), fullPage: true });
  await page.click('#here-go');
  await within(SHOWN_MAX_MS, 'it has stopped', async () => (await textOf(page, '#state')) !== 'Live');
  assert.equal(await page.isVisible('#here-video'), true, 'the camera is still there');
  await opened.close();
});
