/**
 * From the host's countdown to the shop's till: a cue with a stock, two viewers who press its button in real browsers, and a third who has not signed in. Exactly
 * the stock is granted, and the ticket is checked with nothing but the published key.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { Locator, Page } from 'playwright-core';
import type { ClaimEvent, SluicePlayer } from '../../player/ui/element.ts';
import type { DropClaims } from '../../server/api/contract/drops.ts';
import type { TicketKeySet } from '../../server/drops/ticket.ts';
import { Publisher } from '../latency/source/publisher.ts';
import { closeBrowser, openPage } from '../support/browser.ts';
import { checkTicket, SHOP_KEYS, viewerToken } from '../support/drop-shop.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { within } from '../support/wait.ts';
import { viewOf } from '../support/watch-page.ts';

const NAME = 'shop';
const CUE = { id: 'lamp', kind: 'product', title: 'Lamp', price: '¥199', link: 'https://shop.example/lamp' };
const SHOWN_MAX_MS = 20_000;
const PHONE = { width: 390, height: 844 };

let sluice: SluiceProcess;

before(async () => {
  sluice = await SluiceProcess.start({
    config: { ladder: { enabled: false }, drops: { shopKeysReloadEveryMs: 100 } },
  });
  await writeFile(path.join(sluice.folder, 'data/shop-keys.json'), SHOP_KEYS);
});

after(async () => {
  await closeBrowser();
  await sluice?.stop();
});

const ask = async (method: string, path_: string, body?: object): Promise<Response> =>
  fetch(`${sluice.httpUrl}/api/broadcasts/${NAME}/${path_}`, {
    method,
    headers: { authorization: `Bearer ${sluice.adminKey}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

type Heard = { readonly heard: ClaimEvent[] };

/** The shop's page as the server hands it out, with what its player says of claims kept; `subject`: who has signed in. */
const openShop = async (
  subject: string | null,
  options: { lang?: string; viewport?: { width: number; height: number } } = {},
): Promise<Page> => {
  const { page } = await openPage({ viewport: options.viewport ?? { width: 1280, height: 800 } });
  const query = new URLSearchParams({ name: NAME });
  if (subject !== null) {
    const expiresAtS = Math.ceil(Date.now() / 1000) + 3_600;
    query.set('viewer-token', viewerToken(subject, { broadcast: NAME, expiresAtS }));
  }
  await page.goto(`${sluice.httpUrl}/examples/shop.html?${query}`);
  await page.evaluate((lang) => {
    const player = document.querySelector('sluice-player') as SluicePlayer;
    player.lang = lang;
    const heard: ClaimEvent[] = [];
    Object.assign(globalThis, { heard });
    player.addEventListener('sluice-claim', ({ detail }) => heard.push(detail));
  }, options.lang ?? 'en');
  return page;
};

const buttonOf = (page: Page): Locator => page.locator('sluice-player .cue-claim');

const answerOf = async (page: Page): Promise<ClaimEvent | undefined> =>
  page.evaluate(() => (globalThis as unknown as Heard).heard.find(({ type }) => type !== 'pressed'));

const wordsOf = async (page: Page): Promise<string> => (await buttonOf(page).textContent()) ?? '';

test(
  'two press, one has the ticket, the other is told, and the till knows it for genuine',
  { timeout: 120_000 },
  async () => {
    const publisher = await Publisher.start({ url: sluice.rtmpUrl(NAME), preset: 'obs-tuned' });
    try {
      const [ann, bo, stranger] = await Promise.all([
        openShop('customer ann'),
        openShop('customer bo', { lang: 'zh', viewport: PHONE }),
        openShop(null),
      ]);
      const pages = [ann, bo, stranger];
      await within(SHOWN_MAX_MS, 'all have the picture', async () =>
        (await Promise.all(pages.map(viewOf))).every((view) => view.startsWith('playing ')),
      );
      await within(SHOWN_MAX_MS, 'the host arms it', async () => {
        const { status } = await ask('POST', 'cues', { ...CUE, stock: 1, at: { countdownMs: 1_000 } });
        return status === 201;
      });
      await Promise.all(pages.map(async (page) => buttonOf(page).waitFor({ timeout: SHOWN_MAX_MS })));
      assert.match((await ann.locator('sluice-player .cue-price').textContent()) ?? '', /¥199 · only 1/);

      // Who has not signed in takes nothing from anybody.
      await buttonOf(stranger).click();
      await within(SHOWN_MAX_MS, 'who is it', async () => /Sign in/.test(await wordsOf(stranger)));

      await buttonOf(ann).focus();
      await Promise.all([ann.keyboard.press('Enter'), buttonOf(bo).click()]);
      await within(SHOWN_MAX_MS, 'both are answered', async () =>
        (await Promise.all([ann, bo].map(answerOf))).every((answer) => answer !== undefined),
      );
      const isAnns = (await answerOf(ann))?.type === 'granted';
      const [winner, loser] = isAnns ? [ann, bo] : [bo, ann];
      assert.match(await wordsOf(winner), isAnns ? /^Yours: no. 1$/ : /^抢到了：第 1 号$/);
      assert.match(await wordsOf(loser), isAnns ? /^已抢光$/ : /^Sold out$/);
      const spoken = await winner.locator('sluice-player .said').textContent();
      assert.equal(spoken, await wordsOf(winner), 'it is said too');
      assert.equal(await winner.textContent('#lamp button'), 'Reserved: no. 1', 'the shop has heard');
      const focused = await ann.evaluate(
        () => document.querySelector('sluice-player')?.shadowRoot?.activeElement?.className,
      );
      assert.match(focused ?? '', /cue-claim/, 'the focus stays');
      await bo.screenshot({ path: path.join(tmpdir(), 'sluice-claim-390.png') });
      await ann.screenshot({ path: path.join(tmpdir(), 'sluice-claim-1280.png') });

      const granted = await answerOf(winner);
      assert.ok(granted?.type === 'granted');
      const keys = (await (await fetch(`${sluice.httpUrl}/api/drops/keys`)).json()) as TicketKeySet;
      const { sub, drop, broadcast, number, jti } = checkTicket(granted.ticket.ticket, keys);
      const holder = isAnns ? 'customer ann' : 'customer bo';
      assert.deepEqual([sub, drop, broadcast, number], [holder, CUE.id, NAME, 1]);
      const { claims, state } = (await (await ask('GET', `drops/${CUE.id}/claims`)).json()) as DropClaims;
      assert.deepEqual([state, claims.map(({ subject, jti: id }) => [subject, id])], ['sold-out', [[holder, jti]]]);

      // A page opened again knows nothing of it, and asks; a larger stock opens the button of who was refused.
      await winner.reload();
      await buttonOf(winner).click({ timeout: SHOWN_MAX_MS });
      await within(SHOWN_MAX_MS, 'it is theirs already', async () =>
        /^(Already yours|您已抢到)/.test(await wordsOf(winner)),
      );
      assert.equal((await ask('PUT', `cues/${CUE.id}`, { ...CUE, stock: 2 })).status, 200);
      await within(SHOWN_MAX_MS, 'there is one more', async () => /^(Claim yours|立即抢)$/.test(await wordsOf(loser)));
      await buttonOf(loser).click();
      await within(SHOWN_MAX_MS, 'it is had', async () => /(no\. 2|第 2 号)$/.test(await wordsOf(loser)));
    } finally {
      await publisher.stop();
    }
  },
);
