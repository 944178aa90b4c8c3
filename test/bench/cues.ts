/**
 * Cue against picture: cues at known pictures of the lab's stamped source, and how many pictures beside them the player puts them up, over WHEP, LL-HLS, rewound
 * and in the replay; after a change of rendition and a return of the encoder; and how far apart `clock` cues are on two paths.
 */
import type { Page } from 'playwright-core';
import type { SluicePlayer } from '../../player/sluice-player.ts';
import type { HostedCue } from '../../server/api/contract/cues-host.ts';
import type { ReplayList } from '../../server/api/contract/replays.ts';
import { Publisher } from '../latency/source/publisher.ts';
import { unwrapStampMs } from '../latency/source/stamp.ts';
import { percentile } from '../latency/viewer/frame-analysis.ts';
import { STAMP_READER_SCRIPT } from '../latency/viewer/stamp-reader.ts';
import { openPage, type OpenPage } from '../support/browser.ts';
import {
  CUE_WATCH_SCRIPT,
  CueHost,
  errorInFrames,
  shownCues,
  stampNow,
  stampedPictures,
  type ShownCue,
  type StampedPicture,
} from '../support/cue-watch.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { passMs, within, withinValue } from '../support/wait.ts';
import { openPlaying, viewOf } from '../support/watch-page.ts';
import type { Bench, BenchRow } from './row.ts';

const NAME = 'cues';
const IS_SOAK = process.env['SLUICE_SIZE'] === 'soak';
const LIVE_COUNT = IS_SOAK ? 200 : 20;
const AFTER_COUNT = IS_SOAK ? 40 : 8;
const CLOCK_COUNT = IS_SOAK ? 40 : 8;
const SPACING_MS = 300;
/** So long before its picture a cue is made. */
const LEAD_MS = 2_500;
const FRAME_MS = 1000 / 30;
const SHOWN_MAX_MS = 30_000;
const ERROR_TARGET_FRAMES = 1;
const CLOCK_SPREAD_TARGET_MS = 50;

type Stand = {
  readonly sluice: SluiceProcess;
  readonly host: CueHost;
  readonly whep: OpenPage;
  readonly hls: OpenPage;
};

const publish = async (sluice: SluiceProcess): Promise<Publisher> => {
  const publisher = await Publisher.start({
    ...{ url: sluice.rtmpUrl(NAME), preset: 'zerolatency', widthPx: 640, heightPx: 360, bitrateBps: 1_000_000 },
  });
  await sluice.waitState(NAME, 'live');
  return publisher;
};

/** Media times of pictures to come, as far as the latest segment tells where they lie. */
const picturesToCome = async ({ sluice, host }: Stand, count: number): Promise<readonly number[]> => {
  const last = await withinValue(10_000, 'a segment to take the beat from', async () =>
    (await stampedPictures(sluice, NAME, 1)).at(-1),
  );
  const { clock } = await host.list();
  const firstMs = (clock?.mediaMs ?? 0) + LEAD_MS;
  return Array.from({ length: count }, (_, index) => {
    // Never in step with parts and segments.
    const aboutMs = firstMs + index * SPACING_MS + (index % 7) * FRAME_MS;
    return Math.round(last.ptsMs + Math.ceil((aboutMs - last.ptsMs) / FRAME_MS) * FRAME_MS);
  });
};

/** Makes them, each `LEAD_MS` before its picture, and waits until all pages have shown all. */
const run = async (
  stand: Stand,
  prefix: string,
  count: number,
  pages: readonly Page[],
): Promise<readonly HostedCue[]> => {
  const times = await picturesToCome(stand, count);
  const startedAtMs = performance.now();
  const made: HostedCue[] = [];
  for (const [index, mediaMs] of times.entries()) {
    const waitMs = startedAtMs + index * SPACING_MS - performance.now();
    await passMs(Math.max(0, waitMs));
    made.push(
      await stand.host.create({
        ...{
          id: `${prefix}-${index}`,
          kind: 'product',
          title: `${prefix} ${index}`,
          durationMs: 2000,
          at: { mediaMs },
        },
      }),
    );
  }
  await waitShown(pages, made);
  return made;
};

const waitShown = async (pages: readonly Page[], made: readonly HostedCue[], maxMs = SHOWN_MAX_MS): Promise<void> => {
  for (const page of pages) {
    await within(maxMs, 'the last cue is shown', async () => {
      const shown = new Set((await shownCues(page)).map(({ id }) => id));
      return made.slice(-1).every(({ id }) => shown.has(id));
    });
  }
};

type Told = { readonly path: string; readonly made: readonly HostedCue[]; readonly shown: readonly ShownCue[] };

