/**
 * What media threads give: how soon a viewer's port answers while the main loop works in long steps; and, of WHEP viewers beside a crowd by LL-HLS, how
 * long an access unit takes from the hub to the kernel for all of them, and what a viewer costs. Viewers on the main thread and in one thread of their own, in turns, in one run.
 */
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { Worker } from 'node:worker_threads';
import { startLoad } from '../latency/load/load-run.ts';
import { FilePublisher } from '../latency/source/publisher.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { percentile } from '../latency/viewer/frame-analysis.ts';
import { openThreadedSetup } from '../support/threaded-setup.ts';
import { offerSdp } from '../support/whep-client.ts';
import { makeClip } from '../support/clip.ts';
import { SluiceProcess, metricSum } from '../support/sluice-process.ts';
import { passMs } from '../support/wait.ts';
import { HubToKernel } from './hub-to-kernel.ts';
import type { Bench, BenchRow } from './row.ts';
import type { StunAskerOrder } from './stun-asker.ts';

const WHEP_COUNT = 40;
const HLS_COUNT = 60;
const DURATION_S = 20;
/** 0, 1, 0, 1: what drifts touches both. */
const TURN_COUNT = 2;

type Turn = {
  readonly units: HubToKernel;
  readonly cpuMs: number;
  readonly aloneCpuMs: number;
  readonly frameP99Ms: number;
  readonly joinedCount: number;
  readonly lagP99Ms: number;
};

const runTurn = async (clip: string, threads: number): Promise<Turn> => {
  const sluice = await SluiceProcess.start({
    config: { ladder: { enabled: false }, webrtc: { threads, requestsPerMinute: 10_000, joinsPerS: 20 } },
  });
  const publisher = new FilePublisher({ path: clip, url: sluice.rtmpUrl('load') });
  const common = { durationS: DURATION_S, joinsPerS: 10, processCount: 1 };
  try {
    await sluice.waitState('load', 'live');
    const hls = await startLoad({
      ...common,
      durationS: DURATION_S + 10,
      target: { kind: 'hls', url: sluice.playlistUrl('load') },
      viewerCount: HLS_COUNT,
    });
    const aloneFromMs = sluice.cpuMs({ withChildren: false });
    await passMs(5_000);
    const aloneCpuMs = (sluice.cpuMs({ withChildren: false }) - aloneFromMs) / 5;
    const whep = await startLoad({
      ...common,
      target: { kind: 'whep', url: sluice.whepUrl('load') },
      viewerCount: WHEP_COUNT,
    });
    const before = HubToKernel.read(await sluice.metrics());
    const fromMs = sluice.cpuMs({ withChildren: false });
    await passMs(DURATION_S * 1_000 - 1_000);
    const cpuMs = (sluice.cpuMs({ withChildren: false }) - fromMs) / (DURATION_S - 1);
    const text = await sluice.metrics();
    const units = HubToKernel.read(text).since(before);
    const report = await whep.report;
    await hls.report;
    return {
      ...{ units, cpuMs, aloneCpuMs, joinedCount: whep.joinedCount },
      frameP99Ms: report.delayMs['frame']?.p99 ?? Number.NaN,
      lagP99Ms: 1000 * metricSum(text, 'nodejs_eventloop_lag_p99_seconds'),
    };
  } finally {
    await publisher.stop();
    await sluice.stop();
  }
};

const STEP_MS = 25;
const STEP_EVERY_MS = 100;
const ASK_COUNT = 1_500;
const ASK_EVERY_MS = 7;

