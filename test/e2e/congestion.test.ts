/**
 * The adaptive controller with the real Chromium: a viewer climbs from a rung whose keyframes are a few packets to what its link carries, no
 * further, and goes down when an emulated link shrinks.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { after, before, test } from 'node:test';
import { startLink } from '../latency/link/emulated-link.ts';
import type { LinkScenario } from '../latency/link/link-scenario.ts';
import { Publisher } from '../latency/source/publisher.ts';
import { closeBrowser, openPage } from '../support/browser.ts';
import { servePages } from '../support/page-server.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { within, withinValue } from '../support/wait.ts';

const NAME = 'narrow';
const SOURCE_LINES = 360;
const SOURCE_BPS = 2_000_000;
/** Grain, so that it takes its bitrate. */
const SOURCE_NOISE_RATIO = 0.2;
const RUNG_LINES = [240, 144];
/** Less than any rendition is thought to need: everybody begins at the lowest. */
const START_RATE_BPS = 150_000;
const FRAME_RATE_FPS = 30;

const PAGE = `
window.play = async (whep) => {
  window.pc?.close();
  const pc = window.pc = new RTCPeerConnection();
  pc.addTransceiver('video', { direction: 'recvonly' });
  pc.addTransceiver('audio', { direction: 'recvonly' });
  await pc.setLocalDescription(await pc.createOffer());
  const answer = await fetch(whep, { method: 'POST', body: pc.localDescription.sdp, headers: { 'content-type': 'application/sdp' } });
  await pc.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
};
window.picture = async () => {
  for (const s of (await window.pc.getStats()).values()) {
    if (s.type === 'inbound-rtp' && s.kind === 'video') {
      return { lines: s.frameHeight ?? 0, decoded: s.framesDecoded ?? 0, freezes: s.freezeCount ?? 0 };
    }
  }
  return { lines: 0, decoded: 0, freezes: 0 };
};`;

type Picture = { readonly lines: number; readonly decoded: number; readonly freezes: number };

let sluice: SluiceProcess;
let publisher: Publisher;
let whep: string;

before(async () => {
  sluice = await SluiceProcess.start({
    config: {
      congestion: { controller: 'adaptive', startRateBps: START_RATE_BPS },
      // What the viewer is given is asked here, not the machine's pace.
      ladder: {
        ...{ sidesPx: RUNG_LINES, crf: 18, bitsPerPxMax: 0.06, narrowband: 'off' },
        ...{ shedLagMs: 60_000, shedLeftOutRatio: 1 },
      },
    },
  });
  const source = { bitrateBps: SOURCE_BPS, noiseRatio: SOURCE_NOISE_RATIO };
  publisher = await Publisher.start({ url: sluice.rtmpUrl(NAME), preset: 'zerolatency', ...source });
  await within(30_000, 'the rungs are made', async () => {
    const [broadcast] = await sluice.broadcasts();
    return broadcast?.ladder?.rungs.filter(({ bitrateBps }) => bitrateBps > 0).length === RUNG_LINES.length;
  });
  whep = `${sluice.httpUrl}/whep/${NAME}`;
});

after(async () => {
  await closeBrowser();
  await publisher.stop();
  await sluice.stop();
});

/** Plays, by way of this link, or of none; the link begins as the viewer does. */
const watch = async (t: TestContext, scenario: LinkScenario | undefined): Promise<() => Promise<Picture>> => {
  const link = scenario === undefined ? undefined : await startLink(scenario, { seed: 1 });
  t.after(async () => link?.close());
  const opened = await openPage({ scripts: [PAGE] });
  t.after(async () => opened.close());
  const pages = await servePages({ '/': { type: 'text/html', body: '<!doctype html><title>viewer</title>' } });
  t.after(async () => pages.close());
  await opened.page.goto(pages.url);
  const url = link === undefined ? whep : await link.through(whep);
  await link?.restart();
  await opened.page.evaluate(`window.play(${JSON.stringify(url)})`);
  return async () => opened.page.evaluate('window.picture()');
};

const waitLines = async (picture: () => Promise<Picture>, lines: number, what: string): Promise<Picture> =>
  withinValue(30_000, what, async () => {
    const seen = await picture();
    return seen.lines === lines ? seen : undefined;
  });

test('a viewer that begins at the lowest rung climbs to the source’s picture by itself where nothing is in its way', async (t) => {
  const picture = await watch(t, undefined);
  const first = await withinValue(15_000, 'a first picture', async () => {
    const seen = await picture();
    return seen.lines > 0 ? seen : undefined;
  });
  assert.equal(first.lines, RUNG_LINES.at(-1));
  const fromMs = performance.now();
  await waitLines(picture, SOURCE_LINES, 'the source’s picture');
  t.diagnostic(`${Math.round(performance.now() - fromMs)} ms from the first picture to the source’s`);
});

test('on 1.5 Mbit/s it climbs to the rung that fits, and no further', async (t) => {
  const picture = await watch(t, { rttMs: 30, down: { rateBps: 1_500_000 } });
  const then = await waitLines(picture, RUNG_LINES[0]!, 'the rung that fits');
  let most = 0;
  await within(20_000, 'six seconds of pictures', async () => {
    const seen = await picture();
    most = Math.max(most, seen.lines);
    return seen.decoded > then.decoded + 6 * FRAME_RATE_FPS;
  });
  assert.equal(most, RUNG_LINES[0]);
});

test('a viewer whose link shrinks goes on with a rung that fits, and pictures keep coming', async (t) => {
  // Wide for as long as it takes to be at the top, then less than the source takes.
  const steps = [
    { durationMs: 10_000, rateBps: 8_000_000 },
    { durationMs: 600_000, rateBps: 550_000 },
  ];
  const picture = await watch(t, { rttMs: 30, down: { steps } });
  await waitLines(picture, SOURCE_LINES, 'the source’s picture while the link is wide');
  const then = await withinValue(30_000, 'a rung’s picture once it is not', async () => {
    const seen = await picture();
    return seen.lines < SOURCE_LINES ? seen : undefined;
  });
  await within(15_000, 'three seconds of pictures', async () => (await picture()).decoded > then.decoded + 90);
  assert.ok((await picture()).lines < SOURCE_LINES);
});
