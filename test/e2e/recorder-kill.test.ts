/**
 * `kill -9` at random instants while recording (conformance part 3, row 16): after the restart every recording plays to within one
 * segment of the kill, is as long as it says, and nothing lies about that no recording names. First a recorder alone, killed in the middle of
 * writes; then the whole server, recording a real stream.
 */
import assert from 'node:assert/strict';
import { execFile, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Prng } from '../../server/base/prng.ts';
import { silentLog } from '../../server/observability/log.ts';
import { nodeFileSystem } from '../../server/replay/file-system.ts';
import type { OpenRecording } from '../../server/replay/recording.ts';
import { RecordingStore } from '../../server/replay/recording-store.ts';
import { openRecording } from '../../server/replay/segment-reader.ts';
import { makeClip } from '../support/clip.ts';
import { SluiceProcess, metricSum } from '../support/sluice-process.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { passMs, within } from '../support/wait.ts';

const IS_SOAK = process.env['SLUICE_SIZE'] === 'soak';
const SERVER_KILL_COUNT = IS_SOAK ? 50 : 5;
const WRITER_KILL_COUNT = IS_SOAK ? 300 : 4;
const SEED = Number(process.env['SLUICE_SEED'] ?? 20_261_123);
const RECORDING_PROCESS = fileURLToPath(new URL('../support/recording-process.ts', import.meta.url));
/** The longest segment, and a part of the next. */
const LOST_MAX_MS = 2_450 + 333;
const DURATION_ERROR_MAX_MS = 50;
const run = promisify(execFile);

/** Starts over what is in the folder, as the server does. */
const scan = async (root: string): Promise<RecordingStore> => {
  const store = new RecordingStore({ root, files: nodeFileSystem, log: silentLog });
  await store.scan();
  return store;
};

const assertNoOrphans = async (recording: OpenRecording): Promise<void> => {
  const names = (await readdir(recording.folder)).filter((name) => name.endsWith('.m4s') || name.startsWith('index'));
  const sizes = await Promise.all(names.map(async (name) => (await stat(path.join(recording.folder, name))).size));
  const media = sizes.filter((_, at) => names[at]?.endsWith('.m4s')).reduce((sum, size) => sum + size, 0);
  assert.equal(media, recording.index.mediaBytes, 'every byte of media belongs to a segment');
  assert.deepEqual(
    names.filter((name) => name.startsWith('index')),
    ['index'],
  );
};

test(`a recorder killed in the middle of writes loses nothing that was written (seed ${SEED})`, async (t) => {
  const root = tempFolder('kill');
  const prng = new Prng(SEED);
  for (let round = 0; round < WRITER_KILL_COUNT; round += 1) {
    const child = fork(RECORDING_PROCESS, [root], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    let writtenCount = 0;
    child.on('message', (count) => (writtenCount = Number(count)));
    await within(15_000, 'the recorder has begun', () => writtenCount > 0);
    await passMs(prng.nextIndex(120));
    child.kill('SIGKILL');
    await once(child, 'exit');
    const store = await scan(root);
    const { id } = store.list().toSorted((a, b) => (b.endedAtWallMs ?? 0) - (a.endedAtWallMs ?? 0))[0]!;
    assert.equal(store.list().length, 1);
    const recording = (await store.open(id))!;
    const { index } = recording;
    t.diagnostic(`round ${round}: told of ${writtenCount} segments, found ${index.segmentCount(0)}`);
    assert.ok(index.segmentCount(0) >= writtenCount, `${index.segmentCount(0)} found, ${writtenCount} were written`);
    for (const { trackId } of index.tracks) {
      for (let position = 0; position < index.segmentCount(trackId); position += 1) {
        await recording.readSegment(index.segmentAt(trackId, position)!);
      }
    }
    await assertNoOrphans(recording);
    await store.remove(id);
  }
});

/** Plays one track to its end; what ffmpeg complains about fails. Milliseconds from its first sample to the end of its last. */
const playedMs = async (recording: OpenRecording, trackId: number, folder: string): Promise<number> => {
  const { index } = recording;
  const chunks: Uint8Array[] = [index.tracks[trackId]!.inits[0]!.bytes];
  for (let position = 0; position < index.segmentCount(trackId); position += 1) {
    chunks.push(await recording.readSegment(index.segmentAt(trackId, position)!));
  }
  const file = path.join(folder, `${recording.index.header.id}-${trackId}.mp4`);
  await writeFile(file, Buffer.concat(chunks));
  const { stderr } = await run('ffmpeg', ['-v', 'error', '-xerror', '-i', file, '-f', 'null', '-']);
  assert.equal(stderr, '');
  const entries = ['-show_entries', 'packet=dts_time,duration_time', '-of', 'csv=p=0'];
  const { stdout } = await run('ffprobe', ['-v', 'error', ...entries, file], { maxBuffer: 2 ** 24 });
  const packets = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(',').map(Number));
  const [firstS = Number.NaN] = packets[0] ?? [];
  const [lastS = Number.NaN, lastDurationS = Number.NaN] = packets.at(-1) ?? [];
  return (lastS + lastDurationS - firstS) * 1000;
};

