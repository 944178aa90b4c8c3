/** The AV1 rung as viewers of a whole server meet it: in LL-HLS beside H.264, played by hls.js when chosen, and over WHEP by name. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Publisher } from '../latency/source/publisher.ts';
import { Viewer } from '../latency/viewer/viewer.ts';
import { closeBrowser } from '../support/browser.ts';
import { openHlsJs } from '../support/hls-js-page.ts';
import { datesOf, textAt } from '../support/live-playlists.ts';
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

test(
  'hls.js, told as our player tells it, begins with H.264, plays AV1 when it is chosen, and goes back',
  { timeout: 90_000 },
  async (t) => {
    const page = await openHlsJs(sluice.playlistUrl(NAME), { videoPreference: { videoCodec: 'avc1' } });
    await within(15_000, 'a picture', async () => (await page.look()).heightPx > 0);
    const first = await page.look();
    assert.match(first.codecs[first.level] ?? '', /^avc1/);
    for (const codec of ['av01', 'avc1']) {
      await page.choose({ codec });
      await within(25_000, `${codec} is shown`, async () => {
        const { codecs, level } = await page.look();
        return codecs[level]?.startsWith(codec) === true;
      });
      const shownBefore = (await page.look()).frameCount;
      await within(25_000, `${codec} goes on`, async () => (await page.look()).frameCount > shownBefore + 10);
    }
    const seen = await page.look();
    t.diagnostic(JSON.stringify(seen));
    assert.ok(!seen.errors.some((error) => error.includes(' FATAL ')), seen.errors.join('\n'));
    await page.close();
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
