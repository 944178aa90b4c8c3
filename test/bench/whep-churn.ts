/**
 * Viewers of one broadcast with rungs encoded beforehand, over a way that loses 1 %, while some leave and others come all the time: how long an access
 * unit takes from the hub to the kernel, whether memory and sockets come back; then the same while something else wants the server's core. The server's part (hub,
 * WHEP, controllers, port) has core 0, the viewers have core 1. `--viewers N`, `--seconds N` for the first part; four minutes.
 */
import { runLoad, startLoad } from '../latency/load/load-run.ts';
import type { LoadReport } from '../latency/load/load-report.ts';
import { hogCpu } from '../support/cpu-hog.ts';
import type { RungHostHeld } from '../support/rung-host.ts';
import { rssBytes } from '../support/process-usage.ts';
import { startRungHost, type RungHost } from '../support/rung-host-process.ts';
import { metricSum } from '../support/sluice-process.ts';
import { passMs, within } from '../support/wait.ts';
import { HubToKernel, LATE_MS } from './hub-to-kernel.ts';
import type { Bench, BenchRow } from './row.ts';

const VIEWER_COUNT = 60;
/** Each viewer stays a quarter of a minute: 300 of them would be twenty a second. */
const STAY_S = 15;
const LOSS_RATIO = 0.01;
const DURATION_S = process.env['SLUICE_SIZE'] === 'soak' ? 120 : 10;
const HOG_S = process.env['SLUICE_SIZE'] === 'soak' ? 30 : 10;
const SERVER_CPU = '0';
const OTHER_CPU = '1';
const GONE_MAX_MS = 30_000;
/** Of the resident memory, over the time that is measured. */
const LOOK_COUNT = 8;

export const whepChurnBench: Bench = {
  name: 'whep-churn',
  run: async ({ viewerCount = VIEWER_COUNT, durationS = DURATION_S }) => {
    const host = await startRungHost({ cpus: SERVER_CPU });
    try {
      await runLoad({ ...shapeOf(host, viewerCount), durationS: STAY_S / 3 });
      const base = await settled(host);
      const calm = await measure(host, { viewerCount, durationS });
      const after = await settled(host);
      const endHog = hogCpu([SERVER_CPU]);
      try {
        const hogged = await measure(host, { viewerCount, durationS: HOG_S });
        return [...calmRows(viewerCount, calm, { base, after }), ...hoggedRows(calm, hogged)];
      } finally {
        await endHog();
      }
    } finally {
      await host.stop();
    }
  },
};

const shapeOf = (host: RungHost, viewerCount: number) => ({
  ...{ target: { kind: 'whep', url: host.whepUrl, lossRatio: LOSS_RATIO } as const, serverPid: host.pid },
  ...{ viewerCount, churnPerS: viewerCount / STAY_S, vanishRatio: 0.25 },
  ...{ joinsPerS: 20, processCount: 1, cpus: OTHER_CPU },
});

/** When all have gone: who vanished is known to be gone ten seconds later. */
const settled = async (host: RungHost): Promise<RungHostHeld> => {
  await within(GONE_MAX_MS, 'no session is left', async () => (await host.held()).sessionCount === 0);
  return host.held();
};

type Measured = {
  readonly report: LoadReport;
  readonly units: HubToKernel;
  /** Resident memory of the server's part, at even distances. */
  readonly residentBytes: readonly number[];
};

const measure = async (host: RungHost, options: { viewerCount: number; durationS: number }): Promise<Measured> => {
  const load = await startLoad({ ...shapeOf(host, options.viewerCount), durationS: options.durationS });
  const before = HubToKernel.read((await host.held()).metricsText);
  const residentBytes: number[] = [];
  for (let look = 0; look < LOOK_COUNT; look += 1) {
    await passMs((options.durationS * 1000 - 1_000) / LOOK_COUNT);
    residentBytes.push(rssBytes(host.pid));
  }
  const units = HubToKernel.read((await host.held()).metricsText).since(before);
  return { report: await load.report, units, residentBytes };
};

const noteOf = ({ report, units }: Measured): string =>
  [
    `${report.joinedCount} joined and ${report.failedCount} failed (${Object.keys(report.failures).join(', ') || 'none'}), ${report.counts['blackCount'] ?? 0} saw nothing`,
    `${(report.bitrateBps / report.viewerCount / 1e6).toFixed(2)} Mbit/s each`,
    `${(100 * units.lateRatio).toFixed(2)} % over ${LATE_MS} ms`,
    `server ${report.server?.cpuMsPerS.toFixed(0)} ms/s, waited ${report.server?.waitMsPerS.toFixed(0)}; load ${report.load.cpuMsPerS.toFixed(0)} ms/s`,
    `frame delay p50 ${report.delayMs['frame']?.p50.toFixed(1)} p99 ${report.delayMs['frame']?.p99.toFixed(0)} ms`,
    `${report.counts['recoveredCount'] ?? 0} recovered, ${report.counts['lostCount'] ?? 0} lost`,
    ...report.load.complaints,
  ].join(', ');

const calmRows = (
  viewerCount: number,
  calm: Measured,
  { base, after }: { base: RungHostHeld; after: RungHostHeld },
): BenchRow[] => [
  {
    name: `${viewerCount} viewers, ${(viewerCount / STAY_S).toFixed(1)} come and go a second, 1 % loss: hub to kernel, p99`,
    ...{ value: calm.units.quantileMs(0.99), unit: 'ms', target: { max: 20 }, note: noteOf(calm) },
  },
  {
    name: 'resident memory at the end over that at half time',
    ...{ value: (calm.residentBytes.at(-1) ?? 0) / (calm.residentBytes[LOOK_COUNT / 2 - 1] ?? 0), unit: 'x' },
    ...{ target: { max: 1.05 }, note: `${calm.residentBytes.map((bytes) => (bytes / 1e6).toFixed(0)).join(', ')} MB` },
  },
  {
    name: 'sockets more than before, when all have gone',
    ...{
      value: after.socketCount - base.socketCount,
      unit: '',
      target: { max: 0 },
      note: `${base.socketCount} before`,
    },
  },
  {
    name: 'alive on the heap more than before',
    ...{ value: (after.heapBytes - base.heapBytes) / 1e6, unit: 'MB', target: { max: 8 } },
    note: `outside it ${(base.externalBytes / 1e6).toFixed(0)} → ${(after.externalBytes / 1e6).toFixed(0)} MB, resident ${(base.rssBytes / 1e6).toFixed(0)} → ${(after.rssBytes / 1e6).toFixed(0)} MB, ${metricSum(after.metricsText, 'webrtc_out_packets_total')} packets sent`,
  },
];

const hoggedRows = (calm: Measured, hogged: Measured): BenchRow[] => [
  {
    name: 'a hog on its core: hub to kernel, p99',
    value: hogged.units.quantileMs(0.99),
    unit: 'ms',
    note: noteOf(hogged),
  },
  {
    name: 'a hog on its core: bitrate of each over that without',
    value: hogged.report.bitrateBps / hogged.report.viewerCount / (calm.report.bitrateBps / calm.report.viewerCount),
    unit: 'x',
  },
  {
    name: "a hog on its core: a frame's delay over the viewer's least, p99",
    value: hogged.report.delayMs['frame']?.p99 ?? Number.NaN,
    unit: 'ms',
    note: `last ${hogged.report.delayMs['frame']?.max.toFixed(0)} ms`,
  },
];
