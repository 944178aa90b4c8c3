/**
 * Opening the replay of eight hours: from a request to the playlists' last byte, index read from the disk, nothing kept from before;
 * what it leaves in memory; and planning a download of an hour.
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { systemClock } from '../../server/base/clock.ts';
import type { HttpRequest } from '../../server/base/http-exchange.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import { ReplayServer } from '../../server/replay/http-handler.ts';
import { planMp4 } from '../../server/replay/mp4-download.ts';
import type { OpenRecording, Recordings } from '../../server/replay/recording.ts';
import { openRecording } from '../../server/replay/segment-reader.ts';
import { ViewingLeases } from '../../server/replay/viewing-leases.ts';
import { readVodTimeline } from '../../server/replay/vod-timeline.ts';
import { MemoryRecordings } from '../support/memory-recordings.ts';
import { makeSampleRecording } from '../support/sample-recording.ts';
import { syntheticAudio, syntheticVideo } from '../support/synthetic-media.ts';
import { writeLongIndex } from './recorder.ts';
import type { Bench, BenchRow } from './row.ts';
import { tempFolder } from '../support/temp-folder.ts';

const LONG_ID = 'a'.repeat(32);
const MB = 1e6;
const HOUR_S = 3_600;
const KEPT_COUNT = 5;

const createServer = (recordings: Recordings): ReplayServer =>
  new ReplayServer({
    recordings,
    leases: new ViewingLeases(),
    storyboards: { answer: async () => undefined },
    downloads: { take: () => () => undefined },
    clock: systemClock,
    log: silentLog,
    metrics: new Metrics({ collectDefaults: false }),
  });

const requestOf = (file: string): HttpRequest => ({
  method: 'GET',
  path: `/replay/${LONG_ID}/${file}`,
  query: new URLSearchParams(),
  headers: { 'accept-encoding': 'gzip' },
  body: new Uint8Array(),
  remoteAddress: '127.0.0.1',
  signal: new AbortController().signal,
});

/** Reads the index from the disk once, as the store does. */
const recordingsIn = (folder: string): Recordings => {
  const recordings = new MemoryRecordings([]);
  let opened: Promise<OpenRecording> | undefined;
  recordings.open = async () => (opened ??= openRecording(folder));
  return recordings;
};

const aliveBytes = (): number => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
};

const measureOpening = async (folder: string): Promise<BenchRow[]> => {
  await writeLongIndex(folder);
  const openOnce = async (): Promise<{ server: ReplayServer; tookMs: number; cpuMs: number; bodyBytes: number }> => {
    const server = createServer(recordingsIn(folder));
    const startedAtMs = performance.now();
    const beforeUs = process.threadCpuUsage();
    await server.endpoint(requestOf('index.m3u8'));
    const { body } = await server.endpoint(requestOf('track-0.m3u8'));
    const { user, system } = process.threadCpuUsage(beforeUs);
    const tookMs = performance.now() - startedAtMs;
    return { server, tookMs, cpuMs: (user + system) / 1000, bodyBytes: body?.length ?? 0 };
  };
  const cold = await openOnce();
  const warm: { tookMs: number; cpuMs: number }[] = [];
  for (let k = 0; k < 9; k += 1) {
    const { tookMs, cpuMs } = await openOnce();
    warm.push({ tookMs, cpuMs });
  }
  // Several at once, so that what lingers of those before does not hide them.
  const beforeBytes = aliveBytes();
  const kept: ReplayServer[] = [];
  for (let k = 0; k < KEPT_COUNT; k += 1) {
    const { server } = await openOnce();
    await server.endpoint(requestOf('track-1.m3u8'));
    kept.push(server);
  }
  const keptBytes = (aliveBytes() - beforeBytes) / kept.length;
  const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[4] ?? Number.NaN;
  return [
    {
      name: 'Opening the VOD of 8 h: index, multivariant and media playlist',
      value: median(warm.map(({ tookMs }) => tookMs)),
      unit: 'ms',
      target: { max: 50 },
      note: `median of 9, ${median(warm.map(({ cpuMs }) => cpuMs)).toFixed(0)} ms of CPU; the first ever in a process ${cold.tookMs.toFixed(0)} ms, ${cold.cpuMs.toFixed(0)} of CPU; ${(cold.bodyBytes / 1000).toFixed(0)} kB compressed`,
    },
    {
      name: 'memory that it takes, both playlists kept',
      value: keptBytes / MB,
      unit: 'MB',
      target: { max: 10 },
    },
  ];
};

const measureDownload = async (folder: string): Promise<BenchRow> => {
  const recording = makeSampleRecording(folder, [
    {
      startMs: 0,
      video: syntheticVideo({ frameRateFps: 30, durationS: HOUR_S, gopFrames: 60 }),
      audio: syntheticAudio({ durationS: HOUR_S }),
    },
  ]);
  const timeline = readVodTimeline(recording.index);
  if (timeline === undefined) {
    throw new Error('nothing was recorded');
  }
  const startedAtMs = performance.now();
  const beforeUs = process.threadCpuUsage();
  const mp4 = await planMp4(recording, timeline, { fromMs: 0, toMs: timeline.durationMs });
  const { user, system } = process.threadCpuUsage(beforeUs);
  return {
    name: 'Planning the MP4 of an hour, until its first byte',
    value: performance.now() - startedAtMs,
    unit: 'ms',
    note: `${((user + system) / 1000).toFixed(0)} ms of CPU, head of ${(mp4.head.byteLength / MB).toFixed(1)} MB`,
  };
};

export const replayOpenBench: Bench = {
  name: 'replay-open',
  run: async () => {
    const folder = tempFolder('replay-open');
    try {
      return [...(await measureOpening(path.join(folder, 'long'))), await measureDownload(folder)];
    } finally {
      await rm(folder, { recursive: true });
    }
  },
};
