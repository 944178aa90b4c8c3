/** The rungs as viewers meet them: LL-HLS with numbers and dates alike and changes without a seam, WHEP by name, both in Chromium. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type HlsPlayer from 'hls.js';
import { after, before, test } from 'node:test';
import { Publisher } from '../latency/source/publisher.ts';
import { Viewer } from '../latency/viewer/viewer.ts';
import { closeBrowser, openPage } from '../support/browser.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { within, withinValue } from '../support/wait.ts';

const NAME = 'ladder';
const RUNGS = [
  { id: 'h240', heightPx: 240 },
  { id: 'h144', heightPx: 144 },
];

let sluice: SluiceProcess;
let publisher: Publisher;

before(async () => {
  // What viewers are shown is asked here, not the machine's pace: a browser that starts beside the encoder sheds no rung, and no second encoder
  // starts beside both (narrowband.test.ts asks whether its change of CRF has a seam).
  sluice = await SluiceProcess.start({
    config: {
      ladder: { sidesPx: [240, 144], lagMaxMs: 10_000, shedLagMs: 60_000, shedLeftOutRatio: 1, narrowband: 'off' },
    },
  });
  publisher = await Publisher.start({ url: sluice.rtmpUrl(NAME), preset: 'zerolatency' });
  await within(30_000, 'both rungs are made', async () => {
    const [broadcast] = await sluice.broadcasts();
    return broadcast?.ladder?.rungs.filter(({ bitrateBps }) => bitrateBps > 0).length === 2;
  });
});

after(async () => {
  await closeBrowser();
  await publisher.stop();
  await sluice.stop();
});

const textAt = async (url: string): Promise<string> => (await fetch(url)).text();

/** Number to date of each whole segment. */
const datesOf = (playlist: string): Map<number, number> => {
  const firstMsn = Number(/MEDIA-SEQUENCE:(\d+)/.exec(playlist)![1]);
  const dates = [...playlist.matchAll(/PROGRAM-DATE-TIME:(\S+)/g)].map(([, date]) => Date.parse(date!));
  return new Map(dates.map((date, index) => [firstMsn + index, date]));
};

test('L28 all rungs are listed, the main video first, with the same numbers at the same dates', async () => {
  const multivariant = await textAt(sluice.playlistUrl(NAME));
  const sizes = [...multivariant.matchAll(/RESOLUTION=(\S+?)[,\n]/g)].map(([, size]) => size);
  assert.deepEqual(sizes, ['640x360', '426x240', '256x144']);
  const uris = multivariant.split('\n').filter((line) => /^\w.*m3u8/.test(line));
  const playlists = await withinValue(20_000, 'each rung has four segments', async () => {
    const texts = await Promise.all(uris.map(async (uri) => textAt(new URL(uri, sluice.playlistUrl(NAME)).href)));
    return texts.every((text) => (text.match(/#EXTINF/g)?.length ?? 0) >= 4) ? texts : undefined;
  });
  const [main, ...rungs] = playlists.map(datesOf);
  for (const rung of rungs) {
    // A rung that begins in the middle of a segment has the rest of it.
    const shared = [...rung.keys()].slice(1).filter((msn) => main!.has(msn));
    assert.ok(shared.length >= 3);
    for (const msn of shared) {
      assert.ok(
        Math.abs(rung.get(msn)! - main!.get(msn)!) < 20,
        `segment ${msn}: ${rung.get(msn)! - main!.get(msn)!} ms off`,
      );
    }
  }
  for (const text of playlists) {
    assert.doesNotMatch(text, /EXT-X-GAP/);
    const media = /#EXT-X-MAP:URI="([^"]+)"/.exec(text)![1]!;
    assert.equal(
      (await fetch(new URL(media, new URL(uris[playlists.indexOf(text)]!, sluice.playlistUrl(NAME))))).status,
      200,
    );
  }
  const rewound = await textAt(`${sluice.playlistUrl(NAME)}?dvr=1`);
  assert.equal(rewound.match(/STREAM-INF/g)!.length, 1, 'only what is kept can be rewound');
});

type Seen = { readonly heightPx: number; readonly waits: number; readonly errors: readonly string[] };

test('hls.js goes from rung to rung and back without a stall', { timeout: 90_000 }, async (t) => {
  const opened = await openPage();
  const { page } = opened;
  await page.goto(`${sluice.httpUrl}/`);
  await page.addScriptTag({
    content: readFileSync(createRequire(import.meta.url).resolve('hls.js/dist/hls.js'), 'utf8'),
  });
  await page.evaluate(async (url) => {
    const { Hls } = globalThis as unknown as { Hls: typeof HlsPlayer };
    const video = document.createElement('video');
    video.muted = true;
    document.body.append(video);
    const hls = new Hls({ lowLatencyMode: true, startLevel: 0 });
    const seen = { waits: 0, errors: [] as string[] };
    hls.on(Hls.Events.ERROR, (_event, data) => seen.errors.push(`${data.details}${data.fatal ? ' FATAL' : ''}`));
    hls.loadSource(url);
    hls.attachMedia(video);
    await video.play();
    video.addEventListener('waiting', () => (seen.waits += 1));
    Object.assign(globalThis, { seen, hls, shown: video });
  }, sluice.playlistUrl(NAME));
  const look = async (): Promise<Seen> =>
    page.evaluate(() => {
      const { seen, shown } = globalThis as unknown as { seen: Omit<Seen, 'heightPx'>; shown: HTMLVideoElement };
      return { ...seen, heightPx: shown.videoHeight };
    });
  for (const heightPx of [144, 360, 240, 360]) {
    await page.evaluate((wanted) => {
      const { hls } = globalThis as unknown as { hls: HlsPlayer };
      hls.nextLevel = hls.levels.findIndex(({ height }) => height === wanted);
    }, heightPx);
    await within(30_000, `${heightPx} lines are shown`, async () => (await look()).heightPx === heightPx);
  }
  const seen = await look();
  t.diagnostic(JSON.stringify(seen));
  assert.deepEqual(seen.errors, []);
  assert.equal(seen.waits, 0);
  await opened.close();
});

test('WHEP gives the rung that is asked for, and says which there are', { timeout: 90_000 }, async () => {
  for (const { id, heightPx } of RUNGS) {
    const viewer = await Viewer.start({ target: { kind: 'whep', url: `${sluice.whepUrl(NAME)}?rendition=${id}` } });
    await within(30_000, `${id} is shown`, async () => {
      const { frameHeight = 0, framesDecoded = 0 } = await viewer.inboundVideo();
      return frameHeight === heightPx && framesDecoded > 60;
    });
    await viewer.close();
  }
  const offer = await fetch(`${sluice.whepUrl(NAME)}?rendition=h999`, {
    method: 'POST',
    headers: { 'content-type': 'application/sdp' },
    body: 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n',
  });
  assert.match(await offer.text(), /WHEP_RENDITION_UNKNOWN.*main, h240, h144|SDP/s);
});
