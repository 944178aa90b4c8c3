/** The AV1 rung as viewers of a whole server meet it: in LL-HLS beside H.264, played by hls.js when chosen, and over WHEP by name. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import type HlsPlayer from 'hls.js';
import { Publisher } from '../latency/source/publisher.ts';
import { Viewer } from '../latency/viewer/viewer.ts';
import { closeBrowser, openPage } from '../support/browser.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { within, withinValue } from '../support/wait.ts';

const NAME = 'av1';
const RUNG = 'av1h180';

let sluice: SluiceProcess;
let publisher: Publisher;

before(async () => {
  // What viewers are shown is asked here, not the machine's pace.
  sluice = await SluiceProcess.start({
    config: { ladder: { sidesPx: [180], av1: 'on', lagMaxMs: 10_000, shedLagMs: 60_000, shedLeftOutRatio: 1 } },
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

test('L28 AV1 stands last in the multivariant playlist, below H.264 in SCORE, with numbers and dates alike', async () => {
  // Who asks early is not kept waiting for a rung that a busy machine makes late.
  const multivariant = await withinValue(30_000, 'AV1 is listed', async () => {
    const text = await textAt(sluice.playlistUrl(NAME));
    return text.includes('av01') ? text : undefined;
  });
  const variants = [...multivariant.matchAll(/#EXT-X-STREAM-INF:(.*)\n(.*)/g)].map(([, attributes, uri]) => ({
    codecs: /CODECS="([^"]+)"/.exec(attributes!)![1]!,
    score: Number(/SCORE=([\d.]+)/.exec(attributes!)?.[1]),
    uri: uri!,
  }));
  assert.deepEqual(
    variants.map(({ codecs, score }) => [codecs.slice(0, 4), score]),
    [
      ['avc1', 2],
      ['avc1', 2],
      ['av01', 1],
    ],
  );
  assert.match(variants[2]!.codecs, /^av01\.0\.\d\dM\.08,mp4a\.40\.2$/);
  const playlistOf = async (uri: string): Promise<string> => textAt(new URL(uri, sluice.playlistUrl(NAME)).href);
  const [main, av1] = await withinValue(40_000, 'four segments of each', async () => {
    const texts = [await playlistOf(variants[0]!.uri), await playlistOf(variants[2]!.uri)] as const;
    return texts.every((text) => (text.match(/#EXTINF/g)?.length ?? 0) >= 4) ? texts : undefined;
  });
  const [mainDates, av1Dates] = [datesOf(main), datesOf(av1)];
  // A rung that begins in the middle of a segment has the rest of it.
  const shared = [...av1Dates.keys()].slice(1).filter((msn) => mainDates.has(msn));
  assert.ok(shared.length >= 2);
  for (const msn of shared) {
    assert.ok(Math.abs(av1Dates.get(msn)! - mainDates.get(msn)!) < 20, `segment ${msn} is elsewhere`);
  }
  const init = new URL(/#EXT-X-MAP:URI="([^"]+)"/.exec(av1)![1]!, new URL(variants[2]!.uri, sluice.playlistUrl(NAME)));
  const bytes = Buffer.from(await (await fetch(init)).arrayBuffer()).toString('latin1');
  assert.ok(bytes.includes('av01') && bytes.includes('av1C'));
});

type Seen = {
  readonly heightPx: number;
  readonly codecs: readonly string[];
  readonly level: number;
  readonly errors: readonly string[];
};

test(
  'hls.js, told as our player tells it, begins with H.264, plays AV1 when it is chosen, and goes back',
  { timeout: 90_000 },
  async (t) => {
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
      const hls = new Hls({ lowLatencyMode: true, videoPreference: { videoCodec: 'avc1' } });
      const errors: string[] = [];
      hls.on(Hls.Events.ERROR, (_event, data) => errors.push(`${data.details}${data.fatal ? ' FATAL' : ''}`));
      hls.loadSource(url);
      hls.attachMedia(video);
      await video.play();
      Object.assign(globalThis, { errors, hls, shown: video });
    }, sluice.playlistUrl(NAME));
    const look = async (): Promise<Seen> =>
      page.evaluate(() => {
        const { errors, hls, shown } = globalThis as unknown as {
          errors: string[];
          hls: HlsPlayer;
          shown: HTMLVideoElement;
        };
        const codecs = hls.levels.map(({ videoCodec }) => videoCodec ?? '');
        return { heightPx: shown.videoHeight, codecs, level: hls.currentLevel, errors };
      });
    await within(15_000, 'a picture', async () => (await look()).heightPx > 0);
    const first = await look();
    assert.match(first.codecs[first.level] ?? '', /^avc1/);
    for (const codec of ['av01', 'avc1']) {
      const level = first.codecs.findIndex((one) => one.startsWith(codec));
      await page.evaluate((next) => {
        (globalThis as unknown as { hls: { nextLevel: number } }).hls.nextLevel = next;
      }, level);
      await within(25_000, `${codec} is shown and goes on`, async () => {
        const seen = await look();
        const played = await page.evaluate(async () => {
          const { shown } = globalThis as unknown as { shown: HTMLVideoElement };
          const fromS = shown.currentTime;
          await new Promise((resolve) => shown.requestVideoFrameCallback(resolve));
          return shown.currentTime > fromS || shown.getVideoPlaybackQuality().totalVideoFrames > 0;
        });
        return seen.level === level && played;
      });
    }
    const seen = await look();
    t.diagnostic(JSON.stringify(seen));
    assert.ok(
      seen.errors.every((error) => !error.endsWith('FATAL')),
      seen.errors.join(' '),
    );
    await opened.close();
  },
);

test('WHEP shows the AV1 rung to who asks for it, and the status names it', { timeout: 60_000 }, async () => {
  const [broadcast] = await sluice.broadcasts();
  assert.deepEqual(
    broadcast?.ladder?.rungs.map(({ id, codec }) => [id, codec]),
    [
      ['h180', 'h264'],
      [RUNG, 'av1'],
    ],
  );
  const viewer = await Viewer.start({ target: { kind: 'whep', url: `${sluice.whepUrl(NAME)}?rendition=${RUNG}` } });
  await within(15_000, `${RUNG} is shown`, async () => {
    const { frameHeight = 0, framesDecoded = 0 } = await viewer.inboundVideo();
    return frameHeight === 180 && framesDecoded > 60;
  });
  await viewer.close();
});
