/**
 * The player's seek bar against the real server: a WHEP viewer goes back in what is live and returns, with a picture on screen at every instant; goes back
 * into the recording when the broadcast is over; and a replay begins at the second its link names.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import type { SluicePlayer } from '../../player/ui/element.ts';
import type { ReplayList, ReplaySummary } from '../../server/api/contract/replays.ts';
import { Publisher } from '../latency/source/publisher.ts';
import { STAMP_READER_SCRIPT, takeFrames, type ReadFrame } from '../latency/viewer/stamp-reader.ts';
import { closeBrowser, openPage, type OpenPage } from '../support/browser.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { passMs, within, withinValue } from '../support/wait.ts';
import { CURTAIN_SCRIPT, curtain, openPlaying, viewOf, watchCurtain } from '../support/watch-page.ts';

const NAME = 'show';
/** Stamps count milliseconds modulo this. */
const STAMP_RANGE_MS = 2 ** 24;
/** A machine that was itself late is late with pictures too. */
const GAP_MAX_MS = 2000;
const BACK_MS = 5000;
const PLAYS_MAX_MS = 15_000;
const TRY_MAX_COUNT = 3;

let sluice: SluiceProcess;
let publisher: Publisher;
let opened: OpenPage;
let startedAtMs = 0;

before(async () => {
  sluice = await SluiceProcess.start();
  // The encoder drops out and returns: from there on the playlist is shorter than the time it spans.
  publisher = await publish();
  await passMs(2500);
  await publisher.kill();
  await sluice.waitState(NAME, 'reconnecting');
  publisher = await publish();
  startedAtMs = performance.now();
  opened = await openPage({ scripts: [STAMP_READER_SCRIPT, CURTAIN_SCRIPT] });
});

const publish = async (): Promise<Publisher> => {
  const started = await Publisher.start({
    ...{ url: sluice.rtmpUrl(NAME), preset: 'zerolatency', widthPx: 640, heightPx: 360, bitrateBps: 800_000 },
  });
  await sluice.waitState(NAME, 'live');
  return started;
};

after(async () => {
  await closeBrowser();
  await publisher?.stop();
  await sluice?.stop();
});

/** Keys go to the player's frame, as after a click on it. */
const press = async (page: Page, key: string): Promise<void> => {
  await page.evaluate(() => {
    const player = document.querySelector('sluice-player');
    player?.shadowRoot?.querySelector<HTMLElement>('.frame')?.focus();
  });
  await page.keyboard.press(key);
};

/** A busy machine may make WHEP late, and the player then rightly returns over LL-HLS: it is sent back, and asked again. */
const returnToLive = async (page: Page): Promise<void> => {
  for (let tryIndex = 1; ; tryIndex += 1) {
    await press(page, 'End');
    let view = '';
    await within(PLAYS_MAX_MS, 'live plays again', async () =>
      /^playing (whep|ll-hls)$/.test((view = await viewOf(page))),
    );
    if (view === 'playing whep') {
      return;
    }
    assert.ok(tryIndex < TRY_MAX_COUNT, `live again it is ${view}, expected playing whep`);
    await press(page, 'ArrowLeft');
    await within(PLAYS_MAX_MS, 'the past plays', async () => (await viewOf(page)) === 'playing rewind');
  }
};

const ageMs = ({ shownAtWallMs, stamp }: ReadFrame): number | null =>
  stamp === null ? null : (((shownAtWallMs - stamp) % STAMP_RANGE_MS) + STAMP_RANGE_MS) % STAMP_RANGE_MS;

