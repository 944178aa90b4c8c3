/** hls.js in low-latency mode on a page of the server's own origin, as other people's pages use it: told by hand what to show, and what it complained of. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type HlsPlayer from 'hls.js';
import { openPage } from './browser.ts';
import { within } from './wait.ts';

export type HlsJsSeen = {
  readonly heightPx: number;
  /** Of the playhead, on the element's own timeline. */
  readonly atS: number;
  readonly frameCount: number;
  /** Of the picture that plays; −1 before one does. */
  readonly level: number;
  /** Of each level, in hls.js's order. */
  readonly codecs: readonly string[];
  /** Times the element ran out of data since it first played, whatever for: also because the machine is late. */
  readonly waits: number;
  /** All that hls.js complained of, but for running dry, which `waits` counts. */
  readonly errors: readonly string[];
};

/** Of hls.js's own configuration. */
export type HlsJsConfig = { readonly startLevel?: number; readonly videoPreference?: { readonly videoCodec: string } };

export type HlsJsPage = {
  look(): Promise<HlsJsSeen>;
  /** From the next segment or part on. */
  choose(wanted: { readonly heightPx: number } | { readonly codec: string }): Promise<void>;
  /** Chooses it, and resolves when the picture has so many lines and `STAY_S` more of them were played. */
  show(heightPx: number): Promise<void>;
  close(): Promise<void>;
};

type Kept = { hls: HlsPlayer; shown: HTMLVideoElement; seen: { waits: number; errors: string[] } };

const SHOWS_MAX_MS = 30_000;
/** More than a segment: nobody's hand is quicker, and hls.js trusts a playlist that it left less than a segment ago (server/relay/hls). */
const STAY_S = 3;

/** Resolves when it plays. */
export const openHlsJs = async (playlistUrl: string, config: HlsJsConfig = {}): Promise<HlsJsPage> => {
  const opened = await openPage();
  const { page } = opened;
  await page.goto(`${new URL(playlistUrl).origin}/`);
  const content = readFileSync(createRequire(import.meta.url).resolve('hls.js/dist/hls.js'), 'utf8');
  await page.addScriptTag({ content });
  await page.evaluate(
    async ([url, more]) => {
      const { Hls } = globalThis as unknown as { Hls: typeof HlsPlayer };
      const shown = document.createElement('video');
      shown.muted = true;
      document.body.append(shown);
      const hls = new Hls({ lowLatencyMode: true, ...more });
      const seen = { waits: 0, errors: [] as string[] };
      hls.on(Hls.Events.ERROR, (_event, { details, fatal, reason, error, frag, part }) => {
        if (details === Hls.ErrorDetails.BUFFER_STALLED_ERROR && !fatal) {
          return;
        }
        const place = `at ${shown.currentTime.toFixed(3)} s, segment ${frag?.sn ?? '?'} part ${part?.index ?? '?'}`;
        seen.errors.push(`${details}${fatal ? ' FATAL' : ''} ${place}: ${reason ?? error.message}`);
      });
      hls.loadSource(url);
      hls.attachMedia(shown);
      await shown.play();
      shown.addEventListener('waiting', () => (seen.waits += 1));
      Object.assign(globalThis, { hls, shown, seen });
    },
    [playlistUrl, config] as const,
  );
  const look = async (): Promise<HlsJsSeen> =>
    page.evaluate(() => {
      const { hls, shown, seen } = globalThis as unknown as Kept;
      const codecs = hls.levels.map(({ videoCodec }) => videoCodec ?? '');
      const frameCount = shown.getVideoPlaybackQuality().totalVideoFrames;
      const place = { heightPx: shown.videoHeight, atS: shown.currentTime, level: hls.currentLevel };
      return { ...seen, ...place, frameCount, codecs };
    });
  const choose: HlsJsPage['choose'] = async (wanted) =>
    page.evaluate((want) => {
      const { hls } = globalThis as unknown as Kept;
      hls.nextLevel = hls.levels.findIndex(({ height, videoCodec }) =>
        'codec' in want ? videoCodec?.startsWith(want.codec) : height === want.heightPx,
      );
    }, wanted);
  /** What hls.js is about, for whoever reads why a test failed. */
  const explain = async (): Promise<unknown> => {
    const about = await page.evaluate(() => {
      const { hls, shown } = globalThis as unknown as Kept;
      const { buffered, readyState, paused, currentTime } = shown;
      const ranges = Array.from({ length: buffered.length }, (_, at) => [buffered.start(at), buffered.end(at)]);
      const { nextLevel, loadLevel, nextLoadLevel, latency } = hls;
      const levels = hls.levels.map(({ height, details }) => [height, details?.edge, details?.updated, details?.live]);
      return { ranges, readyState, paused, currentTime, nextLevel, loadLevel, nextLoadLevel, latency, levels };
    });
    return { ...(await look()), ...about };
  };
  return {
    look,
    choose,
    show: async (heightPx) => {
      await choose({ heightPx });
      try {
        await within(SHOWS_MAX_MS, `${heightPx} lines are shown`, async () => (await look()).heightPx === heightPx);
        const untilS = (await look()).atS + STAY_S;
        await within(SHOWS_MAX_MS, `${STAY_S} s of it`, async () => (await look()).atS > untilS);
      } catch (error) {
        throw new Error(`${String(error)}: ${JSON.stringify(await explain())}`, { cause: error });
      }
    },
    close: async () => opened.close(),
  };
};
