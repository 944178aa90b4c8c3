/** A page that publishes its (made-up) camera and microphone by the player's own WHIP session, with nothing built: its modules are served as they are, less their types. */
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import path from 'node:path';
import type { Page } from 'playwright-core';
import type { WhipPublisher, WhipSample, WhipView } from '../../player/transport/whip.ts';
import { servePages, type PageServer } from './page-server.ts';

const PLAYER = path.resolve(import.meta.dirname, '../../player');
const MODULES = [
  'clock.ts',
  'transport/whip.ts',
  'transport/whip-protocol.ts',
  'transport/whip-stats.ts',
  'transport/whep-protocol.ts',
];

const PAGE = `<!doctype html><meta charset="utf-8"><video id="v" muted autoplay playsinline></video><script type="module">
import { WhipPublisher } from '/transport/whip.ts';
import { playerClock } from '/clock.ts';
globalThis.publish = async ({ widthPx, heightPx, ...options }) => {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: widthPx, height: heightPx, frameRate: 30 } });
  document.getElementById('v').srcObject = stream;
  globalThis.views = [];
  globalThis.publisher = new WhipPublisher({ ...options, stream, clock: playerClock, onView: (view) => globalThis.views.push(view) });
  await globalThis.publisher.start();
};
globalThis.isReady = true;
</script>`;

export type WhipPageOptions = {
  readonly endpointUrl: string;
  readonly key: string;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly videoMaxBps?: number;
};

type Globals = {
  readonly publisher: WhipPublisher;
  readonly views: WhipView[];
  publish(options: WhipPageOptions): Promise<void>;
};

export const serveWhipPage = async (): Promise<PageServer> =>
  servePages({
    '/': { type: 'text/html', body: PAGE },
    ...Object.fromEntries(
      MODULES.map((file) => [
        `/${file}`,
        { type: 'text/javascript', body: stripTypeScriptTypes(readFileSync(path.join(PLAYER, file), 'utf8')) },
      ]),
    ),
  });

/** Goes to the page and publishes. What came of it is in `whipView`. */
export const publishFrom = async (page: Page, server: PageServer, options: WhipPageOptions): Promise<void> => {
  await page.goto(server.url);
  await page.waitForFunction('globalThis.isReady');
  await page.evaluate(async (given) => (globalThis as unknown as Globals).publish(given), options);
};

export const whipViews = async (page: Page): Promise<readonly WhipView[]> =>
  page.evaluate(() => (globalThis as unknown as Globals).views);

export const whipSample = async (page: Page): Promise<WhipSample | null> =>
  page.evaluate(async () => (globalThis as unknown as Globals).publisher.sample());

export const endWhip = async (page: Page): Promise<void> =>
  page.evaluate(() => (globalThis as unknown as Globals).publisher.close());
