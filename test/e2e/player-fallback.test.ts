/** The player in a real browser against a fake server: which path it takes, what it says, and how the pages look. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { chromium, type Browser, type Page } from 'playwright-core';
import type { SluicePlayer } from '../../player/sluice-player.ts';
import { FakeServer, makeParts } from '../support/fake-server.ts';
import { tempFolder } from '../support/temp-folder.ts';

const ROOT = join(import.meta.dirname, '../..');
const DIST = tempFolder('dist');
const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };

let browser: Browser;
let parts: Awaited<ReturnType<typeof makeParts>>;
let server: FakeServer;
let page: Page;
const faults: string[] = [];

before(async () => {
  const vite = join(ROOT, 'node_modules/vite/bin/vite.js');
  const config = join(ROOT, 'player/vite.config.ts');
  await promisify(execFile)(process.execPath, [vite, 'build', '--config', config, '--outDir', DIST]);
  parts = await makeParts(60);
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--autoplay-policy=no-user-gesture-required'],
  });
});

after(async () => {
  await browser?.close();
  await parts?.remove();
});

beforeEach(async () => {
  server = new FakeServer({ distFolder: DIST, partsFolder: parts.folder });
  await server.start();
  server.begin('broadcast-1', 6000);
  page = await browser.newPage({ viewport: DESKTOP });
  faults.length = 0;
  page.on('pageerror', (error) => faults.push(String(error)));
});

afterEach(async () => {
  await page.close();
  await server.stop();
  assert.deepEqual(faults, [], 'nothing was thrown in the page');
});

const view = () => page.evaluate(() => (document.querySelector('sluice-player') as SluicePlayer).view);
const headline = () =>
  page.evaluate(() => {
    const root = document.querySelector('sluice-player')!.shadowRoot!;
    const words = root.querySelector<HTMLElement>('.words')!;
    return words.hidden ? '' : root.querySelector('.headline')!.textContent;
  });

const until = async (what: string, isSo: () => Promise<boolean> | boolean, withinMs = 12_000): Promise<void> => {
  const deadlineMs = performance.now() + withinMs;
  while (!(await isSo())) {
    assert.ok(performance.now() < deadlineMs, `${what}, within ${withinMs} ms; view ${JSON.stringify(await view())}`);
    await page.waitForTimeout(50);
  }
};

const playsOver = (transport: string) => async () => {
  const now = await view();
  return now.status === 'playing' && now.transport === transport;
};

/** A peer in another tab of the same browser that answers offers with a moving canvas: WebRTC that works. */
const answeringPeer = async (): Promise<{ answer(offer: string): Promise<string>; close(): Promise<void> }> => {
  const peerPage = await browser.newPage();
  const answer = (offer: string) =>
    peerPage.evaluate(async (sdp) => {
      const canvas = document.createElement('canvas');
      const context = canvas.getContext('2d')!;
      let count = 0;
      setInterval(() => {
        count += 7;
        context.fillStyle = `hsl(${count % 360} 60% 50%)`;
        context.fillRect(0, 0, canvas.width, canvas.height);
      }, 33);
      const connection = new RTCPeerConnection();
      (globalThis as unknown as { connection: unknown }).connection = connection;
      canvas
        .captureStream(30)
        .getTracks()
        .forEach((track) => connection.addTrack(track));
      await connection.setRemoteDescription({ type: 'offer', sdp });
      await connection.setLocalDescription();
      await new Promise<void>((resolve) => {
        const check = () => connection.iceGatheringState === 'complete' && resolve();
        connection.addEventListener('icegatheringstatechange', check);
        check();
      });
      return connection.localDescription!.sdp;
    }, offer);
  return { answer, close: () => peerPage.close() };
};

test('a WHEP answer without media is left for LL-HLS after 3 s, and says so small', async () => {
  await page.goto(`${server.url}/watch/demo`);
  await until('LL-HLS plays', playsOver('ll-hls'));
  assert.equal((await view()).fallbackReason, 'no-picture');
  assert.equal(await headline(), '');
  await until('the session is deleted', () => server.requests.includes('DELETE /whep/session/1'));
  await until('reports come', () =>
    server.clientMessages.some((message) => message.type === 'report' && message.report.transport === 'll-hls'),
  );
});

