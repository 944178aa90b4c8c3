/**
 * A broadcast whose encoder is killed and restarted twice, recorded by the real server: its replay plays through in Chromium, its times are
 * continuous to ffprobe, and an MP4 of a range has the right duration with picture and sound in step.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import type { ReplayList, ReplaySummary } from '../../server/api/contract/replays.ts';
import { Publisher } from '../latency/source/publisher.ts';
import { closeBrowser, openPage } from '../support/browser.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { passMs, within, withinValue } from '../support/wait.ts';

const NAME = 'show';
const STRETCH_MS = process.env['SLUICE_SIZE'] === 'soak' ? 60_000 : 3_200;
const FRAME_S = 1 / 30;
const RATE_HZ = 8_000;
const FPS_FINE = 100;

let sluice: SluiceProcess;
let replay: ReplaySummary;

const adminKey = (): string =>
  (JSON.parse(readFileSync(path.join(sluice.folder, 'data/keys.json'), 'utf8')) as { admin: string }).admin;

const replays = async (): Promise<readonly ReplaySummary[]> =>
  ((await (await fetch(`${sluice.httpUrl}/api/replays`)).json()) as ReplayList).replays;

before(async () => {
  sluice = await SluiceProcess.start();
  for (const isLast of [false, false, true]) {
    const publisher = await Publisher.start({
      ...{ url: sluice.rtmpUrl(NAME), preset: 'zerolatency', widthPx: 640, heightPx: 360, bitrateBps: 800_000 },
    });
    await sluice.waitState(NAME, 'live');
    await passMs(STRETCH_MS);
    await publisher.kill();
    await sluice.waitState(NAME, 'reconnecting');
    if (isLast) {
      const authorization = `Bearer ${adminKey()}`;
      await fetch(`${sluice.httpUrl}/api/broadcasts/${NAME}`, { method: 'DELETE', headers: { authorization } });
    }
  }
  replay = await withinValue(10_000, 'the recording has ended', async () =>
    (await replays()).find(({ state }) => state === 'ended'),
  );
});

after(async () => {
  await closeBrowser();
  await sluice.stop();
});

const explain = (t: TestContext, value: unknown): void => t.diagnostic(JSON.stringify(value));

const runTool = (tool: string, args: readonly string[]): Buffer => {
  const result = spawnSync(tool, ['-v', 'error', ...args], { maxBuffer: 2 ** 28 });
  assert.equal(result.stderr.toString(), '', `${tool} ${args.join(' ')}`);
  return result.stdout;
};

test('the playlists show two reconnects and as much as was recorded', async () => {
  const playlist = await (await fetch(`${sluice.httpUrl}${replay.playlistUrl.replace('index', 'track-0')}`)).text();
  assert.equal(playlist.split('#EXT-X-DISCONTINUITY\n').length, 3);
  assert.ok(playlist.trimEnd().endsWith('#EXT-X-ENDLIST'));
  const durationS = [...playlist.matchAll(/#EXTINF:([\d.]+)/g)].reduce((sum, match) => sum + Number(match[1]), 0);
  assert.ok(
    Math.abs(durationS * 1000 - replay.durationMs) < 50,
    `${durationS} s, the library says ${replay.durationMs} ms`,
  );
  assert.ok(replay.durationMs > 3 * STRETCH_MS - 3_000, `only ${replay.durationMs} ms`);
});

test('ffprobe on the VOD: times run on over the reconnects, in pictures and sound', (t) => {
  for (const type of ['v', 'a']) {
    const entries = ['-select_streams', type, '-show_entries', 'packet=dts_time,duration_time', '-of', 'csv=p=0'];
    const text = runTool('ffprobe', [...entries, `${sluice.httpUrl}${replay.playlistUrl}`]).toString();
    const times = [...text.matchAll(/^([\d.]+),([\d.]+)/gm)].map((match) => ({
      dts: Number(match[1]),
      duration: Number(match[2]),
    }));
    assert.ok(times.length > (replay.durationMs / 1000) * 25, `${times.length} packets`);
    const holes = times.flatMap(({ dts }, at) => {
      const previous = times[at - 1];
      const gapS = previous === undefined ? 0 : dts - previous.dts - previous.duration;
      return Math.abs(gapS) > 1.5 * FRAME_S ? [{ at: dts, gapS }] : [];
    });
    explain(t, { type, packetCount: times.length, holes });
    // An encoder that is killed ends its sound up to a few frames before or after its pictures.
    assert.ok(holes.length <= 4 && holes.every(({ gapS }) => Math.abs(gapS) < 0.3), JSON.stringify(holes));
  }
});

type Seen = {
  readonly waits: readonly { at: number; aheadS: number }[];
  readonly seeks: readonly number[];
  readonly ranges: readonly [number, number][];
  readonly endedAt: number;
  readonly durationS: number;
};

test(
  'it plays through in Chromium on its own page: nothing skipped, no stall for want of media',
  { timeout: 120_000 },
  async (t) => {
    const opened = await openPage();
    const { page, consoleLines } = opened;
    await page.goto(`${sluice.httpUrl}/replay/${replay.id}`);
    await within(15_000, 'the replay is loaded', async () =>
      page.evaluate(() => {
        const root = document.querySelector('sluice-player')?.shadowRoot;
        const video = root?.querySelector<HTMLVideoElement>('video.shown');
        Object.assign(globalThis, { shownVideo: video });
        return (video?.readyState ?? 0) >= 3;
      }),
    );
    const seen = await page.evaluate<Seen>(async () => {
      const { shownVideo: video } = globalThis as unknown as { shownVideo: HTMLVideoElement };
      const waits: { at: number; aheadS: number }[] = [];
      const seeks: number[] = [];
      const ranges = (): [number, number][] =>
        Array.from({ length: video.buffered.length }, (_, index) => [
          video.buffered.start(index),
          video.buffered.end(index),
        ]);
      const aheadS = (): number => {
        const range = ranges().find(([from, to]) => from <= video.currentTime + 0.05 && to > video.currentTime);
        return range === undefined ? 0 : range[1] - video.currentTime;
      };
      video.addEventListener('waiting', () => waits.push({ at: video.currentTime, aheadS: aheadS() }));
      video.addEventListener('seeking', () => seeks.push(video.currentTime));
      video.muted = true;
      // Twice as fast asks more of buffers and joins, and takes half the time.
      video.playbackRate = 2;
      await video.play();
      await new Promise<void>((resolve) => {
        video.addEventListener('ended', () => resolve());
        setTimeout(resolve, video.duration * 1000 + 15_000);
      });
      return { waits, seeks, ranges: ranges(), endedAt: video.currentTime, durationS: video.duration };
    });
    explain(t, seen);
    assert.ok(Math.abs(seen.durationS * 1000 - replay.durationMs) < 200, `${seen.durationS} s`);
    assert.ok(
      seen.endedAt > seen.durationS - 0.3,
      `stopped at ${seen.endedAt} of ${seen.durationS}\n${consoleLines.join('\n')}`,
    );
    assert.deepEqual(seen.seeks, [], 'holes were skipped');
    // A decoder that a busy machine starves waits too, but with media ahead of it.
    assert.deepEqual(
      seen.waits.filter(({ at, aheadS }) => at > 0.1 && aheadS < 0.5 && at < seen.durationS - 0.5),
      [],
    );
    // A link to a second of it, followed on the open page.
    await page.evaluate(() => (location.hash = '#t=0:05'));
    await within(5_000, 'the link leads to its second', async () =>
      page.evaluate(() => {
        const { shownVideo: video } = globalThis as unknown as { shownVideo: HTMLVideoElement };
        return Math.abs(video.currentTime - 5) < 0.5;
      }),
    );
    await opened.close();
  },
);

test(
  'an MP4 over both joins plays from a plain video element, and can be sought in',
  { timeout: 60_000 },
  async (t) => {
    const opened = await openPage();
    await opened.page.goto(`${sluice.httpUrl}/replays`);
    const played = await opened.page.evaluate(async (source) => {
      const video = document.createElement('video');
      document.body.append(video);
      video.muted = true;
      video.src = source;
      await video.play();
      video.playbackRate = 4;
      video.currentTime = video.duration / 2;
      await new Promise<void>((resolve) => {
        video.addEventListener('ended', () => resolve());
        video.addEventListener('error', () => resolve());
      });
      return { error: video.error?.message, durationS: video.duration, endedAt: video.currentTime };
    }, `${replay.downloadUrl}?from=1&to=6`);
    explain(t, played);
    assert.equal(played.error, undefined);
    assert.ok(Math.abs(played.durationS - 5) < 2 * FRAME_S && played.endedAt > played.durationS - 0.2);
    await opened.close();
  },
);

/** When the bar at the bottom turns white, in seconds. */
const flashesOf = (file: string): number[] => {
  const filter = `crop=iw:ih/16:0:ih*15/16,scale=1:1,format=gray,fps=${FPS_FINE}:start_time=0`;
  const lumas = runTool('ffmpeg', ['-i', file, '-an', '-vf', filter, '-f', 'rawvideo', '-']);
  return [...lumas].flatMap((luma, at) =>
    luma > 128 && at > 0 && (lumas[at - 1] ?? 255) <= 128 ? [at / FPS_FINE] : [],
  );
};