/** Collects what is presented; the age of the picture now is the median of the last few. */
class Watcher {
  readonly frames: ReadFrame[] = [];
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
  }

  async ageMs(): Promise<number> {
    this.frames.push(...(await takeFrames(this.#page)));
    const ages = this.frames.slice(-9).flatMap((frame) => ageMs(frame) ?? []);
    return ages.toSorted((a, b) => a - b)[ages.length >> 1] ?? Number.NaN;
  }

  /** The longest the page stood still, away from a script that was itself not run. */
  get gapMaxMs(): number {
    return Math.max(
      0,
      ...this.frames.slice(1).map((frame, index) => {
        const previous = this.frames[index];
        const awayMs = frame.scriptAway === null ? 0 : frame.scriptAway.toWallMs - frame.scriptAway.fromWallMs;
        return previous === undefined ? 0 : frame.shownAtWallMs - previous.shownAtWallMs - awayMs;
      }),
    );
  }
}

const replays = async (): Promise<readonly ReplaySummary[]> =>
  ((await (await fetch(`${sluice.httpUrl}/api/replays`)).json()) as ReplayList).replays;

test('a WHEP viewer goes five seconds back and returns: never without a picture, never reloaded', async (t) => {
  const { page } = opened;
  await openPlaying(page, sluice.watchUrl(NAME), 'whep');
  await within(10_000, 'there is something to go back to', () => performance.now() - startedAtMs > BACK_MS + 3500);
  await watchCurtain(page);
  const watcher = new Watcher(page);
  const liveAgeMs = await withinValue(5000, 'live pictures are read', async () => {
    const age = await watcher.ageMs();
    return Number.isNaN(age) ? undefined : age;
  });

  await press(page, 'ArrowLeft');
  await within(PLAYS_MAX_MS, 'the past plays', async () => (await viewOf(page)) === 'playing rewind');
  const backAgeMs = await withinValue(4000, 'the picture is as old as it was asked for', async () => {
    const age = await watcher.ageMs();
    return age > BACK_MS - 700 ? age : undefined;
  });
  const label = await page.evaluate(() => {
    const root = document.querySelector('sluice-player')!.shadowRoot!;
    return root.querySelector('.seek')!.getAttribute('aria-valuetext');
  });

  await returnToLive(page);
  const againAgeMs = await withinValue(5000, 'the picture is live', async () => {
    const age = await watcher.ageMs();
    return age < 1000 ? age : undefined;
  });
  const seen = await curtain(page);
  t.diagnostic(JSON.stringify({ liveAgeMs, backAgeMs, againAgeMs, label, gapMaxMs: watcher.gapMaxMs, ...seen }));
  assert.ok(backAgeMs < BACK_MS + liveAgeMs + 3000, `${backAgeMs} ms old`);
  assert.match(label ?? '', /^\d+ seconds? behind live$/);
  assert.ok(watcher.gapMaxMs < GAP_MAX_MS, `the picture stood for ${watcher.gapMaxMs} ms`);
  assert.ok(seen.sluiceLookCount > 50 && seen.sluiceBareCount === 0, `${seen.sluiceBareCount} looks saw no picture`);
});

test('the dashboard shows who watches, with the last minutes of one, to who has the key', async () => {
  const page = await opened.page.context().newPage();
  try {
    await page.goto(`${sluice.httpUrl}/dashboard`);
    await page.fill('#key', 'not the key');
    await page.click('#key-form button');
    await page.locator('#trouble', { hasText: 'not the admin key' }).waitFor();
    await page.fill('#key', sluice.adminKey);
    await page.click('#key-form button');
    await page.locator('.point.live').first().waitFor({ timeout: 10_000 });
    await page.locator('button.pick').first().click();
    await page.locator('#timeline .curve.first').nth(2).waitFor();
    const need = page.locator('#timeline .curve.third');
    await within(10_000, 'what its pictures needed is drawn', async () =>
      /^M[\d. ]+L/.test((await need.getAttribute('d')) ?? ''),
    );
    const words = await page.locator('#viewer-rows tr').first().innerText();
    assert.match(words, /#\d+\s+show\s+\d+ (s|min)\s+source-video\s+[\d.]+ m?s\s/);
    for (const viewport of [
      { width: 1280, height: 800 },
      { width: 390, height: 844 },
    ]) {
      await page.setViewportSize(viewport);
      const widthPx = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(widthPx <= viewport.width, `${widthPx} px wide at ${viewport.width}`);
    }
  } finally {
    await page.close();
  }
});

test('the broadcast ends while rewound: it plays on, and goes over to the recording', async () => {
  const { page } = opened;
  const asked: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  await press(page, 'Home');
  await within(PLAYS_MAX_MS, 'the past plays', async () => (await viewOf(page)) === 'playing rewind');
  await publisher.kill();
  await fetch(`${sluice.httpUrl}/api/broadcasts/${NAME}`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${sluice.adminKey}` },
  });
  await within(15_000, 'the recording is played', () =>
    asked.some((url) => /\/replay\/[0-9a-f]{32}\/media-/.test(url)),
  );
  await within(8000, 'one element is left, and plays', async () => {
    const count = await page.evaluate(
      () => document.querySelector('sluice-player')?.shadowRoot?.querySelectorAll('video').length,
    );
    return count === 1 && (await viewOf(page)) === 'playing rewind';
  });
  const { sluiceBareCount } = await curtain(page);
  assert.equal(sluiceBareCount, 0, 'looks that saw no picture');
});

test('a replay stands at the second its link names, plays when asked, and is sought in by keys', async () => {
  const { page, consoleLines } = opened;
  const replay = await withinValue(10_000, 'the recording has ended', async () =>
    (await replays()).find(({ state }) => state === 'ended'),
  );
  await page.goto(`${sluice.httpUrl}/replay/${replay.id}#t=3`);
  const now = (): Promise<{ atS: number; isPlaying: boolean; status: string }> =>
    page.evaluate(() => {
      const player: SluicePlayer | null = document.querySelector('sluice-player');
      const { currentTime = null, paused = true, view } = player ?? {};
      return { atS: currentTime ?? -1, isPlaying: !paused, status: `${view?.status} ${view?.transport}` };
    });
  await within(10_000, 'its picture is there', async () => (await now()).status === 'playing replay');
  const first = await now();
  assert.ok(Math.abs(first.atS - 3) < 0.3 && !first.isPlaying, JSON.stringify(first));
  await page.locator('sluice-player .big-play').click();
  await within(5000, 'it plays', async () => (await now()).atS > 3.3);
  await press(page, '5');
  const halfS = replay.durationMs / 2000;
  await within(5000, 'it is half way', async () => (await now()).atS >= halfS && (await now()).atS < halfS + 4);
  await press(page, ' ');
  assert.equal((await now()).isPlaying, false);
  assert.deepEqual(
    consoleLines.filter((line) => line.startsWith('uncaught')),
    [],
  );
});
