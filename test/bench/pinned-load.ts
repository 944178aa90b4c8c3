/**
 * A hundred viewers of 2.5 Mbit/s with sound and transport-wide feedback, the server pinned to one core: how many access units left
 * more than 50 ms after they entered the hub? Publisher and viewers have the other core.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { makeClip } from '../support/clip.ts';
import { startLoad } from '../latency/load/load-run.ts';
import { FilePublisher } from '../latency/source/publisher.ts';
import { SluiceProcess, metricSum } from '../support/sluice-process.ts';
import type { Bench, BenchRow } from './row.ts';

/** The last is the one to carry; the ones before tell how far it goes where that is missed. */
const VIEWER_COUNTS = [40, 100];
const DURATION_S = 60;
const SERVER_CPU = '0';
const OTHER_CPU = '1';

/** Access units so far, and how many of them were late (the histogram's bucket of 50 ms tells). */
export const readLateness = async (
  sluice: SluiceProcess,
): Promise<{ total: number; late: number; packets: number }> => {
  const text = await sluice.metrics();
  const inTime = Number(/^hub_to_kernel_seconds_bucket\{[^}]*le="0\.05"[^}]*\} (\S+)$/m.exec(text)?.[1] ?? Number.NaN);
  const total = metricSum(text, 'hub_to_kernel_seconds_count');
  return { total, late: total - inTime, packets: metricSum(text, 'webrtc_out_packets_total') };
};

export const pinnedLoadBench: Bench = {
  name: 'pinned-load',
  run: async () => {
    const rows: BenchRow[] = [];
    for (const viewerCount of VIEWER_COUNTS) {
      rows.push(...(await runWith(viewerCount, { isToCarry: viewerCount === VIEWER_COUNTS.at(-1) })));
    }
    return rows;
  },
};

const runWith = async (viewerCount: number, options: { isToCarry: boolean }): Promise<BenchRow[]> => {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-bench-'));
  const clip = await makeClip({ folder, bitrateBps: 2_500_000, durationS: 20, withSound: true });
  const sluice = await SluiceProcess.start({
    cpus: SERVER_CPU,
    config: { ladder: { enabled: false }, webrtc: { requestsPerMinute: 1_000, joinsPerS: 20 } },
  });
  const publisher = new FilePublisher({ path: clip, url: sluice.rtmpUrl('load'), cpus: OTHER_CPU });
  try {
    await sluice.waitState('load', 'live');
    const rows = await measure(sluice, viewerCount);
    return options.isToCarry ? rows : rows.map(({ target: _none, ...row }) => row);
  } finally {
    await publisher.stop();
    await sluice.stop();
    await rm(folder, { recursive: true, force: true });
  }
};

const measure = async (sluice: SluiceProcess, viewerCount: number): Promise<BenchRow[]> => {
  const load = await startLoad({
    ...{ target: { kind: 'whep', url: sluice.whepUrl('load') }, viewerCount, durationS: DURATION_S },
    ...{ joinsPerS: 5, cpus: OTHER_CPU, processCount: 1 },
  });
  const before = await readLateness(sluice);
  const cpuBeforeMs = sluice.cpuMs({ withChildren: false });
  const startedAtMs = performance.now();
  await new Promise((resolve) => setTimeout(resolve, DURATION_S * 1000 - 1_000));
  const after = await readLateness(sluice);
  const cpuMs = sluice.cpuMs({ withChildren: false }) - cpuBeforeMs;
  const elapsedMs = performance.now() - startedAtMs;
  const report = await load.report;
  const unitCount = after.total - before.total;
  const { lostCount = 0, packetCount = 0, nackCount = 0, blackCount = 0 } = report.counts;
  const frame = report.delayMs['frame'];
  const loads = loadavg().map((value) => value.toFixed(1));
  const note = [
    `${load.joinedCount} viewers`,
    `load average ${loads.join(' ')}`,
    `${unitCount} units`,
    `${(report.bitrateBps / report.viewerCount / 1e6).toFixed(2)} Mbit/s each`,
    `${lostCount} of ${packetCount} packets lost`,
    `${nackCount} asked again`,
    `frame delay p50 ${frame?.p50.toFixed(1)} ms p99 ${frame?.p99.toFixed(1)} ms`,
    ...report.load.complaints,
  ].join(', ');
  return [
    {
      name: `${viewerCount} viewers × 2.5 Mbit/s on one core: access units later than 50 ms at the kernel`,
      value: (100 * (after.late - before.late)) / unitCount,
      unit: '%',
      target: { max: 0.1 },
      note,
    },
    {
      name: 'its viewers that did not join, or saw no picture',
      value: viewerCount - load.joinedCount + blackCount,
      unit: 'viewers',
      target: { max: 0 },
      note: Object.keys(report.failures).join('; ') || 'none failed',
    },
    { name: 'its CPU, server alone', value: (100 * cpuMs) / elapsedMs, unit: '% of a core' },
    { name: 'its CPU per packet', value: (1000 * cpuMs) / (after.packets - before.packets), unit: 'µs' },
  ];
};