/** When a beep begins after silence, in seconds. */
const beepsOf = (file: string): number[] => {
  const pcm = runTool('ffmpeg', [
    '-i',
    file,
    '-vn',
    '-af',
    'aresample=async=1:first_pts=0',
    '-ac',
    '1',
    '-ar',
    String(RATE_HZ),
    '-f',
    's16le',
    '-',
  ]);
  const onsets: number[] = [];
  let loudAt = 0;
  for (let at = 0; at < pcm.byteLength / 2; at += 1) {
    if (Math.abs(pcm.readInt16LE(at * 2)) > 3_000) {
      if (at - loudAt > 0.4 * RATE_HZ) {
        onsets.push(at / RATE_HZ);
      }
      loudAt = at;
    }
  }
  return onsets;
};

test('an MP4 of a range over both joins: its duration to a frame, picture and sound in step on every stretch', async (t) => {
  const fromS = 2.345;
  const toS = Math.floor(replay.durationMs / 100) / 10 - 0.9;
  const response = await fetch(`${sluice.httpUrl}${replay.downloadUrl}?from=${fromS}&to=${toS}`);
  assert.equal(response.status, 200);
  const bytes = Buffer.from(await response.arrayBuffer());
  assert.equal(response.headers.get('content-length'), String(bytes.byteLength));
  const file = path.join(sluice.folder, 'range.mp4');
  writeFileSync(file, bytes);
  runTool('ffmpeg', ['-i', file, '-f', 'null', '-']);
  const entries = ['-show_entries', 'stream=codec_type,duration', '-of', 'csv=p=0', file];
  for (const line of runTool('ffprobe', entries).toString().trim().split('\n')) {
    const [type, duration] = line.split(',');
    assert.ok(
      Math.abs(Number(duration) - (toS - fromS)) <= FRAME_S,
      `${type} lasts ${duration}, asked for ${toS - fromS}`,
    );
  }
  const beeps = beepsOf(file);
  const offsets = flashesOf(file).flatMap((flash) => {
    const beep = beeps.find((at) => Math.abs(at - flash) < 0.45);
    return beep === undefined ? [] : [{ flash, lateMs: Math.round((beep - flash) * 1000) }];
  });
  explain(t, offsets);
  assert.ok(offsets.length >= (toS - fromS) / 2, `only ${offsets.length} pairs of flash and beep`);
  // At a join a beep may be cut in two; elsewhere a frame of picture and one of sound is all there may be between them.
  const far = offsets.filter(({ lateMs }) => Math.abs(lateMs) > 80);
  assert.ok(far.length <= 2, JSON.stringify(far));
});

