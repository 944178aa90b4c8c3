/**
 * What recording costs: CPU for a rendition of 2.5 Mbit/s, opening an index of eight hours, and the memory of a broadcast that has been
 * running for eight hours with all of it to go back to (played in virtual time, written to nowhere).
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ManualClock, systemClock } from '../../server/base/clock.ts';
import type { Clock } from '../../server/base/clock.ts';
import type { SourceUnit } from '../../server/media/access-unit.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import type { FileSystem } from '../../server/replay/file-system.ts';
import { nodeFileSystem } from '../../server/replay/file-system.ts';
import { encodePrefix, encodeRecord } from '../../server/replay/index-format.ts';
import { RECORDER_DEFAULTS } from '../../server/replay/options.ts';
import { Recorder } from '../../server/replay/recorder.ts';
import { RecordingStore } from '../../server/replay/recording-store.ts';
import { openRecording } from '../../server/replay/segment-reader.ts';
import { createTestBroadcast, createTestHls } from '../support/hls-host.ts';
import { packagedSegment } from '../support/packaged-segments.ts';
import { testAudioTrack, testVideoTrack } from '../support/synthetic-media.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { passMs } from '../support/wait.ts';
import type { Bench, BenchRow } from './row.ts';

const HOURS = 8;
const SEGMENT_COUNT = HOURS * 1_800;
const VIDEO_SEGMENT_BYTES = 625_000;
const AUDIO_SEGMENT_BYTES = 32_000;
const MB = 1e6;

const createRecorder = (
  root: string,
  files: FileSystem,
  clock: Clock,
): { recorder: Recorder; store: RecordingStore } => {
  const store = new RecordingStore({ root, files, log: silentLog });
  const settings = { ...RECORDER_DEFAULTS, freeMinBytes: 1 };
  const metrics = new Metrics({ collectDefaults: false });
  return { store, recorder: new Recorder({ settings, root, store, files, clock, log: silentLog, metrics }) };
};

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** A hundred segments in the time of one each, after fifty to warm up. */
const measureCpu = async (folder: string): Promise<BenchRow> => {
  const { recorder } = createRecorder(folder, nodeFileSystem, systemClock);
  const video = packagedSegment(0, { payloadBytes: VIDEO_SEGMENT_BYTES });
  const audio = packagedSegment(0, { renditionId: 'audio', payloadBytes: AUDIO_SEGMENT_BYTES });
  const push = async (from: number, count: number): Promise<void> => {
    for (let msn = from; msn < from + count; msn += 1) {
      recorder.onSegment({ ...video, msn });
      recorder.onSegment({ ...audio, msn });
      await passMs(20);
    }
  };
  await push(0, 50);
  const beforeMs = cpuMs();
  await push(50, 100);
  const usedMs = cpuMs() - beforeMs;
  await recorder.end(video.broadcastId, 'bench');
  return {
    name: 'Recorder, one rendition of 2.5 Mbit/s with sound',
    value: (100 * usedMs) / (100 * 2_000),
    unit: '% of a core',
    target: { max: 0.5 },
    note: '100 segments of 2 s, fsync every 5 s',
  };
};

/** An index as eight hours of pictures and sound leave it. */
export const writeLongIndex = async (folder: string): Promise<void> => {
  const header = { id: 'a'.repeat(32), name: 'long', title: '', startedAtWallMs: 1.7e12 };
  const records = [encodePrefix(), encodeRecord({ type: 'header', header })];
  const samples = [packagedSegment(0), packagedSegment(0, { renditionId: 'audio' })];
  for (const [trackId, { track, renditionId, init }] of samples.entries()) {
    const { kind, codecString, timescaleHz } = track;
    const trackInit = { initIndex: 0, codecString, timescaleHz, widthPx: 0, heightPx: 0, channelCount: 0, bytes: init };
    records.push(encodeRecord({ type: 'track', track: { trackId, renditionId, kind, init: trackInit } }));
  }
  for (let index = 0; index < SEGMENT_COUNT * 2; index += 1) {
    const [trackId, msn] = [index % 2, Math.floor(index / 2)];
    const byteLength = trackId === 0 ? VIDEO_SEGMENT_BYTES : AUDIO_SEGMENT_BYTES;
    const place = { fileIndex: trackId, byteOffset: msn * byteLength, byteLength, crc32: msn };
    const times = { startTicks: msn * 180_000, durationTicks: 180_000, wallMs: 1.7e12 + msn * 2_000 };
    const flags = { isDiscontinuity: false, isIndependent: true, isAfterLoss: false };
    records.push(
      encodeRecord({ type: 'segment', segment: { trackId, msn, initIndex: 0, ...place, ...times, ...flags } }),
    );
  }
  await mkdir(folder);
  await writeFile(path.join(folder, 'index'), Buffer.concat(records));
};

const collectGarbage = (): void => {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
};

const aliveBytes = (): number => {
  collectGarbage();
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
};

