/**
 * The lab's own pages: nothing but a `<video>` and a player in its usual low-latency settings, so that any server can be measured.
 * The page is given out at the server's own origin (the browser answers that one address itself), so that what is measured does
 * not depend on the server's CORS headers and the browser asks no permission first. A WHEP client as a careful player has it:
 * it comes again when the server says 404, 429 or 503, after the time that the server names, until its patience ends.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import type { PlayTarget, Refusal } from './viewer-report.ts';

/** What the page tells about itself. */
export type BarePageState = {
  readonly startedAtWallMs: number | null;
  readonly refusals: readonly (Omit<Refusal, 'atMs'> & { readonly atWallMs: number })[];
  /** Why it gave up. */
  readonly failure: string | null;
};

type BareWindow = {
  sluiceBare: {
    play(target: { kind: string; url: string; patienceMs: number }): Promise<void>;
    leave(): Promise<void>;
    state(): BarePageState;
  };
};

const PAGE_PATH = '/sluice-lab-viewer';
const PLAYER_FILES: Partial<Record<PlayTarget['kind'], string>> = {
  'll-hls': fileURLToPath(import.meta.resolve('hls.js/dist/hls.min.js')),
  hls: fileURLToPath(import.meta.resolve('hls.js/dist/hls.min.js')),
  'http-flv': fileURLToPath(import.meta.resolve('mpegts.js/dist/mpegts.js')),
};

/** Runs in the page. Nothing from outside its own text may be used here. */
const installBarePlayers = (): void => {
  const RETRY_STATUSES = [404, 429, 503];
  const RETRY_AFTER_DEFAULT_S = 1;
  const REFUSAL_MAX_COUNT = 20;
  /** The link may be the worst there is. */
  const LEAVE_MAX_MS = 2_000;
  type HlsLike = {
    loadSource(url: string): void;
    attachMedia(media: HTMLVideoElement): void;
    on(event: string, listener: (event: string, data: { fatal: boolean; details: string }) => void): void;
  };
  type FlvLike = {
    attachMediaElement(media: HTMLVideoElement): void;
    load(): void;
    play(): Promise<void> | void;
    on(event: string, listener: (type: string, detail: string) => void): void;
  };
  const players = globalThis as unknown as {
    Hls: new (config: object) => HlsLike;
    mpegts: { createPlayer(media: object, config: object): FlvLike };
  };
  const refusals: { atWallMs: number; status: number; text: string }[] = [];
  let startedAtWallMs: number | null = null;
  let failure: string | null = null;
  let peer: RTCPeerConnection | undefined;
  let resourceUrl: string | undefined;

  const nowWallMs = (): number => performance.timeOrigin + performance.now();
  const video = (): HTMLVideoElement => document.querySelector('video')!;
  const pass = async (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

  /** The answer with 201; undefined when patience ended. Throws on any other refusal. */
  const postOffer = async (url: string, sdp: string, patienceMs: number): Promise<Response | undefined> => {
    const untilMs = nowWallMs() + patienceMs;
    for (;;) {
      const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: sdp });
      if (response.status === 201) {
        return response;
      }
      const text = await response.text();
      refusals.push({ atWallMs: nowWallMs(), status: response.status, text: text.slice(0, 500) });
      refusals.splice(0, Math.max(0, refusals.length - REFUSAL_MAX_COUNT));
      if (!RETRY_STATUSES.includes(response.status)) {
        throw new Error(`WHEP answered ${response.status}: ${text}`);
      }
      const waitMs = 1000 * (Number(response.headers.get('retry-after')) || RETRY_AFTER_DEFAULT_S);
      if (nowWallMs() + waitMs > untilMs) {
        failure = `WHEP answered ${response.status}: ${text}`;
        return undefined;
      }
      await pass(waitMs);
    }
  };

  const playWhep = async (url: string, patienceMs: number): Promise<void> => {
    peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    const stream = new MediaStream();
    video().srcObject = stream;
    peer.addEventListener('track', (event) => stream.addTrack(event.track));
    peer.addTransceiver('video', { direction: 'recvonly' });
    peer.addTransceiver('audio', { direction: 'recvonly' });
    await peer.setLocalDescription();
    const response = await postOffer(url, peer.localDescription!.sdp, patienceMs);
    if (response !== undefined) {
      const location = response.headers.get('location');
      resourceUrl = location === null ? undefined : new URL(location, url).href;
      await peer.setRemoteDescription({ type: 'answer', sdp: await response.text() });
    }
  };

  const playHls = (url: string, lowLatencyMode: boolean): void => {
    const hls = new players.Hls({ lowLatencyMode });
    // What is not there yet is asked for again, as players in front of a live stream do.
    hls.on('hlsError', (_event, data) => {
      failure = data.details;
      if (data.fatal) {
        setTimeout(() => hls.loadSource(url), 1000);
      }
    });
    hls.loadSource(url);
    hls.attachMedia(video());
  };

  const playFlv = (url: string): void => {
    const flv = players.mpegts.createPlayer(
      { type: 'flv', isLive: true, url },
      { enableStashBuffer: false, liveBufferLatencyChasing: true, lazyLoad: false },
    );
    flv.on('error', (type, detail) => {
      failure = `${type}: ${detail}`;
    });
    flv.attachMediaElement(video());
    flv.load();
    void flv.play();
  };

  const play = async (target: { kind: string; url: string; patienceMs: number }): Promise<void> => {
    startedAtWallMs = nowWallMs();
    if (target.kind === 'whep') {
      await playWhep(target.url, target.patienceMs);
    } else if (target.kind === 'http-flv') {
      playFlv(target.url);
    } else {
      playHls(target.url, target.kind === 'll-hls');
    }
  };

  /** Ends the session at the server too, so that it sends nothing into the next measurement. */
  const leave = async (): Promise<void> => {
    peer?.close();
    if (resourceUrl !== undefined) {
      const bound = { method: 'DELETE', signal: AbortSignal.timeout(LEAVE_MAX_MS) };
      await fetch(resourceUrl, bound).catch(() => undefined);
      resourceUrl = undefined;
    }
  };

  (globalThis as unknown as BareWindow).sluiceBare = {
    play,
    leave,
    state: () => ({ startedAtWallMs, refusals, failure }),
  };
};

