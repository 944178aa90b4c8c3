/**
 * Cues through the real server: armed with a countdown they fire over the socket with the media of their instant, stand in the live playlist under its
 * dates, outlive a `kill -9` on disk and on screen, and are chapters of the replay.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { WebSocket } from 'ws';
import type { Chapter, Cue, CueMessage } from '../../server/api/contract/cues.ts';
import type { CueList, HostedCue } from '../../server/api/contract/cues-host.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { withinValue } from '../support/wait.ts';

const NAME = 'shop';
const LINK = 'https://shop.example/boots';

const publish = (t: TestContext, url: string): (() => Promise<void>) => {
  const source = ['-re', '-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=30'];
  const encoding = [
    '-c:v',
    'libx264',
    '-preset',
    'ultrafast',
    '-tune',
    'zerolatency',
    '-g',
    '30',
    '-pix_fmt',
    'yuv420p',
  ];
  const child = spawn('ffmpeg', ['-v', 'quiet', ...source, ...encoding, '-f', 'flv', url], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  t.after(stop);
  return stop;
};

class Shop {
  readonly server: SluiceProcess;
  readonly #adminKey: string;

  constructor(server: SluiceProcess) {
    this.server = server;
    const keys = readFileSync(path.join(server.folder, 'data/keys.json'), 'utf8');
    this.#adminKey = (JSON.parse(keys) as { admin: string }).admin;
  }

  async ask<T>(method: string, path_: string, body?: object): Promise<T> {
    const response = await fetch(`${this.server.httpUrl}${path_}`, {
      method,
      headers: { authorization: `Bearer ${this.#adminKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(body ?? {}),
    });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path_}: ${response.status} ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  async cues(): Promise<CueList> {
    const response = await fetch(`${this.server.httpUrl}/api/broadcasts/${NAME}/cues`, {
      headers: { authorization: `Bearer ${this.#adminKey}` },
    });
    return (await response.json()) as CueList;
  }

  async text(path_: string): Promise<string> {
    return (await fetch(`${this.server.httpUrl}${path_}`)).text();
  }

  /** What the socket tells of cues, from its first message on. */
  async watch(t: TestContext): Promise<CueMessage[]> {
    const socket = new WebSocket(`${this.server.httpUrl.replace('http', 'ws')}/ws/${NAME}`);
    socket.on('error', () => undefined);
    t.after(() => socket.terminate());
    const told: CueMessage[] = [];
    socket.on('message', (raw: Buffer) => {
      const message = JSON.parse(raw.toString('utf8')) as CueMessage;
      if (message.type.startsWith('cue')) {
        told.push(message);
      }
    });
    await once(socket, 'open');
    return told;
  }

  async livePlaylist(): Promise<string> {
    const uri = (await this.text(`/hls/${NAME}/index.m3u8`)).split('\n').find((line) => line.endsWith('video.m3u8'));
    return uri === undefined ? '' : this.text(`/hls/${NAME}/${uri}`);
  }

  async newestRecording(): Promise<string | undefined> {
    const { replays } = JSON.parse(await this.text(`/api/replays?name=${NAME}`)) as { replays: { id: string }[] };
    return replays[0]?.id;
  }

  async chapters(recordingId: string): Promise<readonly Chapter[]> {
    return (JSON.parse(await this.text(`/replay/${recordingId}/chapters.json`)) as { chapters: Chapter[] }).chapters;
  }
}

/** The program date of a media time by the segment it lies in; undefined while none has it. */
const dateLine = (playlist: string, id: string): { startMs: number; cue: Cue } | undefined => {
  const line = playlist.split('\n').find((one) => one.startsWith(`#EXT-X-DATERANGE:ID="${id}"`)) ?? '';
  const json = /X-SLUICE-CUE="([^"]*)"/.exec(line)?.[1];
  const startMs = Date.parse(/START-DATE="([^"]*)"/.exec(line)?.[1] ?? '');
  return json === undefined ? undefined : { startMs, cue: JSON.parse(decodeURIComponent(json)) as Cue };
};