test('a poster and a storyboard are there soon after the end', async () => {
  const storyboard = await withinValue(30_000, 'the storyboard is made', async () => {
    const response = await fetch(`${sluice.httpUrl}${replay.storyboardUrl}`);
    return response.status === 200 ? response.text() : undefined;
  });
  const [sprite = ''] = /sprite-[\d-]+\.jpg/.exec(storyboard) ?? [];
  for (const name of [sprite, 'poster.jpg']) {
    const file = path.join(sluice.folder, name);
    writeFileSync(
      file,
      Buffer.from(await (await fetch(`${sluice.httpUrl}/replay/${replay.id}/${name}`)).arrayBuffer()),
    );
    const size = runTool('ffprobe', ['-show_entries', 'stream=width,height', '-of', 'csv=p=0', file]).toString().trim();
    assert.match(size, name === 'poster.jpg' ? /^640,360$/ : /^\d{3,4},(?:90|180)$/);
  }
});

test('on the pages: found by name, renamed with the key, its title only ever text, deleted with all its files', async () => {
  const opened = await openPage();
  const { page, consoleLines } = opened;
  await page.goto(`${sluice.httpUrl}/replays`);
  await page.fill('#search', 'no such thing');
  await page.waitForSelector('#empty:not([hidden])');
  await page.fill('#search', 'SHO');
  await page.click('.cards a');
  await page.waitForURL(`**/replay/${replay.id}`);
  await page.click('summary:has-text("Manage")');
  const title = '<img src=x onerror="document.title=1"> & Söhne';
  await page.fill('#new-title', title);
  await page.fill('#key', 'not the key');
  await page.click('#manage-form button[type=submit]');
  await page.waitForSelector('#manage-word:has-text("publish key")');
  await page.fill('#key', adminKey());
  await page.click('#manage-form button[type=submit]');
  await page.waitForSelector('#manage-word:has-text("Saved")');
  assert.equal(await page.textContent('#title'), title);
  assert.equal(await page.locator('main img').count(), 0);
  page.on('dialog', (dialog) => void dialog.accept());
  await page.click('#remove');
  await page.waitForURL('**/replays');
  await page.waitForSelector('#empty:not([hidden])');
  assert.deepEqual(readdirSync(path.join(sluice.folder, 'data/replay')), []);
  assert.equal((await fetch(`${sluice.httpUrl}${replay.playlistUrl}`)).status, 404);
  assert.deepEqual(
    consoleLines.filter((line) => line.startsWith('uncaught')),
    [],
  );
  await opened.close();
});
