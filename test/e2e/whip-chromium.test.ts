/**
 * A page publishes its (made-up) camera and microphone by WHIP over a link that loses 5 % of the packets each way: it appears over WHEP, in LL-HLS
 * and in the replay, with sound.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import type { Page } from 'playwright-core';
import type { ReplayList, ReplaySummary } from '../../server/api/contract/replays.ts';
import { startLink } from '../latency/link/emulated-link.ts';
import { closeBrowser, openPage } from '../support/browser.ts';
import { LiveStage } from '../support/live-stage.ts';
import type { SluiceProcess } from '../support/sluice-process.ts';
import { metricValue } from '../support/sluice-process.ts';
import { within, withinValue } from '../support/wait.ts';
import { framesOf, openPlaying } from '../support/watch-page.ts';
import { endWhip, publishFrom, serveWhipPage, whipSample, whipViews } from '../support/whip-page.ts';

const NAME = 'main';
const LOSS_RATIO = 0.05;
const ENOUGH_MS = process.env['SLUICE_SIZE'] === 'soak' ? 60_000 : 5_000;
/** What a viewer of a busy machine may need for it. */
const APPEARS_MAX_MS = 20_000;
/** The made-up microphone beeps; silence is -91 dB. */
const LOUD_MIN_DB = -30;

after(closeBrowser);

/** Plays by WHEP on a page of the server's own origin, with the least there is. */
const playWhep = async (page: Page, whepUrl: string): Promise<void> => {
  await page.goto(new URL('/healthz', whepUrl).href);
  await page.evaluate(async (url) => {
    const connection = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    Object.assign(globalThis, { connection });
    connection.addTransceiver('video', { direction: 'recvonly' });
    connection.addTransceiver('audio', { direction: 'recvonly' });
    connection.addEventListener('track', ({ track, streams }) => {
      const element = document.body.appendChild(document.createElement(track.kind === 'video' ? 'video' : 'audio'));
      element.srcObject = streams[0] ?? new MediaStream([track]);
      void element.play();
    });
    await connection.setLocalDescription(await connection.createOffer());
    const headers = { 'content-type': 'application/sdp' };
    const answer = await fetch(url, { method: 'POST', body: connection.localDescription?.sdp ?? '', headers });
    await connection.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
  }, whepUrl);
};

const heardByWhep = async (page: Page): Promise<{ frames: number; energy: number }> =>
  page.evaluate(async () => {
    const { connection } = globalThis as unknown as { connection: RTCPeerConnection };
    const found = { frames: 0, energy: 0 };
    for (const entry of (await connection.getStats()).values()) {
      if (entry.type === 'inbound-rtp') {
        found.frames += entry.framesDecoded ?? 0;
        found.energy += entry.kind === 'audio' ? (entry.totalAudioEnergy ?? 0) : 0;
      }
    }
    return found;
  });

/** Chromium counts what each element decoded of sound. */
const decodedSoundBytes = async (page: Page): Promise<number> =>
  page.evaluate(() => {
    const videos = document.querySelector('sluice-player')?.shadowRoot?.querySelectorAll('video') ?? [];
    const bytes = [...videos].map(
      (video) => (video as { webkitAudioDecodedByteCount?: number }).webkitAudioDecodedByteCount,
    );
    return Math.max(0, ...bytes.map((each) => each ?? 0));
  });

const findReplay = async (sluice: SluiceProcess): Promise<ReplaySummary | undefined> => {
  const { replays } = (await (await fetch(`${sluice.httpUrl}/api/replays`)).json()) as ReplayList;
  return replays.find(({ name, durationMs }) => name === NAME && durationMs > ENOUGH_MS / 2);
};

test(
  'a page publishes over 5 % of loss: picture and sound over WHEP, in LL-HLS and in the replay',
  { timeout: 150_000 },
  async (t) => {
    const stage = new LiveStage(t);
    const sluice = await stage.server({ config: { ladder: { enabled: false } } });
    const keys = JSON.parse(readFileSync(path.join(sluice.folder, 'data/keys.json'), 'utf8')) as {
      publish: Record<string, string>;
    };
    const link = await startLink(
      { rttMs: 40, up: { lossRatio: LOSS_RATIO }, down: { lossRatio: LOSS_RATIO } },
      { seed: 1 },
    );
    t.after(() => link.close());
    const pages = await serveWhipPage();
    t.after(() => pages.close());
    const host = await openPage();
    t.after(() => host.close());
    const endpointUrl = await link.through(`${sluice.httpUrl}/whip/${NAME}`);
    const size = { widthPx: 640, heightPx: 360 };

    await publishFrom(host.page, pages, { ...size, endpointUrl, key: 'not-the-key' });
    const [refusal] = (await whipViews(host.page)).flatMap(({ problem }) => problem ?? []);
    assert.ok(refusal?.kind === 'refused' && refusal.status === 401 && /publish key of main/u.test(refusal.detail));

    await publishFrom(host.page, pages, { ...size, endpointUrl, key: keys.publish[NAME] ?? '' });
    await sluice.waitState(NAME, 'live');
    const viewer = await openPage();
    t.after(() => viewer.close());
    await playWhep(viewer.page, sluice.whepUrl(NAME));
    await within(APPEARS_MAX_MS, 'picture and sound over WHEP', async () => {
      const { frames, energy } = await heardByWhep(viewer.page);
      return frames > 60 && energy > 0.001;
    });
    await openPlaying(viewer.page, `${sluice.watchUrl(NAME)}?transport=ll-hls`, 'll-hls');
    await within(APPEARS_MAX_MS, 'picture and sound in LL-HLS', async () => {
      return (await framesOf(viewer.page)) > 30 && (await decodedSoundBytes(viewer.page)) > 10_000;
    });
    const master = await (await fetch(sluice.playlistUrl(NAME))).text();
    assert.match(master, /CODECS="avc1\.[0-9a-f]{6},mp4a\.40\.2"/u);
    await withinValue(ENOUGH_MS + APPEARS_MAX_MS, 'enough was recorded', async () => findReplay(sluice));
    const sample = await whipSample(host.page);
    t.diagnostic(JSON.stringify({ sample, views: await whipViews(host.page) }));
    await endWhip(host.page);
    await sluice.waitState(NAME, 'reconnecting');
    const closed = await withinValue(5_000, 'the session says its line', () => sluice.events('whip.session.closed')[0]);
    t.diagnostic(JSON.stringify(closed));
    const metrics = await sluice.metrics();
    assert.ok((metricValue(metrics, 'whip_packets_total', '{fate="repaired"}') ?? 0) > 10, 'losses were repaired');

    const replay = await withinValue(10_000, 'the replay is there', async () => findReplay(sluice));
    const input = `${sluice.httpUrl}${replay.playlistUrl}`;
    const played = spawnSync('ffmpeg', [
      '-hide_banner',
      '-nostdin',
      '-i',
      input,
      '-af',
      'volumedetect',
      '-f',
      'null',
      '-',
    ]);
    const words = played.stderr.toString();
    const loudestDb = Number(/max_volume: (-?[\d.]+) dB/u.exec(words)?.[1]);
    const frames = Number([...words.matchAll(/frame=\s*(\d+)/gu)].at(-1)?.[1]);
    t.diagnostic(`replay: ${frames} pictures of ${replay.durationMs} ms, sound up to ${loudestDb} dB`);
    assert.match(words, /Audio: aac/u);
    assert.ok(loudestDb > LOUD_MIN_DB, `sound up to ${loudestDb} dB`);
    assert.ok(frames > replay.durationMs / 100, `${frames} pictures in ${replay.durationMs} ms`);
  },
);
