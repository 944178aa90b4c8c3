/** Memory of a WHEP viewer who only watches: resident memory with 20 and with 120 of them, after the heap was collected. */
import { startLoad } from '../latency/load/load-run.ts';
import { Publisher } from '../latency/source/publisher.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { passMs } from '../support/wait.ts';
import type { Bench } from './row.ts';

const BASE_COUNT = 20;
const MORE_COUNT = 100;
/** Node gives memory back on its own time; the smallest of several readings stands for what is needed. */
const READING_COUNT = 8;
const READING_EVERY_MS = 1_000;

const settledRssBytes = async (sluice: SluiceProcess): Promise<number> => {
  const readings: number[] = [];
  for (let k = 0; k < READING_COUNT; k += 1) {
    await passMs(READING_EVERY_MS);
    readings.push(sluice.rssBytes());
  }
  return Math.min(...readings);
};

export const memoryBench: Bench = {
  name: 'memory',
  run: async () => {
    const sluice = await SluiceProcess.start({
      config: { ladder: { enabled: false }, webrtc: { requestsPerMinute: 1_000, joinsPerS: 20 } },
    });
    const publisher = await Publisher.start({
      ...{ url: sluice.rtmpUrl('idle'), preset: 'zerolatency', bitrateBps: 300_000, noiseRatio: 0 },
    });
    try {
      await sluice.waitState('idle', 'live');
      const target = { kind: 'whep', url: sluice.whepUrl('idle') } as const;
      // The first viewers warm the code up: what compiling it takes is no viewer's.
      const base = await startLoad({ target, viewerCount: BASE_COUNT, durationS: 60 });
      const beforeBytes = await settledRssBytes(sluice);
      const more = await startLoad({ target, viewerCount: MORE_COUNT, durationS: 20 });
      const afterBytes = await settledRssBytes(sluice);
      await Promise.all([more.report, base.report]);
      return [
        {
          name: 'Memory per idle WHEP viewer',
          value: (afterBytes - beforeBytes) / more.joinedCount / 1000,
          unit: 'kB',
          target: { max: 700 },
          note: `resident, ${base.joinedCount} → ${base.joinedCount + more.joinedCount} viewers, ${(beforeBytes / 1e6).toFixed(0)} → ${(afterBytes / 1e6).toFixed(0)} MB`,
        },
      ];
    } finally {
      await publisher.stop();
      await sluice.stop();
    }
  },
};