const bareHtml = (
  kind: PlayTarget['kind'],
): string => `<!doctype html><title>viewer</title><link rel="icon" href="data:,">
${PLAYER_FILES[kind] === undefined ? '' : `<script src="${PAGE_PATH}/player.js"></script>`}
<script>(${installBarePlayers.toString()})();</script>
<video muted autoplay playsinline style="width:640px"></video>`;

/** Loads the bare page for this target; nothing plays yet. */
export const openBarePage = async (page: Page, target: PlayTarget): Promise<void> => {
  const file = PLAYER_FILES[target.kind];
  const script = file === undefined ? '' : await readFile(file, 'utf8');
  const pageUrl = new URL(PAGE_PATH, target.url).href;
  await page.route(pageUrl, (route) => route.fulfill({ contentType: 'text/html', body: bareHtml(target.kind) }));
  await page.route(`${pageUrl}/player.js`, (route) => route.fulfill({ contentType: 'text/javascript', body: script }));
  await page.goto(pageUrl);
  // Looking at requests costs them time.
  await page.unroute(pageUrl);
  await page.unroute(`${pageUrl}/player.js`);
};

/** Rejects when the server refuses for good; resolves early when it only lets the viewer wait for longer than `patienceMs`. */
export const playBarePage = async (page: Page, target: PlayTarget, patienceMs: number): Promise<void> =>
  page.evaluate((wanted) => (globalThis as unknown as BareWindow).sluiceBare.play(wanted), { ...target, patienceMs });

/** Ends the WHEP session, where there is one. */
export const leaveBarePage = async (page: Page): Promise<void> =>
  page.evaluate(async () => (globalThis as unknown as BareWindow).sluiceBare.leave());

export const readBarePage = async (page: Page): Promise<BarePageState> =>
  page.evaluate(() => (globalThis as unknown as BareWindow).sluiceBare.state());
