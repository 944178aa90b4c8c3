/** The AV1 rung over WHEP in the real Chromium: who offers AV1 and asks for the rung gets it, goes over to H.264 while it is away, and comes back. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { systemClock } from '../../server/base/clock.ts';
import { encodeAv1Clip } from '../support/av1-clip.ts';
import { browser, closeBrowser } from '../support/browser.ts';
import type { EncodedClip } from '../support/encoded-clip.ts';
import { encodeClip } from '../support/encoded-clip.ts';
import type { EndpointServer } from '../support/endpoint-server.ts';
import { serveEndpoint } from '../support/endpoint-server.ts';
import { playLive } from '../support/live-clip.ts';
import { within } from '../support/wait.ts';
import type { WebRtcSetup } from '../support/webrtc-setup.ts';
import { openWebRtcSetup } from '../support/webrtc-setup.ts';

const PAGE = `<!doctype html><video id="v" muted autoplay playsinline></video><script>
window.play = async (query, takesAv1) => {
  const pc = window.pc = new RTCPeerConnection();
  const transceiver = pc.addTransceiver('video', { direction: 'recvonly' });
  if (!takesAv1) {
    const { codecs } = RTCRtpReceiver.getCapabilities('video');
    transceiver.setCodecPreferences(codecs.filter(({ mimeType }) => mimeType !== 'video/AV1'));
  }
  pc.ontrack = ({ track }) => { document.getElementById('v').srcObject = new MediaStream([track]); };
  await pc.setLocalDescription(await pc.createOffer());
  const answer = await fetch('/whep/demo' + query, { method: 'POST', body: pc.localDescription.sdp, headers: { 'content-type': 'application/sdp' } });
  const sdp = await answer.text();
  await pc.setRemoteDescription({ type: 'answer', sdp });
  return sdp;
};
window.stats = async () => {
  const all = await window.pc.getStats();
  const inbound = [...all.values()].find(({ type, kind }) => type === 'inbound-rtp' && kind === 'video') ?? {};
  return { codec: all.get(inbound.codecId)?.mimeType, framesDecoded: inbound.framesDecoded ?? 0, heightPx: inbound.frameHeight };
};
</script>`;

const RUNG = 'av1h180';
const options = { timeout: 60_000 };

type Stats = { readonly codec?: string; readonly framesDecoded: number; readonly heightPx?: number };

let h264: EncodedClip;
let av1: EncodedClip;
let setup: WebRtcSetup;
let server: EndpointServer;
let stop: () => void;
let isRungMade = true;

before(async () => {
  h264 = await encodeClip({ durationS: 2 });
  av1 = encodeAv1Clip({ widthPx: 320, heightPx: 180, durationS: 2 });
  setup = await openWebRtcSetup();
  server = await serveEndpoint(setup.endpoint, PAGE);
  let count = 0;
  setup.broadcast.listen({
    onRenditionAdded: (source) => {
      if (source.id !== 'source-video') {
        return;
      }
      source.subscribe({
        onUnit: (unit) => {
          const frame = av1.frames[count % av1.frames.length]!;
          count += 1;
          if (isRungMade && av1.track.kind === 'video') {
            setup.broadcast.addRendition(RUNG).push({ ...unit, track: av1.track, ...frame });
          }
        },
      });
    },
  });
  stop = playLive(h264, setup.feed, systemClock);
});

after(async () => {
  stop();
  await closeBrowser();
  setup.close();
  await server.close();
});

const open = async (query: string, takesAv1: boolean): Promise<{ page: Page; answer: string }> => {
  const page = await (await browser()).newPage();
  await page.goto(server.url);
  const answer = await page.evaluate<string>(`window.play(${JSON.stringify(query)}, ${takesAv1})`);
  return { page, answer };
};

const statsOf = async (page: Page): Promise<Stats> => page.evaluate<Stats>('window.stats()');

const decodes = async (page: Page, codec: string, heightPx: number): Promise<void> => {
  const from = (await statsOf(page)).framesDecoded;
  await within(15_000, `${codec} of ${heightPx} lines is decoded`, async () => {
    const stats = await statsOf(page);
    return stats.codec === codec && stats.heightPx === heightPx && stats.framesDecoded > from + 30;
  });
};

test(
  'AV1 is decoded by who asks for it, H.264 while the rung is away, and AV1 again when it is back',
  options,
  async () => {
    isRungMade = true;
    await within(5_000, 'the rung is there', () => setup.out.rungsOf(setup.broadcast).includes(RUNG));
    const { page, answer } = await open(`?rendition=${RUNG}`, true);
    const types = /^m=video \d+ \S+ (.*)$/m.exec(answer)![1]!.trim().split(' ');
    assert.match(answer, new RegExp(`a=rtpmap:${types[0]} AV1/90000`), 'what was asked for comes first');
    assert.match(answer, /H264\/90000/);
    await decodes(page, 'video/AV1', 180);
    isRungMade = false;
    setup.broadcast.removeRendition(RUNG, 'shed');
    await decodes(page, 'video/H264', 360);
    isRungMade = true;
    await decodes(page, 'video/AV1', 180);
    await page.close();
  },
);

test(
  'who does not take AV1 gets H.264 although it asks for the rung; who does not ask gets H.264 as well',
  options,
  async () => {
    await within(5_000, 'the rung is there', () => setup.out.rungsOf(setup.broadcast).includes(RUNG));
    const [without, plain] = await Promise.all([open(`?rendition=${RUNG}`, false), open('', true)]);
    assert.doesNotMatch(without.answer, /AV1/);
    const types = /^m=video \d+ \S+ (.*)$/m.exec(plain.answer)![1]!.trim().split(' ');
    assert.match(plain.answer, new RegExp(`a=rtpmap:${types[0]} H264/90000`));
    assert.match(plain.answer, /AV1\/90000/);
    await Promise.all([decodes(without.page, 'video/H264', 360), decodes(plain.page, 'video/H264', 360)]);
    await Promise.all([without.page.close(), plain.page.close()]);
  },
);