test('a refused WHEP offer goes to LL-HLS at once and comes to its target latency', async () => {
  server.whep = 500;
  await page.goto(`${server.url}/watch/demo`);
  await until('LL-HLS plays', playsOver('ll-hls'), 5000);
  const sample = () => page.evaluate(() => (document.querySelector('sluice-player') as SluicePlayer).sample);
  await until(
    'latency is near its target',
    async () => {
      const now = await sample();
      const errorMs = (now?.latencyMs ?? Number.NaN) - (now?.targetLatencyMs ?? Number.NaN);
      return Math.abs(errorMs) < 300;
    },
    30_000,
  );
  await page.screenshot({ path: join(tmpdir(), 'sluice-watch-1280.png') });
});

test('WebRTC with a picture is shown, measured and reported', async () => {
  const peer = await answeringPeer();
  server.whep = (offer) => peer.answer(offer);
  await page.goto(`${server.url}/watch/demo`);
  await until('WHEP plays', playsOver('whep'), 5000);
  await until('the bound socket is used', () => server.requests.includes('WS /ws/demo?session=secret'));
  // The mapping says: the frame now on screen was captured 400 ms ago.
  const rtpTimestamp = await page.evaluate(
    () =>
      new Promise<number>((resolve) => {
        const video = document
          .querySelector('sluice-player')!
          .shadowRoot!.querySelector<HTMLVideoElement>('video.shown')!;
        video.requestVideoFrameCallback((_now, frame) => resolve(frame.rtpTimestamp ?? -1));
      }),
  );
  const wallMs = performance.timeOrigin + performance.now() - 400;
  server.send({ type: 'rtp-mapping', rtpTimestamp, mediaMs: 0, wallMs });
  await until('latency is that of the mapping', () =>
    server.clientMessages.some(
      (message) =>
        message.type === 'report' &&
        message.report.transport === 'whep' &&
        Math.abs((message.report.latencyMs ?? 0) - 400) < 150 &&
        message.report.framesDecoded > 0,
    ),
  );
  assert.ok(!server.requests.some((request) => request.startsWith('GET /hls/')), 'LL-HLS is not touched');
  await peer.close();
});

test('a host who drops and returns keeps the picture and is spoken of', async () => {
  const peer = await answeringPeer();
  server.whep = (offer) => peer.answer(offer);
  await page.goto(`${server.url}/watch/demo`);
  await until('WHEP plays', playsOver('whep'), 5000);
  server.setState('reconnecting');
  await peer.close();
  await until('words', async () => (await headline()) === 'The host is reconnecting');
  const picture = await page.evaluate(() => {
    const root = document.querySelector('sluice-player')!.shadowRoot!;
    return root.querySelector('video.shown') !== null || !root.querySelector<HTMLElement>('.last-picture')!.hidden;
  });
  assert.ok(picture, 'the last picture stays');
});

test('before the host it waits, then plays by itself; at the end it says so', async () => {
  server.whep = 404;
  server.setState('absent');
  await page.goto(`${server.url}/watch/demo`);
  await until('waiting', async () => (await headline()) === 'Waiting for the host');
  server.whep = 500;
  server.begin('broadcast-1', 6000);
  await until('LL-HLS plays', playsOver('ll-hls'));
  server.setState('ended');
  await until('ended', async () => (await headline()) === 'The broadcast has ended');
});

test('a server that was restarted is found again without a reload', async () => {
  server.whep = 500;
  await page.goto(`${server.url}/watch/demo`);
  await until('LL-HLS plays', playsOver('ll-hls'), 5000);
  await server.stop();
  await until('words', async () => (await headline()) === 'Reconnecting to the server');
  const peer = await answeringPeer();
  server.whep = (offer) => peer.answer(offer);
  await server.start();
  server.begin('broadcast-2', 3000);
  await until('WHEP plays', playsOver('whep'), 20_000);
  assert.equal(await headline(), '');
  await peer.close();
});

