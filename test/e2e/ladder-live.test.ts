/** The rungs as viewers meet them: LL-HLS with numbers and dates alike and changes without a seam, WHEP by name, both in Chromium. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Publisher } from '../latency/source/publisher.ts';
import { Viewer } from '../latency/viewer/viewer.ts';
import { closeBrowser } from '../support/browser.ts';
import { openHlsJs } from '../support/hls-js-page.ts';
import { datesOf, textAt } from '../support/live-playlists.ts';
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

test('hls.js goes from rung to rung and back without a stall', { timeout: 90_000 }, async (t) => {
  const page = await openHlsJs(sluice.playlistUrl(NAME));
  for (const heightPx of [144, 360, 240, 360]) {
    await page.show(heightPx);
  }
  const seen = await page.look();
  t.diagnostic(JSON.stringify(seen));
  assert.deepEqual(seen.errors, []);
  assert.equal(seen.waits, 0);
  await page.close();
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
