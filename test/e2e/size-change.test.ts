/** An encoder that changes its size and back without hanging up: rungs follow, LL-HLS says so, and who watches, on any path, sees the new picture. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import type { SluicePlayer } from '../../player/ui/element.ts';
import { closeBrowser, openPage } from '../support/browser.ts';
import { FlvPublisher } from '../support/flv-publisher.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { within, withinValue } from '../support/wait.ts';
import { CURTAIN_SCRIPT, curtain, openPlaying, watchCurtain } from '../support/watch-page.ts';

const NAME = 'resized';
/** Each is sent again and again until everybody has seen it; three GOPs and 150 sound frames fill it. */
const PIECE_S = 3.2;
const WIDE = { name: 'wide', size: '1280x720' };
const NARROW = { name: 'narrow', size: '640x480' };
const FOLLOWS_MAX_MS = 2_000;
const SHOWS_MAX_MS = 45_000;

let folder: string;
let sluice: SluiceProcess;

before(async () => {
  folder = tempFolder('size');
  sluice = await SluiceProcess.start({
    // What is shown is asked here, not the machine's pace.
    config: {
      ladder: { sidesPx: [240, 144], lagMaxMs: 10_000, shedLagMs: 60_000, shedLeftOutRatio: 1, narrowband: 'off' },
    },
  });
});

after(async () => {
  await closeBrowser();
  await sluice?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const make = ({ name, size }: typeof WIDE): string => {
  const file = join(folder, `${name}.flv`);
  execFileSync('ffmpeg', [
    ...['-v', 'error', '-y', '-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=30`],
    ...['-f', 'lavfi', '-i', 'sine=sample_rate=48000', '-t', String(PIECE_S), '-c:a', 'aac'],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-pix_fmt', 'yuv420p'],
    ...['-g', '32', '-keyint_min', '32', '-sc_threshold', '0', '-f', 'flv', file],
  ]);
  return file;
};

type Shown = {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly frames: number;
  readonly transport: string;
};

const shownOn = async (page: Page): Promise<Shown> =>
  page.locator('sluice-player').evaluate((element) => {
    const one = element as SluicePlayer;
    const video = one.shadowRoot?.querySelector<HTMLVideoElement>('video.shown');
    const frames = video?.getVideoPlaybackQuality().totalVideoFrames ?? 0;
    return {
      ...{ widthPx: video?.videoWidth ?? 0, heightPx: video?.videoHeight ?? 0, frames },
      transport: one.view.transport ?? '',
    };
  });

/** The shape of the picture on every page, and that it moves. */
const allShow = async (pages: readonly Page[], ratio: number): Promise<void> => {
  await Promise.all(pages.map(async (page) => showsShape(page, ratio)));
};

const showsShape = async (page: Page, ratio: number): Promise<void> => {
  let shown: Shown | undefined;
  const isSo = async (): Promise<boolean> => {
    shown = await shownOn(page);
    return Math.abs(shown.widthPx / shown.heightPx - ratio) < 0.02;
  };
  try {
    await within(SHOWS_MAX_MS, `a picture of ${ratio.toFixed(2)}`, isSo);
    const frames = shown?.frames ?? 0;
    await within(SHOWS_MAX_MS, 'it moves', async () => (await shownOn(page)).frames > frames + 10);
  } catch (error) {
    throw new Error(`${String(error)}; it shows ${JSON.stringify(shown)}`, { cause: error });
  }
};

type Break = { readonly msn: number; readonly atWallMs: number; readonly hasNewInit: boolean };

/** Where a media playlist breaks. */
const breaksOf = async (file: string): Promise<Break[]> => {
  const index = await (await fetch(sluice.playlistUrl(NAME))).text();
  const uri = new RegExp(`^\\w+/${file}$`, 'm').exec(index)?.[0] ?? file;
  const text = await (await fetch(new URL(uri, sluice.playlistUrl(NAME)))).text();
  let msn = Number(/MEDIA-SEQUENCE:(\d+)/.exec(text)?.[1] ?? 0);
  const breaks: Break[] = [];
  for (const block of text.split(/(?<=^segment-\S+\n)/m)) {
    if (block.includes('#EXT-X-DISCONTINUITY\n')) {
      const atWallMs = Date.parse(/PROGRAM-DATE-TIME:(\S+)/.exec(block)?.[1] ?? '');
      breaks.push({ msn, atWallMs, hasNewInit: block.includes('#EXT-X-MAP') });
    }
    msn += 1;
  }
  return breaks;
};

test('1280x720, 640x480 and back', { timeout: 180_000 }, async (t) => {
  const [wide, narrow] = [make(WIDE), make(NARROW)];
  const publisher = await FlvPublisher.start(sluice.ports.rtmp, NAME);
  t.after(() => publisher.stop());
  publisher.repeat(wide);
  await within(40_000, 'both rungs are made', async () => {
    const [broadcast] = await sluice.broadcasts();
    return broadcast?.ladder?.rungs.filter(({ bitrateBps }) => bitrateBps > 0).length === 2;
  });
  const [overWhep, overHls] = [
    await openPage({ scripts: [CURTAIN_SCRIPT] }),
    await openPage({ scripts: [CURTAIN_SCRIPT] }),
  ];
  await openPlaying(overWhep.page, sluice.watchUrl(NAME), 'whep');
  await overHls.page.route('**/whep/**', async (route) => route.fulfill({ status: 500 }));
  await openPlaying(overHls.page, sluice.watchUrl(NAME), 'll-hls');
  const pages = [overWhep.page, overHls.page];
  for (const page of pages) {
    await within(30_000, 'there is a choice', async () =>
      page.locator('sluice-player').evaluate((element) => (element as SluicePlayer).renditions.length === 3),
    );
    await page.locator('sluice-player').evaluate((element) => ((element as SluicePlayer).rendition = 'h240'));
    await within(SHOWS_MAX_MS, '240 lines', async () => (await shownOn(page)).heightPx === 240);
    await watchCurtain(page);
  }
  publisher.repeat(narrow);
  await allShow(pages, 4 / 3);
  const [main, rung] = await withinValue(10_000, 'both playlists break', async () => {
    const found = [await breaksOf('video.m3u8'), await breaksOf('h240.m3u8')] as const;
    const firsts = found.flatMap(([one]) => one ?? []);
    assert.ok(
      found.every(({ length }) => length <= 1),
      JSON.stringify(found),
    );
    return firsts.length === 2 ? (firsts as [Break, Break]) : undefined;
  });
  assert.equal(rung.msn, main.msn);
  assert.ok(main.hasNewInit && rung.hasNewInit);
  const lateMs = rung.atWallMs - main.atWallMs;
  assert.ok(Math.abs(lateMs) <= FOLLOWS_MAX_MS, `the rung follows ${lateMs} ms later`);
  publisher.repeat(wide);
  await allShow(pages, 16 / 9);
  const transports = await Promise.all(pages.map(async (page) => (await shownOn(page)).transport));
  t.diagnostic(JSON.stringify({ lateMs, transports }));
  for (const page of pages) {
    assert.equal((await curtain(page)).sluiceBareCount, 0);
  }
  await Promise.all([overWhep.close(), overHls.close()]);
});
