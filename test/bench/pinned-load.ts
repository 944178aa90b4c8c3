/**
 * How many viewers of 2.5 Mbit/s one core carries: the server is held to it, publisher and viewers have the other. With transport-wide feedback; a hundred with
 * sound, then `--viewers N` without. What of each frame's delay is over its viewer's least, and how many access units left more than 50 ms after they entered the hub.
 */
import { rm } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { makeClip } from '../support/clip.ts';
import { startLoad } from '../latency/load/load-run.ts';
import { FilePublisher } from '../latency/source/publisher.ts';
import { SluiceProcess, metricSum } from '../support/sluice-process.ts';
import { HubToKernel, LATE_MS } from './hub-to-kernel.ts';
import type { Bench, BenchRow } from './row.ts';
import { tempFolder } from '../support/temp-folder.ts';

const WITH_SOUND_COUNT = 100;
const VIEWER_COUNT = 500;
const DURATION_S = 60;
const SERVER_CPU = '0';
const OTHER_CPU = '1';

export const pinnedLoadBench: Bench = {
  name: 'pinned-load',
  run: async ({ viewerCount = VIEWER_COUNT }) => [
    ...(await runWith(WITH_SOUND_COUNT, true)),
    ...(await runWith(viewerCount, false)),
  ],
};

const runWith = async (viewerCount: number, withSound: boolean): Promise<BenchRow[]> => {
  const folder = tempFolder('bench');
  const clip = await makeClip({ folder, bitrateBps: 2_500_000, durationS: 20, withSound, isCompact: true });
  const sluice = await SluiceProcess.start({
    cpus: SERVER_CPU,
    config: { ladder: { enabled: false }, webrtc: { requestsPerMinute: 100_000, joinsPerS: 50 } },
  });
  const publisher = new FilePublisher({ path: clip, url: sluice.rtmpUrl('load'), cpus: OTHER_CPU });
  try {
    await sluice.waitState('load', 'live');
    return await measure(sluice, { viewerCount, withSound });
  } finally {
    await publisher.stop();
    await sluice.stop();
    await rm(folder, { recursive: true, force: true });
  }
};

const measure = async (
  sluice: SluiceProcess,
  { viewerCount, withSound }: { viewerCount: number; withSound: boolean },
): Promise<BenchRow[]> => {
  const load = await startLoad({
    ...{ target: { kind: 'whep', url: sluice.whepUrl('load') }, viewerCount, durationS: DURATION_S },
    ...{ joinsPerS: 25, cpus: OTHER_CPU, processCount: 1 },
  });
  const before = await sluice.metrics();
  const cpuBeforeMs = sluice.cpuMs({ withChildren: false });
  const startedAtMs = performance.now();
  await new Promise((resolve) => setTimeout(resolve, DURATION_S * 1000 - 1_000));
  const after = await sluice.metrics();
  const cpuMs = sluice.cpuMs({ withChildren: false }) - cpuBeforeMs;
  const elapsedMs = performance.now() - startedAtMs;
  const report = await load.report;
  const units = HubToKernel.read(after).since(HubToKernel.read(before));
  const packetsOut = (text: string): number => metricSum(text, 'webrtc_out_packets_total');
  const { lostCount = 0, packetCount = 0, nackCount = 0, blackCount = 0 } = report.counts;
  const frame = report.delayMs['frame'];
  const loads = loadavg().map((value) => value.toFixed(1));
  const note = [
    `${load.joinedCount} viewers`,
    `load average ${loads.join(' ')}`,
    `${units.unitCount} units`,
    `${(report.bitrateBps / report.viewerCount / 1e6).toFixed(2)} Mbit/s each`,
    `${lostCount} of ${packetCount} packets lost`,
    `${nackCount} asked again`,
    ...report.load.complaints,
  ].join(', ');
  const who = `${viewerCount} viewers × 2.5 Mbit/s on one core, ${withSound ? 'with' : 'without'} sound`;
  return [
    {
      name: `${who}: a frame's delay over the viewer's least, p99`,
      ...{ value: frame?.p99 ?? Number.NaN, unit: 'ms', target: { max: 50 } },
      note: `p50 ${frame?.p50.toFixed(1)}, p95 ${frame?.p95.toFixed(1)}; ${note}`,
    },
    {
      name: `its access units later than ${LATE_MS} ms at the kernel`,
      ...{ value: 100 * units.lateRatio, unit: '%', target: { max: 0.1 } },
    },
    {
      name: 'its viewers that did not join, or saw no picture',
      ...{ value: viewerCount - load.joinedCount + blackCount, unit: 'viewers', target: { max: 0 } },
      note: Object.keys(report.failures).join('; ') || 'none failed',
    },
    { name: 'its CPU, server alone', value: (100 * cpuMs) / elapsedMs, unit: '% of a core' },
    { name: 'its CPU per packet', value: (1000 * cpuMs) / (packetsOut(after) - packetsOut(before)), unit: 'µs' },
  ];
};