/** From a viewer's request for consent to its answer, while the main loop is held up again and again: what feedback, retransmissions and pacing wait too. */
const answersWhileBusy = async (threads: number): Promise<number[]> => {
  const setup = await openThreadedSetup({ threads });
  const hold = setInterval(() => {
    for (const untilMs = performance.now() + STEP_MS; performance.now() < untilMs;) {
      // Held up.
    }
  }, STEP_EVERY_MS);
  try {
    const headers = { 'content-type': 'application/sdp' };
    const { status, body } = await setup.request('POST', '/whep/demo', { body: offerSdp(), headers });
    const read = (form: RegExp): string => form.exec(String(body))?.[1] ?? '';
    const asker = new Worker(new URL('stun-asker.ts', import.meta.url), {
      workerData: {
        ...{ count: ASK_COUNT, everyMs: ASK_EVERY_MS, port: Number(read(/ udp \d+ 127\.0\.0\.1 (\d+)/u)) },
        ...{ username: `${read(/ice-ufrag:(\S+)/u)}:peer`, password: read(/ice-pwd:(\S+)/u) },
      } satisfies StunAskerOrder,
    });
    const [{ answeredMs }] = (await once(asker, 'message')) as [{ answeredMs: number[] }];
    if (status !== 201 || answeredMs.length < 0.9 * ASK_COUNT) {
      throw new Error(`${answeredMs.length} of ${ASK_COUNT} were answered (${status})`);
    }
    return answeredMs;
  } finally {
    clearInterval(hold);
    await setup.close();
  }
};

const answerRows = async (): Promise<BenchRow[]> => {
  const [here, there] = [await answersWhileBusy(0), await answersWhileBusy(1)];
  const what = `consent answered while the main loop works ${STEP_MS} ms in each ${STEP_EVERY_MS}`;
  return [
    { name: `${what}, viewers on it, p50`, value: percentile(here, 0.5), unit: 'ms' },
    { name: 'the same, p99', value: percentile(here, 0.99), unit: 'ms' },
    { name: `${what}, viewers in a thread, p50`, value: percentile(there, 0.5), unit: 'ms' },
    { name: 'the same, p99', value: percentile(there, 0.99), unit: 'ms' },
  ];
};

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

const rowsOf = (threads: number, turns: readonly Turn[]): BenchRow[] => {
  const all = turns.map(({ units }) => units).reduce((sum, units) => sum.plus(units));
  const where = threads === 0 ? 'on the main thread' : `in ${threads} thread`;
  const note = `${turns.map(({ joinedCount }) => joinedCount).join(', ')} joined, main loop late by p99 ${mean(turns.map(({ lagP99Ms }) => lagP99Ms)).toFixed(1)} ms, load average ${loadavg()[0]?.toFixed(1)}`;
  return [
    {
      name: `hub to kernel for ${WHEP_COUNT} viewers ${where}, p50`,
      value: all.quantileMs(0.5),
      unit: 'ms',
      note,
    },
    { name: 'the same, p99', value: all.quantileMs(0.99), unit: 'ms' },
    { name: 'frame delay p99 at the viewer', value: mean(turns.map(({ frameP99Ms }) => frameP99Ms)), unit: 'ms' },
    {
      name: 'CPU per WHEP viewer',
      value: mean(turns.map(({ cpuMs, aloneCpuMs }) => (cpuMs - aloneCpuMs) / WHEP_COUNT)),
      unit: 'ms a second',
      note: `all ${mean(turns.map(({ cpuMs }) => cpuMs)).toFixed(0)} ms, ${HLS_COUNT} LL-HLS viewers alone ${mean(turns.map(({ aloneCpuMs }) => aloneCpuMs)).toFixed(0)} ms`,
    },
  ];
};

export const mediaThreadsBench: Bench = {
  name: 'media-threads',
  run: async () => {
    const folder = tempFolder('bench');
    try {
      const clip = await makeClip({ folder, bitrateBps: 2_500_000, durationS: 20, withSound: true });
      const turns = new Map<number, Turn[]>([
        [0, []],
        [1, []],
      ]);
      for (let turn = 0; turn < TURN_COUNT; turn += 1) {
        for (const [threads, done] of turns) {
          done.push(await runTurn(clip, threads));
        }
      }
      return [...(await answerRows()), ...[...turns].flatMap(([threads, done]) => rowsOf(threads, done))];
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};
