/** The server as its operator meets it: a process with keys, doors, refusals in plain words, and an orderly end. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import type { PartialConfig } from '../support/sluice-process.ts';
import { SluiceProcess, metricValue } from '../support/sluice-process.ts';
import { within } from '../support/wait.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const ENCODING = {
  safe: ['-tune', 'zerolatency', '-g', '30'],
  withBFrames: ['-bf', '2', '-g', '250'],
};

type Encoder = { readonly child: ChildProcess; readonly stderr: () => string };

/** A real ffmpeg that pushes a small picture with a tone until it is stopped. */
const startEncoder = (t: TestContext, url: string, encoding: keyof typeof ENCODING = 'safe'): Encoder => {
  const child = spawn(
    'ffmpeg',
    [
      ...[
        '-hide_banner',
        '-loglevel',
        'error',
        '-re',
        '-f',
        'lavfi',
        '-i',
        'testsrc2=s=320x180:r=30',
        '-re',
        '-f',
        'lavfi',
        '-i',
        'sine=f=440',
      ],
      ...['-t', '60', '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', ...ENCODING[encoding]],
      ...['-c:a', 'aac', '-f', 'flv', url],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let text = '';
  child.stderr?.on('data', (bytes: Buffer) => (text += bytes.toString()));
  t.after(() => child.kill('SIGKILL'));
  return { child, stderr: () => text };
};

/** What a refused encoder's user reads. */
const refusalOf = async (t: TestContext, url: string): Promise<string> => {
  const { child, stderr } = startEncoder(t, url);
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await once(child, 'close');
  clearTimeout(timer);
  return stderr();
};

const startServer = async (t: TestContext, config: PartialConfig = {}): Promise<SluiceProcess> => {
  const server = await SluiceProcess.start({ config });
  t.after(() => server.stop());
  return server;
};

type Keys = { readonly admin: string; readonly publish: Readonly<Record<string, string>> };

const keysOf = (server: SluiceProcess): Keys =>
  JSON.parse(readFileSync(path.join(server.folder, 'data/keys.json'), 'utf8')) as Keys;

test('a key opens a name; without it, or with another, the streamer reads why not', async (t) => {
  const server = await startServer(t, { publish: { loopback: 'closed' } });
  const keys = keysOf(server);
  assert.match(await refusalOf(t, server.rtmpUrl('main')), /a stream key is needed/);
  assert.match(
    await refusalOf(t, `${server.rtmpUrl('main')}?key=wrong-key-123`),
    /does not belong to this stream name/,
  );
  assert.match(
    await refusalOf(t, `${server.rtmpUrl('other')}?key=${keys.publish['main']}`),
    /does not belong to this stream name/,
  );
  startEncoder(t, `${server.rtmpUrl('main')}?key=${keys.publish['main']}`);
  await server.waitState('main', 'live');
  const log = server.logLines.join('\n');
  assert.ok(!log.includes(keys.publish['main'] ?? '-') && !log.includes('wrong-key-123'), 'no key is ever logged');
});

test('a new key made over the API works at once, and the old one no more', async (t) => {
  const server = await startServer(t, { publish: { loopback: 'closed' } });
  const { admin } = keysOf(server);
  const response = await fetch(`${server.httpUrl}/api/keys/shop-2`, {
    method: 'POST',
    headers: { authorization: `Bearer ${admin}` },
  });
  const { streamKey } = (await response.json()) as { streamKey: string };
  startEncoder(t, `rtmp://127.0.0.1:${server.ports.rtmp}/live/${streamKey}`);
  await server.waitState('shop-2', 'live');
  await fetch(`${server.httpUrl}/api/keys/shop-2`, { method: 'POST', headers: { authorization: `Bearer ${admin}` } });
  assert.match(await refusalOf(t, `rtmp://127.0.0.1:${server.ports.rtmp}/live/${streamKey}`), /does not belong/);
});

test('the same key takes over at once from a connection that is dead but open; nobody without it does', async (t) => {
  const server = await startServer(t);
  const url = `${server.rtmpUrl('main')}?key=${keysOf(server).publish['main']}`;
  const first = startEncoder(t, url);
  const before = await server.waitState('main', 'live');
  assert.match(await refusalOf(t, server.rtmpUrl('main')), /live from a publisher with a key/);
  first.child.kill('SIGSTOP');
  startEncoder(t, url);
  await within(5_000, 'the first session was replaced', () =>
    server.events('rtmp.session.closed').some((line) => line['reason'] === 'replaced'),
  );
  const after = await server.waitState('main', 'live');
  assert.equal(after.id, before.id);
});

test('without ffmpeg LL-HLS goes on, and WebRTC says plainly what it lacks', async (t) => {
  const server = await startServer(t, { transcode: { ffmpegPath: '/nowhere/ffmpeg' } });
  startEncoder(t, server.rtmpUrl('main'), 'withBFrames');
  await server.waitState('main', 'live');
  const post = async (): Promise<Response> =>
    fetch(server.whepUrl('main'), { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: 'v=0\r\n' });
  await within(10_000, 'WHEP answers 503', async () => (await post()).status === 503);
  assert.match(await (await post()).text(), /WHEP_NO_SAFE_RENDITION.*ffmpeg.*apt-get install ffmpeg/);
  await within(20_000, 'a multivariant playlist', async () => (await fetch(server.playlistUrl('main'))).status === 200);
});

test('doors over real HTTP: CORS, types, compression, metrics', async (t) => {
  const server = await startServer(t);
  startEncoder(t, server.rtmpUrl('main'));
  await server.waitState('main', 'live');
  const options = await fetch(server.whepUrl('main'), { method: 'OPTIONS' });
  assert.equal(options.headers.get('accept-post'), 'application/sdp');
  assert.equal(options.headers.get('access-control-allow-origin'), '*');
  assert.equal(
    (await fetch(server.whepUrl('main'), { method: 'HEAD' })).headers.get('content-type'),
    'application/sdp',
  );
  assert.equal((await fetch(server.whepUrl('main'), { method: 'POST', body: 'x' })).status, 415);
  const index = await fetch(server.playlistUrl('main'));
  assert.equal(index.status, 200);
  const videoUrl = new URL(
    (await index.text()).split('\n').find((line) => line.endsWith('video.m3u8')) ?? '',
    index.url,
  );
  const playlist = await fetch(videoUrl, { headers: { 'accept-encoding': 'gzip' } });
  assert.equal(playlist.headers.get('content-encoding'), 'gzip');
  assert.match(playlist.headers.get('vary') ?? '', /accept-encoding/i);
  assert.match(await playlist.text(), /#EXT-X-PART-INF/);
  const metrics = await server.metrics();
  assert.equal(metricValue(metrics, 'broadcasts_live'), 1);
  assert.ok((metricValue(metrics, 'rtmp_in_bytes_total') ?? 0) > 1_000);
});

test('SIGTERM: not ready, nobody new, then everything is closed and the exit is clean', async (t) => {
  const server = await startServer(t, { drain: { drainMaxS: 4 } });
  startEncoder(t, server.rtmpUrl('main'));
  await server.waitState('main', 'live');
  server.signal('SIGTERM');
  await within(3_000, '/readyz says 503', async () => (await fetch(`${server.httpUrl}/readyz`)).status === 503);
  assert.equal((await fetch(`${server.httpUrl}/healthz`)).status, 200);
  assert.match(await refusalOf(t, server.rtmpUrl('other')), /shutting down/);
  await within(10_000, 'the process has ended', () => !server.isRunning);
  assert.equal(server.exitCode, 0);
  assert.equal(server.events('server.stopped').length, 1);
  assert.equal(server.events('rtmp.session.closed').at(-1)?.['reason'], 'server_shutdown');
});

test('a configuration with faults stops the start with all of them', async () => {
  const child = spawn(
    process.execPath,
    [path.join(ROOT, 'server/main.ts'), '--set', 'http.port=x', '--set', 'nonsense=1'],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let stderr = '';
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  const [code] = (await once(child, 'close')) as [number];
  assert.equal(code, 1);
  assert.match(stderr, /http\.port/);
  assert.match(stderr, /nonsense/);
});