const measureOpening = async (folder: string): Promise<BenchRow[]> => {
  await writeLongIndex(folder);
  const beforeBytes = aliveBytes();
  const firstAtMs = performance.now();
  const first = await openRecording(folder);
  const firstMs = performance.now() - firstAtMs;
  const keptBytes = aliveBytes() - beforeBytes;
  const againAtMs = performance.now();
  const beforeUs = process.threadCpuUsage();
  await openRecording(folder);
  const { user, system } = process.threadCpuUsage(beforeUs);
  const againMs = performance.now() - againAtMs;
  const note = `${first.index.segmentCount(0)} segments × 2 tracks; again ${againMs.toFixed(0)} ms, ${((user + system) / 1000).toFixed(0)} of CPU`;
  return [
    {
      name: `Opening the index of ${HOURS} h, for the first time`,
      value: firstMs,
      unit: 'ms',
      target: { max: 50 },
      note,
    },
    { name: 'memory that it takes', value: keptBytes / MB, unit: 'MB', target: { max: 10 } },
  ];
};

/** Takes everything, keeps nothing but the index's length. */
const nowhere = (): FileSystem => {
  const sizes = new Map<string, number>();
  return {
    ...nodeFileSystem,
    open: async (file) => ({
      write: async (bytes, position) => {
        sizes.set(file, position + bytes.byteLength);
        return bytes.byteLength;
      },
      read: async () => Buffer.alloc(0),
      sync: async () => undefined,
      stat: async () => ({ bytes: sizes.get(file) ?? 0, linkCount: 1 }),
      close: async () => undefined,
    }),
    makeFolder: async () => undefined,
    syncFolder: async () => undefined,
    freeBytes: async () => Number.POSITIVE_INFINITY,
  };
};

const measureRewindMemory = async (): Promise<BenchRow[]> => {
  const clock = new ManualClock();
  const { recorder, store } = createRecorder('/nowhere', nowhere(), clock);
  const { server } = createTestHls({ clock, rewind: recorder });
  const broadcast = createTestBroadcast(clock, 'long');
  server.attach(broadcast);
  const feed = broadcast.attachPublisher({ keyed: true, remoteAddress: '127.0.0.1', close: () => undefined });
  const [video, audio] = [testVideoTrack(), testAudioTrack()];
  const picture = new Uint8Array(VIDEO_SEGMENT_BYTES / 60);
  const sound = new Uint8Array(340);
  let soundCount = 0;
  const push = (unit: Pick<SourceUnit, 'track' | 'dtsTicks' | 'payload' | 'isKeyframe'>): void => {
    feed.push({ ...unit, ptsTicks: unit.dtsTicks, arrivedAtMs: clock.nowMs(), arrivedAtWallMs: clock.wallMs() });
  };
  const playSecond = async (second: number): Promise<void> => {
    for (let frame = 0; frame < 30; frame += 1) {
      const dtsTicks = (second * 30 + frame) * 3_000;
      push({ track: video, dtsTicks, payload: picture, isKeyframe: frame === 0 });
      for (; soundCount * 1_024 * 90_000 <= dtsTicks * 48_000; soundCount += 1) {
        push({ track: audio, dtsTicks: soundCount * 1_024, payload: sound, isKeyframe: true });
      }
      clock.advanceMs(1000 / 30);
    }
    await nextTurn();
  };
  const at: number[] = [];
  for (let second = 0; second < HOURS * 3_600; second += 1) {
    await playSecond(second);
    if ([600, 3_600, HOURS * 3_600 - 1].includes(second)) {
      at.push(aliveBytes());
    }
  }
  const lostCount = recorder.statusOf(broadcast.id)?.lostCount;
  broadcast.end('bench');
  await recorder.close('bench');
  const recordedS = (store.list()[0]?.durationMs ?? 0) / 1000;
  server.close();
  // What is free again once it is over is what it held.
  const restBytes = aliveBytes();
  const [tenMin = 0, anHour = 0, end = 0] = at.map((bytes) => (bytes - restBytes) / MB);
  const note = `2.5 Mbit/s with sound; ${tenMin.toFixed(1)} MB after 10 min, ${anHour.toFixed(1)} after an hour; ${recordedS.toFixed(0)} s recorded, ${lostCount} segments lost`;
  return [
    { name: `Memory of a broadcast with ${HOURS} h of rewind`, value: end, unit: 'MB', target: { max: 60 }, note },
  ];
};

export const recorderBench: Bench = {
  name: 'recorder',
  run: async () => {
    const folder = tempFolder('bench');
    try {
      // Memory first: nothing that another measurement leaves behind is taken for the beginning.
      const memory = await measureRewindMemory();
      const opening = await measureOpening(path.join(folder, 'long'));
      return [await measureCpu(path.join(folder, 'cpu')), ...opening, ...memory];
    } finally {
      await rm(folder, { recursive: true });
    }
  },
};