const rowsOf = (pictures: readonly StampedPicture[], { path, made, shown }: Told): BenchRow[] => {
  // Should one be put up twice, the first time counts.
  const byId = new Map(shown.toReversed().map((cue) => [cue.id, cue]));
  const read = made.flatMap(({ id, mediaMs }) => {
    const cue = byId.get(id);
    const error = cue === undefined || mediaMs === null ? null : errorInFrames(pictures, { mediaMs, stamp: cue.stamp });
    return cue === undefined || error === null ? [] : { error, stepMs: cue.stepMs };
  });
  const errors = read.map(({ error }) => error);
  const missingCount = made.filter(({ id }) => !byId.has(id)).length;
  const counts = [...new Set(errors)]
    .sort((a, b) => a - b)
    .map((error) => {
      const count = errors.filter((each) => each === error).length;
      return `${error > 0 ? '+' : ''}${error}: ${count}`;
    });
  const unreadCount = made.length - missingCount - errors.length;
  const late = read.filter(({ error }) => error > 0);
  // The browser had told of no picture between the one before the cue's and this one: there was none to show it with.
  const firstToldCount = late.filter(({ error, stepMs }) => stepMs > (error + 0.5) * FRAME_MS).length;
  const note = `${made.length} cues, ${missingCount} not shown, ${unreadCount} unread; frames ${counts.join(', ')}; ${firstToldCount} of ${late.length} late ones with the first picture that the browser told of`;
  const p95 = percentile(
    errors.map((error) => Math.abs(error)),
    0.95,
  );
  return [
    {
      name: `cue against picture, ${path}, p95`,
      value: p95,
      unit: 'frames',
      target: { max: ERROR_TARGET_FRAMES },
      note,
    },
  ];
};

const player = async (page: Page, deed: (element: SluicePlayer) => void): Promise<void> => {
  await page.locator('sluice-player').evaluate(deed as (element: SVGElement | HTMLElement) => void);
};

const linesOf = async (page: Page): Promise<number> =>
  page.evaluate(
    () =>
      document.querySelector('sluice-player')?.shadowRoot?.querySelector<HTMLVideoElement>('video.shown')
        ?.videoHeight ?? 0,
  );

const switchRendition = async (page: Page, rendition: string, lines: number): Promise<void> => {
  await page.locator('sluice-player').evaluate((element, id) => {
    (element as SluicePlayer).rendition = id;
  }, rendition);
  await within(20_000, `${rendition} is shown`, async () => (await linesOf(page)) === lines);
};

const clockSpread = async ({ host, whep, hls }: Stand): Promise<BenchRow> => {
  const made: HostedCue[] = [];
  for (let index = 0; index < CLOCK_COUNT; index += 1) {
    const content = { id: `clock-${index}`, kind: 'product', mode: 'clock', durationMs: 2000 } as const;
    made.push(await host.create({ ...content, at: { countdownMs: 1500 } }));
    await passMs(SPACING_MS);
  }
  const pages = [whep.page, hls.page];
  await waitShown(pages, made);
  const [byWhep, byHls] = await Promise.all(
    pages.map(async (page) => new Map((await shownCues(page)).map((cue) => [cue.id, cue]))),
  );
  const spreadsMs = made.flatMap(({ id }) => {
    const [one, other] = [byWhep?.get(id), byHls?.get(id)];
    return one === undefined || other === undefined ? [] : [Math.abs(one.atWallMs - other.atWallMs)];
  });
  const latest = (await host.list()).cues.filter(({ id }) => id.startsWith('clock-'));
  const lateMs = latest.flatMap(({ id, showAtWallMs }) => {
    const cue = byWhep?.get(id);
    return cue === undefined || showAtWallMs === null ? [] : [cue.atWallMs - showAtWallMs];
  });
  return {
    name: 'clock cue, WHEP against LL-HLS, p95',
    value: percentile(spreadsMs, 0.95),
    unit: 'ms',
    target: { max: CLOCK_SPREAD_TARGET_MS },
    note: `${spreadsMs.length} of ${made.length} cues, max ${Math.max(...spreadsMs).toFixed(0)} ms; after the instant p95 ${percentile(lateMs, 0.95).toFixed(0)} ms`,
  };
};

