/** The watch page in a browser, until it plays the way a test wants. */
import type { Page } from 'playwright-core';
import type { SluicePlayer } from '../../player/ui/element.ts';
import { within } from './wait.ts';

const TRY_MAX_COUNT = 3;
const PLAYS_MAX_MS = 20_000;

/** Status and transport of the page's player: `playing whep`. */
export const viewOf = async (page: Page): Promise<string> =>
  page.evaluate(() => {
    const player: SluicePlayer | null = document.querySelector('sluice-player');
    return player === null ? 'no player yet' : `${player.view.status} ${player.view.transport}`;
  });

/** Pictures the player has decoded so far on its present path. */
export const framesOf = async (page: Page): Promise<number> =>
  page.evaluate(() => {
    const player: SluicePlayer | null = document.querySelector('sluice-player');
    return player?.sample?.framesDecoded ?? 0;
  });

/**
 * Opens `url` and waits until it plays over `transport`. A busy machine may make WHEP late, and the player then rightly takes LL-HLS: for tests
 * that are not about that, the page is opened again.
 */
export const openPlaying = async (page: Page, url: string, transport: 'whep' | 'll-hls'): Promise<void> => {
  for (let tryIndex = 1; ; tryIndex += 1) {
    // Only the part behind the # may differ from what is open: that alone would load nothing.
    await page.goto('about:blank');
    await page.goto(url);
    let view = '';
    const plays = async (): Promise<boolean> => (view = await viewOf(page)).startsWith('playing ');
    await within(PLAYS_MAX_MS, `${url.split('#')[0]} plays`, plays);
    if (view === `playing ${transport}`) {
      return;
    }
    if (tryIndex === TRY_MAX_COUNT) {
      throw new Error(`the page is ${view}, expected playing ${transport}`);
    }
  }
};

/** Looks in each frame of the page whether the player shows a picture, moving or last; from `watchCurtain` on. */
export const CURTAIN_SCRIPT = `
  globalThis.sluiceBareCount = 0;
  globalThis.sluiceLookCount = 0;
  const look = () => {
    requestAnimationFrame(look);
    const root = document.querySelector('sluice-player')?.shadowRoot;
    if (!globalThis.sluiceWatched || !root) return;
    const shown = root.querySelector('video.shown');
    const isBare = !(shown && shown.readyState >= 1 && shown.videoWidth > 0) && root.querySelector('.last-picture').hidden;
    globalThis.sluiceLookCount += 1;
    globalThis.sluiceBareCount += isBare ? 1 : 0;
  };
  look();`;

type Curtain = { sluiceWatched: boolean; sluiceBareCount: number; sluiceLookCount: number };

export const curtain = async (page: Page): Promise<Pick<Curtain, 'sluiceBareCount' | 'sluiceLookCount'>> =>
  page.evaluate(() => {
    const { sluiceBareCount, sluiceLookCount } = globalThis as unknown as Curtain;
    return { sluiceBareCount, sluiceLookCount };
  });

/** From now on each frame is looked at. */
export const watchCurtain = async (page: Page): Promise<void> => {
  await page.evaluate(() => Object.assign(globalThis, { sluiceWatched: true }));
};
