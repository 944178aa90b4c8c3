/**
 * One headless Chromium for all tests of a process, with a fresh profile; pages are opened in contexts of their own and closed
 * by their test. The system's Chromium must decode H.264; that is asserted once.
 */
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';

const FLAGS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--autoplay-policy=no-user-gesture-required',
  // Whoever asks for a camera gets a made-up one, and is not asked.
  '--use-fake-device-for-media-stream=fps=30',
  '--use-fake-ui-for-media-stream',
  // Several pages are measured at once: none may be taken for hidden.
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
];

let shared: Promise<Browser> | undefined;

const launch = async (): Promise<Browser> => {
  const browser = await chromium.launch({
    executablePath: process.env['SLUICE_CHROMIUM'] ?? '/usr/bin/chromium',
    headless: true,
    args: FLAGS,
    // Who listens for Ctrl-C ends the browser in his own order; Playwright would end the process at once.
    handleSIGINT: process.listenerCount('SIGINT') === 0,
    handleSIGTERM: process.listenerCount('SIGTERM') === 0,
    ignoreDefaultArgs: ['--headless', '--mute-audio', '--hide-scrollbars'],
  });
  const page = await browser.newPage();
  const codecs = await page.evaluate(() =>
    (RTCRtpReceiver.getCapabilities('video')?.codecs ?? []).map((codec) => codec.mimeType),
  );
  await page.close();
  if (!codecs.includes('video/H264')) {
    await browser.close();
    throw new Error(`this Chromium cannot decode H.264: ${codecs.join(' ')}`);
  }
  return browser;
};

/** The browser of this process; started on first use. */
export const browser = async (): Promise<Browser> => {
  shared ??= launch();
  return shared;
};

export type OpenPage = {
  readonly page: Page;
  /** What the page wrote to its console and what it threw; the last 200 lines. */
  readonly consoleLines: readonly string[];
  close(): Promise<void>;
};

const CONSOLE_MAX_COUNT = 200;

/** A page in a context of its own. `scripts` run before the page's own. */
export const openPage = async (
  options: { scripts?: readonly string[]; viewport?: { width: number; height: number } } = {},
): Promise<OpenPage> => {
  const context: BrowserContext = await (
    await browser()
  ).newContext({ bypassCSP: true, viewport: options.viewport ?? { width: 1280, height: 800 } });
  for (const content of options.scripts ?? []) {
    await context.addInitScript({ content });
  }
  const page = await context.newPage();
  const consoleLines: string[] = [];
  const keep = (line: string): void => {
    consoleLines.push(line);
    consoleLines.splice(0, Math.max(0, consoleLines.length - CONSOLE_MAX_COUNT));
  };
  page.on('console', (message) => keep(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => keep(`uncaught: ${error.message}`));
  return { page, consoleLines, close: () => context.close() };
};

/** Ends the browser; call it in the last `after` of a test file, else the process does not end. */
export const closeBrowser = async (): Promise<void> => {
  const open = shared;
  shared = undefined;
  await (await open)?.close();
};
