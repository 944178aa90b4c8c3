/** The rungs as viewers meet them: LL-HLS with numbers and dates alike and changes without a seam, WHEP by name, both in Chromium. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Publisher } from '../latency/source/publisher.ts';
import { Viewer } from '../latency/viewer/viewer.ts';
import { closeBrowser } from '../support/browser.ts';
import { openHlsJs } from '../support/hls-js-page.ts';
import { datesOf, textAt } from '../support/live-playlists.ts';
import { appendAll } from '../support/media-source-page.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { within, withinValue } from '../support/wait.ts';

const IS_SOAK = process.env['SLUICE_SIZE'] === 'soak';
const NAME = 'ladder';
const SOURCE = { widthPx: 426, heightPx: 240, frameRateFps: 15 };
const RUNGS = [
  { id: 'h180', heightPx: 180 },
  { id: 'h144', heightPx: 144 },
];

let sluice: SluiceProcess;
let publisher: Publisher;

before(async () => {
  // What viewers are shown is asked here, not the machine's pace: pictures so small and few that the encoder, which has the least priority, keeps up
  // on a busy machine; no rung is shed, and no second encoder starts beside it (narrowband.test.ts asks whether its change of CRF has a seam).
  sluice = await SluiceProcess.start({
    config: {
      ladder: { sidesPx: [180, 144], lagMaxMs: 10_000, shedLagMs: 60_000, shedLeftOutRatio: 1, narrowband: 'off' },
    },
  });
  publisher = await Publisher.start({ url: sluice.rtmpUrl(NAME), preset: 'zerolatency', ...SOURCE });
  await within(60_000, 'both rungs are listed', async () =>
    (await textAt(sluice.playlistUrl(NAME))).includes('256x144'),
  );
});

after(async () => {
  await closeBrowser();
  await publisher.stop();
  await sluice.stop();
});

test('L28 all rungs are listed, the main video first, with the same numbers at the same dates', async () => {
  const multivariant = await textAt(sluice.playlistUrl(NAME));
  const sizes = [...multivariant.matchAll(/RESOLUTION=(\S+?)[,\n]/g)].map(([, size]) => size);
  assert.deepEqual(sizes, ['426x240', '320x180', '256x144']);
  const uris = multivariant.split('\n').filter((line) => /^\w.*m3u8/.test(line));
  const playlists = await withinValue(60_000, 'each rung has four segments', async () => {
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

/** Addresses of the init, of whole segments and of the parts of unfinished ones, by segment number. */
const mediaOf = (text: string, url: string): { init: string; segments: Map<number, string[]> } => {
  const segments = new Map<number, string[]>();
  let msn = Number(/MEDIA-SEQUENCE:(\d+)/.exec(text)![1]);
  let parts: string[] = [];
  for (const line of text.split('\n')) {
    const part = /EXT-X-PART:.*URI="([^"]+)"/.exec(line)?.[1];
    if (part !== undefined) {
      parts.push(new URL(part, url).href);
    } else if (/^\w/.test(line)) {
      // Where its parts are still listed they are what is appended: that is what players at the live edge do.
      segments.set(msn, parts.length > 0 ? parts : [new URL(line, url).href]);
      parts = [];
      msn += 1;
    }
  }
  return { init: new URL(/EXT-X-MAP:URI="([^"]+)"/.exec(text)![1]!, url).href, segments };
};

test('whichever rung each segment is of, an element holds them without a hole and plays them to the end', async (t) => {
  const multivariant = await textAt(sluice.playlistUrl(NAME));
  const urls = multivariant
    .split('\n')
    .filter((line) => /^\w.*m3u8/.test(line))
    .map((uri) => new URL(uri, sluice.playlistUrl(NAME)).href);
  const codec = /CODECS="(avc1[^",]+)/.exec(multivariant)![1]!;
  const media = await withinValue(30_000, 'all have five segments alike', async () => {
    const all = await Promise.all(urls.map(async (url) => mediaOf(await textAt(url), url)));
    const shared = [...all[0]!.segments.keys()].filter((msn) => all.every(({ segments }) => segments.has(msn)));
    return shared.length >= 5 ? { all, shared: shared.slice(-5) } : undefined;
  });
  // Up and down, over one rung and over two.
  const order = [0, 2, 0, 1, 2];
  const appended = await appendAll(
    media.shared.flatMap((msn, index) => {
      const { init, segments } = media.all[order[index]!]!;
      return [init, ...segments.get(msn)!];
    }),
    codec,
  );
  t.diagnostic(JSON.stringify(appended));
  assert.equal(appended.error, undefined);
  assert.equal(appended.ranges.length, 1, 'there is a hole');
  const [[fromS, toS]] = appended.ranges as [[number, number]];
  assert.ok(Math.abs(toS - fromS - 10) < 0.1, `five segments of 2 s hold ${toS - fromS} s`);
  assert.ok(appended.hasEnded, 'it stands still');
  assert.deepEqual(appended.heightsPx.slice(-5), [240, 144, 240, 180, 144]);
});

test(
  'hls.js goes from rung to rung and back without a stall',
  { timeout: 90_000, skip: IS_SOAK ? false : 'judges pace, and hls.js on a starved machine: SLUICE_SIZE=soak' },
  async (t) => {
    const page = await openHlsJs(sluice.playlistUrl(NAME));
    for (const heightPx of [144, 240, 180, 240]) {
      await page.show(heightPx);
    }
    const seen = await page.look();
    t.diagnostic(JSON.stringify(seen));
    assert.deepEqual(seen.errors, []);
    assert.equal(seen.waits, 0);
    await page.close();
  },
);

test('WHEP gives the rung that is asked for, and says which there are', { timeout: 90_000 }, async () => {
  for (const { id, heightPx } of RUNGS) {
    const viewer = await Viewer.start({ target: { kind: 'whep', url: `${sluice.whepUrl(NAME)}?rendition=${id}` } });
    await within(40_000, `${id} is shown`, async () => {
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