const rewound = async (stand: Stand, live: readonly HostedCue[]): Promise<readonly ShownCue[]> => {
  const { page } = stand.whep;
  const before = (await shownCues(page)).length;
  const { clock } = await stand.host.list();
  const behindS = ((clock?.mediaMs ?? 0) - (live[0]?.mediaMs ?? 0)) / 1000 + 3;
  await player(page, (element) => element.shadowRoot?.querySelector<HTMLElement>('.frame')?.focus());
  await within(10_000, 'the bar reaches back', async () =>
    page.locator('sluice-player').evaluate((element) => (element as SluicePlayer).currentTime !== null),
  );
  await page.locator('sluice-player').evaluate((element, seconds) => {
    const one = element as SluicePlayer;
    one.currentTime = (one.currentTime ?? 0) - seconds;
  }, behindS);
  await within(20_000, 'the past plays', async () => (await viewOf(page)) === 'playing rewind');
  const seen = async (): Promise<readonly ShownCue[]> => (await shownCues(page)).slice(before);
  const wanted = live.slice(0, AFTER_COUNT);
  await within(SHOWN_MAX_MS + AFTER_COUNT * SPACING_MS, 'the past shows its cues', async () => {
    const ids = new Set((await seen()).map(({ id }) => id));
    return wanted.slice(-1).every(({ id }) => ids.has(id));
  });
  return seen();
};

const replayed = async ({ sluice, host }: Stand, live: readonly HostedCue[]): Promise<readonly ShownCue[]> => {
  await host.end();
  const replay = await withinValue(20_000, 'the recording has ended', async () => {
    const { replays } = (await (await fetch(`${sluice.httpUrl}/api/replays`)).json()) as ReplayList;
    return replays.find(({ state }) => state === 'ended');
  });
  const opened = await openPage({ scripts: [STAMP_READER_SCRIPT, CUE_WATCH_SCRIPT] });
  try {
    await opened.page.goto(`${sluice.httpUrl}/replay/${replay.id}`);
    await within(20_000, 'the replay is there', async () => (await viewOf(opened.page)) === 'playing replay');
    await player(opened.page, (element) => {
      element.muted = true;
      element.play();
    });
    await waitShown([opened.page], live, replay.durationMs + SHOWN_MAX_MS);
    return await shownCues(opened.page);
  } finally {
    await opened.close();
  }
};

const measure = async (stand: Stand, publishing: { current: Publisher }): Promise<BenchRow[]> => {
  const { sluice, whep, hls } = stand;
  const pages = [whep.page, hls.page];
  const told: Told[] = [];
  const note = async (path: string, made: readonly HostedCue[]): Promise<void> => {
    told.push({ path: `WHEP${path}`, made, shown: await shownCues(whep.page) });
    told.push({ path: `LL-HLS${path}`, made, shown: await shownCues(hls.page) });
  };
  const live = await run(stand, 'live', LIVE_COUNT, pages);
  await note('', live);
  await switchRendition(whep.page, 'h144', 144);
  await switchRendition(hls.page, 'h144', 144);
  await note(', after a change of rendition', await run(stand, 'rung', AFTER_COUNT, pages));
  await publishing.current.kill();
  await sluice.waitState(NAME, 'reconnecting');
  publishing.current = await publish(sluice);
  const returnedAtWallMs = Date.now();
  for (const page of pages) {
    await within(30_000, 'pictures made since are shown', async () => {
      const stamp = await stampNow(page);
      return stamp !== null && unwrapStampMs(stamp, Date.now()) > returnedAtWallMs;
    });
  }
  await note(', after the encoder returned', await run(stand, 'back', AFTER_COUNT, pages));
  const clockRow = await clockSpread(stand);
  const past = await rewound(stand, live);
  told.push({ path: 'rewound', made: live.slice(0, AFTER_COUNT), shown: past });
  const pictures = await stampedPictures(sluice, NAME);
  told.push({ path: 'replay', made: live, shown: await replayed(stand, live) });
  return [...told.flatMap((each) => rowsOf(pictures, each)), clockRow];
};

export const cuesBench: Bench = {
  name: 'cues',
  run: async () => {
    const sluice = await SluiceProcess.start({
      config: { ladder: { sidesPx: [144], shedLagMs: 60_000, shedLeftOutRatio: 1, narrowband: 'off' } },
    });
    const publishing = { current: await publish(sluice) };
    const scripts = [STAMP_READER_SCRIPT, CUE_WATCH_SCRIPT];
    const [whep, hls] = [await openPage({ scripts }), await openPage({ scripts })];
    try {
      await openPlaying(whep.page, sluice.watchUrl(NAME), 'whep');
      await openPlaying(hls.page, `${sluice.watchUrl(NAME)}?transport=ll-hls`, 'll-hls');
      return await measure({ sluice, host: await CueHost.of(sluice, NAME), whep, hls }, publishing);
    } finally {
      await whep.close();
      await hls.close();
      await publishing.current.stop();
      await sluice.stop();
    }
  },
};
