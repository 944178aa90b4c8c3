/** Glass to glass on loopback: WHEP untouched and repaired, with sound, and LL-HLS with two lengths of parts. */
import { measureViewer } from '../latency/viewer/measure.ts';
import type { ViewerReport } from '../latency/viewer/viewer-report.ts';
import { Viewer, type PlayTarget } from '../latency/viewer/viewer.ts';
import { analyseFrames } from '../latency/viewer/frame-analysis.ts';
import { Publisher, type PublisherOptions } from '../latency/source/publisher.ts';
import { RtmpTap } from '../support/rtmp-tap.ts';
import { SluiceProcess, type PartialConfig } from '../support/sluice-process.ts';
import { STAMP_MODULUS_MS } from '../latency/source/stamp.ts';
import type { ReadFrame } from '../latency/viewer/stamp-reader.ts';
import { passMs } from '../support/wait.ts';
import type { Bench, BenchRow } from './row.ts';

const DURATION_MS = process.env['SLUICE_SIZE'] === 'soak' ? 60_000 : 12_000;
/** hls.js and our rate controller need this long to reach the latency they hold. */
const HLS_SETTLE_MS = 20_000;
/** Longer than WebRTC takes without repair. */
const LONG_GOP_S = 4;

type Run = {
  readonly config?: PartialConfig;
  readonly publisher: Omit<PublisherOptions, 'url'>;
  readonly target: (sluice: SluiceProcess) => PlayTarget;
  readonly settleMs?: number;
};

type Measured = ViewerReport & { readonly latencyMs: { readonly p50: number; readonly p95: number } };

const measure = async (run: Run): Promise<Measured> => {
  const sluice = await SluiceProcess.start({ config: run.config ?? {} });
  try {
    const publisher = await Publisher.start({ ...run.publisher, url: sluice.rtmpUrl('bench') });
    try {
      await sluice.waitState('bench', 'live');
      const { latencyMs, ...report } = await measureViewer({
        target: run.target(sluice),
        durationMs: DURATION_MS,
        settleMs: run.settleMs ?? 3_000,
      });
      if (latencyMs === null) {
        throw new Error(`nothing to see: ${report.failure ?? 'no stamp could be read'}`);
      }
      return { ...report, latencyMs };
    } finally {
      await publisher.stop();
    }
  } finally {
    await sluice.stop();
  }
};

const whep = (sluice: SluiceProcess): PlayTarget => ({ kind: 'whep', url: sluice.whepUrl('bench') });
const ownHls = (sluice: SluiceProcess): PlayTarget => ({
  kind: 'page',
  url: `${sluice.watchUrl('bench')}?transport=ll-hls`,
});

const noteOf = (report: ViewerReport): string =>
  `${report.frames.shownAtMs.length} frames, ${report.pictureFps.toFixed(1)} fps, ${report.freezes.length} freezes`;

const whepRows = async (
  name: string,
  publisher: Omit<PublisherOptions, 'url'>,
  targets: { p50Ms: number; p95Ms: number },
): Promise<BenchRow[]> => {
  const report = await measure({ publisher, target: whep, config: { webrtc: { playoutDelayMs: 20 } } });
  return [
    {
      name: `WHEP glass to glass, ${name}, p50`,
      value: report.latencyMs.p50,
      unit: 'ms',
      target: { max: targets.p50Ms },
      note: noteOf(report),
    },
    {
      name: `WHEP glass to glass, ${name}, p95`,
      value: report.latencyMs.p95,
      unit: 'ms',
      target: { max: targets.p95Ms },
    },
  ];
};

/** With sound ffmpeg's muxer holds pictures back; the tap tells by how much, picture by picture. */
const soundRows = async (): Promise<BenchRow[]> => {
  const sluice = await SluiceProcess.start();
  const tap = await RtmpTap.start(sluice.ports.rtmp);
  try {
    const url = `rtmp://127.0.0.1:${tap.port}/live/bench`;
    const publisher = await Publisher.start({ url, preset: 'zerolatency' });
    try {
      await sluice.waitState('bench', 'live');
      const viewer = await Viewer.start({ target: whep(sluice) });
      try {
        await viewer.waitFrame(15_000);
        await passMs(3_000);
        const report = await viewer.observe(DURATION_MS);
        const frames = await viewer.frames();
        // The publisher tells its stamps once a second.
        await passMs(1_500);
        const fromArrival = analyseFrames(restampWithArrivals(frames, publisher.stampsMs, tap.arrivalsAtWallMs));
        return [
          { name: 'WHEP glass to glass, with sound, raw, p50', value: report.latencyMs.p50, unit: 'ms' },
          { name: 'WHEP glass to glass, with sound, raw, p95', value: report.latencyMs.p95, unit: 'ms' },
          { name: 'WHEP, with sound, from RTMP arrival, p50', value: fromArrival.latencyMs.p50, unit: 'ms' },
          { name: 'WHEP, with sound, from RTMP arrival, p95', value: fromArrival.latencyMs.p95, unit: 'ms' },
        ];
      } finally {
        await viewer.close();
      }
    } finally {
      await publisher.stop();
    }
  } finally {
    await tap.close();
    await sluice.stop();
  }
};

/** The same frames as if they had been stamped when they arrived at the server. Picture n of the publisher is arrival n. */
const restampWithArrivals = (
  frames: readonly ReadFrame[],
  stampsMs: readonly number[],
  arrivalsAtWallMs: readonly number[],
): ReadFrame[] => {
  const arrivalOf = new Map(stampsMs.map((stampMs, n) => [stampMs % STAMP_MODULUS_MS, arrivalsAtWallMs[n]]));
  return frames.map((frame) => {
    const arrivedAtWallMs = frame.stamp === null ? undefined : arrivalOf.get(frame.stamp);
    return { ...frame, stamp: arrivedAtWallMs === undefined ? null : arrivedAtWallMs % STAMP_MODULUS_MS };
  });
};

/** The targets are for pictures alone, as for WHEP; with sound the publisher's own muxing (about 70 ms) is in it. */
const hlsRow = async (partTargetMs: number, options: { hasSound: boolean; maxMs?: number }): Promise<BenchRow> => {
  const report = await measure({
    publisher: { preset: options.hasSound ? 'zerolatency' : 'video-only' },
    target: ownHls,
    config: { hls: { partTargetMs } },
    settleMs: HLS_SETTLE_MS,
  });
  return {
    name: `LL-HLS glass to glass, parts of ${partTargetMs} ms, ${options.hasSound ? 'with sound, raw, ' : ''}p50`,
    value: report.latencyMs.p50,
    unit: 'ms',
    ...(options.maxMs === undefined ? {} : { target: { max: options.maxMs } }),
    note: noteOf(report),
  };
};

export const latencyBench: Bench = {
  name: 'latency',
  run: async () => [
    ...(await whepRows('passthrough', { preset: 'video-only' }, { p50Ms: 60, p95Ms: 100 })),
    ...(await whepRows('repaired', { preset: 'video-only', gopS: LONG_GOP_S }, { p50Ms: 150, p95Ms: 220 })),
    ...(await soundRows()),
    await hlsRow(333, { hasSound: false, maxMs: 1_300 }),
    await hlsRow(200, { hasSound: false, maxMs: 900 }),
    await hlsRow(333, { hasSound: true }),
  ],
};
