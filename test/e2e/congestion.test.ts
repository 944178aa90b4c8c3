/** The adaptive controller with the real Chromium behind an emulated link: what a viewer sees when the link shrinks. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startLink } from '../latency/link/emulated-link.ts';
import { Publisher } from '../latency/source/publisher.ts';
import { closeBrowser, openPage } from '../support/browser.ts';
import { servePages } from '../support/page-server.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { within, withinValue } from '../support/wait.ts';

const NAME = 'narrow';
const SOURCE_LINES = 360;
const RUNG_LINES = 240;
/** Wide for as long as the browser needs to get going, then less than the source takes. */
const LINK = {
  rttMs: 30,
  down: {
    steps: [
      { durationMs: 6_000, rateBps: 4_000_000 },
      { durationMs: 600_000, rateBps: 550_000 },
    ],
  },
};

const PAGE = `
window.play = async (whep) => {
  const pc = window.pc = new RTCPeerConnection();
  pc.addTransceiver('video', { direction: 'recvonly' });
  pc.addTransceiver('audio', { direction: 'recvonly' });
  await pc.setLocalDescription(await pc.createOffer());
  const answer = await fetch(whep, { method: 'POST', body: pc.localDescription.sdp, headers: { 'content-type': 'application/sdp' } });
  await pc.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
};
window.picture = async () => {
  for (const s of (await window.pc.getStats()).values()) {
    if (s.type === 'inbound-rtp' && s.kind === 'video') return { lines: s.frameHeight ?? 0, decoded: s.framesDecoded ?? 0 };
  }
  return { lines: 0, decoded: 0 };
};`;

after(closeBrowser);

test('a viewer whose link shrinks goes on with the rung that fits, and pictures keep coming', async (t) => {
  const sluice = await SluiceProcess.start({
    config: {
      congestion: { controller: 'adaptive' },
      // What the viewer is given is asked here, not the machine's pace.
      ladder: { sidesPx: [RUNG_LINES], crf: 18, bitsPerPxMax: 0.06, shedLagMs: 60_000, shedLeftOutRatio: 1 },
    },
  });
  t.after(async () => sluice.stop());
  const publisher = await Publisher.start({ url: sluice.rtmpUrl(NAME), preset: 'zerolatency', bitrateBps: 800_000 });
  t.after(async () => publisher.stop());
  await within(30_000, 'the rung is made', async () => {
    const [broadcast] = await sluice.broadcasts();
    return broadcast?.ladder?.rungs.some(({ bitrateBps }) => bitrateBps > 0) === true;
  });
  const link = await startLink(LINK, { seed: 1 });
  t.after(async () => link.close());
  const whepUrl = await link.through(`${sluice.httpUrl}/whep/${NAME}`);
  const opened = await openPage({ scripts: [PAGE] });
  t.after(async () => opened.close());
  const pages = await servePages({ '/': { type: 'text/html', body: '<!doctype html><title>viewer</title>' } });
  t.after(async () => pages.close());
  await opened.page.goto(pages.url);
  await link.restart();
  await opened.page.evaluate(`window.play(${JSON.stringify(whepUrl)})`);
  const picture = async (): Promise<{ lines: number; decoded: number }> => opened.page.evaluate('window.picture()');
  await within(
    15_000,
    'the source’s picture while the link is wide',
    async () => (await picture()).lines === SOURCE_LINES,
  );
  const then = await withinValue(30_000, 'the rung’s picture once it is not', async () => {
    const seen = await picture();
    return seen.lines === RUNG_LINES ? seen : undefined;
  });
  await within(15_000, 'three seconds of pictures', async () => (await picture()).decoded > then.decoded + 90);
  assert.equal((await picture()).lines, RUNG_LINES);
});