test('a cue fires with its media, stands in playlist and replay, and outlives the server’s death', async (t) => {
  let shop = new Shop(
    await SluiceProcess.start({ config: { replay: { freeMinBytes: 1 }, ladder: { enabled: false } } }),
  );
  t.after(async () => shop.server.stop());
  const cuesPath = `/api/broadcasts/${NAME}/cues`;
  await shop.ask('POST', cuesPath, { id: 'prepared', kind: 'message', title: 'Thank you' });
  const stopPublisher = publish(t, shop.server.rtmpUrl(NAME));
  await shop.server.waitState(NAME, 'live');
  const told = await shop.watch(t);
  const draft = { id: 'boots', kind: 'product', title: 'Boots & <more>', link: LINK, at: { countdownMs: 1_500 } };
  const armed = await shop.ask<HostedCue>('POST', cuesPath, draft);
  assert.equal(armed.state, 'armed');
  const fired = await withinValue(
    20_000,
    'the cue fires',
    () => told.flatMap((message) => (message.type === 'cue' ? message.cue : []))[0],
  );
  assert.equal(told.find((message) => message.type === 'cue-mark')?.mark.mediaMs, armed.mediaMs);
  assert.deepEqual([fired.link, fired.mediaMs], [LINK, armed.mediaMs]);
  assert.ok(!JSON.stringify(told.slice(0, -1)).includes(LINK), 'nothing of it is told before its instant');

  const listed = await withinValue(20_000, 'the playlist tells the cue', async () =>
    dateLine(await shop.livePlaylist(), 'boots'),
  );
  assert.equal(listed.cue.link, LINK);
  assert.ok(Math.abs(listed.startMs - fired.programWallMs) <= 15, `${listed.startMs} ${fired.programWallMs}`);
  const recordingId = await withinValue(20_000, 'the recording has its media', async () => {
    const id = await shop.newestRecording();
    return id !== undefined && (await shop.chapters(id)).length > 0 ? id : undefined;
  });

  await shop.server.kill();
  await stopPublisher();
  shop = new Shop(await shop.server.restart());
  const [chapter, ...others] = await shop.chapters(recordingId);
  assert.deepEqual([others.length, chapter?.title, chapter?.cue.link], [0, 'Boots & <more>', LINK]);
  assert.ok(chapter!.endMs > chapter!.startMs);
  assert.match(await shop.text(`/replay/${recordingId}/chapters.vtt`), /\d --> .*\nBoots &amp; &lt;more&gt;\n/);
  const vod = dateLine(await shop.text(`/replay/${recordingId}/track-0.m3u8`), 'boots');
  assert.equal(vod?.cue.link, LINK);

  const stopSecond = publish(t, shop.server.rtmpUrl(NAME));
  await shop.server.waitState(NAME, 'live');
  await withinValue(20_000, 'what was on goes on', async () =>
    (await shop.cues()).cues.find(({ id }) => id === 'boots'),
  );
  const second = await shop.watch(t);
  const snapshot = await withinValue(10_000, 'the first message', () => second.find(({ type }) => type === 'cues'));
  assert.ok(snapshot.type === 'cues' && snapshot.cues.some(({ id }) => id === 'boots'));
  await shop.ask('POST', `${cuesPath}/prepared/fire`, { at: 'now' });
  const nextId = await withinValue(20_000, 'the next recording has the cue', async () => {
    const id = await shop.newestRecording();
    const known = id === undefined || id === recordingId ? [] : await shop.chapters(id);
    return known.some(({ cue }) => cue.id === 'prepared') ? id : undefined;
  });
  await stopSecond();
  await shop.ask('DELETE', `/api/broadcasts/${NAME}`);
  const after = await shop.chapters(nextId);
  assert.deepEqual(
    after.map(({ cue: { id } }) => id),
    ['boots', 'prepared'],
  );
  assert.equal(after[0]?.startMs, 0);
  assert.deepEqual((await shop.cues()).cues, []);
});
