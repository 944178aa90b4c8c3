/**
 * Two thousand players wait for the same part of the same playlist: what does an answer cost the server, all of its request included, and how
 * long is it from the first byte of the first answer to the last byte of the last?
 */
import { rm } from 'node:fs/promises';
import { FilePublisher } from '../latency/source/publisher.ts';
import { makeClip } from '../support/clip.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { passMs, withinValue } from '../support/wait.ts';
import { startHlsLoad } from './hls-load-process.ts';
import type { Bench, BenchRow } from './row.ts';

const VIEWER_COUNT = 2_000;
export const WARM_UP_S = 5;
const DURATION_S = process.env['SLUICE_SIZE'] === 'soak' ? 30 : 10;
export const SERVER_CPU = '0';
export const LOAD_CPU = '1';

export type HlsStage = {
  readonly sluice: SluiceProcess;
  readonly clip: string;
  /** Paths of the media playlists, video first. */
  readonly playlists: readonly string[];
  stop(): Promise<void>;
};

/** A server on its core with one broadcast of 2.5 Mbit/s and sound. */
export const openHlsStage = async (): Promise<HlsStage> => {
  const folder = tempFolder('hls-bench');
  const clip = await makeClip({ folder, bitrateBps: 2_500_000, durationS: 20, withSound: true });
  // Encoders of rungs would share the server's core.
  const config = { ladder: { enabled: false }, tls: { port: 0, selfMade: true }, publish: { loopback: 'open' } };
  const sluice = await SluiceProcess.start({ cpus: SERVER_CPU, config });
  const publisher = new FilePublisher({ path: clip, url: sluice.rtmpUrl('load'), cpus: LOAD_CPU });
  const stop = async (): Promise<void> => {
    await publisher.stop();
    await sluice.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const index = await withinValue(20_000, 'the broadcast can be watched', async () => {
      const response = await fetch(sluice.playlistUrl('load'));
      const text = await response.text();
      return response.ok && text.includes('AUDIO=') ? text : undefined;
    });
    const uris = [...index.matchAll(/([^"\s]+\/(?:video|audio)\.m3u8)/g)].map(([, uri]) => `/hls/load/${uri}`);
    return { sluice, clip, playlists: uris.toSorted().toReversed(), stop };
  } catch (error) {
    await stop();
    throw error;
  }
};

/** CPU that the server takes with nobody watching, per millisecond. */
export const idleCpuRatio = async (sluice: SluiceProcess, durationMs: number): Promise<number> => {
  const before = sluice.cpuMs({ withChildren: false });
  const startedAtMs = performance.now();
  await passMs(durationMs);
  return (sluice.cpuMs({ withChildren: false }) - before) / (performance.now() - startedAtMs);
};

export const hlsBlockedBench: Bench = {
  name: 'hls-blocked',
  run: async () => {
    const stage = await openHlsStage();
    try {
      return await measure(stage);
    } finally {
      await stage.stop();
    }
  },
};

const measure = async ({ sluice, playlists }: HlsStage): Promise<BenchRow[]> => {
  const idleRatio = await idleCpuRatio(sluice, 5_000);
  const load = await startHlsLoad({
    ...{ mode: 'blocked', port: sluice.ports.http, playlists: playlists.slice(0, 1), viewerCount: VIEWER_COUNT },
    ...{ durationS: DURATION_S, warmUpS: WARM_UP_S, cpus: LOAD_CPU },
  });
  const before = sluice.cpuMs({ withChildren: false });
  const report = await load.report;
  const cpuMs = sluice.cpuMs({ withChildren: false }) - before - idleRatio * report.elapsedMs;
  const spreads = report.spreadsMs.toSorted((a, b) => a - b);
  const note = [
    `${report.responseCount} answers of ${Math.round(report.bytes / report.responseCount)} bytes`,
    `client ${((100 * report.cpuMs) / report.elapsedMs).toFixed(0)} % of its core`,
    report.failures.join('; ') || 'none failed',
  ].join(', ');
  return [
    {
      name: `${VIEWER_COUNT} blocked playlist requests released by one part: CPU per answer, request and all`,
      value: (1000 * cpuMs) / report.responseCount,
      unit: 'µs',
      target: { max: 60 },
      note,
    },
    {
      name: 'from the first byte of the first answer to the last byte of the last, median',
      value: spreads[spreads.length >> 1] ?? Number.NaN,
      unit: 'ms',
      target: { max: 150 },
      note: `longest ${(spreads.at(-1) ?? Number.NaN).toFixed(0)} ms of ${spreads.length} rounds, seen by the client`,
    },
  ];
};