type ShownCue = { readonly id: string; readonly lateMs: number; readonly frame: number; readonly frameBefore: number };

/**
 * Notes which frame the page paints a cue with: a callback of the test's own sees each frame in the same rendering step as the player's. `clock` names what
 * tells frames apart: `mediaTime` in ms, or `rtpTimestamp`.
 */
const watchCues = async (clock: 'mediaTime' | 'rtpTimestamp'): Promise<void> =>
  page.evaluate((unit) => {
    const player = document.querySelector('sluice-player')!;
    const shown: ShownCue[] = [];
    let waiting: { id: string; lateMs: number; step: unknown } | null = null;
    let last = Number.NaN;
    Object.assign(globalThis, { shownCues: shown });
    player.addEventListener('sluice-cue', ({ detail }) => {
      if (detail.type === 'shown') {
        waiting = { id: detail.cue.id, lateMs: detail.lateMs, step: document.timeline.currentTime };
      }
    });
    const video = player.shadowRoot!.querySelector<HTMLVideoElement>('video.shown')!;
    const look = (nowMs: number, metadata: VideoFrameCallbackMetadata): void => {
      const frame = unit === 'mediaTime' ? metadata.mediaTime * 1000 : (metadata.rtpTimestamp ?? Number.NaN);
      const frameBefore = last;
      // The player's own callback may come first or last in the step.
      queueMicrotask(() =>
        setTimeout(() => {
          if (waiting !== null && waiting.step === nowMs) {
            shown.push({ id: waiting.id, lateMs: waiting.lateMs, frame, frameBefore });
            waiting = null;
          }
        }),
      );
      last = frame;
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  }, clock);

const shownCues = async (): Promise<readonly ShownCue[]> =>
  page.evaluate(() => (globalThis as unknown as { shownCues: ShownCue[] }).shownCues);

const wallNowMs = (): number => performance.timeOrigin + performance.now();

test('over WebRTC a cue is painted with the very frame that its RTP timestamp names', async () => {
  const peer = await answeringPeer();
  server.whep = (offer) => peer.answer(offer);
  await page.goto(`${server.url}/watch/demo`);
  await until('WHEP plays', playsOver('whep'), 5000);
  await until('the bound socket is used', () => server.requests.includes('WS /ws/demo?session=secret'));
  await watchCues('rtpTimestamp');
  const rtpTimestamp = await page.evaluate(
    () =>
      new Promise<number>((resolve) => {
        const video = document
          .querySelector('sluice-player')!
          .shadowRoot!.querySelector<HTMLVideoElement>('video.shown')!;
        video.requestVideoFrameCallback((_now, frame) => resolve(frame.rtpTimestamp ?? -1));
      }),
  );
  server.send({ type: 'rtp-mapping', rtpTimestamp, mediaMs: 5000, wallMs: wallNowMs() });
  const mark = {
    id: 'lamp',
    mode: 'media',
    mediaMs: 7000,
    programWallMs: wallNowMs() + 2000,
    showAtWallMs: null,
  } as const;
  server.send({ type: 'cue-mark', mark });
  server.send({ type: 'cue', cue: { ...mark, kind: 'product', title: 'Lamp', durationMs: null } });
  await until('it is shown', async () => (await shownCues()).length === 1);
  const [cue] = await shownCues();
  const msOf = (frame: number): number => 5000 + (frame - rtpTimestamp) / 90;
  assert.ok(msOf(cue!.frame) >= 6996 && msOf(cue!.frameBefore) < 6996, JSON.stringify({ ...cue, rtpTimestamp }));
  await peer.close();
});

test('over LL-HLS too, by program date; it is a card for pointer, keys and ears that covers no controls on a phone', async () => {
  await page.setViewportSize(PHONE);
  server.whep = 500;
  const soonMs = wallNowMs() + 3000;
  const at = (programWallMs: number) => ({ mode: 'media', mediaMs: 0, programWallMs, showAtWallMs: null }) as const;
  server.cues = {
    type: 'cues',
    marks: [{ id: 'lamp', ...at(soonMs) }],
    cues: [{ id: 'news', kind: 'message', title: '<b>Now</b>', durationMs: null, ...at(wallNowMs() - 60_000) }],
  };
  await page.goto(`${server.url}/watch/demo`);
  await until('LL-HLS plays', playsOver('ll-hls'), 5000);
  await watchCues('mediaTime');
  await page.locator('.countdown:visible').waitFor();
  assert.equal(await page.locator('.toast').innerText(), '<b>Now</b>');
  const title = 'Lamp <img src=x onerror=throw(1)>';
  const cue = {
    ...{ id: 'lamp', kind: 'product', title, price: '¥199', durationMs: null },
    ...{ link: 'https://shop.example/lamp', picture: 'javascript:throw(2)' },
    ...at(soonMs),
  };
  server.send({ type: 'cue', cue });
  const link = page.locator('.cue-card a');
  await link.waitFor();
  await until('its frame is known', async () => (await shownCues()).some(({ id }) => id === 'lamp'));
  const lamp = (await shownCues()).find(({ id }) => id === 'lamp')!;
  assert.ok(lamp.lateMs >= -4 && lamp.lateMs <= lamp.frame - lamp.frameBefore + 1, JSON.stringify(lamp));
  assert.deepEqual(
    await link.evaluate((element: HTMLAnchorElement) => [
      element.href,
      element.target,
      element.rel,
      element.childElementCount,
    ]),
    ['https://shop.example/lamp', '_blank', 'noopener', 1],
  );
  assert.match(await link.innerText(), /^Lamp <img src=x/);
  assert.equal(await page.locator('.said').textContent(), `${title}, ¥199`);
  const boxes = await page.evaluate(() => {
    const root = document.querySelector('sluice-player')!.shadowRoot!;
    return ['.cue-card', '.seek', '.row'].map((part) => root.querySelector(part)!.getBoundingClientRect().toJSON());
  });
  const [card, seek, row] = boxes as DOMRect[];
  assert.ok(card!.bottom <= seek!.top && card!.bottom <= row!.top && card!.height > 40, JSON.stringify(boxes));
  await link.focus();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.locator('.cue-card').waitFor({ state: 'detached' });
  server.send({ type: 'cue-withdrawn', id: 'news' });
  await page.locator('.toast').waitFor({ state: 'detached' });
});

test('clock mode is at the server’s instant, though the picture is a second behind; the example shop takes it into its cart', async () => {
  server.whep = 500;
  await page.goto(`${server.url}/examples/shop.html`);
  await until('LL-HLS plays', playsOver('ll-hls'), 10_000);
  const instantMs = wallNowMs() + 1000;
  const mark = {
    id: 'drop',
    mode: 'clock',
    mediaMs: 1e9,
    programWallMs: instantMs + 1e9,
    showAtWallMs: instantMs,
  } as const;
  await page.evaluate((wanted) => {
    document.querySelector('sluice-player')!.addEventListener('sluice-cue', ({ detail }) => {
      Object.assign(
        globalThis,
        detail.type === 'shown' ? { lateMs: performance.timeOrigin + performance.now() - wanted } : {},
      );
    });
  }, instantMs);
  server.send({ type: 'cue-mark', mark });
  server.send({ type: 'cue', cue: { ...mark, kind: 'product', title: 'Bowl', price: '¥8', durationMs: null } });
  await page.locator('#shelf button').click();
  assert.equal(await page.locator('#count').innerText(), '1');
  const lateMs = await page.evaluate(() => (globalThis as unknown as { lateMs: number }).lateMs);
  assert.ok(lateMs > -100, `${lateMs} ms after its instant`);
});

test('the player is light, and hls.js a file of its own that only LL-HLS fetches', async () => {
  const files = await staticFiles('sluice-player.js');
  const bytes = files.map(({ text }) => gzipSync(text, { level: 9 }).byteLength).reduce((sum, each) => sum + each, 0);
  assert.ok(bytes <= SIZE_MAX_BYTES, `${bytes} bytes in ${files.map(({ name }) => name).join(', ')}`);
  assert.ok(!files.some(({ text }) => text.includes('hlsManifestParsed')), 'hls.js is not among them');
  const peer = await answeringPeer();
  server.whep = (offer) => peer.answer(offer);
  await page.goto(`${server.url}/watch/demo`);
  await until('WHEP plays', playsOver('whep'), 5000);
  assert.ok(!server.requests.some((request) => request.includes('/hls-')), 'WebRTC needs none');
  await peer.close();
});

/** Issue 8: 90 kB, compressed, without hls.js. */
const SIZE_MAX_BYTES = 90_000;

/** What a browser loads with a script before it runs: all but what is asked for by `import()`. */
const staticFiles = async (
  name: string,
  seen = new Set<string>(),
): Promise<readonly { readonly name: string; readonly text: string }[]> => {
  if (seen.has(name)) {
    return [];
  }
  seen.add(name);
  const text = await readFile(join(DIST, name), 'utf8');
  const imports = [...text.matchAll(/(?:\bfrom|\bimport)\s*["'](\.[^"']+)["']/g)].map((match) =>
    posix.join(posix.dirname(name), match[1] ?? ''),
  );
  const below = await Promise.all(imports.map((each) => staticFiles(each, seen)));
  return [{ name, text }, ...below.flat()];
};

test('the pages fit a desktop and a phone', async () => {
  const common = {
    viewerCount: 3,
    startedAtWallMs: 0,
    bitrateBps: 4_500_000,
    audio: { codec: 'mp4a.40.2', channelCount: 2 },
  };
  const video = { codec: 'avc1.64001f', widthPx: 1920, heightPx: 1080, frameRateFps: 30 };
  server.whep = 500;
  await page.goto(server.url);
  await page.locator('#empty').waitFor();
  await shoot('index-empty');
  server.broadcasts = [
    {
      ...common,
      name: 'demo',
      id: 'a',
      state: 'live',
      video,
      findings: [
        {
          code: 'B_FRAMES',
          severity: 'warning',
          advice: 'The encoder sends B-frames, which delay every picture. In OBS set Tune to zerolatency.',
          costMs: 66,
        },
        {
          code: 'KEYFRAME_INTERVAL',
          severity: 'info',
          advice: 'Keyframes come every 8.3 s. Set the keyframe interval to 1 s.',
          costMs: null,
        },
      ],
    },
    {
      ...common,
      name: 'autumn_collection_2026',
      id: 'b',
      state: 'reconnecting',
      viewerCount: 1284,
      video,
      findings: [],
    },
    { ...common, name: 'kitchen', id: 'c', state: 'waiting', viewerCount: 1, bitrateBps: 0, video: null, findings: [] },
  ];
  await page.locator('.card').nth(2).waitFor();
  await shoot('index');
  await page.goto(`${server.url}/watch/demo`);
  await until('LL-HLS plays', playsOver('ll-hls'));
  await page.locator('#details summary').click();
  await page.locator('#findings li').first().waitFor();
  await shoot('watch');
  server.setState('reconnecting');
  await server.stop();
  await until('words', async () => (await headline()) !== '');
  await shoot('watch-words');
  await server.start();
});

/** Writes screenshots of both sizes; nothing may be wider than the screen. */
const shoot = async (name: string): Promise<void> => {
  for (const viewport of [DESKTOP, PHONE]) {
    await page.setViewportSize(viewport);
    await page.waitForTimeout(400);
    const widthPx = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(widthPx <= viewport.width, `${name} is ${widthPx} px wide at ${viewport.width}`);
    await page.screenshot({ path: join(tmpdir(), `sluice-${name}-${viewport.width}.png`) });
  }
};