const publish = (t: TestContext, clip: string, url: string): (() => Promise<void>) => {
  const args = ['-v', 'quiet', '-re', '-stream_loop', '-1', '-i', clip, '-c', 'copy', '-f', 'flv', url];
  const child = spawn('ffmpeg', args, { stdio: 'ignore' });
  const ended = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  t.after(stop);
  return stop;
};

/** Wall-clock end of the newest part that a viewer could have seen. */
const liveEdgeMs = async (server: SluiceProcess): Promise<number> => {
  const index = await (await fetch(server.playlistUrl('shop'))).text();
  const uri = index.split('\n').find((line) => line.endsWith('video.m3u8'));
  const text = uri === undefined ? '' : await (await fetch(new URL(uri, server.playlistUrl('shop')))).text();
  const block = text.slice(text.lastIndexOf('#EXT-X-PROGRAM-DATE-TIME:'));
  const startMs = Date.parse(/#EXT-X-PROGRAM-DATE-TIME:(\S+)/.exec(block)?.[1] ?? '');
  const whole = /#EXTINF:([\d.]+)/.exec(block)?.[1];
  const parts = [...block.matchAll(/#EXT-X-PART:DURATION=([\d.]+)/g)].map((match) => Number(match[1]));
  return startMs + 1000 * (whole === undefined ? parts.reduce((sum, partS) => sum + partS, 0) : Number(whole));
};

/** The one recording that was not there before. */
const freshFolder = async (root: string, known: Set<string>): Promise<string> => {
  const fresh = (await readdir(root)).filter((id) => !known.has(id));
  assert.equal(fresh.length, 1, 'one recording a run');
  known.add(fresh[0]!);
  return path.join(root, fresh[0]!);
};

const check = async (t: TestContext, options: { folder: string; scratch: string; edgeMs: number }): Promise<void> => {
  const recording = await openRecording(options.folder);
  const { index } = recording;
  await assertNoOrphans(recording);
  assert.equal(index.endReason, 'interrupted');
  const end = index.marks.find(({ kind }) => kind === 'end');
  const lostMs = options.edgeMs - end!.atWallMs;
  t.diagnostic(`${Math.round(index.durationMs)} ms recorded, ${Math.round(lostMs)} ms before the kill missing`);
  assert.ok(lostMs <= LOST_MAX_MS, `${lostMs} ms are missing`);
  assert.equal(index.tracks.length, 2);
  for (const { trackId } of index.tracks) {
    const saidMs = index.elapsedMsAt(trackId, index.segmentCount(trackId));
    const foundMs = await playedMs(recording, trackId, options.scratch);
    assert.ok(Math.abs(foundMs - saidMs) <= DURATION_ERROR_MAX_MS, `plays ${foundMs} ms, says ${saidMs}`);
  }
};

test(`part 3 row 16: the server killed at random instants, recordings play to within a segment of the kill (seed ${SEED})`, async (t) => {
  const scratch = tempFolder('kill');
  const clip = await makeClip({ folder: scratch, bitrateBps: 1_000_000, durationS: 4, withSound: true });
  const prng = new Prng(SEED);
  const known = new Set<string>();
  let server = await SluiceProcess.start({ config: { replay: { freeMinBytes: 1 } } });
  t.after(async () => server.stop());
  const root = path.join(server.folder, 'data/replay');
  let checked = Promise.resolve();
  for (let round = 0; round < SERVER_KILL_COUNT; round += 1) {
    const running = server;
    const stopPublisher = publish(t, clip, running.rtmpUrl('shop'));
    await within(20_000, 'a segment of each track is on the disk', async () => {
      return metricSum(await running.metrics(), 'recorder_segments_total') >= 2;
    });
    await passMs(prng.nextIndex(IS_SOAK ? 8_000 : 1_500));
    await checked;
    const edgeMs = await liveEdgeMs(running);
    await running.kill();
    await stopPublisher();
    const isLeftToServer = round % 2 === 0;
    if (!isLeftToServer) {
      await scan(root);
    }
    server = await running.restart();
    assert.equal(server.events('recording.recovered').length, isLeftToServer ? 1 : 0);
    checked = check(t, { folder: await freshFolder(root, known), scratch, edgeMs });
  }
  await checked;
  assert.equal(known.size, SERVER_KILL_COUNT);
});
