/**
 * The disk fills up in the middle of a broadcast: who watches live notices nothing, the recording pauses aloud and goes on when there
 * is room. And who rewinds gets from the disk what memory has forgotten (part 3, row 15). The full disk is a tmpfs of a few megabytes, which
 * takes the right to mount.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { openRecording } from '../../server/replay/segment-reader.ts';
import { makeClip } from '../support/clip.ts';
import type { PartialConfig } from '../support/sluice-process.ts';
import { SluiceProcess, metricSum } from '../support/sluice-process.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { passMs, within } from '../support/wait.ts';

const MIB = 2 ** 20;
const DISK_MIB = 48;
/** With its segments of 3.5 MB a memory of 12 MiB forgets the first one soon. */
const BITRATE_BPS = 14_000_000;

const mountTmpfs = (folder: string): boolean => {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB * MIB}`, 'tmpfs', folder], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
};

type Stage = { readonly server: SluiceProcess; readonly stopPublisher: () => Promise<void> };

/** A server and an encoder that loops a clip. Both are gone before what is registered after this runs. */
const startStage = async (
  t: TestContext,
  options: { folder: string; bitrateBps: number; config: PartialConfig },
): Promise<Stage> => {
  const { folder, bitrateBps, config } = options;
  const clip = await makeClip({ folder, bitrateBps, durationS: 4, withSound: true });
  const server = await SluiceProcess.start({ config });
  const url = server.rtmpUrl('shop');
  const args = ['-v', 'quiet', '-re', '-stream_loop', '-1', '-i', clip, '-c', 'copy', '-f', 'flv', url];
  const child = spawn('ffmpeg', args, { stdio: 'ignore' });
  const ended = once(child, 'exit');
  const stopPublisher = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  t.after(async () => {
    await stopPublisher();
    await server.stop();
  });
  await within(20_000, 'there is something to play', async () => {
    return (await fetch(server.playlistUrl('shop'))).status === 200;
  });
  return { server, stopPublisher };
};

const makeFolder = async (): Promise<string> => tempFolder('disk');

/** The media playlist of the pictures, as text, and where it is. */
const videoPlaylist = async (server: SluiceProcess, query = ''): Promise<{ url: URL; text: string }> => {
  const indexUrl = `${server.playlistUrl('shop')}${query}`;
  const index = await (await fetch(indexUrl)).text();
  const uri = index.split('\n').find((line) => line.includes('video.m3u8'));
  if (uri === undefined) {
    throw new Error(`no pictures in ${index}`);
  }
  const url = new URL(/URI="([^"]+)"/.exec(uri)?.[1] ?? uri, indexUrl);
  return { url, text: await (await fetch(url)).text() };
};

const segmentUris = (text: string): string[] => text.split('\n').filter((line) => line.startsWith('segment-'));

/** Reads the playlist over and over, fetches every new segment, and keeps what it saw. */
class LiveViewer {
  readonly seen = new Map<string, Buffer>();
  readonly faults: string[] = [];
  readonly #server: SluiceProcess;
  readonly #done: Promise<void>;
  #isOver = false;

  constructor(server: SluiceProcess) {
    this.#server = server;
    this.#done = this.#watch().catch((error: unknown) => {
      this.faults.push(String(error));
    });
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  async #watch(): Promise<void> {
    while (!this.#isOver) {
      const { url, text } = await videoPlaylist(this.#server);
      if (/#EXT-X-(?:DISCONTINUITY\n|GAP|ENDLIST)/.test(text)) {
        this.faults.push(text);
      }
      for (const uri of segmentUris(text).filter((candidate) => !this.seen.has(candidate))) {
        const response = await fetch(new URL(uri, url));
        this.seen.set(uri, Buffer.from(await response.arrayBuffer()));
        if (response.status !== 200) {
          this.faults.push(`${uri}: ${response.status}`);
        }
      }
      await passMs(200);
    }
  }

  /** Whole numbers in a row: what a player needs to go on. */
  get hasEveryNumber(): boolean {
    const numbers = [...this.seen.keys()].map((uri) => Number(/(\d+)\.m4s/.exec(uri)?.[1])).toSorted((a, b) => a - b);
    return numbers.every((number, at) => number === (numbers[0] ?? 0) + at);
  }
}

/** From the disk, byte for byte, what memory has forgotten; what the disk had no room for is a gap. */
const assertRewinds = async (server: SluiceProcess, viewer: LiveViewer): Promise<void> => {
  const first = [...viewer.seen.keys()][0] ?? '';
  await within(20_000, 'the live playlist has forgotten the first segment', async () => {
    return !segmentUris((await videoPlaylist(server)).text).includes(first);
  });
  const { url } = await videoPlaylist(server, '?dvr=1');
  await within(20_000, 'the gap is told', async () => (await (await fetch(url)).text()).includes('#EXT-X-GAP'));
  const text = await (await fetch(url)).text();
  // A viewer who came late may have missed the very first.
  assert.ok(segmentUris(text).slice(0, 2).includes(first), `${first} is not at the beginning of\n${text}`);
  const response = await fetch(new URL(first, url));
  assert.equal(response.status, 200);
  assert.match(response.headers.get('cache-control') ?? '', /immutable/);
  assert.deepEqual(Buffer.from(await response.arrayBuffer()), viewer.seen.get(first));
};

test('part 3 row 15: disk full in the middle, live goes on, the recording pauses aloud and goes on with room, rewind has all but the gap', async (t) => {
  const folder = await makeFolder();
  const disk = path.join(folder, 'disk');
  await mkdir(disk);
  if (!mountTmpfs(disk)) {
    await rm(folder, { recursive: true });
    t.skip('SKIPPED: this user may not mount a tmpfs, so no disk can be filled');
    return;
  }
  const cleanUp = async (): Promise<void> => {
    execFileSync('umount', ['-l', disk]);
    await rm(folder, { recursive: true });
  };
  const ballast = path.join(disk, 'ballast');
  // Room for the first segment and a half.
  await writeFile(ballast, Buffer.alloc((DISK_MIB - 6) * MIB));
  const replay = { folder: path.join(disk, 'replay'), freeMinBytes: 1, retryEveryMs: 300 };
  const hls = { storeMaxBytes: 12 * MIB, segmentMaxCount: 4 };
  const config = { replay, hls, publish: { reconnectGraceMs: 500 } };
  const { server, stopPublisher } = await startStage(t, { folder, bitrateBps: BITRATE_BPS, config });
  const viewer = new LiveViewer(server);
  t.after(async () => viewer.stop());
  t.after(cleanUp);
  await within(20_000, 'the recording pauses', () => server.events('recording.paused').length > 0);
  assert.equal(server.events('recording.paused')[0]!['reason'], 'disk_full');
  assert.equal(metricSum(await server.metrics(), 'recorder_paused'), 1);
  const { recording: told } = (await server.broadcasts())[0]!;
  assert.deepEqual([told?.state, told?.pauseReason], ['paused', 'disk_full']);
  await rm(ballast);
  await within(20_000, 'the recording goes on', () => server.events('recording.resumed').length > 0);
  await within(20_000, 'more segments are seen live', () => viewer.seen.size >= 4);
  await assertRewinds(server, viewer);
  await viewer.stop();
  assert.deepEqual(viewer.faults, []);
  assert.ok(viewer.hasEveryNumber, [...viewer.seen.keys()].join(' '));
  await stopPublisher();
  await within(20_000, 'the recording is closed', () => server.events('recording.closed').length > 0);
  const id = String(server.events('recording.closed')[0]!['recordingId']);
  const recording = await openRecording(path.join(replay.folder, id));
  const { index } = recording;
  assert.equal(index.endReason, 'broadcast_ended');
  assert.deepEqual(
    index.marks.map(({ kind, reason }) => `${kind} ${reason}`),
    ['loss disk_full', 'end broadcast_ended'],
  );
  for (const { trackId } of index.tracks) {
    const segments = Array.from({ length: index.segmentCount(trackId) }, (_, at) => index.segmentAt(trackId, at)!);
    assert.equal(segments.filter(({ isAfterLoss }) => isAfterLoss).length, 1, 'one break, in each track');
    for (const segment of segments) {
      await recording.readSegment(segment);
    }
  }
  t.diagnostic(
    `recorded ${Math.round(index.durationMs)} ms, lost ${String(server.events('recording.closed')[0]!['lostCount'])} segments`,
  );
});
