/** Memory of a WHEP viewer who watches 2.65 Mbit/s: resident memory of the server with 100 and with 200 of them, in one run. */
import { startLoad } from '../latency/load/load-run.ts';
import { Publisher } from '../latency/source/publisher.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { passMs } from '../support/wait.ts';
import type { Bench } from './row.ts';

/** These warm the code up and fill the heap's young half: what that takes is no viewer's. */
const BASE_COUNT = 100;
const MORE_COUNT = 100;
const BITRATE_BPS = 2_650_000;
const JOINS_PER_S = 10;
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
      config: { ladder: { enabled: false }, webrtc: { requestsPerMinute: 1_000 } },
    });
    const publisher = await Publisher.start({
      ...{ url: sluice.rtmpUrl('idle'), preset: 'zerolatency', bitrateBps: BITRATE_BPS, noiseRatio: 1 },
    });
    try {
      await sluice.waitState('idle', 'live');
      const target = { kind: 'whep', url: sluice.whepUrl('idle') } as const;
      const base = await startLoad({ target, viewerCount: BASE_COUNT, joinsPerS: JOINS_PER_S, durationS: 60 });
      const beforeBytes = await settledRssBytes(sluice);
      const more = await startLoad({ target, viewerCount: MORE_COUNT, joinsPerS: JOINS_PER_S, durationS: 20 });
      const afterBytes = await settledRssBytes(sluice);
      const { bitrateBps, viewerCount } = await more.report;
      await base.report;
      return [
        {
          name: 'Memory per WHEP viewer',
          value: (afterBytes - beforeBytes) / more.joinedCount / 1000,
          unit: 'kB',
          target: { max: 250 },
          note: `resident, ${(bitrateBps / viewerCount / 1e6).toFixed(2)} Mbit/s each, ${base.joinedCount} → ${base.joinedCount + more.joinedCount} viewers, ${(beforeBytes / 1e6).toFixed(0)} → ${(afterBytes / 1e6).toFixed(0)} MB`,
        },
      ];
    } finally {
      await publisher.stop();
      await sluice.stop();
    }
  },
};
